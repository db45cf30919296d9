package sync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/sync/manifest"
)

// setups makes updates: the world's options as they are, with all that is changed under another version.
type setups struct {
	*world
	engine *Engine
	n      int
}

// running is a world whose engine runs until stop is called.
func (w *world) running() (s *setups, stop func()) {
	w.t.Helper()
	s = &setups{world: w, engine: w.engine()}
	stopped := w.daemon(s.engine)
	return s, func() {
		w.t.Helper()
		if err := stopped(); err != nil {
			w.t.Error(err)
		}
		w.noLeases()
	}
}

// version is one that nothing had before.
func (s *setups) version() string {
	s.n++
	return fmt.Sprint("version ", s.n)
}

// changeChannel changes a channel of the options, changeSource a source.
func (s *setups) changeChannel(i int, change func(*Channel)) {
	s.options.Channels = slices.Clone(s.options.Channels)
	change(&s.options.Channels[i])
	s.options.Channels[i].Version = s.version()
}

func (s *setups) changeSource(i int, change func(*Source)) {
	s.options.Sources = slices.Clone(s.options.Sources)
	change(&s.options.Sources[i])
	s.options.Sources[i].Version = s.version()
}

// update makes the engine take the options over.
func (s *setups) update(ctx context.Context) error {
	o := s.options
	return s.engine.Update(ctx, Update{slices.Clone(o.Channels), slices.Clone(o.Sources), o.Manifests, o.Retention})
}

func (s *setups) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// begun updates in the background.
func (s *setups) begun() <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.update(s.t.Context()) }()
	synctest.Wait()
	return done
}

// line is a line of the dump of a table that has a text.
func (w *world) line(table, has string) string {
	w.t.Helper()
	for _, line := range w.dump(table) {
		if strings.Contains(line, has) {
			return line
		}
	}
	w.t.Fatalf("no line of %s has %s", table, has)
	return ""
}

// posts counts the creations that were answered.
func (w *world) posts() int { return w.requests(sandbox.RoutePost) }

// slowly is an adapter whose pulls take as long as they are told, and then bring one item.
type slowly struct {
	took           time.Duration
	item           string
	err            error
	pulled, closed atomic.Int64
}

func (s *slowly) Pull(ctx context.Context, _ sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		s.pulled.Add(1)
		if !pause(ctx, s.took) {
			yield(sources.Batch{}, context.Cause(ctx))
			return
		}
		if yield(sources.Batch{Items: []sources.Item{text(s.item, "A")}}, nil) && s.err != nil {
			yield(sources.Batch{}, s.err)
		}
	}
}

func (s *slowly) Close() error { s.closed.Add(1); return nil }

func opens(from sources.Source) func(*Source) {
	return func(s *Source) { s.Open = func(context.Context) (sources.Source, error) { return from, nil } }
}

func TestAnUpdateFinishesTheDeliveriesOfAChangedChannelFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 4 * time.Second}, sandbox.ChannelOptions{})
		w.options.Channels[0].Concurrency = 3
		w.shelf.fill("item", 9)
		s, stop := w.running()
		w.until("three are under way", func() bool { return w.meter.now.Load() == 3 && w.requests(sandbox.RouteRoot) == 1 })
		pass(time.Second)
		s.changeChannel(0, func(c *Channel) { c.Concurrency = 2 })
		began := time.Now()
		w.meter.most.Store(0)
		s.must(s.update(t.Context()))
		if took := time.Since(began); took > 4*time.Second || w.delivered() != 3 || w.posts() != 3 {
			t.Errorf("%v, %d delivered of %d sent; want the three that were under way", took, w.delivered(), w.posts())
		}
		w.until("everything is delivered", func() bool { return w.delivered() == 9 && w.meter.now.Load() == 0 })
		if w.posts() != 9 || w.meter.most.Load() != 2 || w.requests(sandbox.RouteRoot) != 2 {
			t.Errorf("%d POSTs, %d at a time, %d GET /", w.posts(), w.meter.most.Load(), w.requests(sandbox.RouteRoot))
		}
		stop()
	})
}

