package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"

	"socialhub-sync/app/meter"
	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/sources/jsonl"
	"socialhub-sync/store"
	engine "socialhub-sync/sync"
	"socialhub-sync/web"
)

// pace is how long a day in fast motion is, and how much happens in it.
type pace struct {
	sources, channels int
	// every is the schedule of the sources.
	every time.Duration
	// warm is how long it runs before it is measured for the first time, and span how long it runs each time after that.
	warm, span time.Duration
	spans      int
	// rest is how long what is left over takes at most: what failed again and again waits, and the next poll is due.
	rest time.Duration
	// look is how often somebody looks at the page and the metrics.
	look time.Duration
	// creations and edits are how many items appear and change in a minute, refused which of the first channel's requests are:
	// every so many.
	creations, edits, refused int
}

func dayPace() pace {
	if long() {
		return pace{
			sources: 200, channels: 20, every: 5 * time.Minute, warm: time.Hour, span: time.Hour, spans: 23, rest: 15 * time.Minute,
			look: time.Minute, creations: 2, edits: 10, refused: 5,
		}
	}
	return pace{
		sources: 8, channels: 3, every: time.Minute, warm: 3 * time.Minute, span: 3 * time.Minute, spans: 1, rest: 3 * time.Minute,
		look: time.Minute, creations: 4, edits: 10, refused: 3,
	}
}

// day is the whole program but for its command line, in one process and on fake time: files as sources, a SQLite file, the
// sandbox behind a listener in memory, the page and the metrics.
type day struct {
	*testing.T
	pace

	lots     *rand.Rand
	dir      string
	ledger   *ledger
	box      *sandbox.Server
	pipe     *sandbox.Pipe
	channels []sandbox.Channel
	clients  []*http.Transport
	store    *store.Store
	engine   *engine.Engine
	handler  *web.Handler
	meter    *meter.Meter
	// polls and failures count how often a source was opened, and how often that failed; replies are those of the team.
	polls, failures atomic.Int64
	replies         replies
	// calm ends the trouble of the sources.
	calm atomic.Bool
}

// replies are those that the team gave and those that the sources have, by their keys.
type replies struct {
	mu     sync.Mutex
	given  int
	tries  int
	posted map[string]int
}

// measure is the figures of one moment. Connections that are idle are closed before: how many there are is chance.
type measure struct {
	goroutines, handles int
	// heap is what is in use after a collection; database and log are sizes of files; all are in bytes.
	heap, database, log int64
	// tickets and requests are how many the sandbox has and has had, rows how many the history of the polls has.
	tickets, requests, rows int
}

func (m measure) String() string {
	return fmt.Sprintf("%d goroutines, %d handles, heap %.1f MB, database %.1f MB, log %.1f MB, %d tickets, %d requests, %d rows of history",
		m.goroutines, m.handles, megabytes(m.heap), megabytes(m.database), megabytes(m.log), m.tickets, m.requests, m.rows)
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }

// It is not parallel: it measures the process.
func TestADayInFastMotionLeavesNothingBehind(t *testing.T) {
	p, n := dayPace(), seed(t)
	folder := filepath.Dir(strings.TrimPrefix(sqlite(t), "sqlite:"))
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		d := newDay(t, p, n, folder)
		d.run()
	})
	t.Logf("figures: it took %v", time.Since(began).Round(time.Second))
}

func newDay(t *testing.T, p pace, n uint64, folder string) *day {
	d := &day{
		T: t, pace: p, lots: rand.New(rand.NewPCG(n, 0)), dir: folder, ledger: newLedger(folder, p.sources), pipe: sandbox.NewPipe(),
		meter: meter.New(),
	}
	d.replies.posted = make(map[string]int)
	d.box = sandbox.New(sandbox.Options{NoBodies: true, Transport: toHandler{d}})
	server := &http.Server{Handler: d.box}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(d.pipe) }()
	t.Cleanup(func() { server.Close(); d.box.Close(); <-done })
	var err error
	if d.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(folder, "day.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	if _, err := d.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.assemble()
	d.box.SetFaults(d.trouble(n))
	return d
}

