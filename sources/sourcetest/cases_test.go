package sourcetest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCases(t *testing.T) {
	t.Parallel()
	Cases(t, clerk{}.adapter(), "testdata")
}

// caseFiles returns the files of a case that passes.
func caseFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	found, err := filepath.Glob("testdata/two-pages/*")
	if err != nil || len(found) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range found {
		files[filepath.Base(file)] = readCase(t, filepath.Dir(file), filepath.Base(file))
	}
	return files
}

func writeCase(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestACaseFailsIfAnythingDiffers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, old, new, report string }{
		"another item":                 {itemsFile, "office-2", "office-9", "items.json (-want +got"},
		"another error":                {errorFile, "401", "402", "error.txt (-want +got"},
		"a request not recorded":       {httpFile, "after=two", "after=2", "no exchange left for GET /items?after=two"},
		"an exchange not asked for":    {httpFile, "- request: GET /items?after", "- {request: GET /more}\n- request: GET /items?after", "GET /more was not asked for"},
		"another header":               {httpFile, "sourcetest/1", "sourcetest/2", `is "sourcetest/1"; want "sourcetest/2"`},
		"another body":                 {httpFile, "  file: first", "  sends: x\n  file: first", `sends ""; want "x"`},
		"a file that is not there":     {httpFile, "first.json", "second.json", "no such file"},
		"an unknown key of exchanges":  {httpFile, "status:", "state:", httpFile},
		"an unknown key of a request":  {requestFile, "since", "from", requestFile},
		"settings that are not known":  {settingsFile, "token", "tokens", "settings can't be read"},
		"settings that are not valid":  {settingsFile, "token: s3cret-token", "", "settings are not valid"},
		"an adapter that leaks a text": {settingsFile, "s3cret-token", "answered", "a secret is in an error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := caseFiles(t)
			if !strings.Contains(files[c.file], c.old) {
				t.Fatalf("%s has no %q", c.file, c.old)
			}
			files[c.file] = strings.Replace(files[c.file], c.old, c.new, 1)
			folder := writeCase(t, files)
			reports := record(t, func(r testing.TB) { runCase(r, clerk{}.adapter(), folder, false) })
			if !slices.ContainsFunc(reports, func(r string) bool { return strings.Contains(r, c.report) }) {
				t.Errorf("no report says %q: %q", c.report, reports)
			}
		})
	}
}

func TestUpdateWritesWhatACaseGives(t *testing.T) {
	t.Parallel()
	files := caseFiles(t)
	want := maps.Clone(files)
	delete(files, itemsFile)
	files[errorFile] = "something else\n"
	folder := writeCase(t, files)
	if reports := record(t, func(r testing.TB) { runCase(r, clerk{}.adapter(), folder, true) }); len(reports) > 0 {
		t.Errorf("reports %q", reports)
	}
	for name, text := range want {
		if diff := cmp.Diff(text, readCase(t, folder, name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	compare(t, filepath.Join(folder, errorFile), "", true)
	if _, err := os.Stat(filepath.Join(folder, errorFile)); err == nil {
		t.Error("the error of a case that has none is left")
	}
}
