package cli_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

// Each recipe in docs/recipes is run as it is, by the program as a process of its own, against recorded answers of its API
// and a sandbox. testdata/recipes/NAME has the answers and what must become of them:
//
//	fixture.yaml     env:    values of the recipe's variables, but for SUPPORT_TOKEN
//	                 hosts:  what the recipe may ask, such as https://api.example.com. They are not replaced in the
//	                         recipe: the program reaches them through a proxy that answers in their place
//	                 files:  files beside the config, by name. $EC_KEY and $RSA_KEY in them are a private key in PEM, made
//	                         anew by each run of the test; $RSA_KEY_JSON is the same as $RSA_KEY inside of a JSON text
//	                 rounds: what happens at each `run --once`, see [round]
//	                 actions: what the team does after the first round, see [deed]
//	tickets-1.json   the tickets after the first round, and so on; -update writes them
//
// `check` comes before the first round and may ask for what that asks for.

var update = flag.Bool("update", false, "write the tickets of the recipes anew")

// fixture is a fixture.yaml.
type fixture struct {
	Env    map[string]string `yaml:"env"`
	Hosts  []string          `yaml:"hosts"`
	Files  map[string]string `yaml:"files"`
	Rounds []round           `yaml:"rounds"`
	// Actions are done with what a pull gave for which the first round's answers were recorded.
	Actions []deed `yaml:"actions"`
}

// round is one `run --once`.
type round struct {
	// Exchanges must all happen, and no others. Their order is free, but those with one request answer in their order.
	Exchanges []exchange `yaml:"exchanges"`
	// Created and Updated are how many requests SocialHub gets. There are no others.
	Created int `yaml:"created"`
	Updated int `yaml:"updated"`
	// Tickets is the file with the tickets after the round. Times at which the test ran are left out of it.
	Tickets string `yaml:"tickets"`
	// Fails is what the program says in a round that must fail; empty for one that must not.
	Fails string `yaml:"fails"`
}

// interval is a pause for the sake of the real API, the one thing in a recipe that is changed.
var interval = regexp.MustCompile(`interval: \d+\w+`)

const (
	recipesFolder  = "../../docs/recipes"
	fixturesFolder = "testdata/recipes"
)

func TestEveryRecipeMakesTheTicketsItPromises(t *testing.T) {
	t.Parallel()
	for _, name := range recipeNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cook(t, name)
		})
	}
}

func recipeNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recipesFolder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recipes: %v", err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".yaml")
	}
	return files
}

func TestEveryFixtureHasARecipeAndEveryRecipeALineInTheReadme(t *testing.T) {
	t.Parallel()
	names := recipeNames(t)
	folders, err := os.ReadDir(fixturesFolder)
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if !slices.Contains(names, folder.Name()) {
			t.Errorf("%s/%s has no recipe", fixturesFolder, folder.Name())
		}
	}
	readme := readText(t, filepath.Join(recipesFolder, "README.md"))
	for _, name := range names {
		if !strings.Contains(readme, fmt.Sprintf("| [%s](%s.yaml) |", name, name)) {
			t.Errorf("the table in README.md has no line for %s", name)
		}
	}
}

func TestTheHeadOfEachRecipeTellsItsVariables(t *testing.T) {
	t.Parallel()
	for _, name := range recipeNames(t) {
		recipe := readText(t, filepath.Join(recipesFolder, name+".yaml"))
		head, rest, _ := strings.Cut(recipe, "\nchannels:")
		for _, variable := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(rest, -1) {
			if !strings.Contains(head, variable[1]) {
				t.Errorf("%s: the comment at its head does not tell what %s is", name, variable[0])
			}
		}
	}
}

// kitchen is what a recipe is run in.
type kitchen struct {
	folder  string // of the fixture
	dir     string // where the program runs
	environ []string
	api     *replay
	box     *sandbox.Server
	channel sandbox.Channel
	seen    int // requests to the sandbox in the rounds before
	began   time.Time
}

func cook(t *testing.T, name string) {
	folder := filepath.Join(fixturesFolder, name)
	var f fixture
	decoder := yaml.NewDecoder(strings.NewReader(readText(t, filepath.Join(folder, "fixture.yaml"))), yaml.Strict())
	if err := decoder.Decode(&f); err != nil || len(f.Rounds) == 0 {
		t.Fatalf("fixture.yaml: %v, %d rounds", err, len(f.Rounds))
	}
	k := newKitchen(t, folder, &f)
	k.lay(t, name, &f)
	k.check(t, &f)
	k.act(t, &f)
}