// assemble makes the engine and the handler, as the app does.
func (d *day) assemble() {
	d.Helper()
	o := engine.Options{
		Store: d.store, Owner: "a day", Logger: slog.New(slog.DiscardHandler), Observer: d.meter,
		Retention: store.Retention{Actions: 3 * time.Hour, Polls: 3 * time.Hour, Tickets: 30 * 24 * time.Hour},
	}
	var shown []web.Channel
	var hooks []web.Webhook
	for range d.pace.channels {
		c := d.addChannel()
		o.Channels, shown = append(o.Channels, c), append(shown, web.Channel{ID: c.ID, Name: c.Name})
		hooks = append(hooks, web.Webhook{
			ChannelID: c.ID, Name: c.Name, Secret: daySecret(d), Tolerance: socialhub.MaxWebhookSkew, Fingerprint: c.Fingerprint,
		})
	}
	for i := range d.sources {
		src := d.source(i)
		o.Sources = append(o.Sources, src)
		shown[i%len(shown)].Sources = append(shown[i%len(shown)].Sources, src.Name)
	}
	d.engine = engine.New(o)
	receiver := web.NewReceiver(web.ReceiverOptions{Inbox: d.store, Webhooks: hooks, Wake: d.engine.WakeActions, Logger: o.Logger})
	d.handler = web.New(web.Options{
		Store: d.store, Channels: shown, Receiver: receiver, Metrics: []prometheus.Collector{d.meter}, Version: "day", Logger: o.Logger,
	})
	d.Cleanup(d.handler.Close)
	for _, c := range o.Channels {
		d.subscribe(&c)
	}
}

// toHandler carries what SocialHub tells to the handler of the listener.
type toHandler struct{ *day }

func (h toHandler) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	h.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}

func daySecret(tb testing.TB) socialhub.WebhookSecret {
	tb.Helper()
	secret, err := socialhub.ParseWebhookSecret(strings.Repeat("s3cret-", 6))
	if err != nil {
		tb.Fatal(err)
	}
	return secret
}

// subscribe registers the channel's webhook, and that the team can reply.
func (d *day) subscribe(c *engine.Channel) {
	d.Helper()
	m := socialhub.Manifest{
		Webhook: &socialhub.Webhook{URL: "http://127.0.0.1/webhook/" + c.ID, Secret: daySecret(d)},
		Inbox: &socialhub.Inbox{RightSidebar: []socialhub.Sidebar{}, TicketActions: []socialhub.ManifestAction{
			{Type: socialhub.ActionReply, ID: "reply", Label: socialhub.Label{EN: "Reply", DE: "Antworten", FR: "Répondre"}},
		}},
	}
	if _, answer := c.Client.ChangeManifest(d.Context(), &m); answer.Outcome != socialhub.Done {
		d.Fatalf("register a webhook: %+v", answer)
	}
}

func (d *day) addChannel() engine.Channel {
	d.Helper()
	channel, err := d.box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		d.Fatal(err)
	}
	token, err := socialhub.ParseToken(channel.Token)
	if err != nil {
		d.Fatal(err)
	}
	transport, name := d.pipe.Transport(), fmt.Sprint("channel-", len(d.channels)+1)
	client, err := socialhub.NewClient(socialhub.Options{
		BaseURL: "http://sandbox", Token: token, Transport: transport, Observe: d.meter.Exchange(name),
	})
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(client.Close)
	d.channels, d.clients = append(d.channels, channel), append(d.clients, transport)
	return engine.Channel{
		ID: channel.ID, Name: name, Fingerprint: token.Fingerprint(), Client: client, Concurrency: 8,
	}
}

// source is one file, which can't be opened now and then.
func (d *day) source(i int) engine.Source {
	name, settings := fmt.Sprint("file-", i), &jsonl.Settings{Path: fileName(i)}
	env := sources.Env{Name: name, Dir: d.dir, Logger: slog.New(slog.DiscardHandler)}
	return engine.Source{
		Name: name, Adapter: "jsonl", ChannelID: d.channels[i%d.pace.channels].ID, Schedule: cron.Every(d.every), ScheduleText: fmt.Sprint("@every ", d.every),
		Reset: true, OnDelete: engine.Keep, MassChangeLimit: 1000,
		Open: func(ctx context.Context) (sources.Source, error) {
			if n := d.polls.Add(1); n%29 == 0 && !d.calm.Load() {
				d.failures.Add(1)
				return nil, errors.New("no such host")
			}
			from, err := settings.Open(ctx, env)
			return answering{from, d}, err
		},
	}
}

// answering is a file whose items can be replied to. Every seventh try is in vain.
type answering struct {
	sources.Source
	day *day
}

func (a answering) Reply(_ context.Context, r *sources.Reply) (posted sources.Posted, err error) {
	all := &a.day.replies
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.tries++; all.tries%7 == 0 {
		return posted, &sources.NotDoneError{Err: errors.New("busy")}
	}
	all.posted[r.Key]++
	return sources.Posted{NetworkItemID: "reply-" + r.Key}, nil
}

