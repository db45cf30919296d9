package sync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// noLeases fails the test if a lease was not given back.
func (w *world) noLeases() {
	w.t.Helper()
	for _, table := range []string{"channels", "sources"} {
		for _, row := range w.dump(table) {
			if !strings.Contains(row, "lease_owner= ") || !strings.Contains(row, "lease_until=0 ") {
				w.t.Errorf("a lease was not given back: %s", row)
			}
		}
	}
}

func TestTheEndOfTheProcessFinishesWhatIsUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 4 * time.Second}, sandbox.ChannelOptions{})
		w.options.Channels[0].Concurrency = 3
		w.shelf.fill("item", 12)
		stop := w.daemon(w.engine())
		w.until("three are under way", func() bool { return w.meter.now.Load() == 3 })
		began := time.Now()
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second || w.requests(sandbox.RoutePost) != 3 {
			t.Errorf("%v, and %d requests in all", took, w.requests(sandbox.RoutePost))
		}
		status, err := w.store.ChannelStatuses(t.Context())
		if err != nil || status[0].Counts[store.Synced] != 3 || status[0].Counts[store.Pending] != 9 {
			t.Errorf("%+v %v", status, err)
		}
		w.noLeases()
		if got := w.once(); got != (ChannelTally{Created: 9}) {
			t.Errorf("the next process: %+v", got)
		}
		w.noLeases()
	})
}

func TestARunThatIsToldToEndBeforeItsBeginning(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.engine().Run(ctx); err != nil {
			t.Error(err)
		}
		if err := w.engine().RunOnce(ctx); err != nil {
			t.Error(err)
		}
		if n := w.requests(""); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestTheGracePeriodIsBounded(t *testing.T) {
	t.Run("for a request that hangs, which the next process sends again", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{Faults: sandbox.Script(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.Hang})}, sandbox.ChannelOptions{})
			w.shelf.fill("item", 1)
			stop := w.daemon(w.engine(func(o *Options) { o.Grace = 5 * time.Second }))
			w.until("the request hangs", func() bool { return w.meter.now.Load() == 1 })
			began := time.Now()
			if err := stop(); !errors.Is(err, errGrace) {
				t.Errorf("stop: %v", err)
			}
			if took := time.Since(began); took < 5*time.Second || took > 8*time.Second {
				t.Errorf("it took %v", took)
			}
			w.noLeases()
			if got := w.once(); got != (ChannelTally{Created: 1}) {
				t.Errorf("the next process: %+v", got)
			}
		})
	})
	t.Run("for an adapter that does not listen", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
			deaf := make(chan struct{})
			defer func() { close(deaf); pass(time.Second) }() // what was left behind comes to its end
			w.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
				return pullFunc(func(context.Context, sources.Request, func(sources.Batch, error) bool) { <-deaf }), nil
			}
			for name, run := range map[string]func(*Engine, context.Context) error{"daemon": (*Engine).Run, "once": (*Engine).RunOnce} {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				began := time.Now()
				if err := run(w.engine(func(o *Options) { o.Grace = 5 * time.Second }), ctx); !errors.Is(err, errGrace) {
					t.Errorf("%s: %v", name, err)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s: it took %v", name, took)
				}
				cancel()
				pass(time.Minute)
			}
		})
	})
}

// steal ends the leases of a table as if their time were over.
func (w *world) steal(table string) {
	w.t.Helper()
	db := w.sql()
	defer db.Close()
	if _, err := db.Exec("UPDATE " + table + " SET lease_until = 0"); err != nil {
		w.t.Fatal(err)
	}
}

func TestADeadProcessIsTakenOverWhenItsLeaseEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 5)
		r := newRig(w) // holds both leases for a minute, and does nothing
		if len(r.due()) != 0 {
			t.Fatal("nothing was polled yet")
		}
		stop := w.start()
		pass(59 * time.Second)
		if n := w.requests(""); n != 0 || w.shelf.pulls() != 0 {
			t.Errorf("%d requests and %d polls under the lease of another", n, w.shelf.pulls())
		}
		w.until("the work goes on", func() bool { return w.delivered() == 5 })
		stop()
	})
}

func TestAProcessThatLostItsLeaseCommitsNothingButTellsTheIDs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 3 * time.Second}, sandbox.ChannelOptions{})
		w.every(time.Second)
		w.shelf.fill("item", 1)
		first := w.daemon(w.engine())
		w.until("the request is under way", func() bool {
			return w.requests(sandbox.RouteRoot) == 1 && w.meter.now.Load() == 1 && w.requests(sandbox.RoutePost) == 0 && len(w.box.Tickets(w.channel.ID)) == 1
		})
		w.shelf.put(text("item-00000", "B"))
		w.steal("channels")
		w.steal("sources")
		second := w.daemon(w.engine())
		w.until("the last content is shown", func() bool {
			return w.row("item-00000").State == store.Synced && w.message("item-00000") == "B"
		})
		if got := w.delivered(); got != 1 {
			t.Errorf("%d tickets", got)
		}
		if err := errors.Join(first(), second()); err != nil {
			t.Error(err)
		}
		w.noLeases()
	})
}

func TestTwoProcessesDeliverEachTicketOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 50 * time.Millisecond}, sandbox.ChannelOptions{})
		other, otherShelf := w.secondChannel()
		w.every(time.Second)
		one, two := w.start(), w.start()
		for round := range 5 {
			w.shelf.fill(fmt.Sprint("item", round), 20)
			otherShelf.fill(fmt.Sprint("other", round), 20)
			pass(1500 * time.Millisecond)
		}
		one()
		w.shelf.fill("last", 5)
		w.until("all is delivered", func() bool { return w.delivered() == 105 && len(w.box.Tickets(other.ID)) == 100 })
		two()
		if n := w.requests(sandbox.RoutePost); n != 205 {
			t.Errorf("%d POSTs for 205 items", n)
		}
		w.noLeases()
	})
}

// record is a log that can be read while it is written.
type record struct {
	mu  gosync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func TestAnswersAreKeptWhileTheStoreIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 2 * time.Second}, sandbox.ChannelOptions{})
		w.options.Channels[0].Concurrency = 4
		var log record
		w.options.Logger = log.logger()
		w.every(time.Second)
		w.shelf.fill("item", 40)
		e := w.engine()
		stop := w.daemon(e)
		w.until("four are under way", func() bool { return len(w.box.Tickets(w.channel.ID)) == 4 })
		db := w.sql()
		defer db.Close()
		lock, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lock.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
			t.Fatal(err)
		}
		w.until("the engine takes notice", func() bool { return e.Healthy() != nil })
		pass(3 * time.Second) // what is under way comes back
		sent := w.requests(sandbox.RoutePost)
		pass(10 * time.Second)
		if n := w.requests(sandbox.RoutePost); n != sent || n > 30 {
			t.Errorf("%d requests before and %d after the engine took notice: nothing may be sent whose answer can't be stored", sent, n)
		}
		if _, err := lock.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		lock.Close()
		w.until("everything is delivered", func() bool { return w.delivered() == 40 })
		w.until("all is well", func() bool { return e.Healthy() == nil })
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := w.requests(sandbox.RoutePost); n != 40 {
			t.Errorf("%d POSTs for 40 items", n)
		}
		if text := log.String(); strings.Count(text, "database trouble") != 1 || strings.Count(text, "answers again") != 1 {
			t.Errorf("want the trouble told once:\n%s", text)
		}
		w.noLeases()
	})
}
