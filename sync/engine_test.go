package sync

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

func TestEachItemBecomesOneTicketAndEachChangeOneUpdate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		item := func(n int, message string) sources.Item { return text(fmt.Sprintf("item-%05d", n), message) }
		for n := range 500 {
			w.shelf.put(item(n, "hello"))
		}
		if got := w.once(); got != (ChannelTally{Created: 500}) {
			t.Fatalf("first run: %+v", got)
		}
		rows, before := w.dump("tickets"), len(w.box.Requests())

		for n := range 500 { // the same once more
			w.shelf.put(item(n, "hello"))
		}
		pass(time.Hour)
		if got := w.once(); got != (ChannelTally{}) {
			t.Errorf("unchanged: %+v", got)
		}
		if new := w.box.Requests()[before:]; len(new) != 1 || new[0].Route != sandbox.RouteRoot {
			t.Errorf("unchanged items caused requests: %+v", new)
		}
		if diff := cmp.Diff(rows, w.dump("tickets")); diff != "" {
			t.Errorf("unchanged items caused row writes: %s", diff)
		}

		edited := time.Date(1999, 12, 31, 12, 0, 0, 0, time.UTC)
		for n := range 20 {
			it := item(n, "edited")
			if n > 0 {
				it.UpdatedTime = edited
			}
			w.shelf.put(it)
		}
		for n := range 5 {
			w.shelf.put(item(1000+n, "new"))
		}
		pass(time.Hour)
		at := time.Now()
		if got := w.once(); got != (ChannelTally{Created: 5, Updated: 20}) {
			t.Fatalf("edited and added: %+v", got)
		}
		if posts, patches := w.requests(sandbox.RoutePost), w.requests(sandbox.RoutePatch); posts != 505 || patches != 20 {
			t.Errorf("%d POST and %d PATCH", posts, patches)
		}
		for n := range 20 {
			ticket, _ := w.box.Ticket(w.channel.ID, fmt.Sprintf("item-%05d", n))
			want := edited
			if n == 0 { // the source does not say
				want = at
			}
			last := ticket.Revisions[len(ticket.Revisions)-1]
			if ticket.Interaction.Message != "edited" || !last.Reset || ticket.UpdatedTime.Sub(want).Abs() > time.Second {
				t.Errorf("%+v reset %v", ticket, last.Reset)
			}
		}
		for _, id := range []string{"item-00000", "item-00499", "item-01004"} {
			if r := w.row(id); r.State != store.Synced || r.Payload != "" || r.TicketID == "" {
				t.Errorf("row %+v", r)
			}
		}
	})
}

func TestATicketStaysDoneIfItsSourceSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Sources[0].Reset = false
		w.shelf.put(text("item-1", "A"))
		w.once()
		ticket, _ := w.box.Ticket(w.channel.ID, "item-1")
		w.box.Done(ticket.ID)
		w.shelf.put(text("item-1", "B"))
		w.once()
		if ticket, _ = w.box.Ticket(w.channel.ID, "item-1"); ticket.Interaction.Message != "B" || ticket.Folder != sandbox.FolderDone {
			t.Errorf("%+v", ticket)
		}
	})
}

