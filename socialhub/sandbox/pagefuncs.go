package sandbox

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"socialhub-sync/socialhub"
)

// cardFuncs are the templates' helpers. Their results are text, which html/template escapes.
var cardFuncs = template.FuncMap{
	"initials": initials,
	"hue":      hue,
	"stars":    stars,
	"score":    score,
	"bytes":    sizeText,
	"when":     when,
	"iso":      jsonTime,
	"label":    label,
	"host":     host,
	"long":     func(message string) bool { return len(message) > longMessage || strings.Count(message, "\n") > 12 },
	"opening":  opening,
	"https":    socialhub.WebURL,
	"short":    short,
	"language": func(code string) string {
		return map[string]string{"en": "English", "de": "Deutsch", "fr": "Français"}[code]
	},
	"inc": func(n int) int { return n + 1 },
	"dec": func(n int) int { return n - 1 },
}

// longMessage is from how many bytes on a message is folded.
const longMessage = 700

// label is a folder's name for people.
func label(f Folder) string { return strings.ToUpper(string(f[:1])) + string(f[1:]) }

// initials are the first letters of a name's first and last word; words without a letter or digit don't count.
func initials(name string) string {
	var first, last string
	for word := range strings.FieldsSeq(name) {
		i := strings.IndexFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
		if i < 0 {
			continue
		}
		r, _ := utf8.DecodeRuneInString(word[i:])
		last = string(unicode.ToUpper(r))
		if first == "" {
			first, last = last, ""
		}
	}
	return cmp.Or(first+last, "?")
}

// hue is one of eight colours, always the same for a person.
func hue(who socialhub.Interactor) string {
	h := fnv.New32a()
	h.Write([]byte(who.InteractorID + who.Name))
	return strconv.Itoa(int(h.Sum32() % 8))
}

// stars draws a rating out of five; empty for a scale of 0.
func stars(r *socialhub.Rating) string {
	if r.Scale <= 0 {
		return ""
	}
	n := int(math.Round(min(1, r.Value/r.Scale) * 5))
	return strings.Repeat("★", n) + strings.Repeat("☆", 5-n)
}

func score(r *socialhub.Rating) string {
	return fmt.Sprintf("%s of %s", number(r.Value), number(r.Scale))
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

func sizeText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// when is a time for people, in UTC like everything on the page.
func when(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") }

// host is the part of an address that people know it by.
func host(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// short is the start of a text on one line.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return text
}

// opening is the start of a long message, cut between words where there are any.
func opening(message string) string {
	if lines := strings.SplitN(message, "\n", 7); len(lines) == 7 {
		message = strings.Join(lines[:6], "\n")
	}
	if len(message) > longMessage/2 {
		message = strings.ToValidUTF8(message[:longMessage/2], "")
		if i := strings.LastIndexAny(message, " \n"); i > longMessage/4 {
			message = message[:i]
		}
	}
	return message + " …"
}
