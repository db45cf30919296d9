package mail

import (
	"bytes"
	netmail "net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxField bounds the value of one field, in bytes; what is beyond is left out.
const maxField = 16 << 10

// fields are a header's fields, unfolded, by their names in lower case. Of several with one name the first counts.
type fields map[string]string

// splitHeader parts a mail, or a part of one, into header and body. What is no field is read over.
func splitHeader(raw []byte) (fields, []byte) {
	found := make(fields)
	name := ""
	var value []byte
	keep := func() {
		if _, known := found[name]; name != "" && !known {
			found[name] = string(bytes.TrimSpace(value[:min(len(value), maxField)]))
		}
		name, value = "", value[:0]
	}
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		line, raw = bytes.TrimRight(line, "\r"), rest
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if name != "" {
				value = append(append(value, ' '), bytes.TrimSpace(line)...)
			}
			continue
		}
		keep()
		if before, after, isField := bytes.Cut(line, []byte(":")); isField {
			name, value = strings.ToLower(string(bytes.TrimRight(before, " \t"))), append(value, after...)
		}
	}
	keep()
	return found, raw
}

// maxSubject bounds a subject, in bytes of UTF-8.
const maxSubject = 1000

// take reads what is wanted of a header.
func (m *Mail) take(f fields) {
	m.id = firstID(f["message-id"])
	m.Subject = OneLine(decodeWords(f["subject"]), maxSubject)
	m.Sent = date(f["date"])
	if m.id == "" { // old mailers leave the brackets out
		if bare := strings.Fields(f["message-id"]); len(bare) == 1 {
			m.id = bare[0]
		}
	}
	if m.id == "" {
		m.standIn = "\x00" + strings.Join([]string{f["date"], f["from"], f["subject"]}, "\x00")
	}
	for _, key := range []string{"references", "in-reply-to"} {
		if m.Root == "" {
			m.Root = firstID(f[key])
		}
	}
	if m.Root == m.id {
		m.Root = ""
	}
	for _, key := range []string{"from", "sender"} {
		if m.Address == "" {
			m.Name, m.Address = sender(f[key])
		}
	}
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
	return OneLine(strings.Trim(line(decodeWords(phrase)), `"', `), maxName)
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

// OneLine is a text on one line, without control characters, of at most limit bytes.
func OneLine(s string, limit int) string {
	const mark = "…"
	s = line(s)
	if len(s) <= limit {
		return s
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
