package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/builtin"
)

// deed is an action of the team on one of the items that a recipe's first round gives. A reply that is posted must have the
// id, the address and the time that the pull gives to an item of our own, in the thread of the item.
type deed struct {
	// Do is reply, find (of a reply whose answer was lost), delete, or the id of a button.
	Do string `yaml:"do" json:"do"`
	// To is the item's networkItemId.
	To   string `yaml:"to" json:"to"`
	Text string `yaml:"text" json:"text"`
	// Exchanges must all happen, and no others but those of the first round.
	Exchanges []exchange `yaml:"exchanges" json:"-"`
	// Posts is the networkItemId of the reply; empty if none is posted or found.
	Posts string `yaml:"posts" json:"-"`
	// Fails is what is wrong; empty if nothing is.
	Fails string `yaml:"fails" json:"-"`
}

// pulledItem is what a pull says of an item, and done what came of a deed.
type (
	pulledItem struct {
		URL     string
		Created time.Time
		Root    string
		Own     bool
		Ref     json.RawMessage
	}
	done struct {
		Posted sources.Posted
		Found  bool
		Error  string
	}
	report struct {
		Items map[string]pulledItem
		Done  []done
	}
)

// firstTry is when the reply was posted that a deed looks for: before everything that is recorded.
var firstTry = time.Date(2020, 1, 1, 0, 1, 0, 0, time.UTC)

const deedsFile = "deeds.json"

// act does a fixture's actions by a process of its own, which reaches the API through the proxy as the program does.
func (k *kitchen) act(t *testing.T, f *fixture) {
	if len(f.Actions) == 0 {
		return
	}
	deeds, err := json.Marshal(f.Actions)
	if err != nil {
		t.Fatal(err)
	}
	k.put(t, deedsFile, string(deeds))
	exchanges := f.Rounds[0].Exchanges
	for _, d := range f.Actions {
		exchanges = append(exchanges[:len(exchanges):len(exchanges)], d.Exchanges...)
	}
	k.api.play("actions", exchanges)
	command := exec.CommandContext(t.Context(), "act-on-source")
	command.Dir, command.Env = k.dir, k.environ
	command.WaitDelay = 5 * time.Second
	out, err := command.Output()
	var r report
	if err != nil || json.Unmarshal(out, &r) != nil || len(r.Done) != len(f.Actions) {
		t.Fatalf("%v: %s", err, out)
	}
	k.api.finish()
	for i, d := range f.Actions {
		d.compare(t, r.Items, &r.Done[i])
	}
}

// compare compares what came of a deed, and what the pull says of the reply.
func (d *deed) compare(t *testing.T, items map[string]pulledItem, got *done) {
	t.Helper()
	name := d.Do + " " + d.To
	if got.Error != d.Fails || got.Posted.NetworkItemID != d.Posts || got.Found != (d.Do == "find" && d.Posts != "") {
		t.Errorf("%s: %+v", name, got)
		return
	}
	if d.Posts == "" {
		return
	}
	root := items[d.To].Root
	if root == "" {
		root = d.To
	}
	seen, pulled := items[d.Posts]
	switch {
	case !pulled || !seen.Own || seen.Root != root:
		t.Errorf("%s: the pull has no reply %s of our own in the thread %s: %+v", name, d.Posts, root, seen)
	case got.Posted.URL != "" && got.Posted.URL != seen.URL, !got.Posted.CreatedTime.Equal(seen.Created), len(got.Posted.Ref) == 0,
		string(got.Posted.Ref) != string(seen.Ref):
		t.Errorf("%s: the answer says %+v (ref %s), the pull %+v (ref %s)", name, got.Posted, got.Posted.Ref, seen, seen.Ref)
	}
}

