package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Fish returns the completion for fish.
func Fish(app *kong.Application) string {
	var b strings.Builder
	var paths []string
	for _, c := range commands(app)[1:] {
		paths = append(paths, "'"+c.path+"'")
	}
	function := "__" + strings.ReplaceAll(app.Name, "-", "_")
	b.WriteString(strings.NewReplacer("@name@", app.Name, "@function@", function, "@valued@", strings.Join(valued(app), " "),
		"@paths@", strings.Join(paths, " "), "@names@", Names).Replace(fishScript))
	for _, c := range commands(app) {
		b.WriteString("\n")
		at := fmt.Sprintf("complete -c %s -n %s", app.Name, fishQuote(function+"_at "+fishQuote(c.path)))
		for _, child := range visible(c.Node) {
			fmt.Fprintf(&b, "%s -a %s -d %s\n", at, child.Name, fishQuote(sentence(child.Help)))
		}
		for _, f := range flags(c.Node) {
			command := at
			if c.path == "" { // for every command
				command = "complete -c " + app.Name
			}
			fmt.Fprintf(&b, "%s -l %s%s -d %s\n", command, f.Name, fishFlag(function, c, f), fishQuote(sentence(f.Help)))
		}
		for _, p := range c.Positional {
			if more := fishValues(function, c, p); more != "" {
				fmt.Fprintf(&b, "%s%s\n", at, more)
			}
		}
	}
	return b.String()
}

// fishFlag says what follows a flag: -x is a value that is no file, -r -F a file.
func fishFlag(function string, c command, f *kong.Flag) string {
	switch more := fishValues(function, c, f.Value); {
	case f.IsBool():
		return ""
	case strings.HasPrefix(more, " -F"):
		return " -r" + more
	default:
		return " -x" + more
	}
}

func fishValues(function string, c command, v *kong.Value) string {
	words, kind := c.values(v)
	switch {
	case len(words) > 0:
		return " -a " + fishQuote(strings.Join(words, " "))
	case kind == files:
		return " -F"
	case kind != "":
		return " -a " + fishQuote("("+function+"_names "+kind+")")
	}
	return ""
}

func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

const fishScript = `# Completes @name@ in fish; made by ` + "`@name@ completion fish`" + `.

# The command so far, such as "manifest show".
function @function@_command
    set -l at ''
    set -l flag ''
    for word in (commandline -opc)[2..-1]
        if test -n "$flag"
            set flag ''
            continue
        end
        if contains -- $word @valued@
            set flag $word
        else if contains -- (string trim -- "$at $word") @paths@
            set at (string trim -- "$at $word")
        end
    end
    echo $at
end

function @function@_at
    test (@function@_command) = "$argv[1]"
end

# Names of a kind, out of the configuration that the command line names.
function @function@_names
    set -l words (commandline -opc)
    set -l config
    set -l flag ''
    for word in $words[2..-1]
        if test "$flag" = --config
            set config --config=$word
        else if string match -q -- '--config=*' $word
            set config $word
        end
        set flag $word
    end
    $words[1] @names@ $argv[1] $config 2>/dev/null
end

complete -c @name@ -f
`
