package sync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// status is what the store says of a source.
func (w *world) status(name string) store.SourceStatus {
	w.t.Helper()
	all, err := w.store.SourceStatuses(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if s.Source == name && s.Backfill == "" {
			return s
		}
	}
	w.t.Fatalf("no source %s", name)
	return store.SourceStatus{}
}

func TestASourceInTroubleBacksOffAndComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		other := &shelf{}
		w.options.Sources = append(w.options.Sources, w.source("other", other))
		w.every(5 * time.Second)
		w.shelf.set(func(s *shelf) { s.fail = errors.New("the server is on fire") })
		w.shelf.put(text("item-1", "read before the failure"))
		defer w.start()()
		pass(40 * time.Second)
		if got := w.message("item-1"); got == "" {
			t.Error("what was read before the failure is not delivered")
		}
		// The waits are at most 1, 2, 4, 8, 16, 32 s, and shorter by chance.
		if n := w.shelf.pulls(); n < 5 || n > 20 {
			t.Errorf("%d pulls of the failing source", n)
		}
		if n := other.pulls(); n < 8 || n > 10 {
			t.Errorf("%d pulls of the other source, want one every 5 s", n)
		}
		if s := w.status("shelf"); !strings.Contains(s.LastError, "on fire") || s.Pause != "" || !s.LastSuccess.IsZero() {
			t.Errorf("%+v", s)
		}
		w.shelf.set(func(s *shelf) { s.fail = nil })
		w.shelf.put(text("item-2", "read after the failure"))
		w.until("the source has recovered", func() bool { return w.message("item-2") != "" })
		w.until("the error is gone", func() bool { return w.status("shelf").LastError == "" })
		before := w.shelf.pulls()
		pass(20 * time.Second)
		if n := w.shelf.pulls() - before; n != 4 {
			t.Errorf("%d pulls in 20 s after the recovery", n)
		}
	})
}

func TestASourceThatCanNotGoOnWaitsForAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		other := &shelf{}
		w.options.Sources = append(w.options.Sources, w.source("other", other))
		w.every(5 * time.Second)
		w.shelf.set(func(s *shelf) { s.fail = &sources.StopError{Err: errors.New("the password is wrong")} })
		stop := w.start()
		pass(2 * time.Minute)
		if n := w.shelf.pulls(); n != 1 {
			t.Errorf("%d pulls", n)
		}
		if n := other.pulls(); n < 23 {
			t.Errorf("%d pulls of the other source", n)
		}
		if s := w.status("shelf"); s.Pause != "the password is wrong" {
			t.Errorf("%+v", s)
		}
		w.shelf.set(func(s *shelf) { s.fail = nil })
		w.shelf.put(text("item-1", "at last"))
		if ok, err := w.store.ResumeSource(t.Context(), w.channel.ID, "shelf"); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if took := w.until("it is polled again", func() bool { return w.message("item-1") != "" }); took > 2*time.Second {
			t.Errorf("resume took %v", took)
		}
		stop()

		w.shelf.set(func(s *shelf) { s.fail = &sources.StopError{Err: errors.New("wrong again")} })
		w.once()
		w.shelf.set(func(s *shelf) { s.fail = nil })
		w.shelf.put(text("item-2", "after a restart"))
		defer w.start()()
		if took := w.until("a restart resumes it", func() bool { return w.message("item-2") != "" }); took > 2*time.Second {
			t.Errorf("restart took %v", took)
		}
	})
}

func TestASourceSaysWhenToComeBack(t *testing.T) {
	for name, test := range map[string]sources.Batch{
		"by its error":   {},
		"by its batches": {NotBefore: time.Date(2000, 1, 1, 0, 1, 30, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				var pulls []time.Duration
				began := time.Now()
				w.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
					return pullFunc(func(_ context.Context, _ sources.Request, yield func(sources.Batch, error) bool) {
						pulls = append(pulls, time.Since(began))
						switch {
						case len(pulls) > 1:
						case test.NotBefore.IsZero():
							yield(sources.Batch{}, &sources.RetryAfterError{After: 90 * time.Second, Err: errors.New("slow down")})
						case yield(test, nil): // a wish counts also if another batch has none
							yield(sources.Batch{}, nil)
						}
					}), nil
				}
				w.every(5 * time.Second)
				stop := w.start()
				pass(2 * time.Minute)
				stop()
				if len(pulls) < 2 || pulls[1] < 90*time.Second || pulls[1] > 97*time.Second {
					t.Errorf("polled at %v", pulls)
				}
			})
		})
	}
}

func TestAnAdapterThatPanicsFailsItsPollAlone(t *testing.T) {
	open := func(s sources.Source) func(context.Context) (sources.Source, error) {
		return func(context.Context) (sources.Source, error) { return s, nil }
	}
	for name, opener := range map[string]func(context.Context) (sources.Source, error){
		"when it opens the source": func(context.Context) (sources.Source, error) { panic("secret") },
		"when it pulls":            open(pullFunc(func(context.Context, sources.Request, func(sources.Batch, error) bool) { panic("secret") })),
		"after a batch": open(pullFunc(func(_ context.Context, _ sources.Request, yield func(sources.Batch, error) bool) {
			yield(sources.Batch{Items: []sources.Item{text("item-1", "read before")}}, nil)
			panic(errors.New("secret"))
		})),
		"when it has no source": open(nil),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				bad := w.source("bad", nil)
				bad.Open = opener
				w.options.Sources = append(w.options.Sources, bad)
				w.shelf.put(text("item-2", "of the other source"))
				var log record
				w.options.Logger = log.logger()
				tally := w.onceAll()
				if err := tally.Sources["bad"].Err; err == nil || !strings.Contains(err.Error(), "broke down") || strings.Contains(err.Error(), "secret") {
					t.Errorf("error %v", err)
				}
				if got := log.String(); !strings.Contains(got, "goroutine ") || !strings.Contains(got, ".go:") || strings.Contains(got, "secret") {
					t.Errorf("the log does not tell where, or too much: %s", got)
				}
				if w.message("item-2") == "" || name == "after a batch" && w.message("item-1") == "" {
					t.Error("items are missing")
				}
			})
		})
	}
	t.Run("when it closes the source", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
			w.options.Sources[0].Open = open(panicsOnClose{w.shelf})
			w.shelf.put(text("item-1", "A"))
			if got := w.once(); got != (ChannelTally{Created: 1}) {
				t.Errorf("%+v", got)
			}
		})
	})
}

