package sources

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxTextDepth is the deepest nesting of quotes and of lists that the text shows; deeper ones look like this one.
const maxTextDepth = 8

// Text turns HTML into plain text that people like to read. Paragraphs are parted by an empty line, list items
// begin with "- " or their number, quotes with "> ", a link is "text (address)" unless both are the same, white space
// is collapsed outside of <pre>, and what is not text (scripts, styles, forms, drawings) is left out. Broken
// HTML gives what can be read of it. Text needs time and memory in proportion to the input, however it is nested.
func Text(markup string) string {
	z := html.NewTokenizer(strings.NewReader(strings.ToValidUTF8(markup, "\uFFFD")))
	var w textWriter
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			w.closeLink()
			return strings.TrimRight(w.out.String(), " \t\n")
		case html.TextToken:
			w.text(z.Text())
		case html.StartTagToken, html.SelfClosingTagToken:
			name, attrs := readTag(z)
			w.start(name, attrs, kind == html.SelfClosingTagToken)
		case html.EndTagToken:
			name, _ := z.TagName()
			w.end(atom.Lookup(name))
		}
	}
}

// tagAttrs are the attributes that matter here.
type tagAttrs struct{ href, src, class, alt, width, height string }

func readTag(z *html.Tokenizer) (atom.Atom, tagAttrs) {
	var a tagAttrs
	name, more := z.TagName()
	tag := atom.Lookup(name)
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		switch string(key) {
		case "href":
			a.href = string(value)
		case "src":
			a.src = string(value)
		case "class":
			a.class = string(value)
		case "alt":
			a.alt = string(value)
		case "width":
			a.width = string(value)
		case "height":
			a.height = string(value)
		}
	}
	return tag, a
}

// emoji tells of an image that stands for a character.
func (a *tagAttrs) emoji() bool {
	return strings.Contains(a.class, "emoji") || strings.Contains(a.class, "smiley")
}

// blockGap says how many line ends part an element from what is around it; 2 is an empty line.
func blockGap(tag atom.Atom) int {
	switch tag {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Table, atom.Dl, atom.Figure:
		return 2
	case atom.Div, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Main, atom.Nav, atom.Aside, atom.Address,
		atom.Tr, atom.Dt, atom.Dd, atom.Figcaption, atom.Details, atom.Summary, atom.Form, atom.Fieldset, atom.Caption,
		atom.Center, atom.Body:
		return 1
	}
	return 0
}

// noText tells of elements whose content is not text for people.
func noText(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Template, atom.Noscript, atom.Noembed, atom.Noframes, atom.Iframe,
		atom.Object, atom.Svg, atom.Math, atom.Select, atom.Datalist, atom.Textarea, atom.Audio, atom.Video, atom.Canvas:
		return true
	}
	return false
}

// textWriter writes the text. Gaps are only noted, and written when a character follows them.
type textWriter struct {
	out strings.Builder

	newlines int    // line ends to write before the next character
	gap      string // or else what parts it from the last one on the same line
	marker   string // what the next line begins with: "- "

	quotes, lastQuotes int               // depth now, and at the last line written
	lists              int               // depth
	numbers            [maxTextDepth]int // the next number in each list, 0 in one without numbers
	pre                int
	preFresh           bool // nothing came since <pre>
	row                int  // length of out at the start of the table row

	hidden      atom.Atom // the element whose content is left out
	hiddenDepth int

	href      string // of the link that is open
	linkStart int    // where its text begins in out, -1 before it has any
}

func (w *textWriter) start(tag atom.Atom, a tagAttrs, selfClosing bool) {
	if w.hidden != 0 {
		if tag == w.hidden && !selfClosing {
			w.hiddenDepth++
		}
		return
	}
	if noText(tag) {
		if !selfClosing || tag != atom.Svg && tag != atom.Math {
			w.hidden, w.hiddenDepth = tag, 1
		}
		return
	}
	if gap := blockGap(tag); gap > 0 {
		w.newline(gap)
	}
	switch tag {
	case atom.Br:
		w.lineBreak()
	case atom.Hr:
		w.newline(1)
		w.write("---")
		w.newline(1)
	case atom.A:
		w.closeLink()
		w.href, w.linkStart = linkAddress(&a), -1
	case atom.Img:
		if a.emoji() {
			w.text([]byte(a.alt))
		}
	case atom.Ul, atom.Ol, atom.Menu:
		w.openList(tag == atom.Ol)
	case atom.Li:
		w.item()
	case atom.Blockquote:
		w.newline(2)
		w.quotes++
	case atom.Pre, atom.Xmp, atom.Plaintext:
		w.newline(2)
		w.pre++
		w.preFresh = true
	case atom.Tr:
		w.row = w.out.Len()
	case atom.Td, atom.Th:
		if w.newlines == 0 && w.out.Len() > w.row {
			w.gap = " | "
		}
	}
}

func (w *textWriter) end(tag atom.Atom) {
	if w.hidden != 0 {
		if tag == w.hidden {
			if w.hiddenDepth--; w.hiddenDepth == 0 {
				w.hidden = 0
			}
		}
		return
	}
	if gap := blockGap(tag); gap > 0 {
		w.newline(gap)
	}
	switch tag {
	case atom.A:
		w.closeLink()
	case atom.Ul, atom.Ol, atom.Menu:
		if w.lists > 0 {
			w.lists--
			w.marker = ""
			w.newline(2)
		}
	case atom.Li:
		w.newline(1)
	case atom.Blockquote:
		if w.quotes > 0 {
			w.newline(2)
			w.quotes--
		}
	case atom.Pre, atom.Xmp:
		if w.pre > 0 {
			w.pre--
			w.newlines = min(w.newlines, 2)
			w.newline(2)
		}
	}
}

