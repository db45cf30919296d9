package sync

import (
	"maps"
	gosync "sync"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// SourceTally is what polls of one source found since the engine was made.
type SourceTally struct {
	Counts
	// Done is true once a poll has ended; Err is how.
	Done bool
	Err  error
	// Held is how many changes of delivered tickets wait for a person, because one poll brought so many.
	Held int
}

// ChannelTally is what deliveries to one channel came to since the engine was made.
type ChannelTally struct {
	Created, Updated, Unlinked, Rejected, Gone int
	// Skipped counts our own posts that are not sent, as the channel has no networkId.
	Skipped int
	// Failed counts requests without an answer that says anything; they are sent again.
	Failed int
	// Actions is what became of what the team did.
	Actions ActionTally
}

// ActionTally counts the actions of a channel.
type ActionTally struct {
	// Done were carried out, Confirmed is how many of the replies among them SocialHub has taken note of. Failed were not
	// carried out, and nobody knows of the Uncertain ones.
	Done, Confirmed, Failed, Uncertain int
	// Stuck is how many SocialHub can't be told of: they wait for a person. Retried counts tries after which there was another.
	Stuck, Retried int
}

// Tally is what an engine has done so far.
type Tally struct {
	// Sources is by name, Channels by the channel's id.
	Sources  map[string]SourceTally
	Channels map[string]ChannelTally
}

type tally struct {
	mu       gosync.Mutex
	sources  map[string]SourceTally
	channels map[string]ChannelTally
}

// Tally returns what the engine has done so far.
func (e *Engine) Tally() Tally {
	e.tally.mu.Lock()
	defer e.tally.mu.Unlock()
	return Tally{Sources: maps.Clone(e.tally.sources), Channels: maps.Clone(e.tally.channels)}
}

func (t *tally) source(k store.PollKey, change func(*SourceTally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sources == nil {
		t.sources = make(map[string]SourceTally)
	}
	s := t.sources[k.Source]
	change(&s)
	t.sources[k.Source] = s
}

func (t *tally) read(k store.PollKey, found Counts) {
	t.source(k, func(s *SourceTally) { s.Counts.add(found) })
}

func (t *tally) pollDone(k store.PollKey, err error) {
	t.source(k, func(s *SourceTally) { s.Done, s.Err = true, err })
}

// held notes how many changes are held now and returns how many it was before.
func (t *tally) held(k store.PollKey, n int) (before int) {
	t.source(k, func(s *SourceTally) { before, s.Held = s.Held, n })
	return before
}

// stepped counts a step of an action.
func (t *tally) stepped(channelID string, s store.ActionStep) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.channels == nil {
		t.channels = make(map[string]ChannelTally)
	}
	c := t.channels[channelID]
	switch a := &c.Actions; {
	case s.To == store.ActionConfirmed && s.From == store.ActionPerformed:
		a.Confirmed++
	case s.To == store.ActionConfirmed, s.To == store.ActionPerformed && s.From != s.To:
		a.Done++
	case s.To == store.ActionFailed && s.From != s.To:
		a.Failed++
	case s.To == store.ActionUncertain && s.From != s.To:
		a.Uncertain++
	case s.Wait && s.Attempts > 0:
		a.Retried++
	case !s.Wait && (s.To == store.ActionPerformed || s.To == store.ActionFailed):
		a.Stuck++
	}
	t.channels[channelID] = c
}

func (t *tally) delivered(channelID string, a answered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.channels == nil {
		t.channels = make(map[string]ChannelTally)
	}
	c := t.channels[channelID]
	switch state := a.settlement.Same.State; {
	case state == store.Rejected:
		c.Rejected++
	case state == store.Skipped:
		c.Skipped++
	case !a.requested:
	case state == store.Unlinked:
		c.Unlinked++
	case state == store.Gone:
		c.Gone++
	case a.outcome == socialhub.Done && a.update:
		c.Updated++
	case a.outcome == socialhub.Done:
		c.Created++
	case a.outcome == socialhub.Unavailable:
		c.Failed++
	}
	t.channels[channelID] = c
}
