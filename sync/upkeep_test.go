package sync

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// listing is a source that yields all that it has, whenever that has changed, as a feed does that knows of 304.
type listing struct {
	items   []sources.Item
	changed bool
}

func (l *listing) source() pullFunc {
	return func(_ context.Context, _ sources.Request, yield func(sources.Batch, error) bool) {
		if l.changed {
			l.changed = false
			yield(sources.Batch{Items: l.items, Cursor: "x"}, nil)
		}
	}
}

func (l *listing) now(items ...sources.Item) { l.items, l.changed = items, true }

func keepTickets(o *Options) { o.Retention.Tickets = 100 * 24 * time.Hour }

func TestATicketThatNoPollHasBroughtForLongIsDeletedAndOneThatIsListedIsNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		var feed listing
		w.options.Sources = []Source{w.source("feed", feed.source())}
		feed.now(text("item-old", "one"), text("item-listed", "one"))
		w.once(keepTickets)
		for range 10 { // the old one leaves the list, and the list changes now and then
			feed.now(text("item-listed", "one"), text("item-new", "one"))
			w.once(keepTickets)
			pass(20 * 24 * time.Hour)
		}
		rows, err := w.store.Tickets(t.Context(), w.channel.ID, []string{"item-old", "item-listed", "item-new"})
		if err != nil || len(rows) != 2 || rows["item-old"] != nil {
			t.Errorf("got %v, %v", rows, err)
		}
		if n := w.requests(sandbox.RoutePost); n != 3 {
			t.Errorf("%d tickets were created, want 3", n)
		}
	})
}

func TestAListThatDoesNotChangeForAYearLosesNoTicket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		var feed listing
		w.options.Sources = []Source{w.source("feed", feed.source())}
		feed.now(text("item-1", "one"), text("item-2", "one"))
		for range 24 {
			w.once(keepTickets)
			pass(15 * 24 * time.Hour)
		}
		feed.now(text("item-1", "one"), text("item-2", "one"), text("item-3", "one"))
		for range 3 {
			w.once(keepTickets)
			pass(25 * time.Hour)
		}
		if n := w.requests(sandbox.RoutePost); n != 3 {
			t.Errorf("%d tickets were created, want 3", n)
		}
	})
}

func TestTicketsAreKeptForEverUnlessTheConfigSaysOtherwise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.put(text("item-1", "one"))
		w.once()
		before := w.dump("tickets")
		for range 10 {
			pass(40 * 24 * time.Hour)
			w.once()
		}
		if after := w.dump("tickets"); strings.Join(after, "") != strings.Join(before, "") {
			t.Errorf("the row changed: %q, then %q", before, after)
		}
	})
}

func TestTheHistoryOfPollsIsDeletedBySingleRunsToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		keep := func(o *Options) { o.Retention.Polls = 48 * time.Hour }
		for range 10 {
			w.once(keep)
			pass(25 * time.Hour)
		}
		spans := func() int {
			history, err := w.store.PollHistory(t.Context(), 1000*time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return len(history)
		}
		if n := spans(); n != 2 {
			t.Errorf("%d spans are kept, want those of two days", n)
		}
		pass(5 * 24 * time.Hour)
		w.once(keep)
		if n := spans(); n != 1 {
			t.Errorf("%d hours are kept, want that of the last poll", n)
		}
	})
}

func TestADaemonDoesTheUpkeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.once()
		pass(72 * time.Hour)
		stop := w.start(func(o *Options) { o.Retention.Polls = 48 * time.Hour })
		pass(2 * time.Second)
		stop()
		history, err := w.store.PollHistory(t.Context(), 1000*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range history {
			if time.Since(x.Began) > 48*time.Hour {
				t.Errorf("%+v is kept", x)
			}
		}
	})
}

func TestATicketThatWasTakenOverIsSentOnceWithoutComingBackToAnybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.put(text("item-1", "one"))
		w.once()
		id := w.row("item-1").TicketID
		db := w.sql()
		defer db.Close()
		if _, err := db.Exec("DELETE FROM tickets; DELETE FROM sources"); err != nil {
			t.Fatal(err)
		}
		if !w.box.Done(id) {
			t.Fatal("it can't be moved")
		}
		if err := w.store.Register(t.Context(), map[string]string{w.channel.ID: "support"}, nil); err != nil {
			t.Fatal(err)
		}
		_, err := w.store.Import(t.Context(), w.channel.ID, []store.Mapping{
			{NetworkItemID: "item-1", TicketID: id, Source: "shelf", State: store.Synced, Partial: true}}, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.once(); got.Updated != 1 || got.Created != 0 {
			t.Errorf("got %+v", got)
		}
		if folder := w.box.Tickets(w.channel.ID)[0].Folder; folder == sandbox.FolderInbox {
			t.Errorf("the ticket is in %v", folder)
		}
		if got := w.once(); got.Updated != 0 || got.Created != 0 {
			t.Errorf("sent again: %+v", got)
		}
	})
}

func TestWhoWroteWhatWaitsIsKnown(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]string{
		`{"interaction":{"interactor":{"interactorId":"anna"}}}`: "anna", `{"interaction":{}}`: "", "": "", "{": "",
	} {
		if got := InteractorOf(stored); got != want {
			t.Errorf("%s: got %q, want %q", stored, got, want)
		}
	}
}