// lay puts the recipe and its files where the program runs.
func (k *kitchen) lay(t *testing.T, name string, f *fixture) {
	sandboxed := "database: sqlite:sync.db\nlisten: ''\napi_url: " + k.serveSandbox(t) + "\n"
	recipe := readText(t, filepath.Join(recipesFolder, name+".yaml"))
	k.put(t, "config.yaml", sandboxed+interval.ReplaceAllString(recipe, "interval: 1ms"))
	keys := newKeys(t)
	for file, text := range f.Files {
		k.put(t, file, keys.Replace(text))
	}
}

// check checks the recipe and plays its rounds.
func (k *kitchen) check(t *testing.T, f *fixture) {
	k.api.play("check", f.Rounds[0].Exchanges)
	k.run(t, "", "check")
	for i, r := range f.Rounds {
		k.api.play(fmt.Sprintf("round %d", i+1), r.Exchanges)
		if out := k.run(t, r.Fails, "run", "--once", "--log-level=warn"); strings.Contains(out, " rejected;") {
			t.Errorf("round %d: an item was rejected:\n%s%s", i+1, out, k.run(t, "", "status"))
		}
		k.api.finish()
		k.compare(t, i+1, &r)
	}
}

func newKitchen(t *testing.T, folder string, f *fixture) *kitchen {
	k := &kitchen{folder: folder, dir: t.TempDir(), box: sandbox.New(sandbox.Options{}), began: time.Now()}
	var err error
	k.channel, err = k.box.AddChannel(sandbox.ChannelOptions{Name: "Support", NetworkID: "our-own"})
	if err != nil {
		t.Fatal(err)
	}
	k.api = newReplay(t, folder, f.Hosts)
	k.put(t, "roots.pem", string(k.api.roots))
	k.environ = []string{
		"PATH=" + os.Getenv("PATH"), "TZ=UTC", "GORACE=atexit_sleep_ms=0", "SUPPORT_TOKEN=" + k.channel.Token,
		"HTTPS_PROXY=" + k.api.proxy, "NO_PROXY=", rootsVariable + "=roots.pem", "GODEBUG=x509usefallbackroots=1",
	}
	for name, value := range f.Env {
		k.environ = append(k.environ, name+"="+value)
	}
	return k
}

func (k *kitchen) serveSandbox(t *testing.T) string {
	server := httptest.NewServer(k.box)
	t.Cleanup(func() {
		k.box.Close()
		server.Close()
	})
	return server.URL
}

func (k *kitchen) put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs the program and returns what it says. The test ends if it fails, or if it does not and should have said why.
func (k *kitchen) run(t *testing.T, failure string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "socialhub-sync", args...)
	command.Dir, command.Env = k.dir, k.environ
	command.WaitDelay = 5 * time.Second
	out, err := command.CombinedOutput()
	if (err != nil) != (failure != "") || !strings.Contains(string(out), failure) {
		t.Fatalf("%s: socialhub-sync %s: %v, want %q\n%s", k.api.scene(), strings.Join(args, " "), err, failure, out)
	}
	return string(out)
}

// shownTicket is a ticket in a golden file.
type shownTicket struct {
	socialhub.Interaction
	UpdatedTime time.Time      `json:"updatedTime,omitzero"`
	Folder      sandbox.Folder `json:"folder"`
	Own         bool           `json:"own,omitempty"`
}

// compare compares what SocialHub was sent in a round, and what it has.
func (k *kitchen) compare(t *testing.T, n int, r *round) {
	t.Helper()
	got := map[string]int{}
	requests := k.box.Requests()
	for _, q := range requests[k.seen:] {
		if q.Route != sandbox.RouteRoot {
			got[fmt.Sprintf("%s %d", q.Route, q.Status)]++
		}
	}
	k.seen = len(requests)
	want := map[string]int{}
	for line, count := range map[string]int{sandbox.RoutePost + " 201": r.Created, sandbox.RoutePatch + " 200": r.Updated} {
		if count > 0 {
			want[line] = count
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("round %d: requests to SocialHub (-want +got):\n%s", n, diff)
	}
	golden(t, filepath.Join(k.folder, r.Tickets), k.tickets(t))
}

// tickets is what SocialHub shows, in the order of the items' ids.
func (k *kitchen) tickets(t *testing.T) string {
	tickets := []shownTicket{}
	for _, ticket := range k.box.Tickets(k.channel.ID) {
		shown := shownTicket{ticket.Interaction, ticket.UpdatedTime, ticket.Folder, ticket.Own}
		for _, at := range []*time.Time{&shown.CreatedTime, &shown.UpdatedTime} {
			if at.After(k.began) {
				*at = time.Time{}
			}
		}
		tickets = append(tickets, shown)
	}
	slices.SortFunc(tickets, func(a, b shownTicket) int { return strings.Compare(a.NetworkItemID, b.NetworkItemID) })
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(tickets); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(readText(t, file), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
