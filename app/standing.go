package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
)

// Check says in a few words, without content of interactions, how the app does; call it between Start and Stop. The
// error says that its database does not answer while ctx lasts, or that the engine has not moved for longer than stall.
func (a *App) Check(ctx context.Context, stall time.Duration) (words string, err error) {
	if err := a.engine.Alive(stall); err != nil {
		return "the engine hangs", err
	}
	channels, err := a.store.ChannelStates(ctx)
	if err != nil {
		return "the database does not answer", err
	}
	sources, err := a.store.SourceStatuses(ctx)
	if err != nil {
		return "the database does not answer", err
	}
	c := a.config.Load()
	troubles := troubles(c, channels, sources)
	if a.refused.Load() {
		troubles = append([]string{"the new config can't be used"}, troubles...)
	}
	if a.engine.Healthy() != nil { // it answers, but does not do all that it is told
		troubles = append([]string{"the database is in trouble"}, troubles...)
	}
	return fmt.Sprintf("%s, %s; %s", plural(len(c.Channels), "channel"), plural(len(c.Sources), "source"),
		summary(troubles)), nil
}

// troubles names the configured channels and sources that somebody should look at, in the order of the config.
func troubles(c *config.Config, channels []store.ChannelState, sources []store.SourceStatus) (found []string) {
	paused := make(map[string]store.Pause)
	for _, ch := range channels {
		paused[ch.ID] = ch.Pause
	}
	ids := make(map[string]string)
	for _, ch := range c.Channels {
		id := ch.Token.ChannelID()
		ids[ch.Name] = id
		// A rate limit ends by itself, and so does what another token than this one met.
		if p := paused[id]; p.Kind != "" && p.Kind != store.RateLimited && p.Fingerprint == ch.Token.Fingerprint() {
			found = append(found, "channel "+ch.Name+" is paused")
		}
	}
	polls := make(map[store.PollKey]store.SourceStatus)
	for _, s := range sources {
		polls[s.PollKey] = s
	}
	for _, src := range c.Sources {
		s := polls[store.PollKey{ChannelID: ids[src.Channel], Source: src.Name}]
		switch {
		case s.Pause != "":
			found = append(found, "source "+src.Name+" is stopped")
		case s.Held > 0:
			found = append(found, "source "+src.Name+" holds changes")
		case s.LastError != "":
			found = append(found, "source "+src.Name+" is in trouble")
		}
	}
	return found
}

// maxTold is how many troubles one line tells.
const maxTold = 3

func summary(troubles []string) string {
	switch more := len(troubles) - maxTold; {
	case len(troubles) == 0:
		return "all is well"
	case more > 0:
		return fmt.Sprintf("%s, and %d more", strings.Join(troubles[:maxTold], ", "), more)
	default:
		return strings.Join(troubles, ", ")
	}
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
