package execsource

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	redacted = "[redacted]"
	// minSecret is the shortest text that is looked for, in bytes: taking out every 1 would hide more than secrets.
	minSecret = 4
	// maxShown is the most of a line that the log shows, maxQuoted of one that an error does; in bytes.
	maxShown  = 1000
	maxQuoted = 500
)

// redactor takes secrets out of what a program says.
type redactor struct{ replacer *strings.Replacer }

// newRedactor hides the texts, their lines, and how both look in an address and in quotes.
func newRedactor(texts []string) *redactor {
	var forms []string
	for _, text := range texts {
		for _, part := range append(strings.Split(text, "\n"), text) {
			part = strings.TrimSpace(part)
			ascii := strconv.QuoteToASCII(part)
			quoted := strconv.Quote(part)
			forms = append(forms, part, url.QueryEscape(part), url.PathEscape(part), quoted[1:len(quoted)-1], ascii[1:len(ascii)-1])
		}
	}
	forms = slices.DeleteFunc(forms, func(form string) bool { return len(form) < minSecret })
	// The longest first, so that no part of a text stays.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, redacted)
	}
	return &redactor{strings.NewReplacer(pairs...)}
}

// clean returns one line that may be shown: valid UTF-8 without secrets, not longer than [maxShown].
func (r *redactor) clean(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(r.replacer.Replace(text)), " "), "\uFFFD")
	return shorten(strings.Map(visible, text), maxShown)
}

// visible drops control characters, such as those that colour a line.
func visible(r rune) rune {
	if unicode.IsControl(r) {
		return -1
	}
	return r
}
