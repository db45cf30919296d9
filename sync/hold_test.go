package sync

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// shelve puts n items with this text on the shelf.
func (w *world) shelve(n int, message string) {
	var items []sources.Item
	for i := range n {
		items = append(items, text(fmt.Sprintf("item-%d", i), message))
	}
	w.shelf.put(items...)
}

// showing counts the tickets in SocialHub with this text.
func (w *world) showing(message string) (n int) {
	for _, t := range w.box.Tickets(w.channel.ID) {
		if t.Interaction.Message == message {
			n++
		}
	}
	return n
}

// limit sets the mass change limit of the source.
func (w *world) limit(n int) { w.options.Sources[0].MassChangeLimit = n }

func TestAMassChangeWaitsForAPerson(t *testing.T) {
	for name, discard := range map[string]bool{"who sends it": false, "who drops it": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				w.limit(3)
				w.shelve(4, "A")
				w.once()
				w.shelve(4, "B")
				w.shelf.put(text("item-new", "new"))
				tally := w.onceAll()
				if c := tally.Channels[w.channel.ID]; c.Updated != 0 || c.Created != 1 || tally.Sources["shelf"].Held != 4 {
					t.Fatalf("%+v", tally)
				}
				if s := w.status("shelf"); s.Held != 4 || s.Changed != 4 {
					t.Fatalf("%+v", s)
				}
				if c := w.once(); c.Updated != 0 {
					t.Fatalf("the next poll sent %d", c.Updated)
				}
				if n, err := w.store.ReleaseHeld(t.Context(), w.channel.ID, "shelf", discard); n != 4 || err != nil {
					t.Fatal(n, err)
				}
				want := map[bool]int{false: 4, true: 0}[discard]
				if c := w.once(); c.Updated != want || w.showing("B") != want {
					t.Errorf("%d updates, %d tickets show B, want %d", c.Updated, w.showing("B"), want)
				}
				if states := w.states("item-0", "item-3"); !slices.Equal(states, []store.State{store.Synced, store.Synced}) {
					t.Error(states)
				}
				for _, row := range w.dump("tickets") {
					if !strings.Contains(row, "payload=<nil>") {
						t.Errorf("content stays: %s", row)
					}
				}
			})
		})
	}
}

func TestAsManyChangesAsTheLimitGoThroughAndAreCountedOverBatches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(4)
		w.shelf.batch = 2
		w.shelve(6, "A")
		w.once()
		w.shelve(4, "B")
		if c := w.once(); c.Updated != 4 {
			t.Errorf("%d updates of 4 at the limit", c.Updated)
		}
		w.shelve(5, "C")
		if c := w.once(); c.Updated != 0 {
			t.Errorf("%d updates of 5 in three batches over the limit", c.Updated)
		}
	})
}

func TestDroppedChangesDoNotComeBackWhenTheSourceGoesBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(1)
		for _, message := range []string{"A", "B"} {
			w.shelve(2, message)
			w.once()
		}
		if n, err := w.store.ReleaseHeld(t.Context(), w.channel.ID, "shelf", true); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		w.shelve(2, "A")
		if c := w.once(); c.Updated != 0 || w.showing("A") != 2 || w.status("shelf").Held != 0 {
			t.Errorf("%+v, held %d", c, w.status("shelf").Held)
		}
		w.shelve(1, "C")
		if c := w.once(); c.Updated != 1 || w.showing("C") != 1 {
			t.Errorf("a later change: %+v", c)
		}
	})
}

func TestHeldChangesThatAreTakenBackOpenTheSource(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(2)
		w.shelve(3, "A")
		w.once()
		w.shelve(3, "B")
		w.once()
		w.shelve(2, "A") // a person has mended the mapping; one real change is left
		if c := w.once(); c.Updated != 1 || w.showing("B") != 1 || w.status("shelf").Held != 0 {
			t.Errorf("%+v, held %d", c, w.status("shelf").Held)
		}
	})
}

func TestABackfillIsNotHeld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(1)
		w.shelve(3, "A")
		w.once()
		w.shelve(3, "B")
		if c := w.once(func(o *Options) { o.Backfill = &Backfill{} }); c.Updated != 3 {
			t.Errorf("%+v", c)
		}
	})
}

func TestNoLimitHoldsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(1)
		w.shelve(3, "A")
		w.once()
		w.shelve(3, "B")
		w.once()
		w.limit(0)
		w.shelve(1, "C")
		if c := w.once(); c.Updated != 3 {
			t.Errorf("%d updates, the held ones among them", c.Updated)
		}
	})
}

