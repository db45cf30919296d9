package sync

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

func TestBackoffGrowsFromASecondToTenMinutesAndIsSpread(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		failures int
		limit    time.Duration
	}{
		{-1, time.Second}, {0, time.Second}, {1, time.Second}, {2, 2 * time.Second}, {5, 16 * time.Second}, {9, 256 * time.Second},
		{10, lastRetry}, {11, lastRetry}, {1_000_000, lastRetry},
	} {
		low, high := time.Duration(1<<62), time.Duration(0)
		for range 1000 {
			wait := backoff(test.failures)
			low, high = min(low, wait), max(high, wait)
		}
		if low < firstRetry/10 || high > test.limit+firstRetry/10 || low > firstRetry/10+test.limit/4 || high < test.limit*3/4 {
			t.Errorf("%d failures: %v to %v, want anything up to %v", test.failures, low, high, test.limit)
		}
	}
}

// standing is where a row is after a settlement.
type standing struct {
	State store.State
	// Delivered is "none", "unknown", "sent" or "before".
	Delivered string
	// Linked tells whether the _id is known, Waits whether the store has content to send.
	Linked, Waits bool
	// Due is "now", "later" or "never".
	Due      string
	Attempts int
}

// TestWhatEachAnswerMeans is design.md's table: an answer comes back for content A, which may have become B meanwhile.
func TestWhatEachAnswerMeans(t *testing.T) {
	answers := map[string]socialhub.Answer{
		"done": {Outcome: socialhub.Done, TicketID: "5f0000000000000000000001"}, "conflict": {Outcome: socialhub.Conflict},
		"not found": {Outcome: socialhub.NotFound}, "rejected": {Outcome: socialhub.Rejected},
		"unauthorized": {Outcome: socialhub.Unauthorized}, "forbidden": {Outcome: socialhub.Forbidden},
		"rate limited": {Outcome: socialhub.RateLimited}, "unavailable": {Outcome: socialhub.Unavailable},
	}
	type S = standing
	// A POST whose content changes meanwhile is noted as one of which SocialHub may have taken either.
	post := map[string][2]S{
		"done":         {S{store.Synced, "sent", true, false, "never", 0}, S{store.Pending, "sent", true, true, "now", 0}},
		"conflict":     {S{store.Unlinked, "sent", false, false, "never", 0}, S{store.Unlinked, "sent", false, true, "never", 0}},
		"not found":    {S{store.Rejected, "none", false, true, "never", 4}, S{store.Pending, "unknown", false, true, "now", 0}},
		"rejected":     {S{store.Rejected, "none", false, true, "never", 4}, S{store.Pending, "unknown", false, true, "now", 0}},
		"unauthorized": {S{store.Pending, "none", false, true, "now", 3}, S{store.Pending, "unknown", false, true, "now", 0}},
		"forbidden":    {S{store.Pending, "none", false, true, "now", 3}, S{store.Pending, "unknown", false, true, "now", 0}},
		"rate limited": {S{store.Pending, "none", false, true, "now", 3}, S{store.Pending, "unknown", false, true, "now", 0}},
		"unavailable":  {S{store.Pending, "none", false, true, "later", 4}, S{store.Pending, "unknown", false, true, "later", 0}},
	}
	patch := map[string][2]S{
		"done":         {S{store.Synced, "sent", true, false, "never", 0}, S{store.Pending, "sent", true, true, "now", 0}},
		"conflict":     {S{store.Rejected, "before", true, true, "never", 4}, S{store.Pending, "before", true, true, "now", 0}},
		"not found":    {S{store.Gone, "unknown", true, false, "never", 0}, S{store.Gone, "unknown", true, false, "never", 0}},
		"rejected":     {S{store.Rejected, "before", true, true, "never", 4}, S{store.Pending, "before", true, true, "now", 0}},
		"unauthorized": {S{store.Pending, "before", true, true, "now", 3}, S{store.Pending, "before", true, true, "now", 0}},
		"forbidden":    {S{store.Pending, "before", true, true, "now", 3}, S{store.Pending, "before", true, true, "now", 0}},
		"rate limited": {S{store.Pending, "before", true, true, "now", 3}, S{store.Pending, "before", true, true, "now", 0}},
		"unavailable":  {S{store.Pending, "unknown", true, true, "later", 4}, S{store.Pending, "unknown", true, true, "later", 0}},
	}
	onBothEngines(t, func(t *testing.T, w *world) {
		r := newRig(w)
		want := make(map[string]standing)
		var ids, change []string
		answer := make(map[string]socialhub.Answer)
		for name, a := range answers {
			for n, same := range []string{"same", "changed"} {
				id := fmt.Sprintf("post/%s/%s", strings.ReplaceAll(name, " ", "-"), same)
				ids, answer[id], want[id] = append(ids, id), a, post[name][n]
				r.put(store.Ticket{NetworkItemID: id, State: store.Pending})
				if same == "changed" {
					change = append(change, id)
				}
				id = "patch" + id[4:]
				ids, answer[id], want[id] = append(ids, id), a, patch[name][n]
				r.put(store.Ticket{NetworkItemID: id, State: store.Pending, TicketID: fmt.Sprintf("5f%022d", len(ids)), Delivered: true, DeliveredHash: "before"})
				if same == "changed" {
					change = append(change, id)
				}
			}
		}
		due := r.due()
		for _, id := range change {
			r.poll(id, "B")
		}
		var settlements []store.Settlement
		for _, id := range ids {
			ticket := due[id]
			ticket.Attempts = 3
			settlements = append(settlements, settle(ticket, answer[id], time.Hour))
		}
		r.settle(settlements...)
		for _, id := range ids {
			if diff := cmp.Diff(want[id], r.standing(id)); diff != "" {
				t.Errorf("%s: %s", id, diff)
			}
		}
	})
}