func TestAnUpdateLeavesAnUnchangedChannelAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 4 * time.Second}, sandbox.ChannelOptions{})
		other, otherShelf := w.secondChannel()
		w.options.Channels[1].Concurrency = 1
		w.options.Manifests = map[string]manifest.Desired{other.ID: {Sidebar: []socialhub.Sidebar{}}}
		s, stop := w.running()
		pass(10 * time.Second)
		more, before := w.more(other.ID), w.line("channels", other.ID)
		otherShelf.fill("other", 3)
		s.changeSource(1, func(*Source) {})
		s.must(s.update(t.Context()))
		w.until("a delivery of the other channel is under way", func() bool { return w.meter.now.Load() == 1 })
		s.changeChannel(0, func(c *Channel) { c.RateLimit = 1 })
		s.must(s.update(t.Context()))
		w.until("everything is delivered", func() bool { return len(w.box.Tickets(other.ID)) == 3 && w.meter.now.Load() == 0 })
		if n := more(); n != 3 {
			t.Errorf("%d requests for three items: one was cut, or the channel was greeted again", n)
		}
		epoch := func(line string) string {
			_, rest, _ := strings.Cut(line, "lease_epoch=")
			return strings.Fields(rest)[0]
		}
		if after := w.line("channels", other.ID); epoch(after) != epoch(before) {
			t.Errorf("the lease was given back:\n%s\n%s", before, after)
		}
		stop()
	})
}

func TestAnUpdateWithAnotherTokenResumesTheChannel(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		s, stop := w.running()
		pass(time.Second)
		fresh, _ := w.box.ReplaceToken(w.channel.ID)
		w.shelf.fill("item", 5)
		w.until("the channel is paused", func() bool { return strings.Contains(w.line("channels", w.channel.ID), "pause=unauthorized") })
		more := w.more(w.channel.ID)
		s.changeChannel(0, func(c *Channel) { c.RateLimit = 100 })
		s.must(s.update(t.Context()))
		pass(time.Minute)
		if n := more(); n != 0 {
			t.Errorf("%d requests with the token that was refused", n)
		}
		s.changeChannel(0, func(c *Channel) { *c = w.client(fresh) })
		s.must(s.update(t.Context()))
		if took := w.until("everything is delivered", func() bool { return w.delivered() == 5 }); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		stop()
	})
}

func TestAnUpdateKnowsThePauseBeforeAnythingIsSent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.every(time.Second)
		w.box.SetFaults(sandbox.Script(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.TooMany, Wait: time.Minute}))
		w.options.Channels[0].Concurrency = 1
		w.shelf.fill("item", 2)
		s, stop := w.running()
		w.until("the limit is hit", func() bool { return w.posts() == 1 })
		for range 5 {
			pass(time.Second)
			w.shelf.fill("more", 1)
			s.changeChannel(0, func(*Channel) {})
			s.must(s.update(t.Context()))
			s.engine.WakeActions(w.channel.ID)
		}
		pass(30 * time.Second)
		if n := w.requests(""); n != 2 {
			t.Errorf("%d requests; want GET / and the one that hit the limit", n)
		}
		w.until("everything is delivered", func() bool { return w.delivered() == 3 })
		stop()
	})
}

