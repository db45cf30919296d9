package systemd

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// lookEvery is how often the daemon is asked how it does.
	lookEvery = 10 * time.Second
	// lookLimit is how long it may take to answer.
	lookLimit = 5 * time.Second
	// extendEvery is how often more time for the start is asked for, extendBy how much. TimeoutStartSec= of the unit must
	// be longer than extendEvery.
	extendEvery = 10 * time.Second
	extendBy    = time.Minute
)

// Check says in a few words how the daemon does. The error says why it gets no sign of life: the database does not
// answer, or something has not moved for longer than stall. It must end with ctx.
type Check func(ctx context.Context, stall time.Duration) (words string, err error)

// Service is what systemd is told in the course of a daemon's life: Starting, Run, Reloading and Ready for each reload,
// and the end of Run. What can't be sent is logged once, and the daemon goes on. All methods are safe for concurrent use.
type Service struct {
	notifier *Notifier
	log      *slog.Logger

	mu     sync.Mutex
	status string
	mute   bool
}

// NewService returns the service of the process pid, whose environment lookup knows. Without systemd it does nothing.
func NewService(lookup func(string) (string, bool), pid int, log *slog.Logger) *Service {
	n, err := FromEnv(lookup, pid)
	s := &Service{notifier: n, log: log}
	s.note(err)
	return s
}

// Starting keeps systemd from losing its patience with a start that waits for the database or migrates it. The returned
// function ends that.
func (s *Service) Starting() (started func()) {
	s.note(s.notifier.Extend(extendBy))
	return s.background(func(ctx context.Context) {
		for pause(ctx, extendEvery) {
			s.note(s.notifier.Extend(extendBy))
		}
	})
}

// Run says that the daemon is ready, and from then on how it does and that it lives, until the returned function is
// called, which says that it stops.
func (s *Service) Run(check Check) (stopping func()) {
	s.Ready("running")
	stop := s.background(func(ctx context.Context) { s.watch(ctx, check) })
	return func() {
		s.note(s.notifier.Stopping("stopping: what is under way is finished"))
		stop()
	}
}

// Reloading says that a reload begins; Ready says that it is over, however it went.
func (s *Service) Reloading() { s.note(s.notifier.Reloading()) }

// Ready says that the start or a reload is over, and shows a line in `systemctl status`.
func (s *Service) Ready(status string) {
	s.mu.Lock()
	s.status = status
	s.mu.Unlock()
	s.note(s.notifier.Ready(status))
}

// Status shows a line in `systemctl status`. The same one again is not sent.
func (s *Service) Status(status string) {
	s.mu.Lock()
	same := s.status == status
	s.status = status
	s.mu.Unlock()
	if !same {
		s.note(s.notifier.Status(status))
	}
}

// watch asks the daemon how it does. Signs of life are sent at half the time that systemd gives, as sd_watchdog_enabled(3)
// recommends, and none while the daemon is not well.
func (s *Service) watch(ctx context.Context, check Check) {
	watchdog := s.notifier.Watchdog()
	every, limit := lookEvery, lookLimit
	if watchdog > 0 {
		every, limit = min(every, watchdog/2), min(limit, watchdog/4)
	}
	well := true
	for due := time.Now(); ; {
		words, err := look(ctx, limit, max(watchdog/2, lookLimit), check)
		if ctx.Err() != nil {
			return
		}
		s.Status(words)
		if well && err != nil && watchdog > 0 {
			s.log.Error("systemd gets no sign of life until this is over", slog.Any("error", err))
		}
		well = err == nil
		wait := every
		if watchdog > 0 {
			now := time.Now()
			if well && !now.Before(due) {
				s.note(s.notifier.Alive())
				due = now.Add(watchdog / 2)
			}
			if left := due.Sub(now); left > 0 {
				wait = min(wait, left)
			}
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func look(ctx context.Context, limit, stall time.Duration, check Check) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return check(ctx, stall)
}

// background runs f if there is somebody to tell; the returned function ends it and waits.
func (s *Service) background(f func(context.Context)) (end func()) {
	if s.notifier == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }()
	return func() { cancel(); <-done }
}

// note logs the first of the errors in a row.
func (s *Service) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.mute {
		s.log.Warn("systemd can't be told how the daemon does", slog.Any("error", err))
	}
	s.mute = err != nil
}

// pause waits; it is false if ctx was done first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
