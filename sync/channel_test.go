package sync

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store"
)

// fill puts n new items on the shelf.
func (s *shelf) fill(prefix string, n int) {
	for i := range n {
		s.put(text(fmt.Sprintf("%s-%05d", prefix, i), "A"))
	}
}

// delivered counts the channel's tickets in SocialHub.
func (w *world) delivered() int { return len(w.box.Tickets(w.channel.ID)) }

// counted is how many requests of the channel there were, for a function that says later how many more.
func (w *world) more(channelID string) func() int {
	count := func() (n int) {
		for _, r := range w.box.Requests() {
			if r.ChannelID == channelID || r.ChannelID == "" {
				n++
			}
		}
		return n
	}
	before := count()
	return func() int { return count() - before }
}

func TestAReplacedTokenStopsTheChannelUntilTheConfigHasTheNewOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		other, otherShelf := w.secondChannel()
		w.every(5 * time.Second)
		stop := w.start()
		pass(time.Second)
		fresh, _ := w.box.ReplaceToken(w.channel.ID)
		w.shelf.fill("item", 40)
		w.until("the channel is paused", func() bool {
			return len(w.dump("channels")) == 2 && strings.Contains(strings.Join(w.dump("channels"), ""), "pause=unauthorized")
		})
		pass(time.Second)
		more, pulls := w.more(w.channel.ID), w.shelf.pulls()
		otherShelf.fill("other", 10)
		pass(time.Minute)
		if n := more() - 0; n != 0 {
			t.Errorf("%d requests with a token that was refused", n)
		}
		if n := w.shelf.pulls() - pulls; n < 11 {
			t.Errorf("%d polls in a minute: polls go on", n)
		}
		if n := len(w.box.Tickets(other.ID)); n != 10 {
			t.Errorf("%d tickets in the other channel", n)
		}
		stop()

		more = w.more(w.channel.ID)
		w.once() // a restart with the old token
		stop = w.start()
		pass(5 * time.Second)
		stop()
		if n := more(); n != 0 {
			t.Errorf("%d requests after a restart with the same token", n)
		}
		attempts := w.row("item-00000").Attempts
		w.options.Channels[0] = w.client(fresh)
		if got := w.once(); got != (ChannelTally{Created: 40}) || attempts != 0 {
			t.Errorf("with the new token: %+v after %d attempts", got, attempts)
		}
	})
}

func TestADeactivatedChannelWaitsForAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.box.Deactivate(w.channel.ID)
		w.shelf.fill("item", 3)
		w.once()
		more := w.more(w.channel.ID)
		stop := w.start()
		pass(time.Minute)
		if n := more(); n != 0 {
			t.Errorf("%d requests while the channel is paused", n)
		}
		w.box.Activate(w.channel.ID)
		pass(time.Minute)
		if n := more(); n != 0 {
			t.Errorf("%d requests before anybody said resume", n)
		}
		if ok, err := w.store.ResumeChannel(t.Context(), w.channel.ID); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if took := w.until("everything is delivered", func() bool { return w.delivered() == 3 }); took > 2*time.Second {
			t.Errorf("resume took %v", took)
		}
		stop()

		w.box.SetFaults(sandbox.Script("", sandbox.Fault{Kind: sandbox.Forbidden}))
		w.once()
		fresh, _ := w.box.ReplaceToken(w.channel.ID)
		w.options.Channels[0] = w.client(fresh)
		w.shelf.fill("later", 1)
		if got := w.once(); got != (ChannelTally{Created: 1}) {
			t.Errorf("with another token: %+v", got)
		}
	})
}

func TestARateLimitIsWaitedOutExactlyAndIsNoAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		fault sandbox.Fault
		want  time.Duration
	}{
		"in seconds":         {sandbox.Fault{Kind: sandbox.TooMany, Wait: 17 * time.Second}, 17 * time.Second},
		"as a date":          {sandbox.Fault{Kind: sandbox.TooManyDate, Wait: 17 * time.Second}, 17 * time.Second},
		"absurd":             {sandbox.Fault{Kind: sandbox.TooManyAbsurd}, time.Minute},
		"absurd in its size": {sandbox.Fault{Kind: sandbox.TooManyAbsurd, RetryAfter: "99999999999999999999"}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				w.options.Channels[0].Concurrency = 1
				other, otherShelf := w.secondChannel()
				w.box.SetFaults(scriptOf(w.channel.ID, sandbox.RoutePost, sandbox.Fault{}, test.fault))
				w.every(5 * time.Second)
				w.shelf.fill("item", 5)
				defer w.start()()
				w.until("the limit is hit", func() bool { return w.requests(sandbox.RoutePost) == 2 })
				began, pulls := w.box.Requests()[len(w.box.Requests())-1].Time, w.shelf.pulls()
				otherShelf.fill("other", 3)
				w.until("everything is delivered", func() bool { return w.delivered() == 5 })

				var mine []sandbox.Request
				for _, r := range w.box.Requests() {
					if r.ChannelID == w.channel.ID && r.Route == sandbox.RoutePost {
						mine = append(mine, r)
					}
				}
				// A request may come up to a second later, when the engine looks again.
				if paused := mine[2].Time.Sub(began); paused < test.want || paused > test.want+1100*time.Millisecond {
					t.Errorf("the next request came after %v, want %v", paused, test.want)
				}
				if len(mine) != 6 {
					t.Errorf("%d requests", len(mine))
				}
				for _, r := range w.box.Tickets(other.ID) {
					if r.Received.Sub(began) > 6*time.Second {
						t.Errorf("the other channel's ticket came after %v", r.Received.Sub(began))
					}
				}
				if w.shelf.pulls()-pulls < 3 {
					t.Error("the source was not polled in the meantime")
				}
			})
		})
	}
}