func TestAReplyWaitsForItsRoot(t *testing.T) {
	for name, test := range map[string]struct {
		first, second []sources.Item
		options       sandbox.Options
		want          []string
		hidden        int
		states        map[string]store.State
	}{
		"in one batch": {
			first: []sources.Item{reply("reply-1", "root-1", "re"), reply("reply-2", "root-1", "re"), text("root-1", "hi")},
			want:  []string{"root-1", "reply-1", "reply-2"},
		},
		"a chain": {
			first: []sources.Item{reply("item-4", "item-3", "4"), reply("item-3", "item-2", "3"), reply("item-2", "item-1", "2"), text("item-1", "1")},
			want:  []string{"item-1", "item-2", "item-3", "item-4"},
		},
		"but not for one that is unknown": {
			first: []sources.Item{reply("reply-1", "root-1", "re")}, want: []string{"reply-1", "root-1"}, hidden: 1,
		},
		"which can't be told apart from a ticket that exists when it comes later": {
			first: []sources.Item{reply("reply-1", "root-1", "re")}, second: []sources.Item{text("root-1", "hi")},
			want: []string{"reply-1", "root-1"}, hidden: 1, states: map[string]store.State{"root-1": store.Unlinked},
		},
		"unless SocialHub fills it in": {
			options: sandbox.Options{FillHiddenRoots: true},
			first:   []sources.Item{reply("reply-1", "root-1", "re")}, second: []sources.Item{text("root-1", "hi")},
			want: []string{"reply-1", "root-1"}, states: map[string]store.State{"root-1": store.Synced},
		},
		"and not for one that was refused": {
			first: []sources.Item{reply("reply-1", "root-1", "re"), text("root-1", "")},
			want:  []string{"reply-1", "root-1"}, hidden: 1, states: map[string]store.State{"root-1": store.Rejected},
		},
		"and two that wait for each other go both": {
			first: []sources.Item{reply("item-1", "item-2", "1"), reply("item-2", "item-1", "2"), reply("item-3", "item-1", "3")},
			want:  []string{"item-1", "item-2", "item-3"}, states: map[string]store.State{"item-3": store.Synced},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, test.options, sandbox.ChannelOptions{})
				w.options.Channels[0].Concurrency = 1
				w.shelf.put(test.first...)
				w.once()
				w.shelf.put(test.second...)
				w.once()
				var got []string
				hidden := 0
				for _, ticket := range w.box.Tickets(w.channel.ID) {
					got = append(got, ticket.Interaction.NetworkItemID)
					if ticket.Folder == sandbox.FolderHidden {
						hidden++
					}
				}
				if name == "and two that wait for each other go both" { // SocialHub makes the second of them a hidden one first
					slices.Sort(got)
					hidden = test.hidden
				}
				if diff := cmp.Diff(test.want, got); diff != "" || hidden != test.hidden {
					t.Errorf("%d hidden tickets, want %d; %s", hidden, test.hidden, diff)
				}
				for id, want := range test.states {
					if got := w.row(id).State; got != want {
						t.Errorf("%s is %s, want %s", id, got, want)
					}
				}
			})
		})
	}
}

func TestAReplyWaitsUntilItsRootCanBeDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: sandbox.Script(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.Lost})}, sandbox.ChannelOptions{})
		w.shelf.put(reply("reply-1", "root-1", "re"), text("root-1", "hi"))
		w.once()
		if got := w.requests(sandbox.RoutePost); got != 1 {
			t.Fatalf("%d POSTs while it is not known what became of the root", got)
		}
		pass(time.Minute)
		w.once()
		if diff := cmp.Diff([]store.State{store.Unlinked, store.Synced}, w.states("root-1", "reply-1")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheLastContentWins(t *testing.T) {
	versions := func(messages ...string) []sources.Item {
		var items []sources.Item
		for _, m := range messages {
			items = append(items, text("item-1", m))
		}
		return items
	}
	for name, test := range map[string]struct {
		// delivered before the trouble begins; then came while a request took four seconds.
		delivered string
		came      []sources.Item
		faults    func() sandbox.Faults
		want      string
		requests  int
	}{
		"when content changes while its creation is on its way":            {came: versions("A", "B"), want: "B", requests: 2},
		"when it changes twice on the way":                                 {came: versions("A", "B", "C"), want: "C", requests: 2},
		"when it changes and changes back while its creation is under way": {came: versions("A", "B", "A"), want: "A", requests: 1},
		"when content changes while an update is on its way":               {delivered: "A", came: versions("B", "C"), want: "C", requests: 3},
		"when it changes back while the update is on its way":              {delivered: "A", came: versions("B", "A"), want: "A", requests: 3},
		"when it changes back and the update's answer is lost": {
			delivered: "A", came: versions("B", "A"), want: "A", requests: 3,
			faults: func() sandbox.Faults {
				return sandbox.Script(sandbox.RoutePatch, sandbox.Fault{Kind: sandbox.Truncated})
			},
		},
		"when it changes back and SocialHub refuses the update": {
			delivered: "A", came: versions("B", "A"), want: "A", requests: 2,
			faults: func() sandbox.Faults { return sandbox.Script(sandbox.RoutePatch, sandbox.Fault{Kind: sandbox.TooMany}) },
		},
		"when the update meets trouble": {
			delivered: "A", came: versions("B", "C"), want: "C", requests: 3,
			faults: func() sandbox.Faults {
				return sandbox.Script(sandbox.RoutePatch, sandbox.Fault{Kind: sandbox.InternalError})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{Latency: 4 * time.Second}, sandbox.ChannelOptions{})
				w.every(time.Second)
				if test.delivered != "" {
					w.shelf.put(text("item-1", test.delivered))
					w.once()
				}
				if test.faults != nil {
					w.box.SetFaults(test.faults())
				}
				defer w.start()()
				pass(5 * time.Second) // GET / takes its time too
				w.shelf.put(test.came[0])
				w.until("the request is under way", func() bool { return w.meter.now.Load() == 1 })
				for _, it := range test.came[1:] {
					w.shelf.put(it)
					pass(1100 * time.Millisecond)
				}
				if w.meter.now.Load() != 1 {
					t.Fatal("the request is through already")
				}
				w.until("all is quiet", func() bool { return w.row("item-1").State == store.Synced })
				if got := w.message("item-1"); got != test.want {
					t.Errorf("SocialHub shows %q, want %q", got, test.want)
				}
				if got := w.requests(sandbox.RoutePost) + w.requests(sandbox.RoutePatch); got != test.requests {
					t.Errorf("%d requests, want %d", got, test.requests)
				}
			})
		})
	}
}

