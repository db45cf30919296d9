package web

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/store"
)

// act makes an action of the channel's team that has come so far.
func (w *world) act(channelID, key string, steps ...store.ActionStep) {
	w.t.Helper()
	_, err := w.store.Receive(w.t.Context(), channelID, store.Receipt{Actions: []store.NewAction{{
		Key: key, UUID: "u-" + key, Type: "reply", ActionID: "reply", NetworkItemID: "item-of-" + key, TicketID: "aaaaaaaaaaaaaaaaaaaaaaaa",
		Payload: `{"text":"private content"}`, Time: time.Now(),
	}}})
	w.must(err)
	lease, ok, err := w.store.ClaimChannel(w.t.Context(), "owner-of-"+key, channelID, time.Hour)
	if w.must(err); !ok {
		w.t.Fatal("the channel is taken")
	}
	for _, step := range steps {
		if step.Key = key; step.From == store.ActionReceived {
			w.must(w.store.BeginAction(w.t.Context(), lease, key))
			step.From = store.ActionPerforming
		}
		w.must(w.store.StepAction(w.t.Context(), lease, step))
	}
	w.must(w.store.ReleaseChannel(w.t.Context(), lease))
}

func TestActionsAreCountedAndThoseThatNeedAPersonAreListed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		uncertain := store.ActionStep{From: store.ActionReceived, To: store.ActionUncertain, Reason: evil("reason")}
		w.act("id-support", "f-1")
		w.act("id-support", "f-2", uncertain)
		w.act("id-support", "f-3", store.ActionStep{From: store.ActionReceived, To: store.ActionConfirmed})
		w.act("id-support", "f-4", store.ActionStep{From: store.ActionReceived, To: store.ActionFailed, Wait: true},
			store.ActionStep{From: store.ActionFailed, To: store.ActionReported})
		time.Sleep(5 * time.Second)
		page := w.page()
		if diff := cmp.Diff([]string{
			"Channel Under way Done Failed, team told Uncertain Dismissed", "support 1 1 1 1 0",
		}, rows(page, "Actions")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{
			"Action Channel Source Type Ticket Done by the team State Reason",
			"f-2 support reply item-of-f-2 5 s ago uncertain " + evil("reason"),
		}, rows(page, "Actions that need a person")); diff != "" {
			t.Error(diff)
		}
		wantWords(t, text(page), "1 thing needs a look: Channel support : actions need a person")
		metrics := w.get("/metrics", 200)
		for state, n := range map[store.ActionState]int{
			store.ActionReceived: 1, store.ActionUncertain: 1, store.ActionConfirmed: 1, store.ActionReported: 1, store.ActionPerforming: 0,
		} {
			wantWords(t, metrics, fmt.Sprintf("socialhub_sync_actions{channel=\"support\",state=%q} %d\n", state, n))
		}
		wantNoWords(t, w.get("/", 200)+metrics, "private content")
		w.must(w.store.Close())
	})
}

func TestWithoutActionsThePageHasNoSectionForThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	page := w.page()
	for _, heading := range []string{"Actions", "Actions that need a person"} {
		if got := rows(page, heading); got != nil {
			t.Errorf("%s: %q", heading, got)
		}
	}
}