func TestAnAnswerMeetsWhatHappenedMeanwhile(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		r := newRig(w)
		pending := func(id string) store.Ticket { return store.Ticket{NetworkItemID: id, State: store.Pending} }
		both := pending("either-content")
		both.Delivered = true
		r.put(pending("refused-meanwhile"), pending("adopted-meanwhile"), both, pending("back-again"))
		due := r.due()
		r.refuse("refused-meanwhile")
		if _, err := w.store.Adopt(t.Context(), w.channel.ID, []store.Link{{NetworkItemID: "adopted-meanwhile", TicketID: "5f0000000000000000000009"}}); err != nil {
			t.Fatal(err)
		}
		r.poll("back-again", "B")
		r.poll("back-again", "A")
		done, conflict := socialhub.Answer{Outcome: socialhub.Done, TicketID: "5f0000000000000000000001"}, socialhub.Answer{Outcome: socialhub.Conflict}
		r.settle(
			settle(due["refused-meanwhile"], done, 0), settle(due["adopted-meanwhile"], conflict, 0),
			settle(due["either-content"], conflict, 0), settle(due["back-again"], done, 0),
		)
		for id, want := range map[string]standing{
			// The team sees A; the _id is kept for better content; there is nothing to send.
			"refused-meanwhile": {store.Rejected, "sent", true, false, "never", 0},
			"adopted-meanwhile": {store.Synced, "sent", true, false, "never", 0},
			// Of two contents nobody knows which one SocialHub took: the last one waits for the _id.
			"either-content": {store.Unlinked, "unknown", false, true, "never", 0},
			"back-again":     {store.Synced, "sent", true, false, "never", 0},
		} {
			if diff := cmp.Diff(want, r.standing(id)); diff != "" {
				t.Errorf("%s: %s", id, diff)
			}
		}
		if got := w.row("refused-meanwhile").Reason; got != "too bad" {
			t.Errorf("the reason is %q", got)
		}
	})
}

