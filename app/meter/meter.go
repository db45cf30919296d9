// Package meter counts what the engine and the clients do, for Prometheus. What the store knows is not counted here: the
// package web asks the store for it at every scrape.
package meter

import (
	"slices"
	gosync "sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"socialhub-sync/socialhub"
	"socialhub-sync/sync"
)

// Meter is the observer of one engine and its clients. It may be used from many goroutines. Labels are names of the
// config and words of closed sets, nothing else.
type Meter struct {
	*metrics
	// channels are *channel by name; mu guards their making and their end.
	mu       gosync.Mutex
	channels gosync.Map
}

var (
	_ sync.Observer        = (*Meter)(nil)
	_ prometheus.Collector = (*Meter)(nil)
)

// channel is what is counted of one channel, looked up once.
type channel struct {
	// created and updated are by outcome; the last is for tickets that needed no request.
	created, updated []prometheus.Counter
	lag, sourceLag   prometheus.Observer
	steps            map[sync.StepResult]prometheus.Counter
	requests         map[socialhub.Operation]requests
}

// requests is what is counted of one operation.
type requests struct {
	took    prometheus.Observer
	answers []prometheus.Counter // by outcome
}

// New returns a meter for a process whose config was just read.
func New() *Meter {
	m := &Meter{metrics: newMetrics()}
	m.Reloaded(true)
	return m
}

// Exchange returns what a client of the channel reports to, see [socialhub.Options].
func (m *Meter) Exchange(channelName string) func(socialhub.Exchange) {
	m.channel(channelName) // it is shown from now on
	return func(e socialhub.Exchange) {
		if r, ok := m.channel(channelName).requests[e.Operation]; ok {
			r.took.Observe(e.Took.Seconds())
			r.answers[e.Outcome].Inc()
		}
		if e.Limit.Known {
			m.limit.WithLabelValues(channelName).Set(float64(e.Limit.Limit))
			m.remaining.WithLabelValues(channelName).Set(float64(e.Limit.Remaining))
		}
	}
}

// Read counts the items of a batch.
func (m *Meter) Read(b sync.Batch) {
	m.sources.add(b.Source, b.Channel, func(c *counted) {
		c.items.New += b.New
		c.items.Changed += b.Changed
		c.items.Unchanged += b.Unchanged
		c.items.Rejected += b.Rejected
		c.items.Mended += b.Mended
	})
}

// Polled counts a poll.
func (m *Meter) Polled(p sync.Poll) {
	m.sources.add(p.Source, p.Channel, func(c *counted) {
		c.polls[slices.Index(sync.PollOutcomes[:], p.Outcome)]++
		c.took += p.Took
	})
}

// Delivered counts a delivery, and how late it was. History is late by its nature, so it does not count into that.
func (m *Meter) Delivered(d sync.Delivery) {
	c := m.channel(d.Channel)
	counters := c.created
	if d.Operation == sync.Patch {
		counters = c.updated
	}
	if !d.Sent {
		counters[len(counters)-1].Inc()
		return
	}
	counters[d.Outcome].Inc()
	if d.Outcome == socialhub.Done && !d.Backfill {
		late(c.lag, d.Stored, d.Answered)
		late(c.sourceLag, d.Updated, d.Answered)
	}
}

// late observes the time between two moments. They are by different clocks, so it may seem negative.
func late(o prometheus.Observer, from, to time.Time) {
	if !from.IsZero() {
		o.Observe(max(0, to.Sub(from).Seconds()))
	}
}

// Stepped counts a step of an action.
func (m *Meter) Stepped(s sync.Step) { m.channel(s.Channel).steps[s.Result].Inc() }

// Reloaded tells whether the config that was read just now was taken.
func (m *Meter) Reloaded(ok bool) {
	if !ok {
		m.reloadGood.Set(0)
		return
	}
	m.reloadGood.Set(1)
	m.reloadTime.SetToCurrentTime()
}

// Keep forgets the channels and sources that are not in the lists: those that the config has no more. What they still
// had under way must be over, for what it reports is shown again.
func (m *Meter) Keep(channels, sources []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep := set(channels)
	m.sources.keep(keep, set(sources))
	m.channels.Range(func(name, _ any) bool {
		if !keep[name.(string)] {
			m.channels.Delete(name)
			m.drop(name.(string))
		}
		return true
	})
}

func set(names []string) map[string]bool {
	all := make(map[string]bool)
	for _, name := range names {
		all[name] = true
	}
	return all
}

// channel finds a channel. All its series begin at 0: of a series that begins at 1 Prometheus does not see the rise.
func (m *Meter) channel(name string) *channel {
	if c, ok := m.channels.Load(name); ok {
		return c.(*channel)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.channels.Load(name); ok {
		return c.(*channel)
	}
	c := &channel{
		lag: m.lag.WithLabelValues(name), sourceLag: m.sourceLag.WithLabelValues(name),
		steps: make(map[sync.StepResult]prometheus.Counter), requests: make(map[socialhub.Operation]requests),
	}
	for _, o := range socialhub.Outcomes() {
		c.created = append(c.created, m.deliveries.WithLabelValues(name, string(sync.Create), o.String()))
		c.updated = append(c.updated, m.deliveries.WithLabelValues(name, string(sync.Patch), o.String()))
	}
	c.created = append(c.created, m.deliveries.WithLabelValues(name, string(sync.Create), notSent))
	c.updated = append(c.updated, m.deliveries.WithLabelValues(name, string(sync.Patch), notSent))
	for _, r := range sync.StepResults {
		c.steps[r] = m.steps.WithLabelValues(name, string(r))
	}
	for _, op := range socialhub.Operations {
		r := requests{took: m.requestTime.WithLabelValues(name, string(op))}
		for _, o := range socialhub.Outcomes() {
			r.answers = append(r.answers, m.requests.WithLabelValues(name, string(op), o.String()))
		}
		c.requests[op] = r
	}
	m.channels.Store(name, c)
	return c
}