func TestAnUpdateAddsMovesAndRemovesChannelsAndSources(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		s, stop := w.running()
		pass(time.Second)
		other, otherShelf := w.secondChannel()
		otherShelf.fill("other", 2)
		s.must(s.update(t.Context()))
		if took := w.until("the new source's are delivered", func() bool { return len(w.box.Tickets(other.ID)) == 2 }); took > 3*time.Second {
			t.Errorf("a new source and channel took %v", took)
		}

		w.shelf.fill("item", 2)
		s.changeSource(0, func(src *Source) { src.ChannelID = other.ID })
		s.must(s.update(t.Context()))
		if took := w.until("they are in the other channel", func() bool { return len(w.box.Tickets(other.ID)) == 4 }); took > 3*time.Second {
			t.Errorf("a source that was moved took %v", took)
		}

		pulls := w.shelf.pulls()
		w.options.Channels, w.options.Sources = w.options.Channels[1:], w.options.Sources[1:]
		s.must(s.update(t.Context()))
		otherShelf.fill("later", 1)
		pass(5 * time.Minute)
		if n := w.shelf.pulls() - pulls; n != 0 {
			t.Errorf("%d polls of a source that is gone", n)
		}
		if !strings.Contains(w.line("channels", w.channel.ID), "lease_owner= ") {
			t.Error("the channel that is gone is still held")
		}
		if n := len(w.box.Tickets(other.ID)); n != 5 || w.delivered() != 0 {
			t.Errorf("%d tickets in the channel that stays, %d in the other", n, w.delivered())
		}
		stop()
	})
}

func TestAnUpdateLetsAPollEndAsItBegan(t *testing.T) {
	for name, end := range map[string]error{"with success": nil, "in an error that stops the source": &sources.StopError{Err: errors.New("wrong password")}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				w.every(time.Hour)
				older, newer := &slowly{took: 40 * time.Second, item: "item-old", err: end}, &slowly{item: "item-new"}
				opens(older)(&w.options.Sources[0])
				s, stop := w.running()
				pass(10 * time.Second)
				s.changeSource(0, opens(newer))
				began := time.Now()
				s.must(s.update(t.Context()))
				if took := time.Since(began); took != 30*time.Second || newer.pulled.Load() != 0 {
					t.Errorf("%v, and %d polls at the same time", took, newer.pulled.Load())
				}
				pass(2 * time.Second)
				if w.message("item-old") == "" || w.message("item-new") == "" || older.pulled.Load() != 1 || newer.pulled.Load() != 1 || older.closed.Load() != 1 {
					t.Errorf("the poll under way is to end as it began, and then the source to be polled with its settings; %d and %d polls", older.pulled.Load(), newer.pulled.Load())
				}
				pass(20 * time.Minute)
				if newer.pulled.Load() > 2 {
					t.Errorf("%d polls", newer.pulled.Load())
				}
				stop()
			})
		})
	}
}

func TestASourceThatMovesIsPolledThereOnceItsPollHereHasEnded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		other, _ := w.secondChannel()
		w.every(time.Hour)
		older, newer := &slowly{took: 40 * time.Second, item: "item-old"}, &slowly{item: "item-new"}
		opens(older)(&w.options.Sources[0])
		s, stop := w.running()
		pass(10 * time.Second)
		s.changeSource(0, func(src *Source) { opens(newer)(src); src.ChannelID = other.ID })
		done := s.begun()
		pass(20 * time.Second)
		if newer.pulled.Load() != 0 {
			t.Error("it is polled twice at a time")
		}
		s.must(<-done)
		pass(2 * time.Second)
		if _, there := w.box.Ticket(other.ID, "item-new"); !there || w.message("item-old") == "" {
			t.Error("both polls are to be delivered to the channel that they were for")
		}
		stop()
	})
}

func TestAnUpdateReleasesOnlyASourceThatChanged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		_, otherShelf := w.secondChannel()
		wrong := func(s *shelf) { s.fail = &sources.StopError{Err: errors.New("wrong password")} }
		w.shelf.set(wrong)
		otherShelf.set(wrong)
		s, stop := w.running()
		pass(time.Minute)
		w.shelf.set(func(s *shelf) { s.fail = nil })
		s.changeSource(0, func(*Source) {})
		s.changeChannel(1, func(*Channel) {})
		s.must(s.update(t.Context()))
		pass(2 * time.Second)
		if a, b := w.status("shelf"), w.status("other-shelf"); a.Pause != "" || a.LastError != "" || w.shelf.pulls() != 2 || b.Pause == "" || otherShelf.pulls() != 1 {
			t.Errorf("%+v after %d polls, %+v after %d", a, w.shelf.pulls(), b, otherShelf.pulls())
		}
		stop()
	})
}

