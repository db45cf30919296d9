package mail

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"unicode/utf8"

	mailcharset "github.com/emersion/go-message/charset"
	htmlcharset "golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// decodeTransfer undoes a Content-Transfer-Encoding. What does not follow the encoding's rules is read as well as
// can be: a mail that was cut or mangled still has most of its text.
func decodeTransfer(raw []byte, transfer string) []byte {
	switch strings.ToLower(strings.TrimSpace(transfer)) {
	case "base64":
		return decodeBase64(raw)
	case "quoted-printable":
		return decodeQuoted(raw)
	}
	return raw
}

// decodeBase64 reads over what is no base64 and over paddings in the middle. Behind a padding a line with other
// characters ends it: lists put their footers there.
func decodeBase64(raw []byte) []byte {
	var out, run []byte
	padded := false
	flush := func() {
		if len(run)%4 == 1 { // not enough for a byte
			run = run[:len(run)-1]
		}
		out, _ = base64.RawStdEncoding.AppendDecode(out, run) // there is nothing but the alphabet in it
		run = run[:0]
	}
	for line := range bytes.Lines(raw) {
		if padded && bytes.ContainsFunc(line, notBase64) {
			break
		}
		for _, b := range line {
			switch {
			case b == '=':
				padded = true
				flush()
			case !notBase64(rune(b)) && b > ' ':
				run = append(run, b)
			}
		}
	}
	flush()
	return out
}

func notBase64(r rune) bool {
	return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("+/= \t\r\n", r))
}

// decodeQuoted reads quoted-printable; an "=" that begins no escape stays.
func decodeQuoted(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for line := range bytes.Lines(raw) {
		text := bytes.TrimRight(line, " \t\r\n")
		text, soft := bytes.CutSuffix(text, []byte("="))
		out = appendUnescaped(out, text, '=')
		if !soft && bytes.HasSuffix(line, []byte("\n")) {
			out = append(out, '\n')
		}
	}
	return out
}

// appendUnescaped appends s with each mark and two hex digits as the byte that they stand for.
func appendUnescaped(out, s []byte, mark byte) []byte {
	for len(s) > 0 {
		if s[0] == mark && len(s) >= 3 {
			if decoded, err := hex.AppendDecode(out, s[1:3]); err == nil {
				out, s = decoded, s[3:]
				continue
			}
		}
		out, s = append(out, s[0]), s[1:]
	}
	return out
}

// toUTF8 returns a text of the charset in UTF-8. A charset that is missing, unknown or plainly not true is guessed;
// HTML may name it too.
func toUTF8(raw []byte, label string, markup bool) string {
	label = strings.ToLower(strings.Trim(label, " \t\"'"))
	switch label {
	case "", "us-ascii", "ascii", "utf-8", "utf8":
	default:
		if text, known := decodeCharset(raw, label); known {
			return text
		}
		label = ""
	}
	whole := withoutCutRune(raw)
	if utf8.Valid(whole) {
		return string(whole)
	}
	if strings.HasPrefix(label, "utf") && mostlyUTF8(whole) {
		return strings.ToValidUTF8(string(whole), "\uFFFD")
	}
	var found encoding.Encoding = charmap.Windows1252
	if markup {
		found, _, _ = htmlcharset.DetermineEncoding(raw[:min(len(raw), 1024)], "")
	}
	text, _ := found.NewDecoder().Bytes(raw)
	return string(text)
}

// decodeCharset asks for HTML's names first, because they mean what people do: their ISO-8859-1 is Windows-1252.
func decodeCharset(raw []byte, label string) (text string, known bool) {
	if found, err := htmlindex.Get(label); err == nil && found != encoding.Replacement {
		decoded, err := found.NewDecoder().Bytes(raw)
		return string(decoded), err == nil
	}
	in, err := mailcharset.Reader(label, bytes.NewReader(raw))
	if err != nil {
		return "", false
	}
	decoded, err := io.ReadAll(in)
	return string(decoded), err == nil
}

// withoutCutRune drops a character at the end that lost its last bytes.
func withoutCutRune(s []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if last := s[len(s)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return s[:len(s)-n]
			}
			break
		}
	}
	return s
}

// mostlyUTF8 tells a text with some broken characters from one that only says that it is UTF-8.
func mostlyUTF8(s []byte) bool {
	good, bad := 0, 0
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && n == 1:
			bad++
		case n > 1:
			good++
		}
		s = s[n:]
	}
	return good > bad
}
