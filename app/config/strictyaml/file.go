// Package strictyaml reads one YAML file into structs and tells everything that is wrong with it at once,
// each fault with its line: unknown and repeated keys, wrong types, variables that are not set. Texts may
// hold ${NAME}, a variable of the environment, and a [sources.Secret] may lie in a file of its own. No
// fault holds a secret.
package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Error is all that is wrong with a file: at least one fault, sorted by line.
type Error struct {
	Faults []Fault
	// Files are those with secrets that were read, or could not be.
	Files []string
}

// Error has one line per fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for n, f := range e.Faults {
		lines[n] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Fault is one thing wrong in a file.
type Fault struct {
	File string
	// Line and Column count from 1, columns in characters. They point to the key, or to the item of a list.
	Line, Column int
	// Key is the path of the value: "channels.support.concurrency". It is empty where the whole file is at fault.
	Key string
	// Problem says what is wrong and what to write instead, in one line, without any secret.
	Problem string
}

// String is FILE:LINE:COLUMN: key: problem.
func (f Fault) String() string {
	place := fmt.Sprintf("%s:%d:%d: ", f.File, f.Line, f.Column)
	if f.Key != "" {
		place += f.Key + ": "
	}
	return place + f.Problem
}

// File is one reading of one file: it collects the faults and the names of the other files that were read.
type File struct {
	name, dir string
	lookupEnv func(string) (string, bool)
	faults    []Fault
	hidden    []hidden
	files     []string
}

// New begins a reading. Faults call the file by name; relative paths of `*_file` keys start in dir;
// variables are looked up with lookupEnv.
func New(name, dir string, lookupEnv func(string) (string, bool)) *File {
	return &File{name: name, dir: dir, lookupEnv: lookupEnv}
}

// Files are the files with secrets that were read, or could not be.
func (f *File) Files() []string { return f.files }

// Fault adds a fault. The problem is shown as it is: what it quotes must have gone through [File.Mask].
func (f *File) Fault(at Place, problem string) {
	problem = strings.Join(strings.Fields(problem), " ")
	f.faults = append(f.faults, Fault{f.name, at.Line, at.Column, at.Path, problem})
}

func (f *File) faultf(at Place, format string, args ...any) {
	f.Fault(at, fmt.Sprintf(format, args...))
}

// Check adds err as a fault of the value under a dotted path below n, unless err is nil or follows from a
// fault that the value or what should hold it has already.
func (f *File) Check(n *Node, path string, err error) {
	if at := n.At(path); err != nil && !f.Faulty(n, path) {
		f.Fault(at, err.Error())
	}
}

// Faulty tells whether the value under a dotted path below n has a fault, or the file that is named for
// it, or a value inside it, or whether it isn't there because what should hold it has one.
func (f *File) Faulty(n *Node, path string) bool {
	if found, exact := n.find(path); !exact && found.Kind != Mapping && found.Kind != Empty {
		return true
	}
	full := join(n.Path, path)
	return slices.ContainsFunc(f.faults, func(known Fault) bool {
		below, ok := strings.CutPrefix(known.Key, full)
		return ok && (below == "" || below == fileSuffix || below[0] == '.' || below[0] == '[')
	})
}

// Err returns the faults so far as an [*Error], or nil if there are none.
func (f *File) Err() error {
	if len(f.faults) == 0 {
		return nil
	}
	sorted := slices.SortedStableFunc(slices.Values(f.faults), func(a, b Fault) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return &Error{Faults: sorted, Files: f.files}
}

// hidden is a text that no fault may hold, and what to show for it.
type hidden struct{ text, shown string }

// minHidden is the shortest text that is hidden, in bytes: shorter ones are found in any sentence.
const minHidden = 4

func (f *File) hide(text, shown string) {
	for _, text := range []string{text, strings.TrimSpace(text)} {
		quoted := strconv.Quote(text)
		for _, form := range []string{text, quoted[1 : len(quoted)-1]} {
			if len(form) >= minHidden {
				f.hidden = append(f.hidden, hidden{form, shown})
			}
		}
	}
	// The longest first, so that no part of a text stays.
	slices.SortStableFunc(f.hidden, func(a, b hidden) int { return len(b.text) - len(a.text) })
}

// Mask takes the secrets and the values of variables out of a text that others wrote: a value of the
// file, or an error about one.
func (f *File) Mask(text string) string {
	for _, h := range f.hidden {
		text = strings.ReplaceAll(text, h.text, h.shown)
	}
	return text
}
