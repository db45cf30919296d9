package manifest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
)

var update = flag.Bool("update", false, "write the expected lines anew")

// TestTheDifferenceIsTold reads what is and what is wanted from testdata/diff/*.json; the lines are in the .txt beside it.
func TestTheDifferenceIsTold(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/diff/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var in struct {
				Is     socialhub.Manifest
				Should struct {
					Actions []socialhub.ManifestAction
					Sidebar []socialhub.Sidebar
					Webhook *socialhub.Webhook
				}
			}
			if err := json.Unmarshal(data, &in); err != nil {
				t.Fatal(err)
			}
			if in.Should.Webhook != nil {
				in.Should.Webhook.Secret = secret(t, "a")
			}
			want := Want(in.Should.Actions, in.Should.Sidebar, in.Should.Webhook)
			lines := Diff(in.Is, want)
			got := strings.Join(append(lines, ""), "\n")
			if strings.Contains(got, secretText) {
				t.Errorf("the secret is told: %s", got)
			}
			if same := Change(in.Is, want, false) == (socialhub.Manifest{}); same != (len(lines) == 0) {
				t.Errorf("%d lines, but whether something is to be sent is %v", len(lines), !same)
			}
			golden(t, strings.TrimSuffix(file, ".json")+".txt", got)
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAfterTheChangeNothingDiffers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/diff/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var in struct {
			Is     socialhub.Manifest
			Should struct {
				Actions []socialhub.ManifestAction
				Sidebar []socialhub.Sidebar
				Webhook *socialhub.Webhook
			}
		}
		if err := json.Unmarshal(data, &in); err != nil {
			t.Fatal(err)
		}
		want := Want(in.Should.Actions, in.Should.Sidebar, in.Should.Webhook)
		after, change := in.Is, Change(in.Is, want, false)
		if change.Inbox != nil {
			after.Inbox = change.Inbox
		}
		if change.Webhook != nil {
			after.Webhook = change.Webhook
		}
		if lines := Diff(after, want); len(lines) > 0 {
			t.Errorf("%s: left: %q", file, lines)
		}
	}
}

func TestTheRegisteredAddressChangesWithTheSecretAlone(t *testing.T) {
	t.Parallel()
	at := func(url, end string) string {
		return Want(nil, nil, &socialhub.Webhook{URL: url, Secret: secret(t, end)}).Webhook.URL
	}
	first, again, other := at(hookURL, "a"), at(hookURL, "a"), at(hookURL, "b")
	if first != again || first == other {
		t.Errorf("got %q, %q, %q", first, again, other)
	}
	for _, url := range []string{hookURL, "https://sync.example.com/hook?tenant=7&x=%2F", "https://sync.example.com"} {
		if got := unmarked(at(url, "a")); got != url {
			t.Errorf("%s became %s", url, got)
		}
	}
}

func TestATemplateReplyNamesTheAddressOfTheTemplates(t *testing.T) {
	t.Parallel()
	actions := []socialhub.ManifestAction{
		{Type: socialhub.ActionTemplateReply, ID: "t", Config: &socialhub.ActionConfig{ForceTagging: true}},
		{Type: socialhub.ActionReply, ID: "r"},
	}
	got := Want(actions, nil, &socialhub.Webhook{URL: "https://sync.example.com/webhook/1/", Secret: secret(t, "a")}).Actions
	want := []socialhub.ManifestAction{
		{Type: socialhub.ActionTemplateReply, ID: "t", Config: &socialhub.ActionConfig{ForceTagging: true,
			Templates: &socialhub.TemplatesAddress{URL: "https://sync.example.com/webhook/1/templates"}}},
		{Type: socialhub.ActionReply, ID: "r"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if actions[0].Config.Templates != nil {
		t.Error("the config's own actions were changed")
	}
}