// rig calls the store as the engine does, step by step.
type rig struct {
	*world
	poller   store.PollLease
	delivery store.DeliveryLease
	db       *sql.DB
}

func newRig(w *world) *rig {
	w.t.Helper()
	ctx, r := w.t.Context(), &rig{world: w}
	e := w.engine()
	if err := e.register(ctx); err != nil {
		w.t.Fatal(err)
	}
	leases, err := w.store.ClaimPolls(ctx, "rig", []store.PollKey{e.key(&e.Sources[0])}, time.Minute, true)
	if err != nil || len(leases) != 1 {
		w.t.Fatal(leases, err)
	}
	r.poller = leases[0]
	var ok bool
	if r.delivery, ok, err = w.store.ClaimChannel(ctx, "rig", w.channel.ID, time.Minute); err != nil || !ok {
		w.t.Fatal(ok, err)
	}
	r.db = w.sql()
	w.t.Cleanup(func() { r.db.Close() })
	return r
}

func (r *rig) ingest(in store.Intake) {
	r.t.Helper()
	if err := r.store.Ingest(r.t.Context(), r.poller, in); err != nil {
		r.t.Fatal(err)
	}
	if _, _, err := r.store.JudgeHeld(r.t.Context(), r.poller, 200); err != nil {
		r.t.Fatal(err)
	}
}

// put stores tickets that want the content A.
func (r *rig) put(tickets ...store.Ticket) {
	r.t.Helper()
	var in store.Intake
	for i := range tickets {
		t := &tickets[i]
		it := brought("A")
		t.Source, t.WantedHash = "shelf", it.hash
		t.Payload, _ = it.encode()
		in.IDs = append(in.IDs, t.NetworkItemID)
	}
	in.Decide = func(i int, _ *store.Ticket) *store.Ticket { return &tickets[i] }
	r.ingest(in)
}

// poll decides on an item as a poll does.
func (r *rig) poll(id, message string) {
	r.t.Helper()
	in := text(id, message)
	it := prepare(&r.options.Sources[0], &in, time.Now())
	r.decide(&it)
}

// refuse is a poll that finds an item that can't be sent any more.
func (r *rig) refuse(id string) {
	r.t.Helper()
	r.decide(&item{key: id, hash: hashed("bad"), refusal: "too bad"})
}

func (r *rig) decide(it *item) {
	r.t.Helper()
	r.ingest(store.Intake{IDs: []string{it.key}, Decide: func(_ int, current *store.Ticket) *store.Ticket {
		next, _ := decide(&r.options.Sources[0], current, it, false, func(string) bool { return true })
		return next
	}})
}

func (r *rig) due() map[string]*store.Ticket {
	r.t.Helper()
	due, err := r.store.Due(r.t.Context(), r.delivery, 500, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	found := make(map[string]*store.Ticket)
	for _, t := range due {
		found[t.NetworkItemID] = t
	}
	return found
}

func (r *rig) settle(settlements ...store.Settlement) {
	r.t.Helper()
	if err := r.store.Settle(r.t.Context(), r.delivery, settlements); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) standing(id string) standing {
	r.t.Helper()
	t := r.row(id)
	s := standing{State: t.State, Delivered: "none", Linked: t.TicketID != "", Waits: t.Payload != "", Due: "never", Attempts: t.Attempts}
	switch {
	case t.Delivered && t.DeliveredHash == hashed("A"):
		s.Delivered = "sent"
	case t.Delivered && t.DeliveredHash == "":
		s.Delivered = "unknown"
	case t.Delivered:
		s.Delivered = t.DeliveredHash
	}
	var due sql.NullInt64
	if err := r.db.QueryRow("SELECT due FROM tickets WHERE network_item_id = $1", id).Scan(&due); err != nil {
		r.t.Fatal(err)
	}
	switch {
	case due.Valid && due.Int64 <= time.Now().UnixMilli():
		s.Due = "now"
	case due.Valid:
		s.Due = "later"
	}
	return s
}