// scriptOf is sandbox.Script for one channel.
func scriptOf(channelID, route string, faults ...sandbox.Fault) sandbox.Faults {
	script := sandbox.Script(route, faults...)
	return func(c sandbox.Call) sandbox.Fault {
		if c.ChannelID != channelID {
			return sandbox.Fault{}
		}
		return script(c)
	}
}

func TestARateLimitIsNoAttemptAndNoFailure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.TooMany, Wait: time.Hour})}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 3)
		defer w.start()()
		pass(3 * time.Second)
		if r := w.row("item-00000"); r.State != store.Pending || r.Attempts != 0 || r.Reason != "" {
			t.Errorf("%+v", r)
		}
	})
}

func TestNothingIsSentOnceTheChannelIsPaused(t *testing.T) {
	for name, rate := range map[string]float64{"by a worker that was waiting": 0, "after the wait for our own limit": 0.2} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{Latency: 3 * time.Second}, sandbox.ChannelOptions{})
				w.options.Channels[0].Concurrency, w.options.Channels[0].RateLimit = 2, rate
				w.box.SetFaults(sandbox.Script(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.Forbidden}, sandbox.Fault{Kind: sandbox.Slow, Wait: 10 * time.Second}))
				w.shelf.fill("item", 20)
				stop := w.start()
				pass(time.Minute)
				stop()
				// With a limit of our own the second request waits for its turn, and then finds the channel paused.
				want := 2
				if rate > 0 {
					want = 1
				}
				if n := w.requests(sandbox.RoutePost); n != want {
					t.Errorf("%d requests, want %d", n, want)
				}
			})
		})
	}
}

func TestAnUnreachableSocialHubIsAskedLessAndLessAndPollsGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: time.Second}, sandbox.ChannelOptions{})
		w.every(10 * time.Second)
		w.shelf.fill("before", 10)
		defer w.start()()
		w.until("the first are delivered", func() bool { return w.delivered() == 10 })
		w.box.SetFaults(onRoute("", sandbox.Fault{Kind: sandbox.BadGateway}))
		w.shelf.fill("item", 60)
		w.until("the first request has failed", func() bool { return w.requests(sandbox.RoutePost) > 10 })
		pass(5 * time.Second) // up to eight were under way

		w.meter.most.Store(0)
		more, pulls := w.more(w.channel.ID), w.shelf.pulls()
		pass(time.Minute)
		if n := more(); n < 4 || n > 60 || w.meter.most.Load() != 1 {
			t.Errorf("%d requests in a minute, %d at a time", n, w.meter.most.Load())
		}
		if w.shelf.pulls() <= pulls {
			t.Error("polls don't go on")
		}
		w.box.SetFaults(nil)
		w.until("everything is delivered", func() bool { return w.delivered() == 70 })
		if w.meter.most.Load() < 4 {
			t.Errorf("after the trouble, only %d requests at a time", w.meter.most.Load())
		}
	})
}

func TestAChannelIsGreetedWithGrowingWaits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute("", sandbox.Fault{Kind: sandbox.Reset})}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 3)
		defer w.start()()
		pass(time.Minute)
		if n := w.requests(sandbox.RouteRoot); n < 4 || n > 25 || w.requests(sandbox.RoutePost) != 0 {
			t.Errorf("%d GET /, %d POST", n, w.requests(sandbox.RoutePost))
		}
	})
}

