package rss

import (
	"bytes"
	"fmt"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

var (
	declaration = regexp.MustCompile(`^\s*<\?xml\b[^>]*\?>`)
	declared    = regexp.MustCompile(`\bencoding\s*=\s*["']([^"']*)["']`)
)

// toUTF8 returns a feed in UTF-8, without byte order mark, XML declaration and the control characters that are
// frequent though XML forbids them. The charset is that of the byte order mark, else of the XML declaration, else UTF-8 as
// XML says; for what is not valid UTF-8 that of the Content-Type, else Windows-1252. (RFC 7303 puts the
// Content-Type before the declaration, but it is set by people who never saw the feed.)
func toUTF8(text []byte, contentType string) ([]byte, error) {
	text, err := fromUTF16(text)
	if err != nil {
		return nil, notValid(err)
	}
	text, marked := bytes.CutPrefix(text, []byte("\xEF\xBB\xBF"))
	label := ""
	if m := declared.FindSubmatch(declaration.Find(start(text))); m != nil && !marked {
		label = strings.ToLower(string(m[1]))
	}
	if strings.HasPrefix(label, "utf-16") { // or its declaration could not have been read
		label = ""
	}
	found, name := charset.Lookup(label)
	if label != "" && found == nil {
		return nil, fmt.Errorf("answered with a feed in the charset %.40q, which is not known", label)
	}
	if found == nil || name == "utf-8" {
		if utf8.Valid(text) {
			return clean(text), nil
		}
		if found = contentCharset(contentType); found == nil {
			found = charmap.Windows1252
		}
	}
	decoded, err := found.NewDecoder().Bytes(text)
	if err != nil {
		return nil, notValid(err)
	}
	return clean(decoded), nil
}

// fromUTF16 turns UTF-16, told by its byte order mark or its first character "<", into UTF-8.
func fromUTF16(text []byte) ([]byte, error) {
	order := unicode.LittleEndian
	switch {
	case bytes.HasPrefix(text, []byte("\xFF\xFE")), bytes.HasPrefix(text, []byte("<\x00")):
	case bytes.HasPrefix(text, []byte("\xFE\xFF")), bytes.HasPrefix(text, []byte("\x00<")):
		order = unicode.BigEndian
	default:
		return text, nil
	}
	return unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(text)
}

// contentCharset is what a Content-Type says, nil if that is nothing or nothing new.
func contentCharset(contentType string) encoding.Encoding {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	if found, name := charset.Lookup(params["charset"]); name != "utf-8" {
		return found
	}
	return nil
}

// clean drops the XML declaration, whose encoding is not true any more, and control characters.
func clean(text []byte) []byte {
	text = text[len(declaration.Find(start(text))):]
	kept := make([]byte, 0, len(text))
	for _, b := range text {
		if b >= ' ' || b == '\t' || b == '\n' || b == '\r' {
			kept = append(kept, b)
		}
	}
	return kept
}

// start is where the XML declaration must be.
func start(text []byte) []byte { return text[:min(len(text), 1024)] }