func TestChangingBackBeforeAnythingWasSentNeedsNoRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Channels[0].Concurrency = 1
		for n := range 20 {
			w.shelf.put(text(fmt.Sprintf("item-%02d", n), "A"))
		}
		w.once()
		w.box.SetFaults(onRoute(sandbox.RoutePatch, sandbox.Fault{Kind: sandbox.Forbidden}))
		for n := range 20 {
			w.shelf.put(text(fmt.Sprintf("item-%02d", n), "B"))
		}
		w.once() // the first update finds the channel closed, the others were ready to go
		if got := w.requests(sandbox.RoutePatch); got != 1 {
			t.Errorf("%d updates", got)
		}
		for n := range 20 {
			w.shelf.put(text(fmt.Sprintf("item-%02d", n), "A"))
		}
		w.once() // while the channel is still closed: what it says is stored before anything can be sent
		w.box.SetFaults(nil)
		if _, err := w.store.ResumeChannel(t.Context(), w.channel.ID); err != nil {
			t.Fatal(err)
		}
		if got := w.once(); got != (ChannelTally{}) {
			t.Errorf("changed back: %+v", got)
		}
		if got := w.row("item-07").State; got != store.Synced {
			t.Errorf("the ticket is %s", got)
		}
	})
}

func TestATicketThatExistsAlreadyIsUnlinkedUntilItIsAdopted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		made := w.options.Channels[0].Client.Create(t.Context(), &socialhub.Interaction{NetworkItemID: "item-1", Message: "A"})
		w.shelf.put(text("item-1", "A"))
		if got := w.once(); got != (ChannelTally{Unlinked: 1}) {
			t.Fatalf("%+v", got)
		}
		for _, message := range []string{"B", "C"} {
			w.shelf.put(text("item-1", message))
			if got := w.once(); got != (ChannelTally{}) {
				t.Errorf("an edit: %+v", got)
			}
		}
		if r := w.row("item-1"); r.State != store.Unlinked || r.Payload == "" {
			t.Errorf("the edit is not kept: %+v", r)
		}
		if _, err := w.store.Adopt(t.Context(), w.channel.ID, []store.Link{{NetworkItemID: "item-1", TicketID: made.TicketID}}); err != nil {
			t.Fatal(err)
		}
		if got := w.once(); got != (ChannelTally{Updated: 1}) || w.message("item-1") != "C" {
			t.Errorf("adopted: %+v, SocialHub shows %q", got, w.message("item-1"))
		}
	})
}

