package meter_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/sync"
)

func TestPollsAndTheirItemsAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		unfit := text("item-3", "three")
		unfit.Interaction.Link = "ftp://example.com/"
		w.forum.set(nil, text("item-1", "one"), text("item-2", ""), unfit, sources.Item{Fault: &sources.Fault{Place: "a:1", Reason: "no JSON"}})
		stop := w.run()
		pass(70 * time.Second) // polls at 0 s, and from then on at 20 s of every minute
		w.forum.set(nil, text("item-1", "another one"))
		pass(time.Minute)
		w.forum.set(errHangs)
		pass(time.Minute)
		stop()
		w.forum.set(&sources.StopError{Err: errors.New("the password is wrong")})
		stop = w.run()
		pass(time.Minute)
		stop()
		w.want([]string{"polls_total", "items_", "poll_duration_seconds"}, `
			polls_total{outcome="found",source="reviews"} 2
			polls_total{outcome="unchanged",source="reviews"} 1
			polls_total{outcome="cut",source="reviews"} 1
			polls_total{outcome="stopped",source="reviews"} 1
			items_total{result="new",source="reviews"} 2
			items_total{result="changed",source="reviews"} 1
			items_total{result="unchanged",source="reviews"} 4
			items_total{result="rejected",source="reviews"} 2
			items_mended_total{source="reviews"} 1
			poll_duration_seconds_sum{source="reviews"} 50
			poll_duration_seconds_count{source="reviews"} 5
		`)
	})
}

func TestAPollThatFailsIsCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.forum.set(&sources.RetryAfterError{After: time.Hour, Err: errors.New("busy")}, text("item-1", "one"))
		stop := w.run()
		pass(time.Minute)
		stop()
		w.want([]string{"polls_total", "items_"}, `
			polls_total{outcome="failed",source="reviews"} 1
			items_total{result="new",source="reviews"} 1
		`)
	})
}

func TestDeliveriesAreCountedByAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		own := text("ours-1", "ours")
		own.Own = true
		w.hurry()
		stop := w.run()
		for _, round := range []struct {
			message  string
			statuses []int
		}{
			{"goes out", nil},
			{"is changed", nil},
			{"meets a limit, trouble and a refusal", []int{429, 500, 400}},
			{"is gone", []int{404}},
		} {
			w.forum.set(nil, text("item-1", round.message), own)
			w.network.next(round.statuses...)
			pass(15 * time.Second)
			if len(round.statuses) > 1 {
				pass(time.Minute) // the limit's
			}
		}
		w.network.next(409)
		w.forum.set(nil, text("item-2", "is there already"))
		pass(15 * time.Second)
		w.network.next(403)
		w.forum.set(nil, text("item-3", "may not be made"))
		pass(15 * time.Second)
		w.network.next(401)
		if _, err := w.store.ResumeChannel(t.Context(), w.channel.ID); err != nil {
			t.Fatal(err)
		}
		pass(15 * time.Second)
		stop()
		w.want([]string{"deliveries_total", "api_requests_total"}, `
			deliveries_total{answer="done",operation="create"} 1
			deliveries_total{answer="done",operation="update"} 1
			deliveries_total{answer="rate_limited",operation="update"} 1
			deliveries_total{answer="unavailable",operation="update"} 1
			deliveries_total{answer="rejected",operation="update"} 1
			deliveries_total{answer="not_found",operation="update"} 1
			deliveries_total{answer="conflict",operation="create"} 1
			deliveries_total{answer="forbidden",operation="create"} 1
			deliveries_total{answer="unauthorized",operation="create"} 1
			deliveries_total{answer="not_sent",operation="create"} 1
			api_requests_total{answer="done",operation="channel"} 2
			api_requests_total{answer="done",operation="create"} 1
			api_requests_total{answer="done",operation="update"} 1
			api_requests_total{answer="rate_limited",operation="update"} 1
			api_requests_total{answer="unavailable",operation="update"} 1
			api_requests_total{answer="rejected",operation="update"} 1
			api_requests_total{answer="not_found",operation="update"} 1
			api_requests_total{answer="conflict",operation="create"} 1
			api_requests_total{answer="forbidden",operation="create"} 1
			api_requests_total{answer="unauthorized",operation="create"} 1
		`)
	})
}

