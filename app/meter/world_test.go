package meter_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/robfig/cron/v3"
	"go.uber.org/goleak"

	"socialhub-sync/app/meter"
	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
	"socialhub-sync/sync"
	"socialhub-sync/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	hookSecret = "a secret that nobody knows but two of us"
	// latency is how long every answer of the API takes.
	latency = 2 * time.Second
)

// forum is a source: every pull yields all its items. Its replies and buttons fail as fail says.
type forum struct {
	mu    gosync.Mutex
	items []sources.Item
	fail  error
}

func (f *forum) set(fail error, items ...sources.Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items, f.fail = items, fail
}

func (f *forum) Pull(ctx context.Context, _ sources.Request) iter.Seq2[sources.Batch, error] {
	f.mu.Lock()
	items, fail := slices.Clone(f.items), f.fail
	f.mu.Unlock()
	return func(yield func(sources.Batch, error) bool) {
		switch {
		case fail == errHangs:
			<-ctx.Done()
			yield(sources.Batch{}, ctx.Err())
		case yield(sources.Batch{Items: items}, nil) && fail != nil:
			yield(sources.Batch{}, fail)
		}
	}
}

// errHangs makes a pull last until it is told to end.
var errHangs = errors.New("hangs")

func (f *forum) Close() error { return nil }

func (f *forum) Reply(_ context.Context, r *sources.Reply) (sources.Posted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sources.Posted{NetworkItemID: "posted-" + r.Key}, f.fail
}

// network is the way to the sandbox: it may give the next changes of tickets another status than the sandbox would.
type network struct {
	http.RoundTripper
	mu       gosync.Mutex
	statuses []int
}

func (n *network) next(statuses ...int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.statuses = statuses
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	if len(n.statuses) == 0 || !strings.HasPrefix(r.URL.Path, "/inbox/") {
		n.mu.Unlock()
		return n.RoundTripper.RoundTrip(r)
	}
	status := n.statuses[0]
	n.statuses = n.statuses[1:]
	n.mu.Unlock()
	time.Sleep(latency)
	return &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// world is a daemon with one channel and one source, in a bubble of fake time.
type world struct {
	t       *testing.T
	box     *sandbox.Server
	channel sandbox.Channel
	network *network
	forum   *forum
	store   *store.Store
	meter   *meter.Meter
	options sync.Options
	handler http.Handler
}

// newMeter is a world of a meter alone.
func newMeter(t *testing.T) *world {
	m := meter.New()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	return &world{t: t, meter: m, handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{})}
}

func newWorld(t *testing.T) *world {
	hooks := sandbox.NewPipe()
	w := &world{t: t, forum: &forum{}, meter: meter.New()}
	w.box = sandbox.New(sandbox.Options{Latency: latency, Transport: hooks.Transport()})
	t.Cleanup(func() { w.box.Close() })
	var err error
	w.channel, err = w.box.AddChannel(sandbox.ChannelOptions{})
	w.must(err)
	api := sandbox.NewPipe()
	w.network = &network{RoundTripper: api.Transport()}
	t.Cleanup(api.Transport().CloseIdleConnections)
	w.serve(api, w.box)
	w.store, err = store.Open(t.Context(), storetest.SQLite(t))
	w.must(err)
	t.Cleanup(func() { w.must(w.store.Close()) })
	w.setUp()
	w.serve(hooks, w.handler)
	return w
}

// setUp makes what the app makes of a config.
func (w *world) setUp() {
	token, err := socialhub.ParseToken(w.channel.Token)
	w.must(err)
	client, err := socialhub.NewClient(socialhub.Options{
		BaseURL: "http://api", Token: token, Transport: w.network, Observe: w.meter.Exchange("support"),
	})
	w.must(err)
	schedule, err := cron.ParseStandard("@every 1m")
	w.must(err)
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	w.options = sync.Options{
		Store: w.store, Logger: log, Owner: "test", Observer: w.meter,
		Channels: []sync.Channel{{ID: w.channel.ID, Name: "support", Fingerprint: token.Fingerprint(), Client: client, Concurrency: 1}},
		Sources: []sync.Source{{
			Name: "reviews", Adapter: "forum", ChannelID: w.channel.ID, Schedule: schedule, ScheduleText: "@every 1m", OnDelete: sync.Keep,
			Open: func(context.Context) (sources.Source, error) { return w.forum, nil },
		}},
	}
	w.must(w.store.Register(w.t.Context(), map[string]string{w.channel.ID: "support"}, nil))
	secret, err := socialhub.ParseWebhookSecret(hookSecret)
	w.must(err)
	receiver := web.NewReceiver(web.ReceiverOptions{
		Inbox: w.store, Webhooks: []web.Webhook{{ChannelID: w.channel.ID, Name: "support", Secret: secret, Tolerance: time.Minute}},
		Wake: func(string) {}, Logger: log,
	})
	handler := web.New(web.Options{
		Store: w.store, Channels: []web.Channel{{ID: w.channel.ID, Name: "support", Sources: []string{"reviews"}}},
		Receiver: receiver, Metrics: []prometheus.Collector{w.meter}, Version: "v1.2.3", Logger: log,
	})
	w.t.Cleanup(handler.Close)
	w.handler = handler
}

// hurry has the source polled every ten seconds, for tests in which it does not matter when.
func (w *world) hurry() {
	src := &w.options.Sources[0]
	src.Schedule, src.ScheduleText = cron.Every(10*time.Second), "@every 10s"
}

// serve answers a pipe until the test ends.
func (w *world) serve(pipe *sandbox.Pipe, h http.Handler) {
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(pipe) }()
	w.t.Cleanup(func() { server.Close(); <-done })
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run lets the engine run until stop is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	engine := sync.New(w.options)
	go func() { done <- engine.Run(ctx) }()
	return func() {
		w.t.Helper()
		cancel()
		w.must(<-done)
	}
}

// text is an item with a message.
func text(id, message string) sources.Item {
	return sources.Item{Interaction: socialhub.Interaction{NetworkItemID: id, Message: message}}
}

// pass lets fake time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// scrape is what Prometheus gets that accepts a format.
func (w *world) scrape(accept string) *http.Response {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	if recorder.Code != http.StatusOK {
		w.t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Result()
}

func (w *world) metrics(accept string) string {
	w.t.Helper()
	body, err := io.ReadAll(w.scrape(accept).Body)
	w.must(err)
	return string(body)
}

// want compares the series whose names begin with one of the prefixes and that are not 0: lines as in the exposition,
// but without socialhub_sync_ and the channel, which is the same in all.
func (w *world) want(prefixes []string, want string) {
	w.t.Helper()
	var got []string
	for line := range strings.Lines(w.metrics("")) {
		line, ours := strings.CutPrefix(strings.TrimSpace(line), "socialhub_sync_")
		begins := func(prefix string) bool { return strings.HasPrefix(line, prefix) }
		if ours && slices.ContainsFunc(prefixes, begins) && !strings.HasSuffix(line, " 0") {
			line = strings.ReplaceAll(strings.ReplaceAll(line, `channel="support",`, ""), `,channel="support"`, "")
			got = append(got, strings.ReplaceAll(line, `{channel="support"}`, ""))
		}
	}
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	slices.Sort(got)
	if diff := cmp.Diff(lines, got); diff != "" {
		w.t.Errorf("(-want +got)\n%s", diff)
	}
}

func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}