func TestACreationWhoseAnswerIsLost(t *testing.T) {
	for name, test := range map[string]struct {
		after []string
		// adopted tells what the next run does once the _id is known.
		adopted ChannelTally
		want    string
	}{
		"ends unlinked, and needs nothing more":      {nil, ChannelTally{}, "A"},
		"and whose content changes shows the change": {[]string{"B"}, ChannelTally{Updated: 1}, "B"},
		"and whose content changes and changes back": {[]string{"B", "A"}, ChannelTally{Updated: 1}, "A"},
	} {
		for _, kind := range []sandbox.Kind{sandbox.Lost, sandbox.Truncated, sandbox.Empty} {
			t.Run(name+"/"+string(kind), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					w := newWorld(t, sandbox.Options{Faults: sandbox.Script(sandbox.RoutePost, sandbox.Fault{Kind: kind})}, sandbox.ChannelOptions{})
					w.shelf.put(text("item-1", "A"))
					if got := w.once(); got != (ChannelTally{Failed: 1}) {
						t.Fatalf("first run: %+v", got)
					}
					pass(2 * time.Second)
					w.box.SetFaults(onRoute(sandbox.RouteRoot, sandbox.Fault{Kind: sandbox.InternalError}))
					for _, message := range test.after {
						w.shelf.put(text("item-1", message))
						w.once() // SocialHub is down
					}
					w.box.SetFaults(nil)
					if got := w.once(); got != (ChannelTally{Unlinked: 1}) {
						t.Fatalf("second run: %+v", got)
					}
					ticket, _ := w.box.Ticket(w.channel.ID, "item-1")
					if _, err := w.store.Adopt(t.Context(), w.channel.ID, []store.Link{{NetworkItemID: "item-1", TicketID: ticket.ID}}); err != nil {
						t.Fatal(err)
					}
					if got := w.once(); got != test.adopted || w.message("item-1") != test.want {
						t.Errorf("adopted: %+v, SocialHub shows %q", got, w.message("item-1"))
					}
					if r := w.row("item-1"); r.State != store.Synced || r.Payload != "" {
						t.Errorf("row %+v", r)
					}
					if got := len(w.box.Tickets(w.channel.ID)); got != 1 {
						t.Errorf("%d tickets", got)
					}
				})
			})
		}
	}
}

func TestABadItemDoesNotKeepTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		refused := text("refused", "SocialHub refuses the type in this channel")
		refused.Interaction.Type = socialhub.TypeReview
		w.shelf.put(
			text("item-1", "good"), text("no id", "bad"), text("empty-1", ""), refused,
			sources.Item{Fault: &sources.Fault{Place: "file:3", Reason: "no JSON"}}, text("item-2", "good"),
		)
		tally := w.onceAll()
		if got := tally.Channels[w.channel.ID]; got != (ChannelTally{Created: 2, Rejected: 1}) {
			t.Errorf("deliveries: %+v", got)
		}
		if got, want := tally.Sources["shelf"].Counts, (Counts{Read: 6, New: 3, Rejected: 3}); got != want {
			t.Errorf("poll: %+v", got)
		}
		for _, id := range []string{`at "no id"`, "empty-1", "refused", "at file:3"} {
			if r := w.row(id); r.State != store.Rejected || r.Reason == "" {
				t.Errorf("%s: %+v", id, r)
			}
		}
		w.shelf.put(text("refused", "better"), text("empty-1", "better"))
		if got := w.once(); got != (ChannelTally{Created: 2}) {
			t.Errorf("better content: %+v", got)
		}
	})
}

func TestFaultsAreForgottenWhenTheirPlaceIsReadAnew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		fault := func(place string) sources.Item {
			return sources.Item{Fault: &sources.Fault{Place: place, Reason: "no JSON"}}
		}
		var batch sources.Batch
		w.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
			return pullFunc(func(_ context.Context, _ sources.Request, yield func(sources.Batch, error) bool) { yield(batch, nil) }), nil
		}
		rejected := func() (ids []string) {
			t.Helper()
			rows, err := w.store.Problems(t.Context(), w.channel.ID, store.Rejected, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				ids = append(ids, r.NetworkItemID)
			}
			slices.Sort(ids)
			return ids
		}
		batch = sources.Batch{Items: []sources.Item{fault("a:1"), fault("a:2"), fault("b:1")}, Cursor: "1"}
		w.once()
		batch = sources.Batch{Items: []sources.Item{text("item-1", "mended"), fault("a:2")}, Rereads: "a:", Cursor: "2"}
		w.once()
		if diff := cmp.Diff([]string{"at a:2", "at b:1"}, rejected()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOurOwnPosts(t *testing.T) {
	own := func(message string) sources.Item {
		it := text("our-own-1", message)
		it.Own = true
		it.Interaction.Interactor = &socialhub.Interactor{InteractorID: "somebody", Name: "Us"}
		return it
	}
	t.Run("are sent as the channel's, so that they are not unread, and edits leave them where they are", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{NetworkID: "ourselves"})
			w.shelf.put(own("A"))
			w.once()
			w.shelf.put(own("B"))
			if got := w.once(); got != (ChannelTally{Updated: 1}) {
				t.Fatalf("%+v", got)
			}
			ticket, _ := w.box.Ticket(w.channel.ID, "our-own-1")
			if !ticket.Own || ticket.Unread || ticket.Folder != sandbox.FolderDone || ticket.Interaction.Message != "B" {
				t.Errorf("%+v", ticket)
			}
		})
	})
	t.Run("are not sent for a channel without a networkId, and serve as roots all the same", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
			w.shelf.put(reply("answer-1", "our-own-1", "thanks"), own("A"))
			if got := w.once(); got != (ChannelTally{Created: 1, Skipped: 1}) {
				t.Fatalf("%+v", got)
			}
			if r := w.row("our-own-1"); r.State != store.Skipped || r.Payload != "" {
				t.Errorf("%+v", r)
			}
			answer, _ := w.box.Ticket(w.channel.ID, "answer-1")
			if answer.Interaction.Root == nil || answer.Interaction.Root.RootID != "our-own-1" {
				t.Errorf("%+v", answer)
			}
			w.shelf.put(own("B"))
			if got := w.once(); got != (ChannelTally{Skipped: 1}) {
				t.Errorf("edited: %+v", got)
			}
		})
	})
}

