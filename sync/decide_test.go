package sync

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// hashed is the content hash of a bare message; of redactedMessage for "deleted".
func hashed(message string) string {
	return contentHash(&socialhub.Interaction{Message: message})
}

// older makes a hash look like that of a release before.
func older(hash string) string { return "Z" + hash[1:] }

// shelved is the source of the tests of decide.
func shelved(o OnDelete) *Source { return &Source{Name: "mine", Reset: true, OnDelete: o} }

// brought is an item with a message as the poll found it.
func brought(message string) *item {
	in := text("item-1", message)
	it := prepare(shelved(Keep), &in, time.Now())
	return &it
}

func deletion() *item {
	in := sources.Item{Interaction: socialhub.Interaction{NetworkItemID: "item-1"}, Deleted: true}
	it := prepare(shelved(Redact), &in, time.Now())
	return &it
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const id = "5f0000000000000000000001"
	a, b, gone := hashed("A"), hashed("B"), hashed(redactedMessage)
	row := func(state store.State, wanted string, change ...func(*store.Ticket)) *store.Ticket {
		r := &store.Ticket{NetworkItemID: "item-1", Source: "mine", WantedHash: wanted, State: state}
		if state == store.Pending {
			r.Payload = "old"
		}
		for _, c := range change {
			c(r)
		}
		return r
	}
	linked := func(delivered string) func(*store.Ticket) {
		return func(r *store.Ticket) { r.TicketID, r.Delivered, r.DeliveredHash = id, true, delivered }
	}
	took := func(delivered string) func(*store.Ticket) {
		return func(r *store.Ticket) { r.Delivered, r.DeliveredHash = true, delivered }
	}
	holds := func(payload string) func(*store.Ticket) { return func(r *store.Ticket) { r.Payload = payload } }
	from := func(source string) func(*store.Ticket) { return func(r *store.Ticket) { r.Source = source } }
	why := func(reason string) func(*store.Ticket) { return func(r *store.Ticket) { r.Reason = reason } }
	old := func(r *store.Ticket) { r.Backfill = true }
	tooLong := &item{key: "item-1", hash: b, refusal: "too bad"}
	fault := &item{key: "at file:1", refusal: "no JSON"}
	own := func(source string) *item {
		it := brought("A")
		it.ref = source
		return it
	}
	ours := func(r *store.Ticket) { r.Own = true }
	posted := brought("A")
	posted.payload.Own = true
	const content = "<content>"
	limited := shelved(Keep)
	limited.MassChangeLimit = 1
	for _, test := range []struct {
		name     string
		src      *Source
		current  *store.Ticket
		it       *item
		backfill bool
		want     *store.Ticket
		verdict  verdict
	}{
		{name: "a new item is to be created", it: brought("A"), want: row(store.Pending, a, holds(content)), verdict: created},
		{name: "a new item of a backfill comes after the live ones", it: brought("A"), backfill: true, want: row(store.Pending, a, holds(content), old), verdict: created},
		{name: "a new item that can't be sent is rejected", it: tooLong, want: row(store.Rejected, b, why("too bad")), verdict: rejected},
		{name: "a new fault is rejected", it: fault, want: &store.Ticket{NetworkItemID: "at file:1", Source: "mine", State: store.Rejected, Reason: "no JSON"}, verdict: rejected},
		{name: "a new item that is deleted already is none", it: deletion()},
		{name: "a new item that is deleted already is none with redact either", src: shelved(Redact), it: deletion()},

		{name: "unchanged content is left alone", current: row(store.Synced, a, linked(a)), it: brought("A")},
		{name: "unchanged content on its way is left alone", current: row(store.Pending, a), it: brought("A")},
		{name: "unchanged content that was rejected is left alone", current: row(store.Rejected, a), it: brought("A")},
		{name: "a fault that is known is left alone", current: &store.Ticket{NetworkItemID: "at file:1", Source: "mine", State: store.Rejected}, it: fault},

		{name: "changed content is sent", current: row(store.Synced, a, linked(a)), it: brought("B"), want: row(store.Pending, b, linked(a), holds(content)), verdict: changed},
		{name: "changed content takes the new reference along", current: row(store.Synced, b, linked(b)), it: own("r"),
			want: row(store.Pending, a, linked(b), holds(content), func(r *store.Ticket) { r.Ref = "r" }), verdict: changed},
		{name: "changed content in a backfill comes after the live ones", current: row(store.Synced, a, linked(a)), it: brought("B"), backfill: true,
			want: row(store.Pending, b, linked(a), holds(content), old), verdict: changed},
		{name: "a backfill does not slow down what is live", current: row(store.Pending, a, linked("")), it: brought("B"), backfill: true,
			want: row(store.Pending, b, linked(""), holds(content)), verdict: changed},
		{name: "a poll speeds up what a backfill brought", current: row(store.Pending, a, linked(""), old), it: brought("B"),
			want: row(store.Pending, b, linked(""), holds(content)), verdict: changed},
		{name: "the second backfill leaves the first one's item where it is", current: row(store.Pending, a, linked(""), old), it: brought("B"), backfill: true,
			want: row(store.Pending, b, linked(""), holds(content), old), verdict: changed},
		{name: "changed content that can't be sent is rejected", current: row(store.Synced, a, linked(a)), it: tooLong,
			want: row(store.Rejected, b, linked(a), why("too bad")), verdict: rejected},
		{name: "better content after a rejection is sent", current: row(store.Rejected, a, why("bad"), holds("old")), it: brought("B"),
			want: row(store.Pending, b, holds(content)), verdict: changed},
		{name: "back to what SocialHub shows after a rejection needs no request", current: row(store.Rejected, b, linked(a), why("bad"), holds("old")), it: brought("A"),
			want: row(store.Synced, a, linked(a)), verdict: changed},

		{name: "A→B before A was sent: SocialHub may have either", current: row(store.Pending, a), it: brought("B"),
			want: row(store.Pending, b, took(""), holds(content)), verdict: changed},
		{name: "A→B→A before A was sent", current: row(store.Pending, b, took("")), it: brought("A"),
			want: row(store.Pending, a, took(""), holds(content)), verdict: changed},
		{name: "A→B→A before B was sent needs no request", current: row(store.Pending, b, linked(a)), it: brought("A"),
			want: row(store.Synced, a, linked(a)), verdict: changed},
		{name: "A→B→A while B is on its way, or its answer was lost", current: row(store.Pending, b, linked("")), it: brought("A"),
			want: row(store.Pending, a, linked(""), holds(content)), verdict: changed},
		{name: "the first content can't be sent after all", current: row(store.Pending, a), it: tooLong,
			want: row(store.Rejected, b, took(""), why("too bad")), verdict: rejected},

		{name: "content for an unlinked ticket waits", current: row(store.Unlinked, a, took(a), why("exists")), it: brought("B"),
			want: row(store.Unlinked, b, took(a), why("exists"), holds(content)), verdict: changed},
		{name: "back to what an unlinked ticket shows: nothing waits", current: row(store.Unlinked, b, took(a), holds("old")), it: brought("A"),
			want: row(store.Unlinked, a, took(a)), verdict: changed},
		{name: "a ticket that is gone stays gone", current: row(store.Gone, a, linked(a)), it: brought("B"),
			want: row(store.Gone, b, linked(a)), verdict: unchanged},
		{name: "also if its new content can't be sent", current: row(store.Gone, a, linked(a)), it: tooLong,
			want: row(store.Gone, b, linked(a)), verdict: unchanged},
		{name: "changed content is held until the end of the poll", src: limited, current: row(store.Synced, a, linked(a)), it: brought("B"),
			want: row(store.Held, b, linked(a), holds(content)), verdict: changed},
		{name: "also if an earlier change is on its way", src: limited, current: row(store.Pending, a, linked("")), it: brought("B"),
			want: row(store.Held, b, linked(""), holds(content)), verdict: changed},
		{name: "a held change that changes again stays held", src: limited, current: row(store.Held, a, linked(""), holds("old")), it: brought("B"),
			want: row(store.Held, b, linked(""), holds(content)), verdict: changed},
		{name: "a held change that is taken back needs no request", src: limited, current: row(store.Held, b, linked(a), holds("old")), it: brought("A"),
			want: row(store.Synced, a, linked(a)), verdict: changed},
		{name: "what SocialHub does not have is not held", src: limited, current: row(store.Pending, a), it: brought("B"),
			want: row(store.Pending, b, took(""), holds(content)), verdict: changed},
		{name: "a backfill is not held", src: limited, current: row(store.Held, a, linked(b), holds("old")), it: brought("C"), backfill: true,
			want: row(store.Pending, hashed("C"), linked(b), holds(content), old), verdict: changed},
		{name: "a skipped post that changed is looked at again", current: row(store.Skipped, a), it: brought("B"),
			want: row(store.Pending, b, holds(content)), verdict: changed},

		{name: "a deletion leaves the ticket as it is", current: row(store.Synced, a, linked(a)), it: deletion()},
		{name: "a deletion with redact takes the text away", src: shelved(Redact), current: row(store.Synced, a, linked(a)), it: deletion(),
			want: row(store.Pending, gone, linked(a), holds(content)), verdict: changed},
		{name: "a deletion is redacted once", src: shelved(Redact), current: row(store.Synced, gone, linked(gone)), it: deletion()},
		{name: "a deleted item that comes back is shown again", src: shelved(Redact), current: row(store.Synced, gone, linked(gone)), it: brought("A"),
			want: row(store.Pending, a, linked(gone), holds(content)), verdict: changed},
		{name: "nothing is redacted that is gone", src: shelved(Redact), current: row(store.Gone, a, linked(a)), it: deletion()},
		{name: "nothing is redacted that SocialHub refused and never had", src: shelved(Redact), current: row(store.Rejected, a, why("bad")), it: deletion()},
		{name: "what was refused later is redacted", src: shelved(Redact), current: row(store.Rejected, a, linked(b), why("bad")), it: deletion(),
			want: row(store.Pending, gone, linked(b), holds(content)), verdict: changed},
		{name: "nothing is redacted that was skipped", src: shelved(Redact), current: row(store.Skipped, a), it: deletion()},

		{name: "another source's ticket is left alone", current: row(store.Synced, a, linked(a), from("theirs")), it: brought("B"), verdict: foreign},
		{name: "also if the content is the same", current: row(store.Synced, a, linked(a), from("theirs")), it: brought("A"), verdict: foreign},
		{name: "the ticket of a source that is no more is taken over", current: row(store.Synced, a, linked(a), from("former")), it: own("r"),
			want: row(store.Synced, a, linked(a), func(r *store.Ticket) { r.Ref = "r" }), verdict: unchanged},
		{name: "and changed", current: row(store.Synced, a, linked(a), from("former")), it: brought("B"),
			want: row(store.Pending, b, linked(a), holds(content)), verdict: changed},
		{name: "a deletion takes nothing over", current: row(store.Synced, a, linked(a), from("former")), it: deletion()},

		{name: "a new item of ours is marked as such", it: posted, want: row(store.Pending, a, holds(content), ours), verdict: created},
		{name: "what a poll brings of a reply of ours is taken as it is", current: row(store.Skipped, "reply", took("reply"), ours), it: posted,
			want: row(store.Skipped, a, took(a), ours), verdict: unchanged},
		{name: "also if the source does not say that it is ours", current: row(store.Synced, "reply", linked("reply"), ours), it: brought("A"),
			want: row(store.Synced, a, linked(a), ours), verdict: unchanged},
		{name: "also if its content could not be sent", current: row(store.Synced, "reply", linked("reply"), ours), it: tooLong,
			want: row(store.Synced, b, linked(b), ours), verdict: unchanged},
		{name: "a reply of ours that was deleted before a poll saw it is redacted", src: shelved(Redact), current: row(store.Synced, "reply", linked("reply"), ours), it: deletion(),
			want: row(store.Pending, gone, linked("reply"), holds(content), ours), verdict: changed},
		{name: "a reply of ours that changes is sent", current: row(store.Synced, a, linked(a), ours), it: brought("B"),
			want: row(store.Pending, b, linked(a), holds(content), ours), verdict: changed},

		{name: "a new hash version sends nothing", current: row(store.Synced, older(a), linked(older(a))), it: brought("A"),
			want: row(store.Synced, a, linked(a)), verdict: unchanged},
		{name: "a new hash version keeps what waits to be sent", current: row(store.Pending, older(a), linked(older(b))), it: brought("A"),
			want: row(store.Pending, a, linked(older(b)), holds(content)), verdict: unchanged},
		{name: "a new hash version keeps what waits for its first delivery", current: row(store.Pending, older(a)), it: brought("A"),
			want: row(store.Pending, a, took(""), holds(content)), verdict: unchanged},
		{name: "a new hash version keeps what waits for an _id", current: row(store.Unlinked, older(a), took(older(b)), holds("old")), it: brought("A"),
			want: row(store.Unlinked, a, took(older(b)), holds(content)), verdict: unchanged},
		{name: "a new hash version lets an unlinked ticket rest", current: row(store.Unlinked, older(a), took(older(a))), it: brought("A"),
			want: row(store.Unlinked, a, took(a)), verdict: unchanged},
		{name: "a new hash version keeps what `retry` needs", current: row(store.Rejected, older(a), why("bad"), holds("old")), it: brought("A"),
			want: row(store.Rejected, a, why("bad"), holds(content)), verdict: unchanged},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			src := test.src
			if src == nil {
				src = shelved(Keep)
			}
			var before store.Ticket
			if test.current != nil {
				before = *test.current
			}
			got, v := decide(src, test.current, test.it, test.backfill, func(name string) bool { return name == "theirs" || name == "mine" })
			if v != test.verdict {
				t.Errorf("verdict %d, want %d", v, test.verdict)
			}
			if got != nil && strings.Contains(got.Payload, test.it.payload.Interaction.Message) && got.Payload != "" {
				got.Payload = content
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if test.current != nil && !cmp.Equal(before, *test.current) {
				t.Error("the current row was changed in place")
			}
		})
	}
}
