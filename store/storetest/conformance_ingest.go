package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"socialhub-sync/store"
)

var differingChecks = []check{
	{"an item of the same source with the same content does not differ", func(t *testing.T, f *fixture) {
		f.put(synced("1"), wanted("2"))
		f.differing(sourceA, nil, store.Seen{NetworkItemID: "1", Hash: "1"}, store.Seen{NetworkItemID: "2", Hash: "1"})
	}},
	{"new items, other content and another source differ, in the order of the batch", func(t *testing.T, f *fixture) {
		var items []store.Seen
		for i := range 40 {
			items = append(items, store.Seen{NetworkItemID: fmt.Sprint(i), Hash: "1"})
		}
		f.put(synced("3"), synced("7"), with(synced("11"), func(t *store.Ticket) { t.Source = sourceB }))
		items[7].Hash = "2"
		var want []int
		for i := range items {
			if i != 3 {
				want = append(want, i)
			}
		}
		f.differing(sourceA, want, items...)
		f.differing(sourceB, []int{0}, store.Seen{NetworkItemID: "3", Hash: "1"}, store.Seen{NetworkItemID: "11", Hash: "1"})
	}},
	{"an item of another channel is new", func(t *testing.T, f *fixture) {
		f.put(synced("1"))
		got, err := f.store.Differing(f.ctx, "c2", sourceA, []store.Seen{{NetworkItemID: "1", Hash: "1"}})
		f.must(err)
		f.same(got, []int{0})
	}},
	{"an item that can't be read does not differ from itself", func(t *testing.T, f *fixture) {
		f.put(unreadable("feed:1"))
		f.differing(sourceA, []int{1}, store.Seen{NetworkItemID: "feed:1"}, store.Seen{NetworkItemID: "feed:1", Hash: "1"})
	}},
	{"an item that comes twice is told where it differs", func(t *testing.T, f *fixture) {
		f.put(synced("1"))
		f.differing(sourceA, []int{1, 2, 3}, store.Seen{NetworkItemID: "1", Hash: "1"}, store.Seen{NetworkItemID: "1", Hash: "2"},
			store.Seen{NetworkItemID: "2", Hash: "1"}, store.Seen{NetworkItemID: "2", Hash: "1"})
	}},
	{"no items, no difference", func(t *testing.T, f *fixture) { f.differing(sourceA, nil) }},
	{"ids may be any text", func(t *testing.T, f *fixture) {
		for _, id := range oddTexts {
			f.differing(sourceA, []int{0}, store.Seen{NetworkItemID: id, Hash: "1"})
			f.put(synced(id))
			f.differing(sourceA, nil, store.Seen{NetworkItemID: id, Hash: "1"})
			f.put(with(synced(id), func(t *store.Ticket) { t.WantedHash = "2" }))
			f.differing(sourceA, nil, store.Seen{NetworkItemID: id, Hash: "2"})
		}
	}},
}

// oddTexts are texts that have broken a database, a query or a JSON parser before.
var oddTexts = []string{
	`quotes " ' and \ back\\slashes \n \u0041`, "\t\r\n\x01\x7f", "🦊👩‍👩‍👧 é e\u0301 \u2028 \ufeff", `$1 {now} ? % _ * :x @y`, `</script>&amp;`,
	`{"a":[1]}`, "null", "1", "NaN", " leading and trailing ", "NUL \x00 inside", "\x00", "invalid \xff\xfe UTF-8", "half a rune \xf0\x9f",
}

// storable is a text as the store keeps it.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

func unreadable(id string) store.Ticket {
	return store.Ticket{NetworkItemID: id, Source: sourceA, State: store.Rejected, Reason: "no date"}
}

func (f *fixture) differing(source string, want []int, items ...store.Seen) {
	f.t.Helper()
	got, err := f.store.Differing(f.ctx, channel, source, items)
	f.must(err)
	f.same(got, want)
}

