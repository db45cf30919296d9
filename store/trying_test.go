package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/store"
)

// TestWhatWePostedBeforeAReplyBeganDoesNotWaitForIt shows also that a clock which is set back by less than a minute changes nothing.
func TestWhatWePostedBeforeAReplyBeganDoesNotWaitForIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url)
		s := open(t, url)
		lease, ok, err := s.ClaimChannel(t.Context(), "me", "c", time.Hour)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		for source, age := range map[string]int{"busy": 300, "idle": 0} {
			raw(t, url, fmt.Sprintf(`INSERT INTO actions (channel_id, action_key, uuids, type, action_id, network_item_id, ticket_id,
				source, state, due, happened_at, received_at, tried_at, changed_at)
				VALUES ('c', '%[1]s', '', '', '', '%[1]s', '', '%[1]s', 'performing', 0, 0, 0, %[2]s - %[3]d * 1000, 0)`, source, clock(url), age))
		}
		raw(t, url, `UPDATE actions SET tried_at = NULL, state = 'received' WHERE action_key = 'idle'`)
		for _, source := range []string{"busy", "idle"} {
			for _, age := range []int{0, 290, 310, 350, 370, 1000} {
				raw(t, url, fmt.Sprintf(`INSERT INTO tickets (channel_id, network_item_id, source, wanted_hash, payload, state, due, own, changed_at)
					VALUES ('c', '%[1]s %[2]d', '%[1]s', '1', 'p', 'pending', %[2]d, 1, %[3]s - %[2]d * 1000)`, source, age, clock(url)))
			}
		}
		want := []string{"busy 1000", "busy 370", "idle 0", "idle 1000", "idle 290", "idle 310", "idle 350", "idle 370"}
		due, err := s.Due(t.Context(), lease, 99, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got, each []string
		for _, ticket := range due {
			got = append(got, ticket.NetworkItemID)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		err = s.EachDue(t.Context(), "c", func(ticket *store.Ticket) error { each = append(each, ticket.NetworkItemID); return nil })
		if diff := cmp.Diff(want, each); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if counts, err := s.DueCounts(t.Context()); counts["c"] != len(want) || err != nil {
			t.Errorf("%v, %v", counts, err)
		}
	})
}
