package sync

import (
	gosync "sync"
	"time"
)

const (
	// throttleAfter is how many tickets must fail in a row, each another one, before a channel is brought
	// down to one request at a time: one ticket that always fails is no sign of trouble.
	throttleAfter = 3
	// stuckAfter is how many must fail in a row before a single run gives up waiting for the channel.
	stuckAfter = 10
	// maxPace bounds the wait between two requests of a channel in trouble.
	maxPace = 10 * time.Second
)

// throttle brings a channel down to one request at a time, with growing waits, while everything fails.
type throttle struct {
	mu       gosync.Mutex
	inFlight int
	// failures are the tickets that failed since the last success, last the one that failed last.
	failures int
	last     string
	nextAt   time.Time
	// freed is signalled when a request has ended.
	freed chan struct{}
}

func newThrottle() throttle { return throttle{freed: make(chan struct{}, 1)} }

// ready tells whether another request may start. If not, wait says for how long, 0 meaning until freed.
func (t *throttle) ready(now time.Time) (ok bool, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.failures < throttleAfter:
		return true, 0
	case t.inFlight > 0:
		return false, 0
	default:
		wait = t.nextAt.Sub(now)
		return wait <= 0, max(0, wait)
	}
}

// stuck tells whether so much has failed since the last success that waiting for it makes no sense.
func (t *throttle) stuck() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures >= stuckAfter
}

// crowded tells whether more requests were let go than may be under way by now.
func (t *throttle) crowded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failures >= throttleAfter && t.inFlight > 1
}

func (t *throttle) start() {
	t.mu.Lock()
	t.inFlight++
	t.mu.Unlock()
}

// outcome of a request, as the throttle sees it.
type outcome int

const (
	neutral outcome = iota
	succeeded
	failed
)

func (t *throttle) done(id string, o outcome, now time.Time) {
	t.mu.Lock()
	t.inFlight--
	switch {
	case o == succeeded:
		t.failures, t.last = 0, ""
	case o == failed && t.last != id:
		t.failures, t.last = t.failures+1, id
		if t.failures >= throttleAfter {
			t.nextAt = now.Add(min(maxPace, backoff(t.failures-throttleAfter+1)))
		}
	}
	t.mu.Unlock()
	select {
	case t.freed <- struct{}{}:
	default:
	}
}
