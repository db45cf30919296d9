package act

import (
	"context"
	"log/slog"
	"maps"
	gosync "sync"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
	"socialhub-sync/sync/act/fetch"
)

// Channel is what the channel's deliverer lends to its runner.
type Channel interface {
	// Able tells whether the store can take a result and the lease lasts.
	Able() bool
	// Open tells whether a request may be sent now: the token is verified and the channel not paused.
	Open() bool
	// Note takes in the outcome of one call that writes to the store.
	Note(ctx context.Context, err error)
	// Persist calls f until the store has taken it or the lease is lost; after ctx is done only a little longer.
	Persist(ctx context.Context, f func(context.Context) error) error
	// Leased returns a context for one call. It ends with hard and, at the latest, when the lease does; soft says whether
	// it was lost.
	Leased(soft, hard context.Context) (context.Context, context.CancelFunc)
	// Request sends a request by f as soon as the channel's limits allow it, and draws the consequences of its answer for
	// the channel; false if it was not sent. key names what it is for.
	Request(soft, hard context.Context, key string, f func() socialhub.Answer) (socialhub.Answer, bool)
	// Guard calls code of a source's adapter; a panic there becomes an error.
	Guard(source string, f func() error) error
	// Source tells how a source of the channel is opened now; false if the config has none of that name.
	Source(name string) (Opener, bool)
	// Backoff is the wait after so many failures in a row.
	Backoff(failures int) time.Duration
	// Stepped hears of every step that was stored.
	Stepped(step store.ActionStep)
	// Adopt keeps an _id that was told although the lease is lost.
	Adopt(ctx context.Context, networkItemID, ticketID string)
}

// Options make a Runner.
type Options struct {
	Store   *store.Store
	Client  *socialhub.Client
	Channel Channel
	Files   *fetch.Client
	Log     *slog.Logger
}

// Runner does the actions of one channel while this process holds its lease.
type Runner struct {
	Options
	// woken is signalled when there may be work.
	woken chan struct{}

	mu gosync.Mutex
	// wakes counts the signals; quiet is true when the last look found nothing that can be done now and none came since,
	// shut when it passed over callbacks, as the channel was not open.
	wakes       int
	quiet, shut bool
	// busy are the keys between being read from the store and the end of their step.
	busy map[string]bool
	// acting and calling count what of that is for a source, and what for SocialHub.
	acting, calling int
}

// New returns a runner that does nothing until Run.
func New(o Options) *Runner {
	return &Runner{Options: o, woken: make(chan struct{}, 1), busy: make(map[string]bool)}
}

// Wake makes the runner look at the store.
func (r *Runner) Wake() {
	r.mu.Lock()
	r.quiet = false
	r.wakes++
	r.mu.Unlock()
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// Waiting tells whether callbacks wait in memory for the channel: the runner must be woken when it opens.
func (r *Runner) Waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calling > 0
}

// Through tells whether waiting brings nothing more now. due says whether the store has actions that are due, closed
// that no callback will be sent without a person, or for long.
func (r *Runner) Through(due, closed bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.acting > 0:
		return false
	case r.calling > 0:
		return closed
	}
	return !due || r.quiet && (closed || !r.shut)
}

// session is the time of one lease.
type session struct {
	*Runner
	lease store.DeliveryLease
	// soft tells to begin nothing more, hard to break off.
	soft, hard context.Context
	began      time.Time
	opened     opened
	lanes      map[lane]*queue
	group      gosync.WaitGroup
}

// Run does what is due until soft is done; what is under way then may go on until hard is or the lease ends.
func (r *Runner) Run(soft, hard context.Context, lease store.DeliveryLease) {
	s := &session{Runner: r, lease: lease, soft: soft, hard: hard, began: time.Now(), lanes: make(map[lane]*queue)}
	s.opened.init(r.Channel)
	for soft.Err() == nil {
		s.look()
		select {
		case <-soft.Done():
		case <-r.woken:
		}
	}
	s.group.Wait()
	s.opened.close()
	r.mu.Lock()
	clear(r.busy)
	r.acting, r.calling, r.quiet = 0, 0, false
	r.mu.Unlock()
}

// fetchSize is how many actions are read from the store at a time, roomy how many may wait in a lane before no more are
// read for it: what they say may be long.
const (
	fetchSize = 20
	roomy     = 2 * width
)

// look reads what is due, of each lane as much as it has room for, and begins as much of it as may be. Sources that are
// not in the config any more as they were opened are closed.
func (s *session) look() {
	for _, d := range s.opened.stale() {
		s.group.Go(func() { s.opened.shut(d) })
	}
	seen, busy := s.taken()
	ok := s.Channel.Able()
	for more := ok; more && s.soft.Err() == nil; {
		read := time.Now()
		due, err := s.Store.DueActions(s.soft, s.lease, fetchSize, busy)
		if ok = err == nil; !ok {
			s.Channel.Note(s.soft, err)
			break
		}
		for _, a := range due {
			s.take(task{a, read})
		}
		more = len(due) == fetchSize
		_, busy = s.taken()
	}
	s.start()
	s.mu.Lock()
	s.quiet, s.shut = ok && s.wakes == seen && len(s.busy) == 0, busy.Callbacks
	s.mu.Unlock()
}

// taken returns how often the runner was woken so far, and what is not to be read from the store.
func (s *session) taken() (wakes int, busy store.BusyActions) {
	busy.Callbacks = !s.Channel.Open()
	s.mu.Lock()
	defer s.mu.Unlock()
	busy.Keys = maps.Clone(s.busy)
	for in, q := range s.lanes {
		switch full := len(q.waiting) >= roomy; {
		case full && in.callbacks:
			busy.Callbacks = true
		case full:
			busy.Sources = append(busy.Sources, in.source)
		}
	}
	return s.wakes, busy
}

// take notes an action as busy and puts it into its lane.
func (s *session) take(t task) {
	in := laneOf(t.Action)
	s.mu.Lock()
	s.busy[t.Key] = true
	s.count(in, 1)
	if s.lanes[in] == nil {
		s.lanes[in] = new(queue)
	}
	s.lanes[in].waiting = append(s.lanes[in].waiting, t)
	s.mu.Unlock()
}

// done ends an action's busy time and looks again: it may have another step, and others may have waited for it.
func (s *session) done(a *store.Action) {
	in := laneOf(a)
	s.mu.Lock()
	delete(s.busy, a.Key)
	s.count(in, -1)
	s.lanes[in].running--
	s.mu.Unlock()
	s.Wake()
}

// count keeps the numbers of what is busy; the caller holds mu.
func (s *session) count(in lane, n int) {
	if in.callbacks {
		s.calling += n
	} else {
		s.acting += n
	}
}