type panicsOnClose struct{ *shelf }

func (panicsOnClose) Close() error { panic("secret") }

func TestACursorThatTheStoreCanNotTakeEndsThePollAndNothingElse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		bad := w.source("bad", pullFunc(func(_ context.Context, _ sources.Request, yield func(sources.Batch, error) bool) {
			yield(sources.Batch{Items: []sources.Item{text("item-1", "A")}, Cursor: "\xff"}, nil)
		}))
		w.options.Sources = append(w.options.Sources, bad)
		w.shelf.put(text("item-2", "of the other source"))
		e := w.engine()
		if err := e.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := e.Tally().Sources["bad"].Err; err == nil || !strings.Contains(err.Error(), "cursor") {
			t.Errorf("error %v", err)
		}
		if w.message("item-2") == "" || e.Healthy() != nil {
			t.Errorf("the other source's item is %q, healthy: %v", w.message("item-2"), e.Healthy())
		}
	})
}

func TestTheCursorNeverPassesAnItemThatIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		for n := range 7 {
			w.shelf.put(text(fmt.Sprintf("item-%d", n), "A"))
		}
		w.shelf.batch = 2
		var from []string
		trouble := errors.New("trouble")
		w.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
			return pullFunc(func(ctx context.Context, req sources.Request, yield func(sources.Batch, error) bool) {
				from = append(from, req.Cursor)
				n := 0
				for b := range w.shelf.Pull(ctx, req) {
					if n++; n > 2 {
						yield(sources.Batch{}, trouble)
						return
					}
					if !yield(b, nil) {
						return
					}
				}
			}), nil
		}
		for range 3 {
			w.onceAll()
		}
		if got := strings.Join(from, ","); got != ",4,7" {
			t.Errorf("pulled from the cursors %s", got)
		}
		if got := len(w.box.Tickets(w.channel.ID)); got != 7 {
			t.Errorf("%d tickets", got)
		}
	})
}

func TestAPollThatIsOverdueBeginsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		stop := w.start() // a source that was never polled is due, too
		pass(time.Second)
		stop()
		if n := w.shelf.pulls(); n != 1 {
			t.Fatalf("%d pulls of a new source", n)
		}
		stop = w.start()
		pass(time.Second)
		stop()
		if n := w.shelf.pulls(); n != 1 {
			t.Fatalf("%d pulls although its time has not come", n)
		}
		pass(time.Hour)
		stop = w.start()
		pass(time.Second)
		stop()
		if n := w.shelf.pulls(); n != 2 {
			t.Errorf("%d pulls after an hour without a process, want one more", n)
		}
	})
}

func TestASourceIsNeverPolledTwiceAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		var now, most, pulls atomic.Int64
		w.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
			return pullFunc(func(ctx context.Context, _ sources.Request, _ func(sources.Batch, error) bool) {
				pulls.Add(1)
				if n := now.Add(1); n > most.Load() {
					most.Store(n)
				}
				defer now.Add(-1)
				select {
				case <-ctx.Done():
				case <-time.After(7 * time.Second): // longer than the interval, and than a lease
				}
			}), nil
		}
		w.every(2 * time.Second)
		short := func(o *Options) { o.LeaseTTL = 3 * time.Second }
		stop1, stop2 := w.start(short), w.start(short)
		pass(5 * time.Second)
		w.once(short) // leaves the source to the others
		pass(time.Minute)
		stop1()
		stop2()
		if most.Load() != 1 || pulls.Load() < 6 || pulls.Load() > 9 {
			t.Errorf("%d polls, up to %d at a time", pulls.Load(), most.Load())
		}
	})
}

func TestTheEndOfTheProcessEndsAPollAndLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
			return pullFunc(func(ctx context.Context, req sources.Request, yield func(sources.Batch, error) bool) {
				if req.Cursor == "" && yield(sources.Batch{Items: []sources.Item{text("item-1", "A")}, Cursor: "1"}, nil) {
					<-ctx.Done()
					yield(sources.Batch{}, ctx.Err())
				} else if req.Cursor == "1" {
					yield(sources.Batch{Items: []sources.Item{text("item-2", "B")}, Cursor: "2"}, nil)
				}
			}), nil
		}
		stop := w.start()
		pass(3 * time.Second)
		stop()
		if s := w.status("shelf"); s.Polling || s.LastError != "" || !s.LastPoll.IsZero() {
			t.Errorf("%+v", s)
		}
		defer w.start()()
		if took := w.until("the rest is read", func() bool { return w.message("item-2") != "" }); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		if w.message("item-1") == "" {
			t.Error("the first batch is lost")
		}
	})
}
