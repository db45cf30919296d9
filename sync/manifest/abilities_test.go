package manifest

import (
	"context"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// dumb is a source that can do nothing, clever one that can reply and press the button "like".
type (
	dumb   struct{}
	clever struct{ dumb }
)

func (dumb) Pull(context.Context, sources.Request) iter.Seq2[sources.Batch, error] {
	return func(func(sources.Batch, error) bool) {}
}
func (dumb) Close() error { return nil }

func (clever) Reply(context.Context, *sources.Reply) (sources.Posted, error) {
	return sources.Posted{}, nil
}
func (clever) PressButton(context.Context, *sources.Action) error { return nil }
func (clever) Can(_ socialhub.ActionType, id string) bool         { return id != "hide" }

func TestAnActionNeedsASourceThatCanDoIt(t *testing.T) {
	t.Parallel()
	actions := []socialhub.ManifestAction{
		{Type: socialhub.ActionReply, ID: "reply"}, {Type: socialhub.ActionButton, ID: "like"}, {Type: socialhub.ActionButton, ID: "hide"},
	}
	for name, test := range map[string]struct {
		sources []Able
		want    []Gap
	}{
		"each can": {[]Able{{"a", clever{}}, {"b", clever{}}}, []Gap{
			{IDs: []string{"hide"}, Fatal: true, Text: "hide: no source of the channel can do it (a, b); take it out, or see docs/actions.md for what each adapter can do"}}},
		"one can": {[]Able{{"a", clever{}}, {"b", dumb{}}}, []Gap{
			{IDs: []string{"reply", "like"}, Text: "reply, like: b can't do them; the team is told so if it tries with a ticket of that source"},
			{IDs: []string{"hide"}, Fatal: true, Text: "hide: no source of the channel can do it (a, b); take it out, or see docs/actions.md for what each adapter can do"}}},
		"one is not known": {[]Able{{"a", clever{}}, {"b", nil}}, []Gap{
			{IDs: []string{"hide"}, Text: "hide: a can't do it, and what b can do is not known"}}},
		"none is known": {[]Able{{"a", nil}}, nil},
		"there is none": {nil, []Gap{
			{IDs: []string{"reply", "like", "hide"}, Fatal: true, Text: "reply, like, hide: the channel has no source that could do them"}}},
	} {
		got := Gaps(actions, test.sources)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		fatal := false
		for _, g := range test.want {
			fatal = fatal || g.Fatal
		}
		if Fatal(got) != fatal {
			t.Errorf("%s: fatal is %v", name, !fatal)
		}
	}
}
