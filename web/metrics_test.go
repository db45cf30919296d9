package web

import (
	"bytes"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"socialhub-sync/store"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		reviews := key("id-support", "reviews")
		w.poll(reviews, store.PollResult{}, ticket("a-1", store.Rejected, ""), ticket("a-2", store.Synced, ""), ticket("a-3", store.Skipped, ""))
		time.Sleep(1500 * time.Millisecond)
		w.poll(reviews, store.PollResult{Error: "trouble", Next: 30 * time.Second})
		w.claim(key("id-press", "reviews")) // the same name in another channel
		w.pause("id-press", store.Pause{Kind: store.Unauthorized})

		// 2000-01-01 00:00 UTC, when the bubble's time begins, is 946,684,800.
		const want = `
			socialhub_sync_actions{channel="press",state="confirmed"} 0
			socialhub_sync_actions{channel="press",state="dismissed"} 0
			socialhub_sync_actions{channel="press",state="failed"} 0
			socialhub_sync_actions{channel="press",state="performed"} 0
			socialhub_sync_actions{channel="press",state="performing"} 0
			socialhub_sync_actions{channel="press",state="received"} 0
			socialhub_sync_actions{channel="press",state="reported"} 0
			socialhub_sync_actions{channel="press",state="uncertain"} 0
			socialhub_sync_actions{channel="support",state="confirmed"} 0
			socialhub_sync_actions{channel="support",state="dismissed"} 0
			socialhub_sync_actions{channel="support",state="failed"} 0
			socialhub_sync_actions{channel="support",state="performed"} 0
			socialhub_sync_actions{channel="support",state="performing"} 0
			socialhub_sync_actions{channel="support",state="received"} 0
			socialhub_sync_actions{channel="support",state="reported"} 0
			socialhub_sync_actions{channel="support",state="uncertain"} 0
			socialhub_sync_channel_paused{channel="press",kind="forbidden"} 0
			socialhub_sync_channel_paused{channel="press",kind="rate_limited"} 0
			socialhub_sync_channel_paused{channel="press",kind="unauthorized"} 1
			socialhub_sync_channel_paused{channel="support",kind="forbidden"} 0
			socialhub_sync_channel_paused{channel="support",kind="rate_limited"} 0
			socialhub_sync_channel_paused{channel="support",kind="unauthorized"} 0
			socialhub_sync_source_failing{channel="press",source="reviews"} 0
			socialhub_sync_source_failing{channel="support",source="reviews"} 1
			socialhub_sync_source_held_changes{channel="press",source="reviews"} 0
			socialhub_sync_source_held_changes{channel="support",source="reviews"} 0
			socialhub_sync_source_last_poll_timestamp_seconds{channel="support",source="reviews"} 9.466848015e+08
			socialhub_sync_source_last_success_timestamp_seconds{channel="support",source="reviews"} 9.466848e+08
			socialhub_sync_source_next_poll_timestamp_seconds{channel="press",source="reviews"} 9.466848015e+08
			socialhub_sync_source_next_poll_timestamp_seconds{channel="support",source="reviews"} 9.466848315e+08
			socialhub_sync_source_staleness_seconds{channel="support",source="reviews"} 1.5
			socialhub_sync_store_up 1
			socialhub_sync_tickets{channel="press",state="gone"} 0
			socialhub_sync_tickets{channel="press",state="held"} 0
			socialhub_sync_tickets{channel="press",state="pending"} 0
			socialhub_sync_tickets{channel="press",state="rejected"} 0
			socialhub_sync_tickets{channel="press",state="skipped"} 0
			socialhub_sync_tickets{channel="press",state="synced"} 0
			socialhub_sync_tickets{channel="press",state="unlinked"} 0
			socialhub_sync_tickets{channel="support",state="gone"} 0
			socialhub_sync_tickets{channel="support",state="held"} 0
			socialhub_sync_tickets{channel="support",state="pending"} 0
			socialhub_sync_tickets{channel="support",state="rejected"} 1
			socialhub_sync_tickets{channel="support",state="skipped"} 1
			socialhub_sync_tickets{channel="support",state="synced"} 1
			socialhub_sync_tickets{channel="support",state="unlinked"} 0
		`
		got := w.get("/metrics", 200)
		for line := range strings.Lines(want) {
			if line = strings.TrimSpace(line); line != "" && !strings.Contains(got, "\n"+line+"\n") {
				t.Errorf("%s is missing in:\n%s", line, got)
			}
		}
		if have, n := strings.Count(got, "\nsocialhub_sync_"), strings.Count(want, "socialhub_sync_")+2; have != n {
			t.Errorf("%d values of ours, want %d:\n%s", have, n, got)
		}
		wantWords(t, got, `socialhub_sync_build_info{goversion="`+runtime.Version()+`",version="v1.2.3"} 1`,
			"\nsocialhub_sync_store_statements_total ", "go_goroutines ", "process_start_time_seconds ")
		w.must(w.store.Close())
	})
}

func TestAStoppedSourceHasNoNextPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poll(key("id-support", "reviews"), store.PollResult{Error: "trouble", Pause: "trouble"})
	wantNoWords(t, w.get("/metrics", 200), "socialhub_sync_source_next_poll_timestamp_seconds{", "socialhub_sync_source_staleness_seconds{")
}

func TestMetricNamesAreAsPrometheusLikesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poll(key("id-support", "reviews"), store.PollResult{}, ticket("a-1", store.Synced, ""))
	problems, err := testutil.GatherAndLint(newRegistry(newReader(w.store, configured(), nopLog), "v1.2.3", nopLog))
	w.must(err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestALabelThatIsNoTextBreaksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := newReader(w.store, []Channel{{ID: "id-support", Name: "a\xff"}}, nopLog)
	w.handler = metricsHandler(r, "v\xff", nopLog)
	wantWords(t, w.get("/metrics", 200), "version=\"v\uFFFD\"", "socialhub_sync_tickets{channel=\"a\uFFFD\"")
}

// broken is a collector whose metric can't be made.
type broken struct{}

func (broken) Describe(chan<- *prometheus.Desc) {}
func (broken) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "Is not there.", nil, nil), errors.New("out of order"))
}

func TestAMetricThatCantBeMadeIsLoggedAndTheOthersAreThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	handler := New(Options{
		Store: w.store, Channels: configured(), Metrics: []prometheus.Collector{broken{}}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	t.Cleanup(handler.Close)
	w.handler = handler
	if got := w.asks("/metrics").StatusCode; got != 200 {
		t.Errorf("GET /metrics: %d, want 200", got)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=WARN msg=metrics error=") || !strings.Contains(got, "out of order") {
		t.Errorf("the log has %q", got)
	}
}
