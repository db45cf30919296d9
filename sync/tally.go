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

// tally is the engine's own observer.
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

func (t *tally) source(name string, change func(*SourceTally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sources == nil {
		t.sources = make(map[string]SourceTally)
	}
	s := t.sources[name]
	change(&s)
	t.sources[name] = s
}

func (t *tally) channel(id string, change func(*ChannelTally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.channels == nil {
		t.channels = make(map[string]ChannelTally)
	}
	c := t.channels[id]
	change(&c)
	t.channels[id] = c
}

func (t *tally) Read(b Batch) {
	t.source(b.Source, func(s *SourceTally) { s.Counts.add(b.Counts) })
}

func (t *tally) Polled(p Poll) {
	t.source(p.Source, func(s *SourceTally) { s.Done, s.Err = true, p.Err })
}

// held notes how many changes of a source are held now and returns how many it was before.
func (t *tally) held(source string, n int) (before int) {
	t.source(source, func(s *SourceTally) { before, s.Held = s.Held, n })
	return before
}

func (t *tally) Stepped(s Step) {
	t.channel(s.ChannelID, func(c *ChannelTally) {
		switch a := &c.Actions; s.Result {
		case StepDone:
			a.Done++
		case StepConfirmed:
			a.Confirmed++
		case StepFailed:
			a.Failed++
		case StepUncertain:
			a.Uncertain++
		case StepRetried:
			a.Retried++
		case StepStuck:
			a.Stuck++
		}
	})
}

func (t *tally) Delivered(d Delivery) {
	t.channel(d.ChannelID, func(c *ChannelTally) {
		switch {
		case d.State == store.Rejected:
			c.Rejected++
		case d.State == store.Skipped:
			c.Skipped++
		case !d.Sent:
		case d.State == store.Unlinked:
			c.Unlinked++
		case d.State == store.Gone:
			c.Gone++
		case d.Outcome == socialhub.Done && d.Operation == Patch:
			c.Updated++
		case d.Outcome == socialhub.Done:
			c.Created++
		case d.Outcome == socialhub.Unavailable:
			c.Failed++
		}
	})
}
