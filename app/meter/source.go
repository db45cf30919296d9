package meter

import (
	"maps"
	"slices"
	gosync "sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"socialhub-sync/sync"
)

var (
	pollsDesc = desc("polls_total", "Polls of the source that ended: they found something new or nothing (unchanged), failed, "+
		"were stopped until somebody resumes the source, or were cut off by the end of the process or by another one.", "outcome")
	pollTimeDesc = desc("poll_duration_seconds", "How long polls of the source took.")
	itemsDesc    = desc("items_total", "Items that polls of the source brought, by what they were against the store; "+
		"rejected ones can't be read or sent.", "result")
	mendedDesc = desc("items_mended_total", "Items among the new and changed ones that had to be made fit for SocialHub, "+
		"such as a text that was cut.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+name, help, append([]string{"source", "channel"}, labels...), nil)
}

// perSource is what is counted of the sources. There may be thousands of them, so it keeps bare numbers: vectors of counters
// would take ten times the memory.
type perSource struct {
	mu  gosync.Mutex
	all map[string]counted // by the source's name
}

// counted is what is counted of one source.
type counted struct {
	channel string
	polls   [len(sync.PollOutcomes)]uint64 // in the order of these
	took    time.Duration
	items   sync.Counts
}

// add changes the counts of a source. One that has gone over to another channel is counted anew.
func (s *perSource) add(name, channel string, change func(*counted)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[string]counted)
	}
	c := s.all[name]
	if c.channel != channel {
		c = counted{channel: channel}
	}
	change(&c)
	s.all[name] = c
}

// keep forgets the sources that are not in the set, or whose channel is not.
func (s *perSource) keep(channels, sources map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.all, func(name string, c counted) bool { return !sources[name] || !channels[c.channel] })
}

// Describe is for Prometheus.
func (s *perSource) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pollsDesc, pollTimeDesc, itemsDesc, mendedDesc} {
		out <- d
	}
}

// Collect is for Prometheus. All series of a source begin together: of one that came later and begins at 1 Prometheus would
// not see the rise.
func (s *perSource) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	all := maps.Clone(s.all)
	s.mu.Unlock()
	for name, c := range all {
		c.collect(name, out)
	}
}

func (c *counted) collect(name string, out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		labels = slices.Concat([]string{name, c.channel}, labels)
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	polls := uint64(0)
	for i, outcome := range sync.PollOutcomes {
		counter(pollsDesc, c.polls[i], string(outcome))
		polls += c.polls[i]
	}
	out <- prometheus.MustNewConstSummary(pollTimeDesc, polls, c.took.Seconds(), nil, name, c.channel)
	counter(itemsDesc, uint64(c.items.New), "new")
	counter(itemsDesc, uint64(c.items.Changed), "changed")
	counter(itemsDesc, uint64(c.items.Unchanged), "unchanged")
	counter(itemsDesc, uint64(c.items.Rejected), "rejected")
	counter(mendedDesc, uint64(c.items.Mended))
}
