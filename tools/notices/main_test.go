package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestTheLicenceOfGoIsPassedOn(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := write(&out, self); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"==== Go " + runtime.Version() + ": LICENSE\n", "The Go Authors", ": PATENTS\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}

func TestAModuleWithoutALicenceIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := module{Path: "example.com/m", Version: "v1.0.0", Dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "license.go"), []byte("package m"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.write(&bytes.Buffer{}); err == nil {
		t.Error("there is no error")
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENCE-MIT.md"), []byte("MIT"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.write(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}