func TestADeletionInTheSource(t *testing.T) {
	deleted := sources.Item{Interaction: socialhub.Interaction{NetworkItemID: "item-1"}, Deleted: true}
	for name, test := range map[string]struct {
		onDelete OnDelete
		tally    ChannelTally
		message  string
		pictures int
	}{
		"leaves the ticket as it is":                        {Keep, ChannelTally{}, "A", 1},
		"with redact takes what it showed away, in silence": {Redact, ChannelTally{Updated: 1}, redactedMessage, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				w.options.Sources[0].OnDelete = test.onDelete
				it := text("item-1", "A")
				it.Interaction.Pictures = []socialhub.Picture{{Small: "https://example.com/1.png"}}
				w.shelf.put(it)
				w.once()
				ticket, _ := w.box.Ticket(w.channel.ID, "item-1")
				w.box.Done(ticket.ID)
				w.shelf.put(deleted)
				if got := w.once(); got != test.tally {
					t.Errorf("%+v", got)
				}
				w.once()
				ticket, _ = w.box.Ticket(w.channel.ID, "item-1")
				if ticket.Interaction.Message != test.message || len(ticket.Interaction.Pictures) != test.pictures || ticket.Folder != sandbox.FolderDone {
					t.Errorf("%+v", ticket)
				}
			})
		})
	}
}

func TestATicketThatWasRemovedInSocialHubIsNotMadeAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.put(text("item-1", "A"))
		w.once()
		// There is no way to remove a ticket from the sandbox, so the row names one that it does not have.
		r := newRig(w)
		if _, err := r.db.Exec("UPDATE tickets SET ticket_id = '5f0000000000000000000009'"); err != nil {
			t.Fatal(err)
		}
		if err := w.store.ReleaseChannel(t.Context(), r.delivery); err != nil {
			t.Fatal(err)
		}
		if err := w.store.ReleasePoll(t.Context(), r.poller); err != nil {
			t.Fatal(err)
		}
		w.shelf.put(text("item-1", "B"))
		if got := w.once(); got != (ChannelTally{Gone: 1}) {
			t.Errorf("%+v", got)
		}
		w.shelf.put(text("item-1", "C"))
		if got := w.once(); got != (ChannelTally{}) {
			t.Errorf("later: %+v", got)
		}
		if r := w.row("item-1"); r.State != store.Gone || r.Payload != "" {
			t.Errorf("%+v", r)
		}
	})
}

func TestOfTwoSourcesWithOneItemTheFirstHasIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		second := &shelf{}
		w.shelf.put(text("item-1", "first"))
		w.once()
		w.options.Sources = append(w.options.Sources, w.source("second", second))
		second.put(text("item-1", "second"), text("item-2", "second"))
		tally := w.onceAll()
		if got := tally.Channels[w.channel.ID]; got != (ChannelTally{Created: 1}) || w.message("item-1") != "first" {
			t.Errorf("%+v, SocialHub shows %q", got, w.message("item-1"))
		}
		if got, want := tally.Sources["second"].Counts, (Counts{Read: 2, New: 1, Unchanged: 1}); got != want {
			t.Errorf("%+v", got)
		}

		w.options.Sources = w.options.Sources[1:] // the first one is taken out of the config
		second.put(text("item-1", "second"))
		if got := w.once(); got != (ChannelTally{Updated: 1}) || w.message("item-1") != "second" || w.row("item-1").Source != "second" {
			t.Errorf("taken over: %+v, SocialHub shows %q", got, w.message("item-1"))
		}
	})
}
