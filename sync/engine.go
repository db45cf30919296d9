// Package sync is the engine. It moves content through the store:
//
//	poll     an adapter's batches are prepared (mend.go, item.go), compared with the store, decided on
//	         (decide.go) and committed together with the source's cursor (poll.go)
//	deliver  one process per channel sends what is due (deliver.go) and settles the answers by the
//	         decision table (settle.go)
//
// What the team does in SocialHub comes back through the store, too: the process that delivers for a channel also does
// its actions in the sources and tells SocialHub what came of them (acting.go and the package act).
//
// They never call each other. What is to be done is in the store; a wake-up only saves waiting for the
// next look at it.
package sync

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	gosync "sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
	"socialhub-sync/sync/act/fetch"
	"socialhub-sync/sync/manifest"
)

// OnDelete says what happens to a ticket whose item was deleted in the source.
type OnDelete string

const (
	// Keep leaves the ticket as it is.
	Keep OnDelete = "keep"
	// Redact replaces the text by a short note and takes pictures and attachments away.
	Redact OnDelete = "redact"
)

// Channel is a SocialHub channel to deliver to.
type Channel struct {
	// ID is the channelId inside the token; Name is the config's.
	ID, Name string
	// Fingerprint tells tokens apart without showing them.
	Fingerprint string
	Client      *socialhub.Client
	// Concurrency is how many requests may be under way at a time, at least 1.
	Concurrency int
	// RateLimit is in requests per second; 0 is no limit of our own.
	RateLimit float64
	// Version stands for all of the above; see [Engine.Update].
	Version string
}

// Source is a configured source.
type Source struct {
	Name, Adapter, ChannelID string
	Schedule                 cron.Schedule
	// ScheduleText is the schedule as the config has it.
	ScheduleText string
	// Reset moves tickets back to the inbox when their content changes.
	Reset    bool
	OnDelete OnDelete
	// MassChangeLimit is how many delivered tickets one poll may change: of more, all changes are held until a
	// person resumes the source. 0 is no limit. It does not bound a backfill.
	MassChangeLimit int
	// Open opens the source; the engine closes it.
	Open func(context.Context) (sources.Source, error)
	// Version stands for all of the above, for what Open opens, too; see [Engine.Update].
	Version string
	// keep is how long tickets are kept, 0 for ever; if not for ever, it is noted which items were seen.
	keep time.Duration
}

// Options make an engine.
type Options struct {
	Store    *store.Store
	Channels []Channel
	Sources  []Source
	Logger   *slog.Logger
	// Owner names this process in leases; it must be unique.
	Owner string
	// LeaseTTL is how long another process waits before it takes over from one that died. Default 60 s.
	LeaseTTL time.Duration
	// Grace is how long requests under way may take after the engine was told to stop. Default 20 s.
	Grace time.Duration
	// Files downloads the files of replies; the engine does not close it. Default [fetch.New].
	Files *fetch.Client
	// Manifests are the manifests to keep as they are here, by channelId. The webhooks in them must be answered already.
	Manifests map[string]manifest.Desired
	// Retention is how long the store keeps what nobody needs any more; the zero value keeps all.
	Retention store.Retention
	// Backfill, if set, makes the engine read history instead of polling on schedule.
	Backfill *Backfill
	// Observer, if set, hears what the engine does.
	Observer Observer
}

// Engine polls and delivers.
type Engine struct {
	// Options are what it was made with. Where it may have been updated, look at the setup instead.
	Options
	setup     atomic.Pointer[setup]
	life      life
	health    health
	tally     tally
	observers observers
	room      room
	// looked and renewed are the beats of the loops that run as long as the engine.
	looked, renewed pulse

	// updating is held by an update, turn while polls are claimed or the setup is replaced: each poll is of the setup that
	// the database knew when it was claimed.
	updating, turn turn

	mu      gosync.Mutex
	running map[store.PollKey]*runningPoll
	// leaving are the deliverers that were replaced and have not finished yet.
	leaving map[*deliverer]bool
}

// runningPoll is a poll under way; stop ends it, done is closed when it has ended.
type runningPoll struct {
	source *Source
	epoch  int64
	stop   context.CancelCauseFunc
	done   chan struct{}
}

// New returns an engine for a migrated store.
func New(o Options) *Engine {
	if o.LeaseTTL == 0 {
		o.LeaseTTL = time.Minute
	}
	if o.Grace == 0 {
		o.Grace = 20 * time.Second
	}
	if o.Files == nil {
		o.Files = fetch.New(fetch.Options{UserAgent: "socialhub-sync"})
	}
	e := &Engine{
		Options: o, life: newLife(), updating: newTurn(), turn: newTurn(),
		running: make(map[store.PollKey]*runningPoll), leaving: make(map[*deliverer]bool),
	}
	e.health.log = o.Logger
	e.observers = observers{&e.tally}
	if o.Observer != nil {
		e.observers = append(e.observers, o.Observer)
	}
	e.room.init(o.Backfill)
	e.looked.beat()
	e.renewed.beat()
	e.setup.Store(e.arrange(&Update{o.Channels, o.Sources, o.Manifests, o.Retention}, new(setup)))
	return e
}