// reply lets the team reply to some ticket.
func (d *day) reply() {
	d.Helper()
	for _, n := range d.lots.Perm(len(d.channels)) {
		c := d.channels[n]
		tickets := d.box.Tickets(c.ID)
		if len(tickets) == 0 {
			continue
		}
		if _, err := d.box.Act(c.ID, sandbox.Act{TicketID: tickets[d.lots.IntN(len(tickets))].ID, ActionID: "reply", Text: "Thank you."}); err != nil {
			d.Fatal(err)
		}
		d.replies.given++
		return
	}
}

// trouble refuses some requests of the first channel, each for half a minute, and lets some of all fail.
func (d *day) trouble(n uint64) sandbox.Faults {
	some, err := sandbox.ParseFaults("500:0.01,502:0.01,reset:0.01", n)
	if err != nil {
		d.Fatal(err)
	}
	var calls atomic.Int64
	return func(c sandbox.Call) sandbox.Fault {
		if c.ChannelID == d.channels[0].ID && calls.Add(1)%int64(d.refused) == 0 {
			return sandbox.Fault{Kind: sandbox.TooMany, Wait: 30 * time.Second}
		}
		return some(c)
	}
}

// run lives through the day and judges it.
func (d *day) run() {
	ctx, stop := context.WithCancel(d.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.engine.Run(ctx) }()
	d.live(d.warm)
	first := d.measure()
	d.Logf("figures: after %v: %v", d.warm, first)
	for n := range d.spans {
		d.live(d.span)
		m := d.measure()
		d.Logf("figures: after %v: %v", d.warm+time.Duration(n+1)*d.span, m)
		d.steady(first, m)
	}
	d.settle()
	stop()
	if err := <-ended; err != nil {
		d.Error(err)
	}
	d.judge()
}

// live lets so much time go by, in which items appear and change and somebody looks now and then.
func (d *day) live(long time.Duration) {
	d.Helper()
	db := openDatabase(d, "sqlite:"+filepath.Join(d.dir, "day.db"))
	_, err := db.Exec("UPDATE upkeep SET due = 0") // as if it were the next day
	if errors.Join(err, db.Close()) != nil {
		d.Fatal(err)
	}
	for minute := range int(long / time.Minute) {
		d.ledger.stir(d.lots, d.creations, d.edits)
		if err := d.ledger.write(); err != nil {
			d.Fatal(err)
		}
		if time.Duration(minute)*time.Minute%d.look == 0 {
			d.ask("/")
			d.ask("/metrics")
			d.reply()
		}
		time.Sleep(time.Minute)
	}
}

func (d *day) ask(path string) {
	d.Helper()
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, httptest.NewRequestWithContext(d.Context(), http.MethodGet, path, nil))
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.Code != http.StatusOK || len(body) == 0 {
		d.Errorf("GET %s: %d %v", path, answer.Code, err)
	}
}

func (d *day) measure() (m measure) {
	d.Helper()
	synctest.Wait() // a request that begins just now ends first: its connection is idle then
	for _, c := range d.clients {
		c.CloseIdleConnections()
	}
	synctest.Wait()
	runtime.GC()
	runtime.GC() // what the first one has only taken out of pools
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	m.goroutines, m.heap = runtime.NumGoroutine(), int64(memory.HeapAlloc)
	handles, err := os.ReadDir("/dev/fd")
	if err != nil {
		d.Fatal(err)
	}
	m.handles = len(handles)
	for name, size := range map[string]*int64{"day.db": &m.database, "day.db-wal": &m.log} {
		file, err := os.Stat(filepath.Join(d.dir, name))
		if err != nil {
			d.Fatal(err)
		}
		*size = file.Size()
	}
	for _, c := range d.channels {
		m.tickets += len(d.box.Tickets(c.ID))
	}
	for _, n := range d.box.Counts() {
		m.requests += n
	}
	history, err := d.store.PollHistory(d.Context(), 100*time.Hour)
	if err != nil {
		d.Fatal(err)
	}
	m.rows = len(history)
	return m
}

