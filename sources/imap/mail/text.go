package mail

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"

	"socialhub-sync/sources"
)

// reading says how texts are read.
type reading struct {
	limit int64 // bytes of a text as sent; what reached it was cut there
	cut   bool  // quoted history is left out
	reply bool  // the mail answers another one
}

// version is the readable text of some parts.
func (r reading) version(parts []*Part) string {
	var texts []string
	for _, p := range parts {
		if t := r.part(p); strings.TrimSpace(t) != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n\n")
}

// part is the readable text of one part.
func (r reading) part(p *Part) string {
	markup := p.Kind != "text/plain"
	s := toUTF8(decodeTransfer(p.Body, p.Encoding), p.Params["charset"], markup)
	if markup {
		if own := r.aboveHistory(s); own != "" {
			return own
		}
		s = sources.Text(s)
	} else if strings.EqualFold(p.Params["format"], "flowed") {
		s = unflow(s, strings.EqualFold(p.Params["delsp"], "yes"))
	}
	if s = tidy(s); int64(len(p.Body)) >= r.limit {
		s += "…"
	}
	if r.cut {
		return cutHistory(s, r.reply)
	}
	return s
}

// aboveHistory is the text of a reply in HTML above the mark of its history; empty if there is no mark or no text.
func (r reading) aboveHistory(markup string) string {
	if !r.cut || !r.reply {
		return ""
	}
	start := historyStart(markup)
	if start == len(markup) {
		return ""
	}
	own := strings.TrimRight(strings.TrimSuffix(tidy(sources.Text(markup[:start])), rule), "\n")
	return cutHistory(own, r.reply)
}

// rule is how [sources.Text] draws the line that Outlook puts above the history.
const rule = "---"

// historyStart is where mail programs say in HTML that the history begins, len(s) if none does.
func historyStart(s string) int {
	z := html.NewTokenizer(strings.NewReader(s))
	at := 0
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return len(s)
		}
		if kind == html.StartTagToken && startsHistory(z) {
			return at
		}
		at += len(z.Raw())
	}
}

// startsHistory knows Outlook's and Yahoo's marks. Gmail, Apple Mail and Thunderbird use blockquotes, which the text shows.
func startsHistory(z *html.Tokenizer) bool {
	_, more := z.TagName()
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		switch string(key) {
		case "id":
			switch id := string(value); {
			case id == "divRplyFwdMsg", id == "OLK_SRC_BODY_SECTION", id == "mail-editor-reference-message-container":
				return true
			}
		case "class":
			if strings.Contains(string(value), "yahoo_quoted") {
				return true
			}
		}
	}
	return false
}

// unflow joins the lines that a mail program wrapped by itself (RFC 3676). delsp: the space at the end of such a
// line is part of the wrap.
func unflow(s string, delsp bool) string {
	var out strings.Builder
	open, openDepth := false, 0
	for l := range strings.Lines(s) {
		l = strings.TrimRight(l, "\r\n")
		bare := strings.TrimLeft(l, ">")
		depth := len(l) - len(bare)
		bare = strings.TrimPrefix(bare, " ") // stuffed, so that it does not look like a quote
		if !open || depth != openDepth || bare == "-- " {
			if open {
				out.WriteByte('\n')
			}
			if out.WriteString(strings.Repeat(">", depth)); depth > 0 {
				out.WriteByte(' ')
			}
		}
		open, openDepth = strings.HasSuffix(bare, " ") && bare != "-- ", depth
		if open && delsp {
			bare = bare[:len(bare)-1]
		}
		out.WriteString(bare)
		if !open {
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// tidy keeps a text's lines, without control characters, spaces at the end and more than one empty line in a row.
func tidy(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	var b strings.Builder
	gap := false
	for l := range strings.Lines(s) {
		l = strings.TrimRightFunc(strings.Map(visible, l), unicode.IsSpace)
		if l == "" {
			gap = true
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
			if gap {
				b.WriteByte('\n')
			}
		}
		gap = false
		b.WriteString(l)
	}
	return b.String()
}

// visible drops control characters, soft hyphens, byte order marks and the fillers of newsletters.
func visible(r rune) rune {
	switch {
	case r == '\t', r == '\n':
		return r
	case unicode.IsControl(r), r == '\u00AD', r == '\uFEFF', r == '\u034F', r == '\u200B':
		return -1
	}
	return r
}
