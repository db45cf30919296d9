package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"socialhub-sync/store"
)

var (
	ticketStates = []store.State{store.Pending, store.Synced, store.Unlinked, store.Rejected, store.Held, store.Gone, store.Skipped}
	pauseKinds   = []store.PauseKind{store.RateLimited, store.Unauthorized, store.Forbidden}
)

var (
	ticketsDesc = prometheus.NewDesc("socialhub_sync_tickets",
		"Tickets by state; the number may be some seconds old, and is missing until they are counted.", []string{"channel", "state"}, nil)
	actionsDesc = prometheus.NewDesc("socialhub_sync_actions",
		"What the team did in SocialHub, by how far it is; the number may be some seconds old, and is missing until they are counted.",
		[]string{"channel", "state"}, nil)
	pausedDesc = prometheus.NewDesc("socialhub_sync_channel_paused",
		"1 while no request is sent for the channel, for this reason.", []string{"channel", "kind"}, nil)
	lastPollDesc = prometheus.NewDesc("socialhub_sync_source_last_poll_timestamp_seconds",
		"When the last poll of the source ended; missing before the first.", []string{"source", "channel"}, nil)
	lastSuccessDesc = prometheus.NewDesc("socialhub_sync_source_last_success_timestamp_seconds",
		"When the last poll of the source that succeeded ended; missing before the first.", []string{"source", "channel"}, nil)
	nextPollDesc = prometheus.NewDesc("socialhub_sync_source_next_poll_timestamp_seconds",
		"When the next poll of the source is due; missing while the source is stopped until somebody resumes it.",
		[]string{"source", "channel"}, nil)
	stalenessDesc = prometheus.NewDesc("socialhub_sync_source_staleness_seconds",
		"How long ago the last poll of the source that succeeded ended; missing before the first.", []string{"source", "channel"}, nil)
	failingDesc = prometheus.NewDesc("socialhub_sync_source_failing",
		"1 if the last poll of the source failed, or if the source is stopped until somebody resumes it.", []string{"source", "channel"}, nil)
	heldDesc = prometheus.NewDesc("socialhub_sync_source_held_changes",
		"Changes of tickets that wait for somebody to resume the source, because one poll brought more than mass_change_limit.",
		[]string{"source", "channel"}, nil)
	storeUpDesc = prometheus.NewDesc("socialhub_sync_store_up",
		"1 if the database answered in time; if 0, all that is known from it is missing.", nil, nil)
)

// metricsHandler serves a registry of its own, so that several apps fit into one process.
func metricsHandler(r *reader, version string, log *slog.Logger, more ...prometheus.Collector) http.Handler {
	return promhttp.HandlerFor(newRegistry(r, version, log, more...), promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      metricsLog{log},
		// Prometheus prefers it, and its text ends with a line that tells a whole answer from half of one.
		EnableOpenMetrics: true,
	})
}

// metricsLog hears of metrics that can't be made or sent.
type metricsLog struct{ log *slog.Logger }

func (l metricsLog) Println(v ...any) {
	l.log.Warn("metrics", slog.String("error", strings.TrimSuffix(fmt.Sprintln(v...), "\n")))
}

func newRegistry(r *reader, version string, log *slog.Logger, more ...prometheus.Collector) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(more...)
	registry.MustRegister(
		unambiguous{collectors.NewGoCollector()}, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "socialhub_sync_build_info", Help: "Always 1; the labels tell what runs.",
			ConstLabels: prometheus.Labels{"version": label(version), "goversion": runtime.Version()},
		}, func() float64 { return 1 }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "socialhub_sync_store_statements_total",
			Help: "Statements that this process has sent to the database, those for the page and the metrics too.",
		}, func() float64 { return float64(r.store.Statements()) }),
		&collector{reader: r, log: log},
	)
	return registry
}

// unambiguous leaves out the one gauge of the Go runtime's that has, in OpenMetrics, the name of a counter;
// go_memstats_heap_alloc_bytes is the same number.
type unambiguous struct{ prometheus.Collector }

func (u unambiguous) Collect(out chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() { defer close(all); u.Collector.Collect(all) }()
	for m := range all {
		if !strings.Contains(m.Desc().String(), `"go_memstats_alloc_bytes"`) {
			out <- m
		}
	}
}

// collector asks the store anew for every scrape.
type collector struct {
	reader *reader
	log    *slog.Logger
}

func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		ticketsDesc, actionsDesc, pausedDesc, lastPollDesc, lastSuccessDesc, nextPollDesc, stalenessDesc, failingDesc, heldDesc, storeUpDesc,
	} {
		out <- d
	}
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	channels, sources, err := c.read(ctx)
	out <- gauge(storeUpDesc, flag(err == nil))
	if err != nil {
		c.log.Debug("metrics", slog.Any("error", err))
		return
	}
	for _, x := range channels {
		for _, state := range ticketStates {
			if x.counted {
				out <- gauge(ticketsDesc, float64(x.counts[state]), x.name, string(state))
			}
		}
		for _, state := range store.ActionStates {
			if x.counted {
				out <- gauge(actionsDesc, float64(x.actions[state]), x.name, string(state))
			}
		}
		for _, kind := range pauseKinds {
			out <- gauge(pausedDesc, flag(x.Pause.Kind == kind), x.name, string(kind))
		}
	}
	for _, s := range sources {
		if s.Backfill == "" {
			collectSource(out, s)
		}
	}
}

// read is that of the reader, when it is the collector's turn.
func (c *collector) read(ctx context.Context) ([]channel, []source, error) {
	leave, err := c.reader.readers.enter(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	return c.reader.read(ctx)
}

func collectSource(out chan<- prometheus.Metric, s source) {
	out <- gauge(failingDesc, flag(s.LastError != "" || s.Pause != ""), s.Source, s.channel)
	out <- gauge(heldDesc, float64(s.Held), s.Source, s.channel)
	next := s.NextPoll
	if s.Pause != "" {
		next = time.Time{}
	}
	for desc, at := range map[*prometheus.Desc]time.Time{lastPollDesc: s.LastPoll, lastSuccessDesc: s.LastSuccess, nextPollDesc: next} {
		if !at.IsZero() {
			out <- gauge(desc, float64(at.UnixMilli())/1000, s.Source, s.channel)
		}
	}
	if !s.LastSuccess.IsZero() {
		out <- gauge(stalenessDesc, max(0, time.Since(s.LastSuccess).Seconds()), s.Source, s.channel)
	}
}

func gauge(desc *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	for i := range labels {
		labels[i] = label(labels[i])
	}
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// label makes a text fit for a label, which must be UTF-8.
func label(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
