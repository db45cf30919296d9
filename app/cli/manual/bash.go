package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Bash returns the completion for bash, 4 or later; 3.2 (macOS) completes all but files.
func Bash(app *kong.Application) string {
	var paths, values, options, arguments strings.Builder
	var global string
	for _, c := range commands(app) {
		if c.path != "" {
			fmt.Fprintf(&paths, "\t\t\t' %s') at=\"$at $word\" ;;\n", c.path)
		}
		var names []string
		for _, f := range flags(c.Node) {
			names = append(names, "--"+f.Name)
			if !f.IsBool() {
				fmt.Fprintf(&values, "\t\t%s) %s ;;\n", bashFlag(c, f), bashValues(c, f.Value))
			}
		}
		if c.path == "" {
			global = strings.Join(names, " ")
		} else if len(names) > 0 {
			fmt.Fprintf(&options, "\t\t'%s') words+=' %s' ;;\n", bashAt(c), strings.Join(names, " "))
		}
		for n, p := range c.Positional {
			number := fmt.Sprint(n)
			if p.IsCumulative() {
				number = "*"
			}
			if bashValues(c, p) != ":" {
				fmt.Fprintf(&arguments, "\t\t'%s '%s) %s ;;\n", bashAt(c), number, bashValues(c, p))
			}
		}
		if children := visible(c.Node); len(children) > 0 {
			fmt.Fprintf(&arguments, "\t\t'%s 0') words='%s' ;;\n", bashAt(c), joined(children, " "))
		}
	}
	return strings.NewReplacer(
		"@name@", app.Name, "@function@", strings.ReplaceAll(app.Name, "-", "_"), "@valued@", strings.Join(valued(app), " | "),
		"@paths@\n", paths.String(), "@values@\n", values.String(), "@global@", global, "@options@\n", options.String(), "@arguments@\n", arguments.String(), "@names@", Names,
	).Replace(bashScript)
}

// bashAt is a command as the script's $at has it: each word with a space before it.
func bashAt(c command) string {
	if c.path == "" {
		return ""
	}
	return " " + c.path
}

// bashFlag is the pattern for a flag; those of the program are for every command.
func bashFlag(c command, f *kong.Flag) string {
	if c.path == "" {
		return "*' --" + f.Name + "'"
	}
	return "'" + bashAt(c) + " --" + f.Name + "'"
}

// bashValues is what the script does to complete a value.
func bashValues(c command, v *kong.Value) string {
	words, kind := c.values(v)
	switch {
	case len(words) > 0:
		return "words='" + strings.Join(words, " ") + "'"
	case kind != "":
		return "kind=" + kind
	}
	return ":"
}

const bashScript = `# Completes @name@ in bash; made by ` + "`@name@ completion bash`" + `.
_@function@() {
	local cur=${COMP_WORDS[COMP_CWORD]} at='' flag='' config='' words='' kind='' args=0 word i
	# at is the command so far, flag the one that waits for its value, args how many arguments there are.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $flag ]]; then
			[[ $word == = ]] && continue
			[[ $flag == --config ]] && config=$word
			flag=''
			continue
		fi
		case $word in
		@valued@) flag=$word ;;
		-* | =) ;;
		*)
			case "$at $word" in
@paths@
			*) args=$((args + 1)) ;;
			esac
			;;
		esac
	done
	if [[ $flag ]]; then
		[[ $cur == = ]] && cur=''
		case "$at $flag" in
@values@
		esac
	elif [[ $cur == -* ]]; then
		words='@global@'
		case $at in
@options@
		esac
	else
		case "$at $args" in
@arguments@
		esac
	fi
	COMPREPLY=()
	case $kind in
	files)
		compopt -o default 2>/dev/null
		return
		;;
	?*) words=$("${COMP_WORDS[0]}" @names@ "$kind" ${config:+"--config=$config"} 2>/dev/null) ;;
	esac
	local IFS=$' \t\n'
	# shellcheck disable=SC2207 # the words have no spaces and no patterns
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _@function@ @name@
`
