package engine

import (
	"errors"
	"fmt"
	"strings"
)

// syntax is what differs between the databases in how a statement is read.
type syntax struct {
	backslashes bool // escape within quotes
	hashes      bool // # begins a comment, and -- only with a space behind it
	dollars     bool // $tag$ is a quote, and E'…' has backslashes
	nested      bool // comments nest
	brackets    bool // [name] is quoted
	questions   bool // ? is a placeholder
}

// Statement is one statement of the user's with named parameters, such as :key.
type Statement struct {
	parts []string // of the text, between the parameters
	names []string
}

// Names are those of the parameters, in the order in which they stand there; each place counts.
func (s *Statement) Names() []string { return s.names }

// Verb is the first word, in lower case.
func (s *Statement) Verb() string {
	word := strings.FieldsFunc(s.parts[0]+" ", func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	if len(word) == 0 {
		return ""
	}
	return strings.ToLower(word[0])
}

// SQL writes a statement with the database's own placeholders, one for each of [Statement.Names].
func (e *Engine) SQL(s *Statement) string {
	const mark = "\x00"
	return e.Numbered(strings.Join(s.parts, mark), mark)
}

// Inside is the statement as a subselect: before and after stand around it.
func (s *Statement) Inside(before, after string) *Statement {
	parts := append([]string(nil), s.parts...)
	parts[0] = before + "\n" + parts[0]
	parts[len(parts)-1] += "\n" + after
	return &Statement{parts: parts, names: s.names}
}

// Statements reads statements that are parted by semicolons. A parameter is a colon and a name, which may have dots. What
// stands in quotes and comments is left as it is; comments are left out.
func (a *Address) Statements(text string) ([]*Statement, error) {
	if strings.ContainsRune(text, 0) {
		return nil, errors.New("has a zero byte inside")
	}
	r := &statementReader{syntax: a.syntax, rest: text}
	for r.rest != "" {
		if err := r.step(); err != nil {
			return nil, err
		}
	}
	r.end()
	return r.found, nil
}

type statementReader struct {
	syntax
	rest  string
	found []*Statement

	text strings.Builder // since the last parameter
	now  Statement
	last byte // that was copied
}

// copy takes n bytes as they are.
func (r *statementReader) copy(n int) {
	r.text.WriteString(r.rest[:n])
	r.last = r.rest[n-1]
	r.rest = r.rest[n:]
}

// end ends a statement, if there is one.
func (r *statementReader) end() {
	r.now.parts = append(r.now.parts, r.text.String())
	if len(r.now.names) > 0 || strings.TrimSpace(r.now.parts[0]) != "" {
		r.now.parts[0] = strings.TrimLeft(r.now.parts[0], " \t\r\n")
		s := r.now
		r.found = append(r.found, &s)
	}
	r.text.Reset()
	r.now, r.last = Statement{}, 0
}

// step takes one character, or all that belongs together.
func (r *statementReader) step() error {
	c, next := r.rest[0], byte(0)
	if len(r.rest) > 1 {
		next = r.rest[1]
	}
	switch {
	case c == '\'' || c == '"' || c == '`':
		return r.quoted(c)
	case c == '[' && r.brackets:
		return r.until(1, "]")
	case r.beginsComment():
		return r.comment()
	case c == '$' && r.dollars && !isNameByte(r.last):
		return r.dollar()
	case c == ';':
		r.rest = r.rest[1:]
		r.end()
	case c == ':' && (next == ':' || next == '='):
		r.copy(2)
	case c == ':' && isLetter(next):
		r.parameter()
	case c == '?' && r.questions:
		return errors.New("has a ? outside of quotes; name the parameters, such as :key")
	default:
		r.copy(1)
	}
	return nil
}

func (r *statementReader) parameter() {
	n := 1
	for n < len(r.rest) && (isNameByte(r.rest[n]) || r.rest[n] == '.' && n+1 < len(r.rest) && isLetter(r.rest[n+1])) {
		n++
	}
	r.now.parts = append(r.now.parts, r.text.String())
	r.now.names = append(r.now.names, r.rest[1:n])
	r.text.Reset()
	r.rest, r.last = r.rest[n:], ' '
}

// quoted takes a text in quotes; two of them inside of it are two texts side by side.
func (r *statementReader) quoted(quote byte) error {
	escapes := r.backslashes && quote != '`' || r.dollars && quote == '\'' && (r.last == 'e' || r.last == 'E')
	for n := 1; n < len(r.rest); n++ {
		switch {
		case r.rest[n] == '\\' && escapes:
			n++
		case r.rest[n] == quote:
			r.copy(n + 1)
			return nil
		}
	}
	return fmt.Errorf("has a %c that is not closed", quote)
}

// until takes what ends with a text that is looked for from an index on.
func (r *statementReader) until(from int, end string) error {
	n := strings.Index(r.rest[from:], end)
	if n < 0 {
		return fmt.Errorf("has no %s for its %s", end, r.rest[:from])
	}
	r.copy(from + n + len(end))
	return nil
}

func (r *statementReader) dollar() error {
	n := 1
	for n < len(r.rest) && isNameByte(r.rest[n]) {
		n++
	}
	switch {
	case n < len(r.rest) && r.rest[n] == '$' && (n == 1 || isLetter(r.rest[1])):
		return r.until(n+1, r.rest[:n+1])
	case n > 1 && !isLetter(r.rest[1]):
		return fmt.Errorf("has %s outside of quotes; name the parameters, such as :key", r.rest[:n])
	}
	r.copy(1)
	return nil
}

func (r *statementReader) beginsComment() bool {
	switch {
	case strings.HasPrefix(r.rest, "/*"), r.hashes && r.rest[0] == '#':
		return true
	case !strings.HasPrefix(r.rest, "--"):
		return false
	}
	return !r.hashes || len(r.rest) == 2 || r.rest[2] <= ' '
}

// comment leaves a comment out. A space stands for it.
func (r *statementReader) comment() error {
	r.text.WriteByte(' ')
	r.last = ' '
	if r.rest[0] != '/' {
		_, r.rest, _ = strings.Cut(r.rest, "\n")
		return nil
	}
	for depth, n := 0, 0; n+1 < len(r.rest); n++ {
		switch pair := r.rest[n : n+2]; {
		case pair == "/*" && (depth == 0 || r.nested):
			depth++
			n++
		case pair == "*/":
			depth--
			if n++; depth == 0 {
				r.rest = r.rest[n+1:]
				return nil
			}
		}
	}
	return errors.New("has a comment that is not closed")
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func isNameByte(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' }
