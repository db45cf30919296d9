package builtin

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

var update = flag.Bool("update", false, "write the tables of settings anew")

const docsFile = "../../docs/adapters.md"

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheDocsHaveEverySetting(t *testing.T) {
	t.Parallel()
	docs := readText(t, docsFile)
	right := docs
	for _, adapter := range Adapters() {
		begin := "<!-- settings of " + adapter.Name + " -->\n"
		before, rest, found := strings.Cut(right, begin)
		_, after, ended := strings.Cut(rest, "<!-- end -->\n")
		if !found || !ended {
			t.Fatalf("no place for the settings of %s", adapter.Name)
		}
		right = before + begin + settingsTable(adapter) + "<!-- end -->\n" + after
	}
	if *update {
		if err := os.WriteFile(docsFile, []byte(right), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(right, docs); diff != "" {
		t.Errorf("go test ./sources/builtin -update mends the tables: %s", diff)
	}
}

func settingsTable(adapter sources.Adapter) string {
	var b strings.Builder
	b.WriteString("| setting | type | default | meaning |\n|---|---|---|---|\n")
	for _, s := range adapter.Reference() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Key, s.Type, s.Default, strings.ReplaceAll(s.Doc, "|", `\|`))
	}
	return b.String()
}

// sample is the program in the docs.
func sample(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile("(?s)```go\n(package main.*?)```").FindStringSubmatch(readText(t, docsFile))
	if found == nil {
		t.Fatal("the docs have no program")
	}
	return found[1]
}

func TestTheProgramInTheDocsIsOursWithOneMoreAdapter(t *testing.T) {
	t.Parallel()
	got := strings.NewReplacer(
		"\t\"example.com/helpdesk/forum\"\n", "",
		"append(builtin.Adapters(), forum.New())", "builtin.Adapters()",
	).Replace(sample(t))
	_, want, _ := strings.Cut(readText(t, "../../main.go"), "package main")
	if diff := cmp.Diff("package main"+want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheProgramInTheDocsCompiles makes the module that the docs tell of.
func TestTheProgramInTheDocsCompiles(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// The same versions as ours, so that nothing is fetched.
	_, requires, _ := strings.Cut(readText(t, filepath.Join(root, "go.mod")), "\n")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": fmt.Sprintf("module example.com/helpdesk\n%s\nrequire socialhub-sync v0.0.0\n\nreplace socialhub-sync => %q\n",
			requires, filepath.ToSlash(root)),
		"go.sum":         readText(t, filepath.Join(root, "go.sum")),
		"main.go":        sample(t),
		"forum/forum.go": "package forum\n\nimport \"socialhub-sync/sources\"\n\nfunc New() sources.Adapter { return sources.Adapter{Name: \"forum\"} }\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "vet", "-mod=mod", "./...")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