const (
	// ticketHeap is about what the sandbox and the ledger, which are in this process, keep of a ticket and its revisions,
	// and requestHeap of each of the sandbox's last requests.
	ticketHeap, requestHeap, lastRequests = 1280, 420, 10_000
	// ticketFile and rowFile are about what the database keeps of a ticket and of a row of the history.
	ticketFile, rowFile = 512, 300
	// heapSlack and fileSlack are for pools and pages that are not full.
	heapSlack, fileSlack = 1 << 20, 1 << 20
	// logLimit is the size at which the log begins anew, and a transaction beyond it.
	logLimit = 5 << 20
)

// steady compares a later moment with the first. Goroutines and handles stay as many; what is in memory and in the
// database may grow by what there is more of, the log not at all beyond the size at which SQLite begins it anew.
func (d *day) steady(first, m measure) {
	d.Helper()
	if more := m.goroutines - first.goroutines; more > 12 { // a connection has three
		d.Errorf("%d goroutines more", more)
	}
	if more := m.handles - first.handles; more > 3 {
		d.Errorf("%d open files more", more)
	}
	tickets, rows := int64(m.tickets-first.tickets), int64(max(0, m.rows-first.rows))
	requests := int64(min(lastRequests, m.requests) - min(lastRequests, first.requests))
	if more, want := m.heap-first.heap, tickets*ticketHeap+requests*requestHeap+heapSlack; more > want {
		d.Errorf("%.1f MB heap more, want at most %.1f", megabytes(more), megabytes(want))
	}
	if more, want := m.database-first.database, tickets*ticketFile+rows*rowFile+fileSlack; more > want {
		d.Errorf("%.1f MB of database more, want at most %.1f", megabytes(more), megabytes(want))
	}
	if m.log > logLimit {
		d.Errorf("the log has %.1f MB", megabytes(m.log))
	}
}

// settle ends the trouble and waits until everything that is in the files was delivered.
func (d *day) settle() {
	d.Helper()
	d.box.SetFaults(nil)
	d.calm.Store(true)
	time.Sleep(d.rest)
	synctest.Wait()
}

// judge compares SocialHub with the files.
func (d *day) judge() {
	d.Helper()
	shown := 0
	for n, c := range d.channels {
		for _, ticket := range d.box.Tickets(c.ID) {
			if strings.HasPrefix(ticket.Interaction.NetworkItemID, "reply-") {
				continue // see judgeReplies
			}
			shown++
			e := d.ledger.byID[ticket.Interaction.NetworkItemID]
			if e == nil || e.file%d.pace.channels != n {
				d.Errorf("%s is in channel %d", ticket.Interaction.NetworkItemID, n)
			} else if diff := e.differs(ticket.Interaction); diff != "" {
				d.Errorf("%s:\n%s", e.id, diff)
			}
		}
	}
	if shown != len(d.ledger.ids) {
		d.Errorf("%d tickets for %d items", shown, len(d.ledger.ids))
	}
	d.judgeReplies()
	count := d.box.Counts()
	if n := count[sandbox.Count{Route: sandbox.RoutePost, Status: http.StatusCreated}]; n != shown {
		d.Errorf("%d creations of %d tickets", n, shown)
	}
	patched, limited := 0, 0
	for c, n := range count {
		switch {
		case c.Route == sandbox.RoutePatch && c.Status == http.StatusOK:
			patched += n
		case c.Status == http.StatusTooManyRequests:
			limited += n
		case c.Route == sandbox.RoutePost && c.Status == http.StatusConflict:
			d.Errorf("%d tickets were made twice", n)
		}
	}
	if limited == 0 || d.failures.Load() == 0 {
		d.Errorf("%d requests refused, %d polls failed: there was no trouble", limited, d.failures.Load())
	}
	d.Logf("figures: %d polls, %d of them failed; %d tickets created, %d updates, %d requests refused with 429; %d statements",
		d.polls.Load(), d.failures.Load(), shown, patched, limited, d.store.Statements())
}

// judgeReplies compares what the team was told with what the sources have.
func (d *day) judgeReplies() {
	d.Helper()
	states := make(map[sandbox.ActionState]int)
	for _, c := range d.channels {
		for _, a := range d.box.Actions(c.ID) {
			states[a.State]++
		}
	}
	if n := states[sandbox.ActionConfirmed]; n != d.replies.given || len(d.replies.posted) != n {
		d.Errorf("of %d replies %d were posted; the team was told %v", d.replies.given, len(d.replies.posted), states)
	}
	for key, n := range d.replies.posted {
		if n > 1 {
			d.Errorf("the reply %s was posted %d times", key, n)
		}
	}
	d.Logf("figures: %d replies in %d tries", d.replies.given, d.replies.tries)
}