var ingestChecks = []check{
	{"a ticket is stored with all that it has", func(t *testing.T, f *fixture) {
		full := store.Ticket{
			NetworkItemID: "full", Source: sourceB, TicketID: "id", WantedHash: "2", DeliveredHash: "1", Delivered: true,
			Payload: "{}", RootID: "root", Ref: `{"n":1}`, State: store.Unlinked, Backfill: true, Reason: "because",
		}
		bare := store.Ticket{NetworkItemID: "bare", Source: sourceA, State: store.Pending}
		uncertain := with(bare, func(t *store.Ticket) { t.NetworkItemID, t.Delivered = "uncertain", true })
		f.put(full, bare, uncertain)
		f.want(full, bare, uncertain)
	}},
	{"a stored ticket is changed, all but its root", func(t *testing.T, f *fixture) {
		f.put(with(wanted("1"), func(t *store.Ticket) { t.RootID, t.Reason, t.Ref = "root", "why", "r" }))
		other := store.Ticket{
			NetworkItemID: "1", Source: sourceB, TicketID: "id", WantedHash: "2", DeliveredHash: "", Delivered: true,
			Payload: "two", Ref: "s", State: store.Rejected, Backfill: true, Reason: "too long", RootID: "other",
		}
		f.put(other)
		f.want(with(other, func(t *store.Ticket) { t.RootID = "root" }))
	}},
	{"new content forgets the attempts and is due at once", func(t *testing.T, f *fixture) {
		f.put(wanted("1"))
		lease := f.deliverer()
		f.settle(lease, "1", failing(5))
		f.same(f.due(lease, 9), []string(nil))
		f.put(with(wanted("1"), func(t *store.Ticket) { t.WantedHash = "2" }))
		f.same(f.due(lease, 9), []string{"1"})
		f.same(f.rows("1")[0].Attempts, 0)
	}},
	{"the decision sees the stored ticket, and nothing for a new one", func(t *testing.T, f *fixture) {
		f.put(synced("1"), wanted("2"))
		ids, seen := []string{"2", "0", "1"}, make([]*store.Ticket, 3)
		f.must(f.store.Ingest(f.ctx, f.polls[sourceA], store.Intake{IDs: ids, Decide: func(i int, current *store.Ticket) *store.Ticket {
			seen[i] = current
			return nil
		}}))
		f.same(seen, []*store.Ticket{new(wanted("2")), nil, new(synced("1"))})
		f.want(synced("1"), wanted("2"))
		f.absent("0")
	}},
	{"an empty cursor keeps the stored one", func(t *testing.T, f *fixture) {
		for _, cursor := range []string{"", "x", "", `{"page":"ü"}`, ""} {
			f.must(f.ingest(f.polls[sourceA], cursor))
		}
		f.same(f.cursor(sourceA), `{"page":"ü"}`)
		f.same(f.cursor(sourceB), "")
	}},
	{"a batch is stored whole or not at all", storedWhole},
	{"a cursor that is no text is refused, with its items", func(t *testing.T, f *fixture) {
		for _, cursor := range []string{"\x00", "\xff"} {
			if err := f.ingest(f.polls[sourceA], cursor, wanted("1")); err == nil || !strings.Contains(err.Error(), "cursor") {
				t.Errorf("got %v", err)
			}
		}
		f.absent("1")
	}},
	{"an item twice in a batch is an error, not an endless loop", func(t *testing.T, f *fixture) {
		if err := f.ingest(f.polls[sourceA], "x", wanted("1"), wanted("1")); err == nil {
			t.Error("stored")
		}
		f.absent("1")
		f.same(f.cursor(sourceA), "")
	}},
	{"of two sources that bring one item at once, the second decides on the first one's ticket", racedIntake},
	{"batches of the same new items in other orders do not hinder each other", func(t *testing.T, f *fixture) {
		for round := range 4 {
			parallel(t, 2, func(n int) error {
				tickets := make([]store.Ticket, 1000)
				for i := range tickets {
					place := i
					if n == 1 {
						place = len(tickets) - 1 - i
					}
					tickets[place] = wanted(fmt.Sprint(round, "-", i))
				}
				return f.ingest(f.polls[[]string{sourceA, sourceB}[n]], "", tickets...)
			})
		}
	}},
	{"reading a place anew forgets its unreadable items alone", func(t *testing.T, f *fixture) {
		rejected := with(wanted("a%_:3"), func(t *store.Ticket) { t.State = store.Rejected })
		other := with(unreadable("a%_:4"), func(t *store.Ticket) { t.Source = sourceB })
		f.put(unreadable("a%_:1"), unreadable("a%_:2"), unreadable("axx:1"), unreadable("A%_:1"), rejected, other, unreadable(`b\:1`))
		f.must(f.store.Ingest(f.ctx, f.polls[sourceA], store.Intake{
			Rereads: "a%_", IDs: []string{"a%_:2"}, Decide: func(_ int, current *store.Ticket) *store.Ticket {
				f.same(current, (*store.Ticket)(nil))
				return new(unreadable("a%_:2"))
			},
		}))
		f.absent("a%_:1")
		f.want(unreadable("a%_:2"), unreadable("axx:1"), unreadable("A%_:1"), rejected, other, unreadable(`b\:1`))
		f.must(f.store.Ingest(f.ctx, f.polls[sourceA], store.Intake{Rereads: `b\`}))
		f.absent(`b\:1`)
	}},
	{"replies that wait for each other are let go, a chain is not", func(t *testing.T, f *fixture) {
		f.put(reply("self", "self"), reply("2a", "2b"), reply("2b", "2a"), reply("3a", "3b"), reply("3b", "3c"), reply("3c", "3a"),
			reply("top", "elsewhere"), reply("middle", "top"), reply("end", "middle"), reply("tail", "2a"))
		for _, t := range f.rows("self", "2a", "2b", "3a", "3b", "3c") {
			f.same(t.RootID, "")
		}
		f.want(reply("top", "elsewhere"), reply("middle", "top"), reply("end", "middle"), reply("tail", "2a"))
	}},
	{"a circle that a later batch closes is broken", func(t *testing.T, f *fixture) {
		f.put(reply("a", "b"))
		f.put(reply("b", "c"))
		f.put(reply("c", "a"))
		lease := f.deliverer()
		f.same(f.due(lease, 9), []string{"c"})
	}},
	{"content may be any text, of any length", func(t *testing.T, f *fixture) {
		texts := append([]string{strings.Repeat("ß", 10_000), strings.Repeat("🦊\\\"x", 150_000)}, oddTexts...)
		for i, text := range texts {
			id := fmt.Sprint(i)
			f.put(store.Ticket{
				NetworkItemID: id, Source: sourceA, WantedHash: "1", Payload: text, Ref: text, RootID: text, Reason: text,
				TicketID: text, State: store.Pending,
			})
			kept := storable(text)
			f.want(store.Ticket{
				NetworkItemID: id, Source: sourceA, WantedHash: "1", Payload: kept, Ref: kept, RootID: kept, Reason: kept,
				TicketID: kept, State: store.Pending,
			})
		}
	}},
	{"an id that is no valid text breaks nothing", func(t *testing.T, f *fixture) {
		for range 2 {
			f.put(wanted("x\x00"), wanted("y\xff"), wanted("z"))
		}
		f.want(wanted("x\uFFFD"), wanted("y\uFFFD"), wanted("z"))
		lease := f.deliverer()
		f.settle(lease, "x\x00", store.Standing{State: store.Gone})
		f.same(sorted(f.due(lease, 9)), []string{"y\uFFFD", "z"})
	}},
}

func reply(id, root string) store.Ticket {
	return with(wanted(id), func(t *store.Ticket) { t.RootID = root })
}

func storedWhole(t *testing.T, f *fixture) {
	f.must(f.ingest(f.polls[sourceA], "before", wanted("old")))
	ctx, cancel := context.WithCancel(f.ctx)
	ids := []string{"1", "old", "2"}
	for name, decide := range map[string]func(i int) *store.Ticket{
		"cancelled half-way": func(i int) *store.Ticket {
			cancel()
			return new(with(wanted(ids[i]), func(t *store.Ticket) { t.WantedHash = "2" }))
		},
		"a ticket that can't be stored": func(i int) *store.Ticket {
			return new(with(wanted(ids[i]), func(t *store.Ticket) {
				if t.WantedHash = "2"; i == 2 {
					t.State = "nonsense"
				}
			}))
		},
		"a decision that panics": func(i int) *store.Ticket {
			if i == 2 {
				panic("no decision")
			}
			return new(wanted(ids[i]))
		},
	} {
		run := f.ctx
		if name == "cancelled half-way" {
			run = ctx
		}
		err := recovered(func() error {
			return f.store.Ingest(run, f.polls[sourceA], store.Intake{
				IDs: ids, Cursor: "after", Decide: func(i int, _ *store.Ticket) *store.Ticket { return decide(i) },
			})
		})
		if err == nil {
			t.Errorf("%s: stored", name)
		}
		f.absent("1", "2")
		f.want(wanted("old"))
		f.same(f.cursor(sourceA), "before")
	}
	f.must(f.ingest(f.polls[sourceA], "after", wanted("1")))
}

// recovered turns a panic into an error.
func recovered(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

func racedIntake(t *testing.T, f *fixture) {
	second := make(chan error, 1)
	var seen []*store.Ticket // by whoever decided last
	bring := func(source string, first func()) error {
		return f.store.Ingest(f.ctx, f.polls[source], store.Intake{IDs: []string{"1"}, Cursor: "after",
			Decide: func(_ int, current *store.Ticket) *store.Ticket {
				if first != nil {
					first()
				}
				seen = append(seen, current)
				return new(with(wanted("1"), func(t *store.Ticket) { t.Source, t.WantedHash = source, source }))
			}})
	}
	started := false
	err := bring(sourceA, func() {
		if started {
			return
		}
		started = true
		if f.store.Engine() == "postgres" {
			second <- bring(sourceB, nil) // SQLite has one writer: there b must wait
		}
	})
	f.must(err)
	if f.store.Engine() != "postgres" {
		second <- bring(sourceB, nil)
	}
	f.must(<-second)
	last := seen[len(seen)-1]
	if last == nil || f.rows("1")[0].WantedHash == last.WantedHash {
		t.Errorf("the last decision saw %+v", last)
	}
	f.same(f.cursor(sourceA)+f.cursor(sourceB), "afterafter")
}
