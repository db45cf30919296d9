package web

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"socialhub-sync/store"
)

// reader asks the store for what concerns the configured channels and sources.
type reader struct {
	store *store.Store
	// channels are the configured ones, by name.
	channels atomic.Pointer[[]Channel]
	tally    *tally[*counted]
	// charts is for the status page alone.
	charts *tally[history]
	// readers is for whoever reads for a page or a scrape, checks for the health check.
	readers, checks turnstile
}

// channel is what is known of one configured channel.
type channel struct {
	id, name string
	store.ChannelState
	// known is false until the channel is registered.
	known bool
	// counted is false while the tickets are still to be counted.
	counted bool
	counts  map[store.State]int
	actions map[store.ActionState]int
}

// source is what is known of a source or a backfill, with the configured name of its channel.
type source struct {
	store.SourceStatus
	channel string
}

func newReader(s *store.Store, channels []Channel, log *slog.Logger) *reader {
	r := &reader{
		store: s, readers: make(turnstile, maxReaders), checks: make(turnstile, 1),
		tally:  newTally(tallyLife, log, func(ctx context.Context) (*counted, error) { return countAll(ctx, s) }),
		charts: newTally(chartLife, log, func(ctx context.Context) (history, error) { return readHistory(ctx, s) }),
	}
	r.show(channels)
	return r
}

// close ends what is counted in the background.
func (r *reader) close() {
	r.tally.close()
	r.charts.close()
}

// show makes other channels the configured ones.
func (r *reader) show(channels []Channel) {
	sorted := slices.SortedFunc(slices.Values(channels), func(a, b Channel) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	r.channels.Store(&sorted)
}

// ready asks for something that is in the tables: a ping tells of a SQLite file only that it was opened once.
func (r *reader) ready(ctx context.Context) error {
	leave, err := r.checks.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	_, err = r.store.SourceStatuses(ctx)
	return err
}

// read returns the configured channels by name, and their configured sources and backfills by name. All is fresh
// but the counts, see [tally].
func (r *reader) read(ctx context.Context) ([]channel, []source, error) {
	states, err := r.store.ChannelStates(ctx)
	if err != nil {
		return nil, nil, err
	}
	statuses, err := r.store.SourceStatuses(ctx)
	if err != nil {
		return nil, nil, err
	}
	counts := r.tally.read(ctx)
	var channels []channel
	names := make(map[store.PollKey]string)
	for _, c := range *r.channels.Load() {
		for _, name := range c.Sources {
			names[store.PollKey{ChannelID: c.ID, Source: name}] = c.Name
		}
		x := channel{id: c.ID, name: c.Name, counted: counts != nil}
		if x.counted {
			x.counts, x.actions = counts.tickets[c.ID], counts.actions[c.ID]
		}
		if at := slices.IndexFunc(states, func(s store.ChannelState) bool { return s.ID == c.ID }); at >= 0 {
			x.ChannelState, x.known = states[at], true
		}
		channels = append(channels, x)
	}
	var sources []source
	for _, s := range statuses {
		if name, ok := names[store.PollKey{ChannelID: s.ChannelID, Source: s.Source}]; ok {
			sources = append(sources, source{s, name})
		}
	}
	return channels, sources, nil
}