// actOnSource pulls from the only source of config.yaml and does what the file of deeds says.
func actOnSource() {
	trustReplay()
	if err := reportDeeds(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func reportDeeds(ctx context.Context) error {
	text, err := os.ReadFile(deedsFile)
	if err != nil {
		return err
	}
	var deeds []deed
	if err := json.Unmarshal(text, &deeds); err != nil {
		return err
	}
	c, err := config.Load("config.yaml", builtin.Adapters(), os.LookupEnv)
	if err != nil {
		return err
	}
	src := c.Sources[0]
	s, err := src.Settings.Open(ctx, sources.Env{Name: src.Name, Dir: c.Dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), UserAgent: "test"})
	if err != nil {
		return err
	}
	defer s.Close()
	r := report{Items: map[string]pulledItem{}}
	for batch, err := range s.Pull(ctx, sources.Request{}) {
		if err != nil {
			return err
		}
		for _, item := range batch.Items {
			i, root := &item.Interaction, ""
			if i.Root != nil {
				root = i.Root.RootID
			}
			r.Items[i.NetworkItemID] = pulledItem{i.URL, i.CreatedTime, root, item.Own, item.Ref}
		}
	}
	for _, d := range deeds {
		r.Done = append(r.Done, d.do(ctx, s, r.Items))
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// do does a deed.
func (d *deed) do(ctx context.Context, s sources.Source, items map[string]pulledItem) (got done) {
	item := items[d.To]
	a := sources.Action{
		Key: "followup-1", Type: socialhub.ActionReply, ID: "reply", NetworkItemID: d.To, Ref: item.Ref,
		RootID: item.Root, RootRef: items[item.Root].Ref, Time: time.Now(),
	}
	var err error
	switch d.Do {
	case "reply":
		err = errors.ErrUnsupported
		if sources.Can(s, a.Type, a.ID) {
			got.Posted, err = s.(sources.Replier).Reply(ctx, &sources.Reply{Action: a, Text: d.Text})
		}
	case "find":
		got.Posted, got.Found, err = s.(sources.Finder).FindReply(ctx, &sources.Reply{Action: a, Text: d.Text}, firstTry)
	case "delete":
		a.Type, a.ID = socialhub.ActionDelete, "delete"
		err = s.(sources.Deleter).Delete(ctx, &a)
	default:
		a.Type, a.ID = socialhub.ActionButton, d.Do
		err = s.(sources.ButtonPresser).PressButton(ctx, &a)
	}
	if err != nil {
		got.Error = err.Error()
	}
	return got
}

// TestEveryActionOfARecipeIsTested wants a deed for each request that a recipe declares.
func TestEveryActionOfARecipeIsTested(t *testing.T) {
	t.Parallel()
	for _, name := range recipeNames(t) {
		var f fixture
		if err := yaml.Unmarshal([]byte(readText(t, filepath.Join(fixturesFolder, name, "fixture.yaml"))), &f); err != nil {
			t.Fatal(err)
		}
		var recipe struct {
			Channels map[string]struct{ Actions []struct{ Type, ID string } }
			Sources  map[string]struct {
				Settings struct {
					Actions struct {
						Reply    map[string]any
						Template map[string]any `yaml:"template_reply"`
						Delete   map[string]any
						Buttons  map[string]any
					}
				}
			}
		}
		if err := yaml.Unmarshal([]byte(readText(t, filepath.Join(recipesFolder, name+".yaml"))), &recipe); err != nil {
			t.Fatal(err)
		}
		declared := map[string]bool{}
		for _, s := range recipe.Sources {
			a := s.Settings.Actions
			declared["reply"], declared["find"] = a.Reply != nil, a.Reply["find"] != nil
			declared["template_reply"], declared["delete"] = a.Template != nil, a.Delete != nil
			for id := range a.Buttons {
				declared[id] = true
			}
		}
		tested := map[string]bool{}
		for _, d := range f.Actions {
			tested[d.Do] = true
		}
		offered := map[string]bool{"find": declared["find"]}
		for _, a := range recipe.Channels["support"].Actions {
			offered[strings.TrimSpace(a.Type)] = a.Type != "button"
			if a.Type == "button" {
				offered[a.ID] = true
			}
		}
		for what, is := range declared {
			if is && (!tested[what] || !offered[what]) {
				t.Errorf("%s: %s is declared, but offered: %t, tested: %t", name, what, offered[what], tested[what])
			}
		}
	}
}
