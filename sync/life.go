package sync

import (
	"context"
	"errors"
	"fmt"
	gosync "sync"
	"time"
)

// life is how far [Engine.Run] has come.
type life struct {
	// begun is closed when the engine works, over when Run returns.
	begun, over chan struct{}

	mu gosync.Mutex
	// work is nil before the engine works and once it is told to stop. With mu, nothing is begun after that.
	work *work
}

func newLife() life { return life{begun: make(chan struct{}), over: make(chan struct{})} }

func (l *life) begin(w *work) {
	l.mu.Lock()
	l.work = w
	l.mu.Unlock()
	close(l.begun)
}

func (l *life) end() {
	l.mu.Lock()
	l.work = nil
	l.mu.Unlock()
}

// working waits until the engine works.
func (l *life) working(ctx context.Context) (*work, error) {
	select {
	case <-l.begun:
	case <-l.over:
	case <-ctx.Done():
		return nil, fmt.Errorf("the engine has not begun to work: %w", context.Cause(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.work == nil {
		return nil, ErrNotRunning
	}
	return l.work, nil
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
	for _, d := range e.current().deliverers {
		e.startDeliverer(w, d, func(context.Context) bool { return true })
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

// turn is a mutex that can be waited for within a context.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take is false if ctx was done first.
func (t turn) take(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case t <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t turn) give() { <-t }
