package sandbox

import (
	"sync"
	"time"
)

// RateLimit allows Requests in each Window. Without both there is no limit; the headers then tell a large number.
type RateLimit struct {
	Requests int
	Window   time.Duration
}

// unlimited is what X-RateLimit-Limit says when there is no limit.
const unlimited = 1_000_000

func (l RateLimit) on() bool { return l.Requests > 0 && l.Window > 0 }

// shown is the limit that the headers tell.
func (l RateLimit) shown() int {
	if l.on() {
		return l.Requests
	}
	return unlimited
}

// window is what a channel has used of its budget. It begins with the first request after the last one ended.
type window struct {
	mu    sync.Mutex
	start time.Time
	used  int
}

// take uses one request of the budget and returns what is left; wait above 0 means that it is refused until then.
func (w *window) take(l RateLimit, now time.Time) (remaining int, wait time.Duration) {
	if !l.on() {
		return unlimited, 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.start) >= l.Window {
		w.start, w.used = now, 0
	}
	if w.used >= l.Requests {
		return 0, w.start.Add(l.Window).Sub(now)
	}
	w.used++
	return l.Requests - w.used, 0
}