// newline asks for n line ends before what comes next. In a list nothing is parted by empty lines, and
// nothing parts an item from its marker.
func (w *textWriter) newline(n int) {
	if w.marker != "" {
		return
	}
	if w.lists > 0 {
		n = min(n, 1)
	}
	w.newlines = max(w.newlines, n)
}

func (w *textWriter) lineBreak() {
	if w.marker == "" {
		w.newlines = max(w.newlines, min(w.newlines+1, 2))
	}
}

func (w *textWriter) openList(numbered bool) {
	w.newline(2)
	if w.lists < maxTextDepth {
		w.numbers[w.lists] = 0
		if numbered {
			w.numbers[w.lists] = 1
		}
	}
	w.lists++
}

func (w *textWriter) item() {
	w.newline(1)
	w.marker = "- "
	if w.lists == 0 || w.lists > maxTextDepth {
		return
	}
	if number := &w.numbers[w.lists-1]; *number > 0 {
		w.marker = strconv.Itoa(*number) + ". "
		*number++
	}
}

func (w *textWriter) text(s []byte) {
	switch {
	case w.hidden != 0:
	case w.pre > 0:
		w.preformatted(s)
	default:
		w.words(s)
	}
}

// words writes s with its white space collapsed.
func (w *textWriter) words(s []byte) {
	for len(s) > 0 {
		end := bytes.IndexFunc(s, unicode.IsSpace)
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			if w.gap == "" {
				w.gap = " "
			}
			s = bytes.TrimLeftFunc(s, unicode.IsSpace)
			continue
		}
		w.write(visible(s[:end]))
		s = s[end:]
	}
}

func (w *textWriter) preformatted(s []byte) {
	for len(s) > 0 {
		line, rest, newline := bytes.Cut(s, []byte{'\n'})
		s = rest
		w.write(visible(line))
		if newline && (!w.preFresh || len(line) > 0) {
			w.newlines++
		}
		w.preFresh = false
	}
}

// visible drops control characters, soft hyphens and byte order marks.
func visible(s []byte) string {
	drop := func(r rune) bool { return r != '\t' && unicode.IsControl(r) || r == '\u00AD' || r == '\uFEFF' }
	if bytes.IndexFunc(s, drop) < 0 {
		return string(s)
	}
	return string(bytes.Map(func(r rune) rune {
		if drop(r) {
			return -1
		}
		return r
	}, s))
}

// write writes the gap that is due, then s.
func (w *textWriter) write(s string) {
	if s == "" {
		return
	}
	switch {
	case w.out.Len() == 0:
		w.linePrefix()
	case w.newlines > 0:
		for range w.newlines - 1 {
			w.out.WriteByte('\n')
			w.out.WriteString(strings.TrimRight(quotePrefix(min(w.quotes, w.lastQuotes)), " "))
		}
		w.out.WriteByte('\n')
		w.linePrefix()
	default:
		w.out.WriteString(w.gap)
	}
	w.newlines, w.gap = 0, ""
	if w.href != "" && w.linkStart < 0 {
		w.linkStart = w.out.Len()
	}
	w.out.WriteString(s)
}

// linePrefix begins a line with its quote marks and the place of its list.
func (w *textWriter) linePrefix() {
	w.out.WriteString(quotePrefix(w.quotes))
	w.lastQuotes = w.quotes
	indent := w.lists
	if w.marker != "" {
		indent--
	}
	for range min(indent, maxTextDepth) {
		w.out.WriteString("  ")
	}
	w.out.WriteString(w.marker)
	w.marker = ""
}

func quotePrefix(depth int) string { return strings.Repeat("> ", min(depth, maxTextDepth)) }

// closeLink writes the address of the open link after its text.
func (w *textWriter) closeLink() {
	if w.href != "" && w.linkStart >= 0 && !sameAddress(w.out.String()[w.linkStart:], w.href) {
		w.out.WriteString(" (" + w.href + ")")
	}
	w.href = ""
}

// linkAddress is what a reader could use of a link: nothing for places inside a page, for scripts, and for
// mentions and hashtags, whose text says all.
func linkAddress(a *tagAttrs) string {
	if strings.Contains(a.class, "mention") || strings.Contains(a.class, "hashtag") {
		return ""
	}
	href := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(a.href))
	href = strings.ReplaceAll(href, " ", "%20")
	scheme, rest, _ := strings.Cut(href, ":")
	switch strings.ToLower(scheme) {
	case "http", "https":
		return href
	case "mailto", "tel":
		rest, _, _ = strings.Cut(rest, "?")
		return rest
	}
	if strings.HasPrefix(href, "//") {
		return "https:" + href
	}
	return ""
}

// sameAddress tells whether a link's text is its address already.
func sameAddress(text, href string) bool {
	return strings.EqualFold(bareAddress(text), bareAddress(href))
}

func bareAddress(s string) string {
	s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(s), "https://"), "http://")
	return strings.TrimSuffix(strings.TrimPrefix(s, "www."), "/")
}