func TestATicketThatIsOnlyGivenBackIsNotCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.hurry()
		w.forum.set(nil, text("item-1", "one"), text("item-2", "one"), text("item-3", "one"))
		stop := w.run()
		pass(15 * time.Second)
		w.network.next(429) // the other updates go back into the store
		w.forum.set(nil, text("item-1", "two"), text("item-2", "two"), text("item-3", "two"))
		pass(90 * time.Second)
		stop()
		w.want([]string{"deliveries_total"}, `
			deliveries_total{answer="done",operation="create"} 3
			deliveries_total{answer="rate_limited",operation="update"} 1
			deliveries_total{answer="done",operation="update"} 3
		`)
	})
}

func TestTheLagIsFromTheStoreAndFromTheSource(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		began := time.Now()
		old := text("item-1", "one")
		old.UpdatedTime = began.Add(-90 * time.Second)
		w.forum.set(nil, old)
		stop := w.run()
		pass(30 * time.Second) // the token is verified first: 2 s more
		created := text("item-2", "the source tells when it was made")
		created.Interaction.CreatedTime = began
		w.forum.set(nil, old, created)
		pass(time.Minute)
		created.Interaction.Message = "but not when it was changed"
		future := text("item-3", "by a clock that is wrong")
		future.UpdatedTime = time.Now().Add(time.Hour)
		w.forum.set(nil, old, created, future)
		pass(time.Minute)
		stop()
		// The polls are at 0 s, 80 s and 140 s. One ticket goes out after the other, 2 s each.
		w.want([]string{"delivery_lag_seconds", "source_lag_seconds", "deliveries_total"}, `
			deliveries_total{answer="done",operation="create"} 3
			deliveries_total{answer="done",operation="update"} 1
			delivery_lag_seconds_bucket{le="2.5"} 2
			delivery_lag_seconds_bucket{le="5"} 4
			delivery_lag_seconds_bucket{le="10"} 4
			delivery_lag_seconds_bucket{le="30"} 4
			delivery_lag_seconds_bucket{le="60"} 4
			delivery_lag_seconds_bucket{le="300"} 4
			delivery_lag_seconds_bucket{le="900"} 4
			delivery_lag_seconds_bucket{le="3600"} 4
			delivery_lag_seconds_bucket{le="21600"} 4
			delivery_lag_seconds_bucket{le="86400"} 4
			delivery_lag_seconds_bucket{le="+Inf"} 4
			delivery_lag_seconds_sum 12
			delivery_lag_seconds_count 4
			source_lag_seconds_bucket{le="1"} 1
			source_lag_seconds_bucket{le="5"} 1
			source_lag_seconds_bucket{le="15"} 1
			source_lag_seconds_bucket{le="30"} 1
			source_lag_seconds_bucket{le="60"} 1
			source_lag_seconds_bucket{le="120"} 3
			source_lag_seconds_bucket{le="300"} 3
			source_lag_seconds_bucket{le="600"} 3
			source_lag_seconds_bucket{le="900"} 3
			source_lag_seconds_bucket{le="1800"} 3
			source_lag_seconds_bucket{le="3600"} 3
			source_lag_seconds_bucket{le="7200"} 3
			source_lag_seconds_bucket{le="21600"} 3
			source_lag_seconds_bucket{le="86400"} 3
			source_lag_seconds_bucket{le="604800"} 3
			source_lag_seconds_bucket{le="+Inf"} 3
			source_lag_seconds_sum 176
			source_lag_seconds_count 3
		`)
	})
}

func TestHistoryIsNotLate(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		old := text("item-1", "one")
		old.UpdatedTime = time.Now().AddDate(-5, 0, 0)
		w.forum.set(nil, old)
		w.options.Backfill = &sync.Backfill{}
		if err := sync.New(w.options).RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.want([]string{"delivery_lag_seconds", "source_lag_seconds", "deliveries_total"}, `
			deliveries_total{answer="done",operation="create"} 1
		`)
	})
}

func TestRequestsAreTimedAndTheRateLimitIsShown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.want([]string{"api_"}, "")
		w.forum.set(nil, text("item-1", "one"))
		stop := w.run()
		pass(30 * time.Second)
		stop()
		w.want([]string{"api_requests_total", "api_request_duration_seconds_sum", "api_request_duration_seconds_count", "api_rate_limit"}, `
			api_requests_total{answer="done",operation="channel"} 1
			api_requests_total{answer="done",operation="create"} 1
			api_request_duration_seconds_sum{operation="channel"} 2
			api_request_duration_seconds_sum{operation="create"} 2
			api_request_duration_seconds_count{operation="channel"} 1
			api_request_duration_seconds_count{operation="create"} 1
			api_rate_limit 1e+06
			api_rate_limit_remaining 1e+06
		`)
	})
}

func TestStepsOfActionsAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.busy()
		w.want([]string{"action_steps_total", "webhook_requests_total", `api_requests_total{answer="done",channel="support",operation="callback"`,
			`api_requests_total{answer="done",channel="support",operation="manifest"`}, `
			action_steps_total{step="done"} 1
			action_steps_total{step="confirmed"} 1
			action_steps_total{step="failed"} 1
			api_requests_total{answer="done",operation="callback"} 2
			api_requests_total{answer="done",operation="manifest"} 1
			webhook_requests_total{result="taken"} 3
		`)
	})
}

// busy runs the daemon until there is something of all that is counted: a ticket to which the team replies twice, the
// second time in vain.
func (w *world) busy() {
	w.t.Helper()
	item := text("item-1", "private content")
	item.UpdatedTime = time.Now()
	w.forum.set(nil, item)
	stop := w.run()
	pass(10 * time.Second)
	secret, err := socialhub.ParseWebhookSecret(hookSecret)
	w.must(err)
	label := socialhub.Label{EN: "x", DE: "x", FR: "x"}
	_, a := w.options.Channels[0].Client.ChangeManifest(w.t.Context(), &socialhub.Manifest{
		Webhook: &socialhub.Webhook{URL: "http://127.0.0.1/webhook/" + w.channel.ID, Secret: secret},
		Inbox:   &socialhub.Inbox{TicketActions: []socialhub.ManifestAction{{Type: socialhub.ActionReply, ID: "reply", Label: label}}},
	})
	if a.Outcome != socialhub.Done {
		w.t.Fatalf("%+v", a)
	}
	w.reply()
	w.forum.set(&sources.RefusedError{Reason: "private reason"}, item)
	w.reply()
	stop()
}

// reply lets the team reply to the ticket.
func (w *world) reply() {
	w.t.Helper()
	ticket, ok := w.box.Ticket(w.channel.ID, "item-1")
	if !ok {
		w.t.Fatal("there is no ticket")
	}
	_, err := w.box.Act(w.channel.ID, sandbox.Act{TicketID: ticket.ID, ActionID: "reply", Text: "private reply"})
	w.must(err)
	pass(20 * time.Second)
}

func TestTheSeriesOfWhatIsGoneAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newMeter(t)
		m := w.meter
		for _, source := range []string{"stays", "goes", "moves"} {
			m.Polled(sync.Poll{Source: source, Channel: "support", Outcome: sync.PollFound})
			m.Read(sync.Batch{Source: source, Channel: "support", Counts: sync.Counts{New: 1}})
		}
		m.Exchange("closed")(socialhub.Exchange{Operation: socialhub.OpCreate, Limit: socialhub.RateLimit{Known: true, Limit: 5}})
		m.Delivered(sync.Delivery{Channel: "closed", Operation: sync.Create, Sent: true, Outcome: socialhub.Done})
		m.Stepped(sync.Step{Channel: "closed", Result: sync.StepDone})
		m.Polled(sync.Poll{Source: "in vain", Channel: "closed", Outcome: sync.PollFailed})
		m.Polled(sync.Poll{Source: "moves", Channel: "other", Outcome: sync.PollFailed})
		m.Keep([]string{"support", "other"}, []string{"stays", "moves", "in vain"})
		got := w.metrics("")
		for _, gone := range []string{`"closed"`, `"goes"`, `"in vain"`, `{channel="support",source="moves"}`} {
			if strings.Contains(got, gone) {
				t.Errorf("%s is still there", gone)
			}
		}
		w.want([]string{"polls_total", "items_total"}, `
			polls_total{outcome="found",source="stays"} 1
			items_total{result="new",source="stays"} 1
			polls_total{channel="other",outcome="failed",source="moves"} 1
		`)
		m.Polled(sync.Poll{Source: "goes", Channel: "support", Outcome: sync.PollFound}) // it comes back
		if !strings.Contains(w.metrics(""), `polls_total{channel="support",outcome="found",source="goes"} 1`) {
			t.Error("what comes back is not counted anew")
		}
	})
}

func TestAReloadIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newMeter(t)
		const begin = "9.46684" // 2000-01-01 00:00 UTC, when the bubble's time begins
		names := []string{"config_last_reload_"}
		w.want(names, "config_last_reload_successful 1\nconfig_last_reload_success_timestamp_seconds "+begin+"8e+08")
		pass(time.Minute)
		w.meter.Reloaded(false)
		w.want(names, "config_last_reload_success_timestamp_seconds "+begin+"8e+08")
		w.meter.Reloaded(true)
		w.want(names, "config_last_reload_successful 1\nconfig_last_reload_success_timestamp_seconds "+begin+"86e+08")
	})
}
