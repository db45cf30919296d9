package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Zsh returns the completion for zsh.
func Zsh(app *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# Completes %[1]s in zsh; made by `%[1]s completion zsh`.\n", app.Name)
	function := zshFunction(app)
	fmt.Fprintf(&b, zshNames, function, Names)
	list := commands(app)
	for _, c := range list {
		writeZsh(&b, app, c, list[0])
	}
	fmt.Fprintf(&b, "\nif [[ $funcstack[1] == _%s ]]; then\n\t%s \"$@\"\nelse\n\tcompdef %[2]s %[1]s\nfi\n", app.Name, function)
	return b.String()
}

func zshFunction(app *kong.Application) string { return "_" + strings.ReplaceAll(app.Name, "-", "_") }

// zshNames completes names of a kind. The flag --config is looked for among all words, as each command sees its own only.
const zshNames = `
%[1]s__names() {
	local -a found config
	local kind=${@[-1]} at=${%[1]s_words[(I)--config]}
	shift -p # the rest is for compadd
	((at)) && config=("--config=${(Q)%[1]s_words[at+1]}")
	at=${%[1]s_words[(I)--config=*]}
	((at)) && config=("${(Q)%[1]s_words[at]}")
	found=(${(f)"$(_call_program names ${(q)%[1]s_words[1]} %[2]s $kind ${(q)config} 2>/dev/null)"})
	compadd "$@" -a found
}
`

// writeZsh writes the function of one command. Those of the program are for every command.
func writeZsh(b *strings.Builder, app *kong.Application, c, top command) {
	function, children := zshFunction(app), visible(c.Node)
	own := function
	if c.path != "" {
		own += "_" + strings.ReplaceAll(c.path, " ", "_")
	}
	fmt.Fprintf(b, "\n%s() {\n\tlocal -a commands\n\tlocal context state state_descr line\n\ttypeset -A opt_args\n", own)
	if c.path == "" {
		fmt.Fprintf(b, "\tlocal -a %s_words=(\"${words[@]}\")\n", function)
	}
	b.WriteString("\t_arguments -s -S")
	if len(children) > 0 {
		b.WriteString(" -C -A '-*'") // what follows a command belongs to it
	}
	all := flags(top.Node)
	if c.path != "" {
		all = append(flags(c.Node), all...)
	}
	for _, f := range all {
		b.WriteString(" \\\n\t\t" + zshFlag(function, c, f))
	}
	if len(children) == 0 {
		for _, p := range c.Positional {
			b.WriteString(" \\\n\t\t" + zshArgument(function, c, p))
		}
		b.WriteString("\n}\n")
		return
	}
	b.WriteString(" \\\n\t\t'1: :->command' '*:: :->rest'\n\tcase $state in\n\tcommand)\n\t\tcommands=(\n")
	for _, child := range children {
		fmt.Fprintf(b, "\t\t\t%s\n", zshQuote(child.Name+":"+sentence(child.Help)))
	}
	b.WriteString("\t\t)\n\t\t_describe command commands\n\t\t;;\n\trest)\n\t\tcase $line[1] in\n")
	for _, child := range children {
		fmt.Fprintf(b, "\t\t%s) %s_%s ;;\n", child.Name, own, child.Name)
	}
	b.WriteString("\t\tesac\n\t\t;;\n\tesac\n}\n")
}

func zshFlag(function string, c command, f *kong.Flag) string {
	spec := "--" + f.Name
	if !f.IsBool() {
		spec += "="
	}
	spec += "[" + zshText(sentence(f.Help)) + "]"
	if !f.IsBool() {
		spec += ":" + zshText(f.FormatPlaceHolder()) + ":" + zshValues(function, c, f.Value)
	}
	if f.IsCumulative() {
		spec = "*" + spec
	}
	return zshQuote(spec)
}

func zshArgument(function string, c command, p *kong.Positional) string {
	spec := ":"
	switch {
	case p.IsCumulative():
		spec = "*:"
	case !p.Required:
		spec = "::"
	}
	return zshQuote(spec + zshText(p.Name) + ":" + zshValues(function, c, p))
}

// zshValues is the action that completes a value; a space stands for none.
func zshValues(function string, c command, v *kong.Value) string {
	words, kind := c.values(v)
	switch {
	case len(words) > 0:
		return "(" + strings.Join(words, " ") + ")"
	case kind == files:
		return "_files"
	case kind != "":
		return function + "__names " + kind
	}
	return " "
}

// zshText escapes what ends a part of a specification.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(text)
}

func zshQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
