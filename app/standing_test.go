package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store"
)

func TestTheStandingNamesWhatSomebodyShouldLookAt(t *testing.T) {
	t.Parallel()
	box := sandbox.New(sandbox.Options{})
	defer box.Close()
	channel, err := box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	token, err := socialhub.ParseToken(channel.Token)
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Channels: []config.Channel{{Name: "support", Token: token}}}
	for _, name := range []string{"a", "b", "c", "d"} {
		c.Sources = append(c.Sources, config.Source{Name: name, Channel: "support"})
	}
	pause := func(kind store.PauseKind, fingerprint string) []store.ChannelState {
		return []store.ChannelState{{ID: channel.ID, Pause: store.Pause{Kind: kind, Fingerprint: fingerprint}}}
	}
	source := func(name string, change func(*store.SourceStatus)) store.SourceStatus {
		s := store.SourceStatus{PollKey: store.PollKey{ChannelID: channel.ID, Source: name}}
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		channels []store.ChannelState
		sources  []store.SourceStatus
		want     string
	}{
		"nothing is known yet":           {nil, nil, "all is well"},
		"the token was refused":          {pause(store.Unauthorized, token.Fingerprint()), nil, "channel support is paused"},
		"an older token was refused":     {pause(store.Unauthorized, "another"), nil, "all is well"},
		"a rate limit, which heals":      {pause(store.RateLimited, token.Fingerprint()), nil, "all is well"},
		"another channel that is paused": {[]store.ChannelState{{ID: "other", Pause: store.Pause{Kind: store.Forbidden, Fingerprint: token.Fingerprint()}}}, nil, "all is well"},
		"sources of each kind": {nil, []store.SourceStatus{
			source("c", func(s *store.SourceStatus) { s.LastError = "no answer from https://example.com" }),
			source("b", func(s *store.SourceStatus) { s.Held, s.LastError = 300, "no answer" }),
			source("a", func(s *store.SourceStatus) { s.Pause, s.Held = "wrong password", 300 }),
		}, "source a is stopped, source b holds changes, source c is in trouble"},
		"more than a line holds": {pause(store.Forbidden, token.Fingerprint()), []store.SourceStatus{
			source("a", func(s *store.SourceStatus) { s.Pause = "wrong password" }),
			source("b", func(s *store.SourceStatus) { s.Pause = "wrong password" }),
			source("c", func(s *store.SourceStatus) { s.Pause = "wrong password" }),
			source("d", func(s *store.SourceStatus) { s.Pause = "wrong password" }),
		}, "channel support is paused, source a is stopped, source b is stopped, and 2 more"},
		"a backfill and a source of before": {nil, []store.SourceStatus{
			source("gone", func(s *store.SourceStatus) { s.LastError = "no answer" }),
			source("a", func(s *store.SourceStatus) { s.Backfill, s.LastError = "all", "no answer" }),
		}, "all is well"},
	} {
		if diff := cmp.Diff(test.want, summary(troubles(c, test.channels, test.sources))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
