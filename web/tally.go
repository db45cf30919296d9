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

// tally counts the tickets and the actions, seldom: it costs the database about a second for five million, and minutes if it must read
// them from a disk, and a page that is open in ten windows, scraped by two servers, must not keep it busy. One count
// at a time, in the background; its result serves everybody for a few seconds, and after a long count for so long that
// counting takes a tenth of the time at most. While the next count is under way the last one serves.
type tally struct {
	store   *store.Store
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	counts *counted
	until  time.Time
	// done is closed by the count under way; nil if there is none.
	done chan struct{}
}

func newTally(s *store.Store, log *slog.Logger) *tally {
	t := &tally{store: s, log: log}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// close ends a count under way; there is none afterwards.
func (t *tally) close() {
	t.mu.Lock()
	t.stop()
	t.mu.Unlock()
	t.running.Wait()
}

// read returns the last count. The result must not be changed.
func (t *tally) read(ctx context.Context) *counted {
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
func (t *tally) last() (*counted, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil && t.ctx.Err() == nil && !time.Now().Before(t.until) {
		t.done = make(chan struct{})
		t.running.Go(t.count)
	}
	return t.counts, t.done
}

// count counts once. A count that failed leaves none: the last one would grow old unnoticed.
func (t *tally) count() {
	ctx, cancel := context.WithTimeout(t.ctx, tallyLimit)
	defer cancel()
	began := time.Now()
	counts, err := countAll(ctx, t.store)
	if err != nil {
		t.log.Debug("count tickets", slog.Any("error", err))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	ended := time.Now()
	t.counts, t.until = counts, ended.Add(lifeOf(ended.Sub(began)))
	close(t.done)
	t.done = nil
}

// lifeOf is how long a count serves that took so long.
func lifeOf(took time.Duration) time.Duration { return max(tallyLife, 10*took) }

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
