package sandbox

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxRequests is how many requests are kept; the oldest go first.
const maxRequests = 10_000

// Request is one API request that the sandbox received; the page's own don't count.
type Request struct {
	Time         time.Time
	Method, Path string
	// Route is the documented route, as [RoutePost]; [RouteOther] for any other.
	Route string
	// Reset says that a PATCH asked for reset=true.
	Reset bool
	// ChannelID is empty when the token wasn't valid.
	ChannelID string
	// Status is what the client was told; 0 if it got no answer.
	Status int
	// Fault is the trouble that was made, if any.
	Fault Kind
}

// Count is a key of [Server.Counts].
type Count struct {
	Route  string
	Status int
}

// requestLog remembers requests: all of them as counts, the last ones in full.
type requestLog struct {
	mu     sync.Mutex
	counts map[Count]int
	recent []Request // a ring once it is full
	oldest int
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[Count]int{}
	}
	l.counts[Count{r.Route, r.Status}]++
	if len(l.recent) < maxRequests {
		l.recent = append(l.recent, r)
		return
	}
	l.recent[l.oldest] = r
	l.oldest = (l.oldest + 1) % maxRequests
}

// Requests returns the last 10,000 API requests in the order in which they were answered. A request is here
// before its answer reaches the client.
func (s *Server) Requests() []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Concat(s.log.recent[s.log.oldest:], s.log.recent[:s.log.oldest])
}

// Counts returns how many API requests there were since the start, by route and status.
func (s *Server) Counts() map[Count]int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if s.log.counts == nil {
		return map[Count]int{}
	}
	return maps.Clone(s.log.counts)
}