func TestAnUpdatePlansByTheNewSchedule(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.every(24 * time.Hour)
		s, stop := w.running()
		pass(10 * time.Minute)
		s.changeSource(0, func(src *Source) { src.Schedule, src.ScheduleText = cron.Every(time.Minute), "@every 1m" })
		s.must(s.update(t.Context()))
		pass(2 * time.Second)
		if n := w.shelf.pulls(); n != 2 {
			t.Errorf("%d polls; want one at the start and one at once", n)
		}
		pass(10 * time.Minute)
		if n := w.shelf.pulls(); n < 11 || n > 13 {
			t.Errorf("%d polls after ten minutes", n)
		}
		stop()
	})
}

func TestAnUpdateTakesOverRetentionAndManifests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 1)
		s, stop := w.running()
		pass(time.Minute)
		if n := w.requests(sandbox.RouteManifest); n != 0 {
			t.Errorf("%d requests for a manifest that nobody wants", n)
		}
		w.options.Retention.Tickets = 100 * 24 * time.Hour
		w.options.Manifests = map[string]manifest.Desired{w.channel.ID: {Sidebar: []socialhub.Sidebar{{
			TreeBuilder: "x", Label: socialhub.Label{EN: "x", DE: "x", FR: "x"},
		}}}}
		pulls := w.shelf.pulls()
		s.must(s.update(t.Context()))
		pass(2 * time.Second)
		if w.requests(sandbox.RouteRoot) < 2 || w.requests(sandbox.RouteManifest) == 0 {
			t.Error("the manifest is not kept")
		}
		if n := w.shelf.pulls() - pulls; n > 1 {
			t.Errorf("%d polls of a source that has not changed", n)
		}
		pass(2 * time.Minute)
		if src := s.engine.current().sources["shelf"]; src.keep != w.options.Retention.Tickets {
			t.Errorf("tickets are kept for %v", src.keep)
		}
		stop()
	})
}

func TestAHangingRequestHoldsUpNothingButItsChannel(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		other, otherShelf := w.secondChannel()
		w.every(5 * time.Second)
		w.box.SetFaults(scriptOf(w.channel.ID, sandbox.RoutePost, sandbox.Fault{Kind: sandbox.Hang}))
		w.options.Channels[0].Concurrency = 1
		w.shelf.fill("item", 3)
		s, stop := w.running()
		w.until("a request hangs", func() bool { return w.meter.now.Load() == 1 && w.requests(sandbox.RouteRoot) == 2 })
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		for range 3 { // each replaces the one before, which has not begun
			s.changeChannel(0, func(c *Channel) { c.Concurrency++ })
			if err := s.update(ctx); !errors.Is(err, ErrUnfinished) || !strings.Contains(err.Error(), "channel support") {
				t.Errorf("update: %v", err)
			}
			ctx, cancel = context.WithTimeout(t.Context(), time.Second)
			defer cancel()
		}
		otherShelf.fill("other", 2)
		pulls := w.shelf.pulls()
		pass(10 * time.Second)
		if n := len(w.box.Tickets(other.ID)); n != 2 || w.shelf.pulls() == pulls || w.posts() != 2 {
			t.Errorf("meanwhile %d tickets in the other channel, %d polls, %d POSTs", n, w.shelf.pulls()-pulls, w.posts())
		}
		if err := s.engine.Alive(10 * time.Second); err != nil {
			t.Error(err)
		}
		w.until("everything is delivered", func() bool { return w.delivered() == 3 })
		synctest.Wait()
		if w.posts() != 6 || cap(s.engine.deliverer(w.channel.ID).slots) != 4 {
			t.Errorf("%d POSTs for five items, of which one hung; by the deliverer of %d", w.posts(), cap(s.engine.deliverer(w.channel.ID).slots))
		}
		stop()
	})
}

