package jq

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/itchyny/gojq"
)

// Template is a text that jq expressions may stand in, each as \(expression): "since=\($since)". The zero value is the
// empty text.
type Template struct {
	source string
	parts  []part
}

// part is a literal text or a program.
type part struct {
	text    string
	program Program
}

// ParseTemplate compiles a template.
func ParseTemplate(source string) (Template, error) {
	t := Template{source: source}
	rest := source
	for {
		literal, after, found := strings.Cut(rest, `\(`)
		if literal != "" {
			t.parts = append(t.parts, part{text: literal})
		}
		if !found {
			return t, nil
		}
		end, err := expressionEnd(after)
		if err != nil {
			return Template{}, err
		}
		program, err := Parse(after[:end])
		if err != nil {
			return Template{}, err
		}
		t.parts = append(t.parts, part{program: program})
		rest = after[end+1:]
	}
}

// expressionEnd finds the parenthesis that ends the expression: what stands before an earlier one is no whole
// program.
func expressionEnd(s string) (int, error) {
	var first error
	for i := range len(s) {
		if s[i] != ')' {
			continue
		}
		_, err := gojq.Parse(s[:i])
		if err == nil && strings.TrimSpace(s[:i]) != "" {
			return i, nil
		}
		if first == nil && err != nil && strings.Count(s[:i], "(") == strings.Count(s[:i], ")") {
			first = explainParse(s[:i], err)
		}
	}
	if first != nil {
		return 0, first
	}
	return 0, errors.New(`an expression that begins with \( is empty or has no ) at its end`)
}

// MustParseTemplate is [ParseTemplate] for templates in the code.
func MustParseTemplate(source string) Template {
	t, err := ParseTemplate(source)
	if err != nil {
		panic(err)
	}
	return t
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Template) UnmarshalText(text []byte) error {
	parsed, err := ParseTemplate(string(text))
	if err == nil {
		*t = parsed
	}
	return err
}

// IsZero tells whether the template is the empty text.
func (t Template) IsZero() bool { return len(t.parts) == 0 }

// String returns the template's text.
func (t Template) String() string { return t.source }

// Literal returns the text before the first expression, and whether that is all.
func (t Template) Literal() (text string, whole bool) {
	if len(t.parts) == 0 {
		return "", true
	}
	return t.parts[0].text, len(t.parts) == 1 && t.parts[0].program.IsZero()
}

// lone tells whether the template is one expression and nothing else.
func (t Template) lone() bool { return len(t.parts) == 1 && !t.parts[0].program.IsZero() }

// Text fills in the template. It is absent if the template is one expression and that gives null or nothing; a text
// around an expression that gives null is an error.
func (t Template) Text(ctx context.Context, input any, vars Vars) (text string, present bool, err error) {
	return t.fill(ctx, input, vars, func(s string) string { return s })
}

// URL fills in the template like Text, with what expressions give percent-encoded, unless the template is one
// expression and nothing else, which then gives a whole address.
func (t Template) URL(ctx context.Context, input any, vars Vars) (address string, present bool, err error) {
	if t.lone() {
		return t.Text(ctx, input, vars)
	}
	return t.fill(ctx, input, vars, func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") })
}

func (t Template) fill(ctx context.Context, input any, vars Vars, escape func(string) string) (string, bool, error) {
	var out strings.Builder
	for _, p := range t.parts {
		if p.program.IsZero() {
			out.WriteString(p.text)
			continue
		}
		value, err := p.program.One(ctx, input, vars)
		if err != nil {
			return "", false, err
		}
		if value == nil {
			if t.lone() {
				return "", false, nil
			}
			return "", false, errors.New(`an expression in a text gives nothing; write \(… // "") if it may be empty`)
		}
		text, err := Text(value)
		if err != nil {
			return "", false, err
		}
		out.WriteString(escape(text))
	}
	return out.String(), true, nil
}
