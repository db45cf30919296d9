package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

func billOf(t *testing.T, binary string) (bom, []byte) {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out, binary, "socialhub-sync", "1.2.3", time.Unix(1700000000, 0)); err != nil {
		t.Fatal(err)
	}
	var b bom
	if err := json.Unmarshal(out.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	return b, out.Bytes()
}

func TestTheBillNamesTheProgramAndGo(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, text := billOf(t, self)
	if _, again := billOf(t, self); !bytes.Equal(text, again) {
		t.Error("the same binary gives another bill the second time")
	}
	if got, want := b.Metadata.Component.PURL, "pkg:golang/socialhub-sync@1.2.3"; got != want {
		t.Errorf("the program is %s, want %s", got, want)
	}
	if got, want := b.Metadata.Timestamp, "2023-11-14T22:13:20Z"; got != want {
		t.Errorf("the time is %s, want %s", got, want)
	}
	if got, want := b.Components[0].PURL, "pkg:golang/std@"+strings.TrimPrefix(runtime.Version(), "go"); got != want {
		t.Errorf("the first part is %s, want %s", got, want)
	}
	if id := regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`); !id.MatchString(b.SerialNumber) {
		t.Errorf("the serial number is %s", b.SerialNumber)
	}
}

func TestAFileThatGoDidNotBuildHasNoBill(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := write(&bytes.Buffer{}, file, "x", "1", time.Time{}); err == nil {
		t.Error("there is no error")
	}
}