func TestAnUpdateWaitsForTheDatabaseAndChangesNothingUntilThen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.every(24 * time.Hour)
		s, stop := w.running()
		pass(2 * time.Second)
		before := s.engine.current()
		db := w.sql()
		defer db.Close()
		lock, err := db.Conn(t.Context())
		s.must(err)
		_, err = lock.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
		s.must(err)
		s.changeChannel(0, func(*Channel) {})
		s.changeSource(0, func(*Source) {})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := s.update(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnfinished) || !strings.Contains(err.Error(), "nothing is changed") {
			t.Errorf("update: %v", err)
		}
		if s.engine.current() != before {
			t.Error("half of the update is in force")
		}
		done := s.begun()
		pass(10 * time.Second)
		_, err = lock.ExecContext(t.Context(), "ROLLBACK")
		s.must(err)
		lock.Close()
		s.must(<-done)
		pass(2 * time.Second)
		if n := w.shelf.pulls(); s.engine.current() == before || n != 2 {
			t.Errorf("%d polls", n)
		}
		stop()
	})
}

func TestAnUpdateBeforeDuringAndAfterTheRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 5 * time.Second}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 2)
		s := &setups{world: w, engine: w.engine()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.update(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnfinished) {
			t.Errorf("before: %v", err)
		}
		s.changeChannel(0, func(c *Channel) { c.Concurrency = 1 })
		early := s.begun()
		stop := w.daemon(s.engine)
		s.must(<-early)
		w.until("a request is under way", func() bool { return w.posts() == 0 && w.meter.now.Load() == 1 })
		pass(7 * time.Second)

		working, err := s.engine.life.working(t.Context())
		s.must(err)
		s.changeChannel(0, func(*Channel) {})
		first := s.begun()
		s.changeChannel(0, func(*Channel) {})
		second := s.begun()
		s.must(stop())
		for _, done := range []<-chan error{first, second} {
			if err := <-done; err != nil && !errors.Is(err, ErrNotRunning) {
				t.Errorf("during the stop: %v", err)
			}
		}
		more := w.more("")
		if err := s.update(t.Context()); !errors.Is(err, ErrNotRunning) {
			t.Errorf("after: %v", err)
		}
		if now := s.engine.current(); s.engine.replace(working, now, s.engine.arrange(&Update{Channels: w.options.Channels}, new(setup))) {
			t.Error("an update that the end overtook began a deliverer")
		}
		pass(time.Minute)
		if n := more(); n != 0 {
			t.Errorf("%d requests after the end", n)
		}
		w.noLeases()
	})
}

func TestAnUpdateGivesTheLeaseBackAlsoIfTheDatabaseIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		s, stop := w.running()
		pass(2 * time.Second)
		db := w.sql()
		defer db.Close()
		_, err := db.ExecContext(t.Context(), `CREATE TRIGGER refuse BEFORE UPDATE ON channels WHEN new.lease_owner = '' BEGIN SELECT raise(ABORT, 'refused'); END`)
		s.must(err)
		s.changeChannel(0, func(*Channel) {})
		done := s.begun()
		pass(time.Minute)
		_, err = db.ExecContext(t.Context(), `DROP TRIGGER refuse`)
		s.must(err)
		s.must(<-done)
		w.shelf.fill("item", 1)
		w.until("it is delivered", func() bool { return w.delivered() == 1 })
		stop()
	})
}

