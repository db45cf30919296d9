// Command testreport reads what `go test -json` prints and shows what `go test` would: the line of each
// package and the output of what failed. It fails when a test failed or was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	good, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// event is one line of `go test -json` (go doc test2json).
type event struct{ Action, Package, Test, Output string }

type test struct{ pkg, name string }

// report copies to out what a person wants to see of the events in in. A line that is no event is shown.
func report(in io.Reader, out io.Writer) (good bool, err error) {
	var passed int
	var failed bool
	var skipped []test
	open := map[test]*strings.Builder{} // output of tests that have no result yet
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if err == io.EOF && len(line) == 0 {
			break
		} else if err != nil && err != io.EOF {
			return false, err
		} else if json.Unmarshal(line, &e) != nil || e.Action == "" {
			e = event{Action: "output", Output: string(line)}
		}
		t := test{e.Package, e.Test}
		switch {
		case e.Action == "build-output", e.Action == "output" && e.Test == "":
			if e.Output != "PASS\n" {
				fmt.Fprint(out, e.Output)
			}
		case e.Action == "output":
			if open[t] == nil {
				open[t] = new(strings.Builder)
			}
			open[t].WriteString(e.Output)
		case e.Action == "fail":
			failed = true
			show(out, open, t)
		case e.Action == "pass" && e.Test != "":
			passed++
			delete(open, t)
		case e.Action == "skip" && e.Test != "": // without a test: a package that has none
			skipped = append(skipped, t)
			show(out, open, t)
		}
	}
	fmt.Fprintf(out, "%d tests passed, %d skipped\n", passed, len(skipped))
	for _, t := range skipped {
		fmt.Fprintf(out, "skipped: %s %s\n", t.pkg, t.name)
	}
	return !failed && len(skipped) == 0 && passed > 0, nil
}

// show writes the output of a test, or of all tests that a failed package has left without a result.
func show(out io.Writer, open map[test]*strings.Builder, which test) {
	for t, output := range open {
		if t == which || which.name == "" && t.pkg == which.pkg {
			fmt.Fprint(out, output)
			delete(open, t)
		}
	}
}
