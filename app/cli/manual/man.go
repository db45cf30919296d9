package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Section is a part of the manual page that the model does not have. Each line of the text is a paragraph; one with a tab
// is a term and what it means.
type Section struct{ Title, Text string }

// Man returns the manual page, in the macros of man(7). What the sections say stands after the commands.
func Man(app *kong.Application, sections ...Section) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".\\\" Made by `%s man`.\n.TH %s 1 \"\" \"%[1]s\" \"User Commands\"\n", app.Name, strings.ToUpper(app.Name))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(app.Name), roff(sentence(firstLower(app.Help))))
	list := commands(app)
	b.WriteString(".SH SYNOPSIS\n")
	for _, c := range list[1:] {
		if len(visible(c.Node)) == 0 {
			fmt.Fprintf(&b, ".SY \"%s %s\"\n%s.YS\n", roff(app.Name), roff(c.path), synopsis(c))
		}
	}
	b.WriteString(".SH COMMANDS\n")
	for _, c := range list[1:] {
		fmt.Fprintf(&b, ".SS %s\n%s\n", roff(c.path), roff(c.Help))
		for _, p := range c.Positional {
			fmt.Fprintf(&b, ".TP\n.I %s\n%s\n", roff(strings.ToUpper(p.Name)), roff(p.Help))
		}
		options(&b, flags(c.Node))
	}
	b.WriteString(".SH OPTIONS\nEvery command takes these.\n")
	options(&b, flags(list[0].Node))
	for _, s := range sections {
		fmt.Fprintf(&b, ".SH %s\n", roff(s.Title))
		for n, line := range strings.Split(strings.TrimSpace(s.Text), "\n") {
			term, meaning, ok := strings.Cut(line, "\t")
			switch {
			case ok:
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(term), roff(meaning))
			case n > 0:
				fmt.Fprintf(&b, ".PP\n%s\n", roff(line))
			default:
				fmt.Fprintf(&b, "%s\n", roff(line))
			}
		}
	}
	return b.String()
}

// synopsis has the flags and arguments of a command, each in brackets that need not be there.
func synopsis(c command) string {
	var b strings.Builder
	for _, f := range flags(c.Node) {
		more := ""
		if f.IsCumulative() {
			more = " .\\|.\\|."
		}
		if f.IsBool() {
			fmt.Fprintf(&b, ".RB [ %s ]%s\n", roff("--"+f.Name), more)
		} else {
			fmt.Fprintf(&b, ".RB [ %s=\\c\n.IR %s ]%s\n", roff("--"+f.Name), roff(placeholder(f)), more)
		}
	}
	for _, p := range c.Positional {
		name, more := roff(strings.ToUpper(p.Name)), ""
		if p.IsCumulative() {
			more = " .\\|.\\|."
		}
		if p.Required {
			fmt.Fprintf(&b, ".I %s%s\n", name, more)
		} else {
			fmt.Fprintf(&b, ".RI [ %s ]%s\n", name, more)
		}
	}
	return b.String()
}

func options(b *strings.Builder, flags []*kong.Flag) {
	for _, f := range flags {
		name := roff("--" + f.Name)
		if f.Short != 0 {
			name = roff("-"+string(f.Short)) + ", " + name
		}
		if f.IsBool() {
			fmt.Fprintf(b, ".TP\n.B \"%s\"\n", name)
		} else {
			fmt.Fprintf(b, ".TP\n.BI \"%s=\" %s\n", name, roff(placeholder(f)))
		}
		help := roff(f.Help)
		if f.HasDefault && f.Default != "" && !f.IsBool() {
			help += " The default is " + roff(f.Default) + "."
		}
		for _, env := range f.Envs {
			help += " Without it the environment variable " + roff(env) + " counts."
		}
		b.WriteString(help + "\n")
	}
}

// placeholder is what stands for a flag's value.
func placeholder(f *kong.Flag) string {
	if f.PlaceHolder != "" {
		return f.PlaceHolder
	}
	return strings.ToUpper(f.Name)
}

func firstLower(text string) string { return strings.ToLower(text[:1]) + text[1:] }

// roff escapes a text of one line: what begins a request, the backslash, and what is not ASCII. A dash that is typed is no
// hyphen.
func roff(text string) string {
	var b strings.Builder
	for n, c := range text {
		switch {
		case c == '\\':
			b.WriteString(`\e`)
		case c == '-':
			b.WriteString(`\-`)
		case n == 0 && (c == '.' || c == '\''):
			b.WriteString(`\&` + string(c))
		case c == '"':
			b.WriteString(`\(dq`)
		case c > 126:
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
