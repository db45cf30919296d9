package web

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"socialhub-sync/store"
)

const (
	// tallyLife is how long a count serves at least.
	tallyLife = 5 * time.Second
	// chartLife is the same for the charts, which are of whole hours.
	chartLife = 30 * time.Second
	// tallyLimit bounds one count.
	tallyLimit = 10 * time.Minute
	// tallyPatience is how long an answer waits for a count under way before it does without.
	tallyPatience = time.Second
)

// counted is the tickets and the team's actions by channelId and state. It is nil while nobody has counted them.
type counted struct {
	tickets map[string]map[store.State]int
	actions map[string]map[store.ActionState]int
}

// tally counts something that grows with the database, seldom: the tickets cost about a second for five million, and minutes if
// they must be read from a disk, and a page that is open in ten windows, scraped by two servers, must not keep the database busy.
// One count at a time, in the background; its result serves everybody for some seconds, and after a long count for so long that
// counting takes a tenth of the time at most. While the next count is under way the last one serves.
type tally[T any] struct {
	// count counts once.
	count   func(context.Context) (T, error)
	life    time.Duration
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu sync.Mutex
	// counts is the zero value while nobody has counted.
	counts T
	until  time.Time
	// done is closed by the count under way; nil if there is none.
	done chan struct{}
}

func newTally[T any](life time.Duration, log *slog.Logger, count func(context.Context) (T, error)) *tally[T] {
	t := &tally[T]{count: count, life: life, log: log}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// close ends a count under way; there is none afterwards.
func (t *tally[T]) close() {
	t.mu.Lock()
	t.stop()
	t.mu.Unlock()
	t.running.Wait()
}

// read returns the last count. The result must not be changed.
func (t *tally[T]) read(ctx context.Context) T {
	counts, done := t.last()
	if done == nil {
		return counts
	}
	patience := time.NewTimer(tallyPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

// last returns the last count, and the end of the one under way, which it begins if it is time.
func (t *tally[T]) last() (T, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil && t.ctx.Err() == nil && !time.Now().Before(t.until) {
		t.done = make(chan struct{})
		t.running.Go(t.once)
	}
	return t.counts, t.done
}

// once counts. A count that failed leaves none: the last one would grow old unnoticed.
func (t *tally[T]) once() {
	ctx, cancel := context.WithTimeout(t.ctx, tallyLimit)
	defer cancel()
	began := time.Now()
	counts, err := t.count(ctx)
	if err != nil {
		t.log.Debug("count for the status page", slog.Any("error", err))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ended := time.Now()
	t.counts, t.until = counts, ended.Add(lifeOf(t.life, ended.Sub(began)))
	close(t.done)
	t.done = nil
}

// lifeOf is how long a count serves that took so long.
func lifeOf(least, took time.Duration) time.Duration { return max(least, 10*took) }

// countAll counts the tickets and the actions; nil with an error.
func countAll(ctx context.Context, s *store.Store) (*counted, error) {
	channels, err := s.ChannelStatuses(ctx)
	if err != nil {
		return nil, err
	}
	actions, err := s.ActionCounts(ctx)
	if err != nil {
		return nil, err
	}
	c := &counted{tickets: make(map[string]map[store.State]int), actions: actions}
	for _, ch := range channels {
		c.tickets[ch.ID] = ch.Counts
	}
	return c, nil
}
