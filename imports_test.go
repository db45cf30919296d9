package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "socialhub-sync"

// A room is a package or, with /... at its end, a package and all below it. "." is the module's root.
type room string

func (r room) holds(pkg string) bool {
	prefix, tree := strings.CutSuffix(string(r), "/...")
	return pkg == prefix || tree && strings.HasPrefix(pkg, prefix+"/")
}

// rule says what a room may import beside the standard library.
type rule struct {
	room      room
	may       []room // our own packages
	libraries bool   // other modules
}

// rules is the design's "who may import whom". The first rule that holds a package counts. Who adds
// a room adds a rule.
var rules = []rule{
	{".", []room{"app/...", "sources/builtin"}, true},
	{"app/...", []room{"app/...", "sync/...", "sources/...", "store", "migrations", "socialhub/...", "web/..."}, true},
	{"sync/...", []room{"sync/...", "sources", "store", "socialhub"}, true},
	{"sources", []room{"socialhub"}, true},
	{"sources/builtin", []room{"sources/..."}, false},
	{"sources/jq", []room{"sources"}, true},
	{"sources/sql/...", []room{"sources", "sources/sql/...", "socialhub"}, true},
	{"sources/httpapi/...", []room{"sources", "sources/jq", "sources/httpapi/...", "socialhub"}, true},
	{"sources/imap/...", []room{"sources", "sources/imap/...", "socialhub"}, true},
	{"sources/...", []room{"sources", "sources/jq", "socialhub"}, true},
	{"store/storetest", []room{"store", "migrations"}, true},
	{"store", []room{"migrations"}, true},
	{"migrations", nil, false},
	{"socialhub/sandbox", []room{"socialhub"}, false},
	{"socialhub", nil, false},
	{"web/...", []room{"web/...", "store", "socialhub"}, true},
	{"contrib/packages", nil, false},   // tests only
	{"contrib/container", nil, false},  // tests only
	{"contrib/prometheus", nil, false}, // tests only
	{"bench", nil, false},              // tests only
	{"torture", nil, false},            // tests only
}

func TestEveryPackageImportsOnlyWhatItsRoomMay(t *testing.T) {
	t.Parallel()
	imports, err := listImports()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults(imports) {
		t.Error(fault)
	}
}

func TestAForbiddenImportIsReported(t *testing.T) {
	t.Parallel()
	const std, library = "net/http", "github.com/jackc/pgx/v5"
	own := func(pkg string) string { return path.Join(module, pkg) }
	for _, test := range []struct {
		pkg  string
		good []string
		bad  []string
	}{
		{".", []string{std, library, own("app"), own("app/config"), own("sources/builtin")},
			[]string{own("sync"), own("store"), own("sources/rss"), own("socialhub")}},
		{"app", []string{std, library, own("sync"), own("store"), own("web"), own("sources/builtin"), own("socialhub/sandbox")},
			[]string{own("store/storetest"), own("")}},
		{"sync", []string{std, library, own("sources"), own("store"), own("socialhub")},
			[]string{own("sources/rss"), own("sources/builtin"), own("socialhub/sandbox"), own("web"), own("app"), own("migrations")}},
		{"sync/manifest", []string{own("sync"), own("socialhub")}, []string{own("sources/rss")}},
		{"sources", []string{std, library, own("socialhub")}, []string{own("sources/rss"), own("sync"), own("store")}},
		{"sources/builtin", []string{own("sources"), own("sources/rss")}, []string{own("sync"), own("store"), library}},
		{"sources/rss", []string{std, library, own("sources"), own("socialhub")},
			[]string{own("sources/jsonl"), own("sources/builtin"), own("sync"), own("store"), own("app"), own("web"), own("socialhub/sandbox")}},
		{"sources/exec", []string{own("sources"), own("sources/jq")}, []string{own("sources/httpapi"), own("store")}},
		{"sources/jq", []string{own("sources"), library}, []string{own("sources/exec"), own("socialhub")}},
		{"sources/sql", []string{std, library, own("sources"), own("sources/sql/engine"), own("socialhub")},
			[]string{own("sources/jq"), own("sources/rss"), own("store")}},
		{"sources/imap", []string{std, library, own("sources"), own("sources/imap/mail"), own("socialhub")},
			[]string{own("sources/jq"), own("sources/rss"), own("store")}},
		{"store", []string{std, library, own("migrations")},
			[]string{own("sync"), own("socialhub"), own("sources"), own("web"), own("app")}},
		{"store/storetest", []string{std, library, own("store")}, []string{own("sync"), own("socialhub")}},
		{"migrations", []string{"embed"}, []string{library, own("store")}},
		{"socialhub", []string{std}, []string{library, own("sources"), own("store")}},
		{"socialhub/sandbox", []string{std, own("socialhub")}, []string{library, own("sync"), own("store")}},
		{"web", []string{std, library, own("store"), own("socialhub")}, []string{own("sync"), own("app"), own("sources")}},
	} {
		var want []string
		for _, imported := range test.bad {
			want = append(want, fmt.Sprintf("%s must not import %s", own(test.pkg), imported))
		}
		got := faults(map[string][]string{own(test.pkg): slices.Concat(test.good, test.bad)})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("faults of %s (-want +got):\n%s", own(test.pkg), diff)
		}
	}
}

func TestAPackageWithoutARuleIsReported(t *testing.T) {
	t.Parallel()
	want := []string{"socialhub-sync/attic has no rule: say in imports_test.go what it may import"}
	if diff := cmp.Diff(want, faults(map[string][]string{"socialhub-sync/attic": {"fmt"}})); diff != "" {
		t.Error(diff)
	}
}

// faults names each import, by package, that the rules do not allow.
func faults(imports map[string][]string) []string {
	var found []string
	for pkg, imported := range imports {
		at := slices.IndexFunc(rules, func(r rule) bool { return r.room.holds(inside(pkg)) })
		if at < 0 {
			found = append(found, pkg+" has no rule: say in imports_test.go what it may import")
			continue
		}
		for _, i := range imported {
			if !rules[at].allows(i) {
				found = append(found, fmt.Sprintf("%s must not import %s", pkg, i))
			}
		}
	}
	return found
}

func (r rule) allows(imported string) bool {
	switch first, _, _ := strings.Cut(imported, "/"); {
	case first == module:
		return slices.ContainsFunc(r.may, func(m room) bool { return m.holds(inside(imported)) })
	case strings.Contains(first, "."):
		return r.libraries
	default:
		return true // the standard library
	}
}

// inside is the package's path within the module, "." for its root.
func inside(pkg string) string {
	return path.Clean(strings.TrimPrefix(strings.TrimPrefix(pkg, module), "/"))
}

// listImports returns what each package of the module imports outside of its tests.
func listImports() (map[string][]string, error) {
	output, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	imports := map[string][]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&pkg); err == io.EOF {
			return imports, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		imports[pkg.ImportPath] = pkg.Imports
	}
}
