package config

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources/builtin"
)

// withChannel is the least file with more keys for its channel.
func withChannel(keys string) string {
	return strings.Replace(least("      url: x\n"), `{support: {access_token: "${TOKEN}"}}`,
		"\n  support:\n    access_token: ${TOKEN}\n"+keys, 1)
}

// hooked is a webhook with an address, which template replies need.
const hooked = `    webhook: {secret: ` + leak + `-0123456789-0123456789-0123456789, url: "https://sync.example.com/hook"}
`

func TestATypeAloneIsAnAction(t *testing.T) {
	t.Parallel()
	c := load(t, withChannel(hooked+`
    actions:
      - type: reply
      - type: template_reply
      - type: delete
      - {type: button, label: Like}
    sidebar:
      - tree: flat_with_root
`))
	wantActions := []socialhub.ManifestAction{
		{Type: "reply", ID: "reply", Label: socialhub.Label{EN: "Reply", DE: "Antworten", FR: "Répondre"}},
		{Type: "template_reply", ID: "template_reply",
			Label: socialhub.Label{EN: "Reply with a template", DE: "Mit Vorlage antworten", FR: "Répondre avec un modèle"}},
		{Type: "delete", ID: "delete", Label: socialhub.Label{EN: "Delete", DE: "Löschen", FR: "Supprimer"}},
		{Type: "button", ID: "button", Label: socialhub.Label{EN: "Like", DE: "Like", FR: "Like"}},
	}
	if diff := cmp.Diff(wantActions, c.Channels[0].Actions); diff != "" {
		t.Errorf("actions: -want +got:\n%s", diff)
	}
	wantSidebar := []socialhub.Sidebar{{ID: "thread", TreeBuilder: "flatListWithRoot",
		Label: socialhub.Label{EN: "Thread", DE: "Verlauf", FR: "Fil de discussion"}}}
	if diff := cmp.Diff(wantSidebar, c.Channels[0].Sidebar); diff != "" {
		t.Errorf("sidebar: -want +got:\n%s", diff)
	}
}

func TestEveryKeyOfAnActionIsTakenOver(t *testing.T) {
	t.Parallel()
	c := load(t, withChannel(`
    actions:
      - type: reply
        id: public-reply_1
        label: {de: Beantworten}
        approval: true
        force_tagging: true
        max_length: 280
        timeout: 7d
        attachments: true
        no_text: true
        options:
          - {id: public, label: {fr: Publique, de: Öffentlich}, description: Everybody sees it.}
          - {id: private, label: Private}
      - {type: button, id: like, label: {en: Like, de: Gefällt mir, fr: "J'aime"}, timeout: 24h}
    sidebar:
      - {id: a, label: All, tree: flat_without_root}
      - {id: b, tree: flatListWithoutRoot}
`))
	same := func(text string) socialhub.Label { return socialhub.Label{EN: text, DE: text, FR: text} }
	description := same("Everybody sees it.")
	wantActions := []socialhub.ManifestAction{
		{
			Type: "reply", ID: "public-reply_1", Label: socialhub.Label{EN: "Reply", DE: "Beantworten", FR: "Répondre"},
			Config: &socialhub.ActionConfig{ApprovalProcess: true, ForceTagging: true, MaxLength: 280,
				Timeout: &socialhub.ActionTimeout{Duration: "168h", After: "networkCreationTime"}},
			Attachments: &socialhub.ActionFiles{NoText: true},
			Options: []socialhub.ActionOption{
				{ID: "public", Label: socialhub.Label{EN: "Öffentlich", DE: "Öffentlich", FR: "Publique"}, Description: &description},
				{ID: "private", Label: same("Private")},
			},
		},
		{
			Type: "button", ID: "like", Label: socialhub.Label{EN: "Like", DE: "Gefällt mir", FR: "J'aime"},
			Config: &socialhub.ActionConfig{Timeout: &socialhub.ActionTimeout{Duration: "24h", After: "networkCreationTime"}},
		},
	}
	if diff := cmp.Diff(wantActions, c.Channels[0].Actions); diff != "" {
		t.Errorf("actions: -want +got:\n%s", diff)
	}
	wantSidebar := []socialhub.Sidebar{
		{ID: "a", Label: same("All"), TreeBuilder: socialhub.FlatListWithoutRoot},
		{ID: "b", Label: usualSidebarLabel, TreeBuilder: socialhub.FlatListWithoutRoot},
	}
	if diff := cmp.Diff(wantSidebar, c.Channels[0].Sidebar); diff != "" {
		t.Errorf("sidebar: -want +got:\n%s", diff)
	}
}

