package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreReadOutOfAFileWithFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2][]string{
		"channels: {b: {access_token: '${UNSET}'}, a: 1}\nsources:\n  x:\n    adapter: none\n  '$(touch x)': {}\n  y: &z {}\nwrong: 1\n": {{"b", "a"}, {"x", "y"}},
		"channels: [a]\nsources:\n": {},
		"":                          {},
	} {
		file := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		channels, sources, err := Names(file)
		if diff := cmp.Diff(want, [2][]string{channels, sources}); err != nil || diff != "" {
			t.Errorf("%s: %v, %s", text, err, diff)
		}
	}
}

func TestNamesOfAFileThatIsNotThereAreAnError(t *testing.T) {
	t.Parallel()
	if _, _, err := Names(filepath.Join(t.TempDir(), "config.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, _, err := Names("testdata/bad/syntax-tab.yaml"); err == nil {
		t.Error("what is no YAML has names")
	}
}