func TestASocialHubThatStaysAwayIsToldNowAndThen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute("", sandbox.Fault{Kind: sandbox.BadGateway})}, sandbox.ChannelOptions{})
		var log record
		w.options.Logger = log.logger()
		w.every(time.Hour)
		defer w.start()()
		pass(time.Minute)
		const told = "SocialHub can't be reached"
		if n := strings.Count(log.String(), told); n != 1 || !strings.Contains(log.String(), "502") {
			t.Errorf("told %d times in the first minute", n)
		}
		pass(100 * time.Minute)
		if n := strings.Count(log.String(), told); n < 5 || n > 11 {
			t.Errorf("told %d times in 100 minutes", n)
		}
	})
}

func TestOneTicketThatAlwaysFailsDoesNotSlowTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 100 * time.Millisecond}, sandbox.ChannelOptions{})
		w.shelf.put(text("cursed", "A"))
		w.once()
		cursed, _ := w.box.Ticket(w.channel.ID, "cursed")
		w.box.SetFaults(func(c sandbox.Call) sandbox.Fault {
			if strings.HasSuffix(c.Path, cursed.ID) {
				return sandbox.Fault{Kind: sandbox.InternalError}
			}
			return sandbox.Fault{}
		})
		w.shelf.put(text("cursed", "B"))
		w.every(time.Second)
		defer w.start()()
		pass(20 * time.Second)
		if n := w.requests(sandbox.RoutePatch); n < 3 {
			t.Errorf("the ticket was tried %d times", n)
		}
		w.shelf.fill("item", 80)
		if took := w.until("the others are delivered", func() bool { return w.delivered() == 81 }); took > 3*time.Second {
			t.Errorf("80 tickets took %v", took)
		}
		if r := w.row("cursed"); r.State != store.Pending || r.Attempts < 3 || r.Reason == "" {
			t.Errorf("%+v", r)
		}
	})
}

func TestASlowChannelDoesNotSlowAnother(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"that hangs": {Kind: sandbox.Hang}, "that answers slowly": {Kind: sandbox.Slow, Wait: 20 * time.Second}, "that fails": {Kind: sandbox.Reset},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				other, otherShelf := w.secondChannel()
				w.box.SetFaults(func(c sandbox.Call) sandbox.Fault {
					if c.ChannelID == w.channel.ID && c.Route != sandbox.RouteRoot {
						return fault
					}
					return sandbox.Fault{}
				})
				w.shelf.fill("item", 30)
				otherShelf.fill("other", 30)
				stop := w.daemon(w.engine(func(o *Options) { o.Grace = time.Second }))
				if took := w.until("the other channel's are delivered", func() bool { return len(w.box.Tickets(other.ID)) == 30 }); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
				stop()
			})
		})
	}
}

func TestTheBoundsOfAChannelAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: time.Second}, sandbox.ChannelOptions{})
		w.options.Channels[0].Concurrency = 3
		w.shelf.fill("item", 30)
		began := time.Now()
		w.once()
		if took := time.Since(began); w.meter.most.Load() != 3 || took > 14*time.Second {
			t.Errorf("%d requests at a time, %v", w.meter.most.Load(), took)
		}
	})
	t.Run("in requests per second", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
			w.options.Channels[0].RateLimit = 4
			w.shelf.fill("item", 40)
			w.once()
			var times []time.Time
			for _, r := range w.box.Requests() {
				if r.Route == sandbox.RoutePost {
					times = append(times, r.Time)
				}
			}
			slices.SortFunc(times, time.Time.Compare)
			// Four at once, then four a second: in no window more than that.
			for i := 4; i < len(times); i++ {
				for j := 0; j+4 < i; j++ {
					if window := times[i].Sub(times[j]); float64(i-j) > 4+window.Seconds()*4+0.1 {
						t.Fatalf("%d requests in %v", i-j+1, window)
					}
				}
			}
			if total := times[39].Sub(times[0]); total < 8900*time.Millisecond || total > 10*time.Second {
				t.Errorf("40 requests in %v", total)
			}
		})
	})
}

func TestWhatIsLiveGoesBeforeABackfill(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Channels[0].RateLimit, w.options.Channels[0].Concurrency = 1, 2
		history := &shelf{}
		history.fill("old", 60)
		w.box.SetFaults(onRoute(sandbox.RouteRoot, sandbox.Fault{Kind: sandbox.InternalError}))
		w.once(func(o *Options) {
			o.Backfill = &Backfill{}
			o.Sources = []Source{w.source("shelf", history)}
		})
		w.box.SetFaults(nil)
		w.every(2 * time.Second)
		stop := w.daemon(w.engine())
		w.until("the backfill is under way", func() bool { return w.delivered() >= 5 })
		w.shelf.fill("live", 3)
		took := w.until("the live ones are delivered", func() bool {
			return w.message("live-00000") != "" && w.message("live-00001") != "" && w.message("live-00002") != ""
		})
		// Two seconds to the next poll, then the few that were handed out already.
		if took > 12*time.Second {
			t.Errorf("the live ones waited %v", took)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
