package builtin

import (
	"flag"
	"fmt"
	"os"
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

func TestTheDocsTellWhatEachAdapterCan(t *testing.T) {
	t.Parallel()
	table, _, _ := strings.Cut(readText(t, docsFile), "\n## ")
	for _, adapter := range Adapters() {
		if !strings.Contains(table, "\n| `"+adapter.Name+"` |") {
			t.Errorf("the first table has no row for %s", adapter.Name)
		}
	}
}