func TestWhatTheFileDoesNotMentionIsNotWanted(t *testing.T) {
	t.Parallel()
	if c := load(t, withChannel("")); c.Channels[0].Actions != nil || c.Channels[0].Sidebar != nil || c.Channels[0].Templates != nil {
		t.Errorf("got %+v", c.Channels[0])
	}
	if c := load(t, withChannel("    actions: []\n    sidebar: []\n")); c.Channels[0].Actions == nil || c.Channels[0].Sidebar == nil {
		t.Errorf("got %+v", c.Channels[0])
	}
}

func TestATemplateHasItsGapsDescribed(t *testing.T) {
	t.Parallel()
	c := load(t, withChannel(`
    templates:
      - id: welcome
        name: A welcome
        text: {en: "Hello {{firstName}}, {{n}} of {3}", de: "Hallo {{firstName}}"}
        variables:
          firstName: text
          n: number
          color: {type: string, enum: [red, "1"], maxLength: 10}
      - {id: thanks, text: {fr: Merci}}
`))
	want := []socialhub.Template{
		{
			NetworkID: "welcome", Name: "A welcome", Text: socialhub.TemplateText{EN: "Hello {{firstName}}, {{n}} of {3}", DE: "Hallo {{firstName}}"},
			Variables: map[string]json.RawMessage{
				"firstName": json.RawMessage(`{"type":"string"}`), "n": json.RawMessage(`{"type":"number"}`),
				"color": json.RawMessage(`{"enum":["red","1"],"maxLength":10,"type":"string"}`),
			},
		},
		{NetworkID: "thanks", Name: "thanks", Text: socialhub.TemplateText{FR: "Merci"}, Variables: map[string]json.RawMessage{}},
	}
	if diff := cmp.Diff(want, c.Channels[0].Templates); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestATimeoutIsInWholeHours(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"24h": 24, "1h": 1, "120m": 2, "7d": 168, "365d": 8760, "3600s": 1,
		"": 0, "0h": 0, "-24h": 0, "90m": 0, "24": 0, "d": 0, "1h30m": 0, "9999d": 0, "1h1d": 0, "P1D": 0, "99999999999999999h": 0,
	} {
		if got, err := timeoutHours(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestALongLabelOrTemplateIsRefused(t *testing.T) {
	t.Parallel()
	for keys, good := range map[string]bool{
		"    actions: [{type: reply, label: " + strings.Repeat("ä", socialhub.MaxLabel) + "}]\n":             true,
		"    actions: [{type: reply, label: " + strings.Repeat("ä", socialhub.MaxLabel+1) + "}]\n":           false,
		"    templates: [{id: a, text: {en: " + strings.Repeat("ä", socialhub.MaxMessage) + "}}]\n":          true,
		"    templates: [{id: a, text: {en: " + strings.Repeat("ä", socialhub.MaxMessage+1) + "}}]\n":        false,
		"    actions: [{type: reply, id: " + strings.Repeat("a", socialhub.MaxActionID) + "}]\n":             true,
		"    actions: [{type: reply, id: " + strings.Repeat("a", socialhub.MaxActionID+1) + "}]\n":           false,
		"    actions: [{type: reply, options: [{id: a, label: " + strings.Repeat("ä", 257) + "}]}]\n":        false,
		"    sidebar: [{tree: flat_with_root, label: {fr: " + strings.Repeat("ä", 257) + "}}]\n":             false,
		"    templates: [{id: a, name: " + strings.Repeat("ä", socialhub.MaxLabel+1) + ", text: {en: a}}]\n": false,
	} {
		if _, err := Parse("test.yaml", []byte(withChannel(keys)), "testdata", adapters, env); (err == nil) != good {
			t.Errorf("%.60s…: %v", keys, err)
		}
	}
}

func TestTheExamplesOfActionsAreGood(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/actions.md")
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for _, block := range codeBlock.FindAllStringSubmatch(string(docs), -1) {
		text, known := block[1], adapters
		switch {
		case strings.Contains(text, "\nsources:\n"):
			known = builtin.Adapters()
		case strings.HasPrefix(text, "    actions:"): // of a channel
			text = withChannel(hooked + text)
		case strings.Contains("\n"+text, "\nchannels:\n"):
			text += "sources: {a: {adapter: feed, channel: support, settings: {url: x}}}\n"
		default: // settings of an adapter
			continue
		}
		if _, err := Parse("actions.yaml", []byte(text), t.TempDir(), known, anyExampleToken); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		good++
	}
	if good < 2 {
		t.Errorf("%d examples", good)
	}
}

// anyExampleToken is anyToken for the names of the tests too.
func anyExampleToken(name string) (string, bool) {
	if name == "TOKEN" {
		name = "SUPPORT_TOKEN"
	}
	return anyToken(name)
}
