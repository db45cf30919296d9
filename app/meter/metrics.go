package meter

import "github.com/prometheus/client_golang/prometheus"

// notSent is the answer of a ticket that needed no request.
const notSent = "not_sent"

// metrics are all that a meter has. Their names and labels are for others to build on: see docs/metrics.md.
type metrics struct {
	sources                     perSource
	deliveries, requests, steps *prometheus.CounterVec
	lag, sourceLag, requestTime *prometheus.HistogramVec
	limit, remaining            *prometheus.GaugeVec
	reloadGood, reloadTime      prometheus.Gauge
}

var (
	// lagBuckets: a ticket goes out some hundredths of a second after it was stored if nothing is in its way, within a
	// minute or so after a rate limit, and after hours if SocialHub was down or a person had to look.
	lagBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400}
	// sourceLagBuckets: this is mostly the schedule, from seconds to a day. The first poll of a source brings what is
	// older than any schedule.
	sourceLagBuckets = []float64{1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400, 604800}
	// requestBuckets end where the client gives up.
	requestBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

func newMetrics() *metrics {
	return &metrics{
		deliveries: counters("deliveries_total", "Deliveries of tickets, by what SocialHub answered; not_sent are those that needed "+
			"no request. A ticket that is sent again counts again.", "channel", "operation", "answer"),
		lag: histogram("delivery_lag_seconds", "How long after its content was stored a ticket was in SocialHub; without backfills.",
			lagBuckets, "channel"),
		sourceLag: histogram("source_lag_seconds", "How long after the source had its content a ticket was in SocialHub, "+
			"as far as the source tells times; without backfills.", sourceLagBuckets, "channel"),
		requests: counters("api_requests_total", "Requests to SocialHub's API, by what was answered; unavailable ones have no answer "+
			"that says anything.", "channel", "operation", "answer"),
		requestTime: histogram("api_request_duration_seconds", "How long requests to SocialHub's API took, also those without an answer.",
			requestBuckets, "channel", "operation"),
		limit: gauges("api_rate_limit", "SocialHub's rate limit for the channel, as the last answer that told it said.", "channel"),
		remaining: gauges("api_rate_limit_remaining",
			"What was left of the channel's rate limit after the last answer that told it.", "channel"),
		steps: counters("action_steps_total", "Steps of what the team did in SocialHub: carried out (done), noted by SocialHub (confirmed), "+
			"not carried out (failed), nobody knows (uncertain), to be tried again (retried), or waiting for a person (stuck).",
			"channel", "step"),
		reloadGood: gauge("config_last_reload_successful", "1 if the config that was read last, at the start or since, was taken."),
		reloadTime: gauge("config_last_reload_success_timestamp_seconds", "When a config was taken last, at the start or since."),
	}
}

const namespace = "socialhub_sync_"

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: namespace + name, Help: help}, labels)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: namespace + name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: namespace + name, Help: help})
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: namespace + name, Help: help, Buckets: buckets}, labels)
}

// vector is a metric with labels.
type vector interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

func (m *metrics) vectors() []vector {
	return []vector{m.deliveries, m.lag, m.sourceLag, m.requests, m.requestTime, m.limit, m.remaining, m.steps}
}

// drop forgets the series of a channel that are in vectors.
func (m *metrics) drop(channelName string) {
	for _, v := range m.vectors() {
		v.DeletePartialMatch(prometheus.Labels{"channel": channelName})
	}
}

// Describe is for Prometheus.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.sources.Describe(out)
	m.reloadGood.Describe(out)
	m.reloadTime.Describe(out)
	for _, v := range m.vectors() {
		v.Describe(out)
	}
}

// Collect is for Prometheus.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.sources.Collect(out)
	m.reloadGood.Collect(out)
	m.reloadTime.Collect(out)
	for _, v := range m.vectors() {
		v.Collect(out)
	}
}
