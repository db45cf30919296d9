// Package manual writes the manual page and the shell completions from the command line's own model, so that they tell what
// the program takes. Hidden commands and flags are in none of them.
package manual

//go:generate go test -run ^TestTheGeneratedFilesAreUpToDate$ . -update

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Names is the hidden command that completions ask for names: with a kind, it prints one name per line.
const Names = "names"

// Kinds of names that [Names] is asked for, and files, which the shell knows.
const (
	Channels = "channels"
	Sources  = "sources"
	Both     = "all"
	Adapters = "adapters"
	files    = "files"
)

// command is a command of the model with its path ("manifest show"), empty for the program itself.
type command struct {
	*kong.Node
	path string
}

// commands are the program and all that is below it, in the order of the help.
func commands(app *kong.Application) []command {
	var list []command
	var walk func(path string, n *kong.Node)
	walk = func(path string, n *kong.Node) {
		list = append(list, command{n, path})
		for _, child := range visible(n) {
			walk(strings.TrimSpace(path+" "+child.Name), child)
		}
	}
	walk("", app.Node)
	return list
}

func visible(n *kong.Node) []*kong.Node {
	return slices.DeleteFunc(slices.Clone(n.Children), func(n *kong.Node) bool { return n.Hidden })
}

func flags(n *kong.Node) []*kong.Flag {
	return slices.DeleteFunc(slices.Clone(n.Flags), func(f *kong.Flag) bool { return f.Hidden })
}

// valued are the flags of all commands that take a value, as they are written.
func valued(app *kong.Application) []string {
	var list []string
	for _, c := range commands(app) {
		for _, f := range flags(c.Node) {
			if name := "--" + f.Name; !f.IsBool() && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// values are what may be written for a flag or an argument: words, or names of a kind; neither if anything may be.
func (c command) values(v *kong.Value) (words []string, kind string) {
	name := v.Name
	if v.Flag != nil && v.Flag.PlaceHolder == "FILE" {
		name = "file"
	}
	switch {
	case v.Enum != "":
		return v.EnumSlice(), ""
	case name == "file":
		return nil, files
	case name == "source":
		return nil, Sources
	case name == "channel":
		return nil, Channels
	case name == "channel|source":
		return nil, Both
	case c.path == "adapters":
		return nil, Adapters
	}
	return nil, ""
}

// joined are the names of nodes.
func joined(list []*kong.Node, between string) string {
	var names []string
	for _, n := range list {
		names = append(names, n.Name)
	}
	return strings.Join(names, between)
}

// sentence is a help text without the dot at its end.
func sentence(text string) string { return strings.TrimSuffix(text, ".") }