// TestChangesOfAPollThatDidNotEndAreJudgedByTheNext cuts a poll between its batches and its end, as a crash would.
func TestChangesOfAPollThatDidNotEndAreJudgedByTheNext(t *testing.T) {
	for name, limit := range map[string]int{"few": 5, "too many": 2} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				w.limit(limit)
				w.shelve(3, "A")
				w.once()
				w.shelve(2, "B")
				e := w.engine()
				leases, err := w.store.ClaimPolls(t.Context(), e.Owner, []store.PollKey{e.key(&e.Sources[0])}, time.Minute, true)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := e.poll(t.Context(), &e.Sources[0], leases[0], e.ingest); err != nil {
					t.Fatal(err)
				}
				if states := w.states("item-0", "item-1"); !slices.Equal(states, []store.State{store.Held, store.Held}) {
					t.Fatal(states)
				}
				pass(2 * time.Minute) // the lease ends
				w.shelf.put(text("item-2", "B"))
				want := map[bool]int{true: 3, false: 0}[limit >= 3]
				if c := w.once(); c.Updated != want {
					t.Errorf("%d updates, want %d", c.Updated, want)
				}
			})
		})
	}
}

func TestAnUpdateUnderWayDoesNotLetTheHeldChangeGo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(1)
		w.every(10 * time.Second)
		w.shelve(3, "A")
		defer w.start()()
		w.until("A is there", func() bool { return w.showing("A") == 3 })
		w.box.SetFaults(onRoute(sandbox.RoutePatch, sandbox.Fault{Kind: sandbox.Slow, Wait: 15 * time.Second}))
		w.shelve(1, "B")
		w.until("B is under way", func() bool { return w.row("item-0").State == store.Pending })
		w.shelve(3, "C")
		w.until("C is held", func() bool { return w.status("shelf").Held == 3 })
		w.until("B has arrived", func() bool { return w.showing("B") == 1 })
		pass(time.Minute)
		if n := w.showing("C"); n != 0 {
			t.Errorf("%d tickets show C", n)
		}
	})
}

func TestADeletionOfManyIsHeldToo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(1)
		w.options.Sources[0].OnDelete = Redact
		w.shelve(2, "A")
		w.once()
		for i := range 2 {
			w.shelf.put(sources.Item{Interaction: socialhub.Interaction{NetworkItemID: fmt.Sprintf("item-%d", i)}, Deleted: true})
		}
		if c := w.once(); c.Updated != 0 || w.status("shelf").Held != 2 {
			t.Errorf("%+v, held %d", c, w.status("shelf").Held)
		}
	})
}

func TestADryRunCountsWhatIsHeldAlready(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(3)
		w.shelve(6, "A")
		w.once()
		w.shelve(4, "B")
		w.once()
		would := func() int {
			t.Helper()
			outcome, err := w.engine().DryRun(t.Context(), func(Preview) {})
			if err != nil || len(outcome.Errors) > 0 {
				t.Fatal(outcome, err)
			}
			return outcome.Held["shelf"]
		}
		if n := would(); n != 4 {
			t.Errorf("nothing new: %d", n)
		}
		w.shelf.put(text("item-5", "B"), text("item-5", "C"), text("item-0", "C"))
		if n := would(); n != 5 {
			t.Errorf("one more, twice, and one of those held: %d", n)
		}
		w.limit(0)
		if n := would(); n != 0 {
			t.Errorf("without a limit: %d", n)
		}
		w.limit(3)
		w.shelve(2, "A")
		if n := would(); n != 0 {
			t.Errorf("two taken back leave three, which is the limit: %d", n)
		}
	})
}

func TestASourceThatFailsAgainAndAgainChangesNoMoreThanTheLimit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.limit(3)
		w.shelve(9, "A")
		w.once()
		w.shelf.set(func(s *shelf) { s.fail = errors.New("cut off") })
		updated := 0
		for i := range 9 {
			w.shelf.put(text(fmt.Sprintf("item-%d", i), "B"))
			updated += w.once().Updated
		}
		if updated != 3 || w.status("shelf").Held != 6 {
			t.Errorf("%d updates, %d held", updated, w.status("shelf").Held)
		}
	})
}

func TestAnItemThatIsShownAndDeletedInOneBatchIsShown(t *testing.T) {
	for mode, want := range map[OnDelete]string{Keep: "B", Redact: redactedMessage} {
		t.Run(string(mode), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				w.options.Sources[0].OnDelete = mode
				w.shelve(1, "A")
				w.once()
				w.shelf.put(text("item-0", "B"), sources.Item{Interaction: socialhub.Interaction{NetworkItemID: "item-0"}, Deleted: true})
				w.once()
				if got := w.message("item-0"); got != want {
					t.Errorf("SocialHub shows %q", got)
				}
			})
		})
	}
}
