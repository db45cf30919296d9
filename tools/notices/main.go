// Command notices prints the licences of the modules that a Go binary is made of, and of Go itself: most of them want to be
// passed on with the binary. It finds the modules as `go` does in the working directory.
//
//	notices BINARY
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: notices BINARY")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

// module is what `go mod download -json` tells of one.
type module struct{ Path, Version, Dir, Error string }

func write(w io.Writer, binary string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	modules := []module{{Path: "Go", Version: info.GoVersion, Dir: strings.TrimSpace(string(root))}}
	names := make([]string, 0, len(info.Deps))
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		names = append(names, dep.Path+"@"+dep.Version)
	}
	found, err := locate(names)
	if err != nil {
		return err
	}
	for _, m := range append(modules, found...) {
		if err := m.write(w); err != nil {
			return fmt.Errorf("%s %s: %w", m.Path, m.Version, err)
		}
	}
	return nil
}

// locate finds the folders of modules in the module cache, which the build has filled.
func locate(names []string) ([]module, error) {
	if len(names) == 0 {
		return nil, nil
	}
	output, err := exec.Command("go", append([]string{"mod", "download", "-json"}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	var modules []module
	for d := json.NewDecoder(bytes.NewReader(output)); d.More(); {
		var m module
		if err := d.Decode(&m); err != nil {
			return nil, err
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// write prints a module's licence and notices; one without a licence is an error, for it may not be passed on.
func (m module) write(w io.Writer) error {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return err
	}
	licensed := false
	for _, entry := range entries {
		licence, wanted := kind(entry.Name())
		if !wanted || !entry.Type().IsRegular() {
			continue
		}
		licensed = licensed || licence
		text, err := os.ReadFile(filepath.Join(m.Dir, entry.Name()))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "==== %s %s: %s\n\n%s\n\n", m.Path, m.Version, entry.Name(), bytes.TrimSpace(text)); err != nil {
			return err
		}
	}
	if !licensed {
		return errors.New("has no licence file")
	}
	return nil
}

// kind says whether a file of this name is to be passed on, and whether it is a licence.
func kind(name string) (licence, wanted bool) {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	stem, _, _ = strings.Cut(stem, "-")
	switch stem {
	case "LICENSE", "LICENCE", "COPYING", "UNLICENSE":
		return !strings.HasSuffix(name, ".go"), !strings.HasSuffix(name, ".go")
	case "NOTICE", "PATENTS", "COPYRIGHT":
		return false, !strings.HasSuffix(name, ".go")
	}
	return false, false
}