func TestTheNextActionOfAChangedSourceUsesItsNewSettings(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "A"), text("item-2", "A"), text("item-3", "A"))
		a.every(time.Hour)
		a.network.fates = []fate{takes(20 * time.Second)}
		e := a.engine()
		a.engines = append(a.engines, e)
		s, stop := &setups{world: a.world, engine: e}, a.daemon(e)
		first := a.act("item-1", "reply", "with the old settings")
		a.eventually("it is under way", func() bool { return a.network.called() == 1 })
		polled := a.network.opened

		fresh, opened := &network{}, 0
		s.changeSource(0, func(src *Source) {
			src.Open = func(context.Context) (sources.Source, error) { fresh.look(func() { opened++ }); return fresh, nil }
		})
		s.must(s.update(t.Context()))
		second := a.act("item-2", "reply", "with the new settings")
		a.eventually("the second is confirmed", a.is(second, sandbox.ActionConfirmed))
		if fresh.called() != 1 || a.network.called() != 1 || len(a.network.stands()) != 0 {
			t.Errorf("%d calls with the new settings, %d with the old", fresh.called(), a.network.called())
		}
		a.eventually("the first is confirmed", a.is(first, sandbox.ActionConfirmed))
		synctest.Wait()
		if a.network.look(func() {}); a.network.closed != a.network.opened || a.network.opened != polled {
			t.Errorf("what is not used any more is to be closed: %d of %d", a.network.closed, a.network.opened)
		}

		s.options.Sources = nil
		s.must(s.update(t.Context()))
		third := a.act("item-3", "reply", "too late")
		a.eventually("the third has failed", a.is(third, sandbox.ActionFailed))
		if fresh.called() != 1 || fresh.closed != opened {
			t.Errorf("a source that is gone: %d calls, %d of %d closed", fresh.called(), fresh.closed, opened)
		}
		a.ends(stop)
	})
}

func TestAnActionUnderWayKeepsTheLeaseOfAChannelThatIsReplaced(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "A"))
		a.network.fates = []fate{takes(5 * time.Minute)}
		e := a.engine()
		a.engines = append(a.engines, e)
		s, stop := &setups{world: a.world, engine: e}, a.daemon(e)
		made := a.act("item-1", "reply", "A")
		a.eventually("it is under way", func() bool { return a.network.called() == 1 })
		s.changeChannel(0, func(*Channel) {})
		s.must(s.update(t.Context()))
		a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
		if a.network.called() != 1 || a.requests(sandbox.RouteConfirm) != 1 {
			t.Errorf("%d calls, %d confirmations", a.network.called(), a.requests(sandbox.RouteConfirm))
		}
		a.ends(stop)
	})
}

// inThisBubble counts the goroutines of the bubble.
func inThisBubble() (n int) {
	synctest.Wait()
	all := make([]byte, 8<<20)
	stacks := strings.Split(string(all[:runtime.Stack(all, true)]), "\n\n")
	_, bubble, _ := strings.Cut(stacks[0], "synctest bubble ")
	bubble, _, _ = strings.Cut(bubble, "]")
	for _, stack := range stacks {
		head, _, _ := strings.Cut(stack, "\n")
		if strings.HasSuffix(head, "synctest bubble "+bubble+"]:") {
			n++
		}
	}
	return n
}

func TestManyUpdatesLeaveNothingBehind(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Logger = slog.New(slog.DiscardHandler)
		w.secondChannel()
		s, stop := w.running()
		pass(5 * time.Second)
		before := inThisBubble()
		for i := range 60 {
			s.changeChannel(i%2, func(*Channel) {})
			s.changeSource(i%2, func(*Source) {})
			s.must(s.update(t.Context()))
			if i%10 == 9 {
				pass(time.Second)
			}
		}
		e := s.engine
		if len(e.leaving) != 0 || len(e.running) != 0 {
			t.Errorf("%d deliverers and %d polls are left", len(e.leaving), len(e.running))
		}
		if n := inThisBubble(); n > before+30 { // a few connections more or less
			t.Errorf("%d goroutines, %d before", n, before)
		}
		stop()
	})
}
