package sync

import (
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// Observer hears what the engine does, for whoever counts it: names, numbers and times, no content. It is called from
// many goroutines at a time. Its methods must not block: polls and deliveries wait for them.
type Observer interface {
	// Read hears of every batch of a poll, once it is stored.
	Read(Batch)
	Polled(Poll)
	Delivered(Delivery)
	Stepped(Step)
}

// Batch is what one batch of a poll brought.
type Batch struct {
	Source, Channel string
	Counts
}

// Poll is a poll that has ended.
type Poll struct {
	Source, Channel string
	Outcome         PollOutcome
	// Err is why it did not come to its end.
	Err  error
	Took time.Duration
}

// PollOutcome is how a poll ended: a closed set.
type PollOutcome string

const (
	// PollFound: it brought something new.
	PollFound     PollOutcome = "found"
	PollUnchanged PollOutcome = "unchanged"
	PollFailed    PollOutcome = "failed"
	// PollStopped: it failed, and the source waits for a person.
	PollStopped PollOutcome = "stopped"
	// PollCut: we were told to stop, or another process took it over.
	PollCut PollOutcome = "cut"
)

// PollOutcomes are all of them.
var PollOutcomes = [...]PollOutcome{PollFound, PollUnchanged, PollFailed, PollStopped, PollCut}

// Delivery is a ticket for which there is an answer, or that needs no request; what it came to is stored.
type Delivery struct {
	ChannelID, Channel string
	// Operation is [Create] or [Patch].
	Operation Operation
	// Sent is false if there was no request; Outcome then says nothing.
	Sent    bool
	Outcome socialhub.Outcome
	// State is where the ticket goes unless its content has changed meanwhile.
	State    store.State
	Backfill bool
	// Answered is when the answer came. Stored is when the store took the content in, Updated when the source had it;
	// both are zero if nobody knows.
	Answered, Stored, Updated time.Time
}

// Step is a step of an action that was stored.
type Step struct {
	ChannelID, Channel string
	Result             StepResult
}

// StepResult is what a step did: a closed set.
type StepResult string

const (
	// StepDone: it was carried out.
	StepDone StepResult = "done"
	// StepConfirmed: SocialHub has taken note of a reply that was carried out.
	StepConfirmed StepResult = "confirmed"
	// StepFailed: it was not carried out.
	StepFailed StepResult = "failed"
	// StepUncertain: nobody knows whether it was.
	StepUncertain StepResult = "uncertain"
	// StepRetried: there will be another try.
	StepRetried StepResult = "retried"
	// StepStuck: SocialHub can't be told of it, a person must look.
	StepStuck StepResult = "stuck"
)

// StepResults are all of them.
var StepResults = []StepResult{StepDone, StepConfirmed, StepFailed, StepUncertain, StepRetried, StepStuck}

// stepResult tells what a step did; empty if nothing that counts.
func stepResult(s store.ActionStep) StepResult {
	switch {
	case s.To == store.ActionConfirmed && s.From == store.ActionPerformed:
		return StepConfirmed
	case s.To == store.ActionConfirmed, s.To == store.ActionPerformed && s.From != s.To:
		return StepDone
	case s.To == store.ActionFailed && s.From != s.To:
		return StepFailed
	case s.To == store.ActionUncertain && s.From != s.To:
		return StepUncertain
	case s.Wait && s.Attempts > 0:
		return StepRetried
	case !s.Wait && (s.To == store.ActionPerformed || s.To == store.ActionFailed):
		return StepStuck
	}
	return ""
}

// observers tells each of several observers.
type observers []Observer

func (all observers) Read(b Batch) {
	for _, o := range all {
		o.Read(b)
	}
}

func (all observers) Polled(p Poll) {
	for _, o := range all {
		o.Polled(p)
	}
}

func (all observers) Delivered(d Delivery) {
	for _, o := range all {
		o.Delivered(d)
	}
}

func (all observers) Stepped(s Step) {
	for _, o := range all {
		o.Stepped(s)
	}
}

// channelName is the name of the source's channel.
func (e *Engine) channelName(src *Source) string {
	if d := e.deliverer(src.ChannelID); d != nil {
		return d.channel.Name
	}
	return ""
}

// told remembers what an answer said of the rate limit, if it did.
func (d *deliverer) told(l socialhub.RateLimit) {
	if l.Known {
		d.mu.Lock()
		d.limit = l
		d.mu.Unlock()
	}
}

// RateLimits returns what SocialHub last said of the channels' rate limits, by channelId; those of which it has said
// nothing yet are missing.
func (e *Engine) RateLimits() map[string]socialhub.RateLimit {
	limits := make(map[string]socialhub.RateLimit)
	for id, d := range e.current().deliverers {
		d.mu.Lock()
		if d.limit.Known {
			limits[id] = d.limit
		}
		d.mu.Unlock()
	}
	return limits
}
