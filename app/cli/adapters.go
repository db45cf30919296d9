package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"socialhub-sync/sources"
)

type adaptersCommand struct {
	Name string `arg:"" optional:"" help:"Show the settings of this one."`
}

func (c *adaptersCommand) Run(e *env) error {
	if c.Name == "" {
		t := newTable(e.Out, "ADAPTER", "READS")
		for _, a := range e.adapters {
			t.row(a.Name, a.Summary)
		}
		t.flush()
		fmt.Fprintln(e.Out, "\n`socialhub-sync adapters NAME` tells the settings of one.")
		return nil
	}
	at := slices.IndexFunc(e.adapters, func(a sources.Adapter) bool { return a.Name == c.Name })
	if at < 0 {
		return usage("there is no adapter %s; there are %s", c.Name, adapterNames(e.adapters))
	}
	a := e.adapters[at]
	fmt.Fprintf(e.Out, "%s: %s\n\n", a.Name, a.Summary)
	settings := a.Reference()
	showSettings(e.Out, settings)
	if slices.ContainsFunc(settings, func(s sources.Setting) bool { return s.Secret }) {
		fmt.Fprintln(e.Out, "\nA secret may lie in a file: write its key with _file at the end, and the path.")
	}
	return nil
}

func adapterNames(adapters []sources.Adapter) string {
	var names []string
	for _, a := range adapters {
		names = append(names, a.Name)
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}

// docWidth keeps the lines of the table within about 100 columns.
const docWidth = 60

func showSettings(out io.Writer, settings []sources.Setting) {
	t := newTable(out, "  SETTING", "TYPE", "DEFAULT", "MEANING")
	for _, s := range settings {
		lines := wrap(s.Doc, docWidth)
		t.row("  "+s.Key, s.Type, s.Default, lines[0])
		for _, line := range lines[1:] {
			t.row("", "", "", line)
		}
	}
	t.flush()
}

// wrap breaks a text between words into lines of at most width bytes, or one word. There is always one line.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		switch last := &lines[len(lines)-1]; {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
