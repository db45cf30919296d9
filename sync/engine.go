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
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	gosync "sync"
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
}

// Engine polls and delivers.
type Engine struct {
	Options
	deliverers map[string]*deliverer
	sources    map[string]*Source
	health     health
	tally      tally
	room       room
	// looked and renewed are the beats of the loops that run as long as the engine.
	looked, renewed pulse

	mu      gosync.Mutex
	running map[store.PollKey]*runningPoll
}

// runningPoll is a poll under way; stop ends it.
type runningPoll struct {
	since time.Time
	stop  context.CancelCauseFunc
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
		Options: o, deliverers: make(map[string]*deliverer), sources: make(map[string]*Source),
		running: make(map[store.PollKey]*runningPoll),
	}
	e.health.log = o.Logger
	e.room.init(o.Backfill)
	e.looked.beat()
	e.renewed.beat()
	for i := range o.Sources {
		e.sources[o.Sources[i].Name] = &o.Sources[i]
	}
	for i := range o.Channels {
		e.deliverers[o.Channels[i].ID] = newDeliverer(e, &o.Channels[i])
	}
	return e
}

// tickEvery is how often the store is asked for work that others have left there: due polls and
// tickets, pauses, what a person told another process to do.
const tickEvery = time.Second

// Run polls on schedule and delivers until ctx is done; then it finishes what is under way, at most for
// the grace period, and gives its leases back. The error is nil unless something could not be finished.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.ready(ctx); err != nil {
		return stopped(ctx, err)
	}
	w, end := e.begin(ctx)
	w.group.Go(func() { e.every(w.soft, tickEvery, func() { e.tick(w); e.looked.beat() }) })
	w.group.Go(func() { e.every(w.soft, upkeepTick, func() { e.upkeep(w.soft) }) })
	<-ctx.Done()
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

// work is what the engine's goroutines have in common.
type work struct {
	// hard is cancelled when the grace period is over; soft, a child of the caller's context, tells to
	// take no more work.
	soft, hard context.Context
	group      gosync.WaitGroup
}

// begin starts the deliverers and the renewal of leases. end stops them and waits.
func (e *Engine) begin(ctx context.Context) (w *work, end func() error) {
	soft, stop := context.WithCancel(ctx)
	hard, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	w = &work{soft: soft, hard: hard}
	for _, d := range e.deliverers {
		w.group.Go(func() { d.run(soft, hard) })
	}
	renewal, stopRenewal := context.WithCancel(hard)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		e.every(renewal, e.LeaseTTL/3, func() { e.renew(renewal); e.renewed.beat() })
	}()
	return w, func() error {
		stop()
		defer kill(nil)
		timer := time.AfterFunc(e.Grace, func() { kill(errGrace) })
		idle := make(chan struct{})
		go func() { defer close(idle); w.group.Wait() }()
		select {
		case <-idle:
		case <-hard.Done():
			pause(context.WithoutCancel(ctx), lastWords)
		}
		stopRenewal()
		<-renewed
		if !timer.Stop() {
			return errGrace
		}
		return nil
	}
}

// lastWords is how long what was cut off at the end of the grace period has to come back; an adapter that
// does not is left behind.
const lastWords = 2 * time.Second

var errGrace = errors.New("the grace period was over before everything under way had finished; it is taken up again at the next start")

// release gives a lease back, also when the grace period is over: nothing is under way any more. If the store
// does not take it soon, the lease ends by its time.
func (e *Engine) release(hard context.Context, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(hard), lastWords)
	defer cancel()
	_ = e.persist(ctx, func() error { return f(ctx) })
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
	if _, err := e.look(w.soft); err != nil {
		return
	}
	due, err := e.Store.DuePolls(w.soft)
	if e.health.note(w.soft, reading, err); err != nil {
		return
	}
	due = slices.DeleteFunc(due, func(k store.PollKey) bool { return !e.configured(k) })
	if len(due) > 0 {
		e.startPolls(w, due)
	}
}

// look tells the deliverers how the store sees their channels.
func (e *Engine) look(ctx context.Context) ([]store.ChannelState, error) {
	asked := time.Now()
	states, err := e.Store.ChannelStates(ctx)
	if e.health.note(ctx, reading, err); err != nil {
		return nil, err
	}
	if e.Healthy() != nil { // a write tells whether it is over
		e.renew(ctx)
	}
	for _, state := range states {
		if d := e.deliverers[state.ID]; d != nil {
			d.notify(state, asked)
		}
	}
	return states, nil
}

// configured tells whether a stream is one of this engine's.
func (e *Engine) configured(k store.PollKey) bool {
	src := e.sources[k.Source]
	return src != nil && src.ChannelID == k.ChannelID
}

// startPolls leases the streams and polls each in a goroutine of its own. A claim that is cut off could
// leave a lease that nobody gives back, so it goes on when the engine is told to stop.
func (e *Engine) startPolls(w *work, keys []store.PollKey) {
	leases, err := e.Store.ClaimPolls(w.hard, e.Owner, keys, e.LeaseTTL, false)
	if e.health.note(w.hard, writing, err); err != nil {
		return
	}
	for _, lease := range leases {
		w.group.Go(func() { e.runPoll(w, lease) })
	}
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
		streams = append(streams, store.Stream{
			PollKey: e.key(&src), Adapter: src.Adapter,
			Schedule: src.ScheduleText, Next: untilNext(&src, now),
		})
	}
	return e.Store.Register(ctx, channels, streams)
}

func (e *Engine) key(src *Source) store.PollKey {
	k := store.PollKey{ChannelID: src.ChannelID, Source: src.Name}
	if e.Backfill != nil {
		k.Backfill = e.Backfill.String()
	}
	return k
}

// renew prolongs the leases, and stops what was taken over by another process.
func (e *Engine) renew(ctx context.Context) {
	asked := time.Now()
	channels, polls, err := e.Store.RenewLeases(ctx, e.Owner, e.LeaseTTL)
	if e.health.note(ctx, writing, err); err != nil {
		return
	}
	for id, d := range e.deliverers {
		d.renewed(channels[id], asked)
	}
	e.mu.Lock()
	running := maps.Clone(e.running)
	e.mu.Unlock()
	for k, poll := range running {
		if _, ok := polls[k]; !ok && poll.since.Before(asked) {
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
