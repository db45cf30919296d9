package prometheus_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources/builtin"
)

// series are the values of their labels by the name under which Prometheus has them, such as x_bucket.
type series map[string]map[string][]string

var (
	sampleLine  = regexp.MustCompile(`(?m)^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$`)
	sampleLabel = regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
)

// read takes the series of a page of metrics, with what Prometheus adds.
func read(page string) series {
	all := series{"up": {"job": nil, "instance": nil}}
	for _, sample := range sampleLine.FindAllStringSubmatch(page, -1) {
		have := all[sample[1]]
		if have == nil {
			have = map[string][]string{"job": nil, "instance": nil}
			all[sample[1]] = have
		}
		for _, label := range sampleLabel.FindAllStringSubmatch(sample[2], -1) {
			have[label[1]] = append(have[label[1]], label[2])
		}
	}
	return all
}

// last are what a daemon shows last: the others are there from its start on.
var last = []string{
	"socialhub_sync_tickets", "socialhub_sync_source_last_success_timestamp_seconds", "socialhub_sync_api_rate_limit_remaining",
}

// ofTheDaemon are the series of a daemon that has delivered a ticket. It runs once for all tests.
var ofTheDaemon = sync.OnceValues(func() (series, error) {
	dir, err := os.MkdirTemp("", "socialhub-sync-metrics-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	box := sandbox.New(sandbox.Options{})
	defer box.Close()
	api := httptest.NewServer(box)
	defer api.Close()
	channel, err := box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		return nil, err
	}
	c, err := settings(dir, map[string]string{
		"DATABASE": "sqlite:" + filepath.Join(dir, "sync.db"), "API": api.URL, "TOKEN": channel.Token,
	})
	if err != nil {
		return nil, err
	}
	a, err := app.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := a.Start(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = a.Stop(context.Background()) }()
	return scrape(ctx, "http://"+a.Addr()+"/metrics")
})

// settings are a config with one source that has an item, and the webhook, which is counted too.
func settings(dir string, values map[string]string) (*config.Config, error) {
	const text = `
database: ${DATABASE}
api_url: ${API}
listen: 127.0.0.1:0
channels: {support: {access_token: "${TOKEN}", webhook: {secret: correct-horse-battery-staple-0123456789}}}
sources: {items: {adapter: jsonl, channel: support, settings: {path: items.jsonl}}}
`
	item := []byte(`{"networkItemId":"item-1","message":"one"}` + "\n")
	if err := os.WriteFile(filepath.Join(dir, "items.jsonl"), item, 0o600); err != nil {
		return nil, err
	}
	return config.Parse("config.yaml", []byte(text), dir, builtin.Adapters(), func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	})
}

// scrape asks until the last series are there.
func scrape(ctx context.Context, url string) (series, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		page, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		have := read(string(page))
		if !slices.ContainsFunc(last, func(name string) bool { return have[name] == nil }) {
			return have, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%q are not all there:\n%s", last, page)
		}
	}
}

// metrics are the series that there may be in an expression.
func metrics(t *testing.T) series {
	t.Helper()
	all, err := ofTheDaemon()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAPageOfMetricsIsReadWithItsLabels(t *testing.T) {
	t.Parallel()
	got := read(`# HELP x_bucket Some x.
# TYPE x histogram
x_bucket{a="1 } \" b=",le="5"} 1
x_bucket{a="2",le="5"} 1
x_sum 2.5
`)
	want := series{
		"up":       {"job": nil, "instance": nil},
		"x_bucket": {"job": nil, "instance": nil, "a": {`1 } \" b=`, "2"}, "le": {"5", "5"}},
		"x_sum":    {"job": nil, "instance": nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// named are the labels whose values are words of the program, and known therefore.
var named = []string{"answer", "kind", "operation", "outcome", "result", "state", "step"}

// faults tells what of a PromQL expression is not to be had, in words.
func (s series) faults(expr string) (faults []string) {
	for _, m := range metricsIn(expr) {
		have, ok := s[m.name]
		if !ok {
			faults = append(faults, "no metric "+m.name)
			continue
		}
		for _, label := range m.labels {
			if _, ok := have[label]; !ok {
				faults = append(faults, m.name+" has no label "+label)
			}
		}
		for _, v := range m.values {
			if slices.Contains(named, v.label) && !slices.Contains(have[v.label], v.value) {
				faults = append(faults, m.name+" has no "+v.label+" "+v.value)
			}
		}
	}
	return faults
}

func TestWhatAnExpressionAsksForInVainIsTold(t *testing.T) {
	t.Parallel()
	have := series{"x_total": {"job": nil, "state": {"one", "two"}}, "y": {"job": nil, "b": {"1"}}}
	for expr, want := range map[string]string{
		`x_total`: "",
		`sum by (job, state) (rate(x_total{state=~"one|two"}[5m] offset 1d)) / 2 > 1e3 unless on (job) max(y{b="2"}) == 1`: "",
		`rate(z_total[$__rate_interval])`: "no metric z_total",
		`rate(x[5m])`:                     "no metric x",
		`y{a!="1"}`:                       "y has no label a",
		`sum by (job, b) (increase(x_total{state!~"one|six"}[5m])) > bool y`: "x_total has no label b; x_total has no state six",
		`y and max by (a) (y)`: "y has no label a",
	} {
		if got := strings.Join(have.faults(expr), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