// tickEvery is how often the store is asked for work that others have left there: due polls and
// tickets, pauses, what a person told another process to do.
const tickEvery = time.Second

// Run polls on schedule and delivers until ctx is done; then it finishes what is under way, at most for
// the grace period, and gives its leases back. The error is nil unless something could not be finished. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.life.over)
	if err := e.ready(ctx); err != nil {
		return stopped(ctx, err)
	}
	w, end := e.begin(ctx)
	w.group.Go(func() { e.every(w.soft, tickEvery, func() { e.tick(w); e.looked.beat() }) })
	w.group.Go(func() { e.every(w.soft, upkeepTick, func() { e.upkeep(w.soft) }) })
	e.life.begin(w)
	<-ctx.Done()
	e.life.end()
	return end()
}

// ready makes the engine's channels and sources known, and knows the pauses before anything is sent.
func (e *Engine) ready(ctx context.Context) error {
	return e.persist(ctx, func() error {
		if err := e.register(ctx); err != nil {
			return err
		}
		_, err := e.look(ctx)
		return err
	})
}

// every calls f now and then again and again until ctx is done.
func (e *Engine) every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// tick looks for work.
func (e *Engine) tick(w *work) {
	due, err := e.look(w.soft)
	if err != nil {
		return
	}
	if len(due) > 0 {
		e.startPolls(w, due)
	}
}

// look tells the deliverers how the store sees their channels, and returns the polls that are due.
func (e *Engine) look(ctx context.Context) ([]store.PollKey, error) {
	asked := time.Now()
	states, due, err := e.Store.Look(ctx)
	if e.health.note(ctx, reading, err); err != nil {
		return nil, err
	}
	if e.Healthy() != nil { // a write tells whether it is over
		e.renew(ctx)
	}
	for _, state := range states {
		if d := e.deliverer(state.ID); d != nil {
			d.notify(state, asked)
		}
	}
	return due, nil
}

// startPolls leases those of the streams that are the engine's and polls each in a goroutine of its own. A claim that is
// cut off could leave a lease that nobody gives back, so it goes on when the engine is told to stop.
func (e *Engine) startPolls(w *work, keys []store.PollKey) {
	if !e.turn.take(w.soft) {
		return
	}
	defer e.turn.give()
	keys = slices.DeleteFunc(keys, func(k store.PollKey) bool { return !e.current().mayPoll(k) || e.polledElsewhere(k) })
	if len(keys) == 0 {
		return
	}
	leases, err := e.Store.ClaimPolls(w.hard, e.Owner, keys, e.LeaseTTL, false)
	if e.health.note(w.hard, writing, err); err != nil {
		return
	}
	for _, lease := range leases {
		e.startPoll(w, lease)
	}
}

// polledElsewhere tells whether a poll of the same source is still under way for the channel that it was moved from.
func (e *Engine) polledElsewhere(k store.PollKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for other := range e.running {
		if other.Source == k.Source && other.ChannelID != k.ChannelID {
			return true
		}
	}
	return false
}

func (e *Engine) register(ctx context.Context) error {
	channels := make(map[string]string)
	for _, c := range e.Channels {
		channels[c.ID] = c.Name
	}
	now := time.Now()
	var streams []store.Stream
	for _, src := range e.Sources {
		if !e.Backfill.Reads(src.Name) {
			continue
		}
		streams = append(streams, e.stream(&src, now))
	}
	return e.Store.Register(ctx, channels, streams)
}

func (e *Engine) stream(src *Source, now time.Time) store.Stream {
	return store.Stream{PollKey: e.key(src), Adapter: src.Adapter, Schedule: src.ScheduleText, Next: untilNext(src, now)}
}

func (e *Engine) key(src *Source) store.PollKey {
	k := store.PollKey{ChannelID: src.ChannelID, Source: src.Name}
	if e.Backfill != nil {
		k.Backfill = e.Backfill.String()
	}
	return k
}

// renew prolongs the leases that the engine knows of, and stops what was taken over by another process. One that is claimed
// at this moment has its time before it, until the next renewal.
func (e *Engine) renew(ctx context.Context) {
	asked := time.Now()
	mine := store.Leases{Channels: make(map[string]int64), Polls: make(map[store.PollKey]int64)}
	e.mu.Lock()
	deliverers := slices.Concat(slices.Collect(maps.Values(e.current().deliverers)), slices.Collect(maps.Keys(e.leaving)))
	running := maps.Clone(e.running)
	e.mu.Unlock()
	for _, d := range deliverers {
		if epoch := d.holds(); epoch != 0 { // of those of one channel one at the most
			mine.Channels[d.channel.ID] = epoch
		}
	}
	for k, poll := range running {
		mine.Polls[k] = poll.epoch
	}
	held, err := e.Store.RenewLeases(ctx, e.Owner, mine, e.LeaseTTL)
	if e.health.note(ctx, writing, err); err != nil {
		return
	}
	for _, d := range deliverers {
		d.renewed(mine.Channels[d.channel.ID], held.Channels[d.channel.ID], asked)
	}
	for k, poll := range running {
		if held.Polls[k] != poll.epoch {
			poll.stop(store.ErrLeaseLost)
		}
	}
}

// stopped is nil if err only says that the caller told us to stop.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("start: %w", err)
}
