package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

func TestTheRateLimitIsWhatSocialHubLastSaid(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{RateLimit: sandbox.RateLimit{Requests: 5, Window: time.Hour}}, sandbox.ChannelOptions{})
		e := w.engine()
		wants := func(want map[string]socialhub.RateLimit) {
			t.Helper()
			if diff := cmp.Diff(want, e.RateLimits()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		}
		wants(map[string]socialhub.RateLimit{})
		stop := w.daemon(e)
		pass(time.Second) // the token is verified
		wants(map[string]socialhub.RateLimit{w.channel.ID: {Known: true, Limit: 5, Remaining: 4}})
		for _, id := range []string{"item-1", "item-2", "item-3", "item-4", "item-5"} {
			w.shelf.put(text(id, "A"))
			pass(time.Minute)
		}
		wants(map[string]socialhub.RateLimit{w.channel.ID: {Known: true, Limit: 5, Remaining: 0}})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
