package act

import (
	"time"

	"socialhub-sync/store"
)

// width is how many actions of one source, or callbacks of one channel, are under way at a time.
const width = 4

// lane is what keeps actions apart: a source that is slow, or a SocialHub that does not answer, holds up no other lane.
type lane struct {
	source    string
	callbacks bool
}

func laneOf(a *store.Action) lane {
	if a.State == store.ActionReceived || a.State == store.ActionPerforming {
		return lane{source: a.Source}
	}
	return lane{callbacks: true}
}

// task is an action as the store had it when it was read.
type task struct {
	*store.Action
	read time.Time
}

// now is the action with its times as they are after it has waited for its turn.
func (t task) now() *store.Action {
	a, waited := *t.Action, time.Since(t.read)
	if a.Waited += waited; a.Tried > 0 {
		a.Tried += waited
	}
	return &a
}

// queue is a lane's work: actions in the order in which they are due, and how many are under way. The runner's mutex
// guards it. It holds nothing that would be missed: the store has it all.
type queue struct {
	waiting []task
	running int
}

// start begins what the lanes have room for.
func (s *session) start() {
	open := s.Channel.Open()
	s.mu.Lock()
	defer s.mu.Unlock()
	for in, q := range s.lanes {
		for len(q.waiting) > 0 && q.running < width && (open || !in.callbacks) && s.soft.Err() == nil {
			t := q.waiting[0]
			q.waiting = q.waiting[1:]
			q.running++
			s.group.Go(func() { s.step(t.now()) })
		}
		if len(q.waiting) == 0 && q.running == 0 {
			delete(s.lanes, in)
		}
	}
}

// step takes one step of an action.
func (s *session) step(a *store.Action) {
	defer s.done(a)
	if laneOf(a).callbacks {
		s.report(a)
	} else {
		s.perform(a)
	}
}
