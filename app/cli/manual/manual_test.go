package manual_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"socialhub-sync/app/cli"
	"socialhub-sync/sources/builtin"
)

var update = flag.Bool("update", false, "write the manual page and the completions anew")

// The program is in PATH, for the completions to call.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"socialhub-sync": func() {
		os.Exit(cli.Run(context.Background(), os.Args[1:], builtin.Adapters(), cli.Process()))
	}})
}

// output is what the program prints for a command line that must be fine.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	streams := cli.Streams{In: strings.NewReader(""), Out: &out, Err: &problems, LookupEnv: func(string) (string, bool) { return "", false }}
	if code := cli.Run(t.Context(), args, builtin.Adapters(), streams); code != 0 || problems.Len() > 0 {
		t.Fatalf("%v: exit code %d, %s", args, code, problems.String())
	}
	return out.String()
}

const root = "../../../"

func TestTheGeneratedFilesAreUpToDate(t *testing.T) {
	t.Parallel()
	for file, args := range map[string][]string{
		"contrib/completions/socialhub-sync.bash": {"completion", "bash"},
		"contrib/completions/_socialhub-sync":     {"completion", "zsh"},
		"contrib/completions/socialhub-sync.fish": {"completion", "fish"},
		"docs/man/socialhub-sync.1":               {"man"},
	} {
		got := output(t, args...)
		if *update {
			if err := os.WriteFile(root+file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(root + file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("go generate ./app/cli/manual mends %s: %s", file, diff)
		}
	}
}

func TestTheSchemaThatIsPrintedIsTheOneInTheDocs(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(root + "docs/schema/config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), output(t, "config", "schema")); diff != "" {
		t.Errorf("go generate ./app/config mends it: %s", diff)
	}
}

// run runs a program that must be there and must be content.
func run(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestBashReadsItsCompletion(t *testing.T) {
	t.Parallel()
	if said := run(t, output(t, "completion", "bash"), "bash", "-n"); said != "" {
		t.Error(said)
	}
}

// completer asks for completions as bash does: the words, of which the last is being typed.
const completer = `
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_socialhub_sync 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
`

func TestBashCompletesCommandsFlagsAndNames(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("channels:\n  support: {access_token: '${UNSET}'}\n  $(ls): {}\nsources:\n  reviews: {}\n  shop: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := output(t, "completion", "bash") + completer
	for line, want := range map[string]string{
		"ru":                              "run",
		"manifest ":                       "apply diff show",
		"actions re":                      "retry",
		"run --b":                         "--backfill",
		"run --dry-run --on":              "--once",
		"--log-level = w":                 "warn",
		"run --log-format ":               "auto json text",
		"run --log-level =":               "debug error info warn",
		"completion ":                     "bash fish zsh",
		"adapters ma":                     "mastodon",
		"adapters rss ":                   "",
		"--config FILE resume ":           "reviews shop support",
		"resume --config = FILE s":        "shop support",
		"--config FILE run --source ":     "reviews shop",
		"--config FILE manifest diff ":    "support",
		"--config /none resume ":          "",
		"run --since 2026 --until ":       "",
		"--config FILE adopt --channel s": "support",
		"na":                              "",
		"status --discard --js":           "--json",
	} {
		words := strings.Split("socialhub-sync "+strings.ReplaceAll(line, "FILE", config), " ")
		got := strings.Fields(run(t, script, "bash", append([]string{"-s", "--"}, words...)...))
		slices.Sort(got)
		if joined := strings.Join(got, " "); joined != want {
			t.Errorf("%q: got %q, want %q", line, joined, want)
		}
	}
}

func TestCompletionsKnowEveryVisibleCommandAndNoHiddenOne(t *testing.T) {
	t.Parallel()
	listed := regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)?)  `).FindAllStringSubmatch(output(t, "--help"), -1)
	if len(listed) < 15 {
		t.Fatalf("only %d commands are in the help", len(listed))
	}
	forms := map[string]string{"bash": "' %s') at=", "zsh": "_socialhub_sync_%s() {", "fish": "'__socialhub_sync_at \\'%s\\''", "man": ".SS %s\n"}
	for _, shell := range []string{"bash", "zsh", "fish", "man"} {
		args := []string{"completion", shell}
		if shell == "man" {
			args = []string{"man"}
		}
		text := output(t, args...)
		for _, l := range listed {
			name := l[1]
			if shell == "zsh" {
				name = strings.ReplaceAll(name, " ", "_")
			}
			// In fish a command has an own line only if it has flags, arguments or commands.
			if form := fmt.Sprintf(forms[shell], name); !strings.Contains(text, form) && (shell != "fish" || !strings.Contains(text, "-a "+name[strings.LastIndex(name, " ")+1:]+" ")) {
				t.Errorf("%s: %q is missing", shell, form)
			}
		}
		for _, hidden := range []string{"man", "names"} {
			if form := fmt.Sprintf(forms[shell], hidden); strings.Contains(text, form) || strings.Contains(text, "-a "+hidden+" ") {
				t.Errorf("%s: %q is there", shell, form)
			}
		}
	}
	if help := output(t, "--help"); strings.Contains(help, "\n  man ") || strings.Contains(help, "\n  names ") {
		t.Error("a hidden command is in the help")
	}
}

// requests are the macros of man(7) that the page may use.
var requests = []string{"TH", "SH", "SS", "SY", "YS", "TP", "PP", "B", "I", "BI", "RB", "RI", "IR"}

func TestTheManualPageIsWellFormed(t *testing.T) {
	t.Parallel()
	page := output(t, "man")
	for n, line := range strings.Split(strings.TrimSuffix(page, "\n"), "\n") {
		switch name, _, _ := strings.Cut(strings.TrimPrefix(line, "."), " "); {
		case line == "", strings.HasPrefix(line, "'"), strings.HasSuffix(line, " "), strings.ContainsFunc(line, func(c rune) bool { return c > 126 || c < ' ' }):
			t.Errorf("line %d: %q", n+1, line)
		case strings.HasPrefix(line, `.\"`), !strings.HasPrefix(line, "."):
		case !slices.Contains(requests, name):
			t.Errorf("line %d: no such macro: %q", n+1, line)
		}
	}
	var sections []string
	for _, found := range regexp.MustCompile(`(?m)^\.SH (.*)$`).FindAllStringSubmatch(page, -1) {
		sections = append(sections, found[1])
	}
	want := []string{"NAME", "SYNOPSIS", "COMMANDS", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SIGNALS", "EXAMPLES", "SEE ALSO"}
	if diff := cmp.Diff(want, sections); diff != "" {
		t.Error(diff)
	}
	if strings.Count(page, ".SY") != strings.Count(page, ".YS") {
		t.Error("a synopsis has no end")
	}
}

func TestWhatRendersManualPagesHasNoWarning(t *testing.T) {
	t.Parallel()
	page := output(t, "man")
	for name, args := range map[string][]string{"groff": {"-man", "-ww", "-z"}, "mandoc": {"-T", "lint", "-W", "error"}} {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("%s is not installed; the page's form is tested without it too", name)
			continue
		}
		if said := run(t, page, name, args...); said != "" {
			t.Errorf("%s: %s", name, said)
		}
	}
}
