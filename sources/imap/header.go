package imap

import (
	"bytes"
	netmail "net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"socialhub-sync/sources"
)

// fields are a header's fields, unfolded, by their names in lower case. Of several with one name the first counts.
type fields map[string]string

// splitHeader parts a mail, or a part of one, into header and body. What is no field is read over.
func splitHeader(raw []byte) (fields, []byte) {
	found := make(fields)
	name, value := "", ""
	keep := func() {
		if _, known := found[name]; name != "" && !known {
			found[name] = strings.TrimSpace(value)
		}
		name, value = "", ""
	}
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		text := strings.TrimRight(string(line), "\r")
		raw = rest
		if text == "" {
			break
		}
		if text[0] == ' ' || text[0] == '\t' {
			value += " " + strings.TrimSpace(text)
			continue
		}
		keep()
		if before, after, isField := strings.Cut(text, ":"); isField {
			name, value = strings.ToLower(strings.TrimRight(before, " \t")), after
		}
	}
	keep()
	return found, raw
}

// head is what an interaction needs of a mail's header.
type head struct {
	id      string // the Message-ID; empty if it has none
	stand   string // what stands for a Message-ID that is not there
	root    string // the Message-ID of the thread's first mail; empty if this is it
	subject string
	name    string // of the sender; may be empty
	address string // of the sender, in lower case; empty if there is none
	sent    time.Time
}

// maxSubject bounds a subject, in bytes of UTF-8.
const maxSubject = 1000

func (f fields) head() head {
	h := head{
		id:      firstID(f["message-id"]),
		stand:   "\x00" + strings.Join([]string{f["date"], f["from"], f["subject"]}, "\x00"),
		subject: cutBytes(line(decodeWords(f["subject"])), maxSubject),
		sent:    date(f["date"]),
	}
	if h.id == "" { // old mailers leave the brackets out
		if bare := strings.Fields(f["message-id"]); len(bare) == 1 {
			h.id = bare[0]
		}
	}
	for _, key := range []string{"references", "in-reply-to"} {
		if h.root == "" {
			h.root = firstID(f[key])
		}
	}
	if h.root == h.id {
		h.root = ""
	}
	for _, key := range []string{"from", "sender"} {
		if h.address == "" {
			h.name, h.address = sender(f[key])
		}
	}
	return h
}

var bracketed = regexp.MustCompile(`<([^<>]*)>`)

// firstID is the first Message-ID in a field. Spaces in it come from mailers that fold long ones.
func firstID(field string) string {
	for _, found := range bracketed.FindAllStringSubmatch(field, -1) {
		if id := strings.Join(strings.Fields(found[1]), ""); id != "" {
			return id
		}
	}
	return ""
}

// itemID is the mail's networkItemId. A mail without Message-ID is told by its Date,
// From and Subject, and not by its UID: that changes when the mailbox is moved to another server.
func (h *head) itemID(prefix string, arrived time.Time) string {
	switch {
	case h.id != "":
		return sources.ItemID(prefix, h.id)
	case h.sent.IsZero():
		return sources.ItemID(prefix, h.stand+"\x00"+arrived.UTC().Format(time.RFC3339))
	}
	return sources.ItemID(prefix, h.stand)
}

// date reads a Date field; zero if it can't be read, or is of a year that no mail is of.
func date(field string) time.Time {
	t, err := netmail.ParseDate(field)
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t.UTC()
}

// sender returns the first person of a From field. It reads what package net/mail refuses, such as names with
// commas and without quotes; a field is rarely as the rules want it.
func sender(field string) (name, address string) {
	var phrase, comment, angle strings.Builder
	in := &phrase
	quoted, depth := false, 0
scan:
	for i := 0; i < len(field); i++ {
		switch c := field[i]; {
		case c == '\\' && i+1 < len(field) && (quoted || depth > 0):
			i++
			in.WriteByte(field[i])
		case c == '"' && depth == 0 && in != &angle:
			quoted = !quoted
		case quoted:
			in.WriteByte(c)
		case c == '(' && in != &angle:
			depth++
			in = &comment
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				in = &phrase
			}
		case depth > 0, in == &angle && c != '>':
			in.WriteByte(c)
		case c == '<':
			in = &angle
		case c == '>' && in == &angle:
			break scan
		case c == ':' && !strings.Contains(phrase.String(), "@"): // a group's name
			phrase.Reset()
		case (c == ',' || c == ';') && strings.Contains(phrase.String(), "@"):
			break scan
		default:
			in.WriteByte(c)
		}
	}
	name, address = person(phrase.String()), bareAddress(angle.String())
	if address == "" {
		name, address = "", bareAddress(phrase.String())
	}
	if address == "" { // a quote that was not closed
		address = bareAddress(firstID(field))
	}
	if name == "" {
		name = person(comment.String())
	}
	return name, address
}

func person(phrase string) string {
	return cutBytes(strings.Trim(line(decodeWords(phrase)), `"', `), maxName)
}

// maxName and maxAddress bound a name and an address, in bytes.
const (
	maxName    = 200
	maxAddress = 254
)

// bareAddress is the text if it may be a mail address, in lower case, else "".
func bareAddress(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(strings.Trim(text, `<>'", `)), ""))
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at == len(text)-1 || len(text) > maxAddress || strings.ContainsAny(text, `<>",;()`) || line(text) != text {
		return ""
	}
	return text
}

var encodedWord = regexp.MustCompile(`=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=`)

// decodeWords decodes a field's encoded words (RFC 2047), also those in quotes, with spaces in them, of unknown
// charsets, and characters that were split between two words. What is not encoded may be in any charset.
func decodeWords(field string) string {
	var out strings.Builder
	var bytes []byte // of words in one charset that follow each other
	charset := ""
	flush := func() {
		out.WriteString(toUTF8(bytes, charset, false))
		bytes = bytes[:0]
	}
	for {
		at := encodedWord.FindStringSubmatchIndex(field)
		if at == nil {
			break
		}
		between, word := field[:at[0]], field[at[6]:at[7]]
		label, _, _ := strings.Cut(strings.ToLower(field[at[2]:at[3]]), "*") // RFC 2231 allows a language
		if strings.TrimSpace(between) != "" || charset == "" {
			flush()
			out.WriteString(toUTF8([]byte(between), "", false))
		} else if label != charset {
			flush()
		}
		charset = label
		if field[at[4]] == 'q' || field[at[4]] == 'Q' {
			bytes = appendUnescaped(bytes, []byte(strings.ReplaceAll(word, "_", " ")), '=')
		} else {
			bytes = append(bytes, decodeBase64([]byte(word))...)
		}
		field = field[at[1]:]
	}
	flush()
	out.WriteString(toUTF8([]byte(field), "", false))
	return out.String()
}

// line is a text on one line, without control characters.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == '\uFEFF', r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069':
			return -1 // also those that turn the direction of what follows
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}

// cutBytes cuts a text to at most limit bytes, at the border of a character.
func cutBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = "…"
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
