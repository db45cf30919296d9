package sync

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// shelf is a source whose items a test puts there and changes; its cursor is how many entries were read.
type shelf struct {
	mu      gosync.Mutex
	entries []sources.Item
	// batch is how many items a batch holds; 0 means all.
	batch int
	// fail, if set, ends the next pulls.
	fail error
	// pulled counts the pulls.
	pulled int
}

// put adds entries: new items and later versions of old ones.
func (s *shelf) put(items ...sources.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = append(s.entries, items...)
}

func (s *shelf) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		s.mu.Lock()
		entries, size, fail := s.entries, s.batch, s.fail
		s.pulled++
		s.mu.Unlock()
		from, _ := strconv.Atoi(req.Cursor)
		if size == 0 {
			size = sources.MaxBatch
		}
		for from < len(entries) {
			to := min(len(entries), from+size)
			if !yield(sources.Batch{Items: entries[from:to], Cursor: strconv.Itoa(to)}, nil) {
				return
			}
			from = to
		}
		if fail != nil {
			yield(sources.Batch{}, fail)
		}
	}
}

func (s *shelf) Close() error { return nil }

// set changes the shelf's ways.
func (s *shelf) set(change func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// pulls is how often the shelf was read.
func (s *shelf) pulls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pulled
}

// pullFunc is a source that is one function.
type pullFunc func(ctx context.Context, req sources.Request, yield func(sources.Batch, error) bool)

func (f pullFunc) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) { f(ctx, req, yield) }
}

func (pullFunc) Close() error { return nil }

// text is an item with a message.
func text(id, message string) sources.Item {
	return sources.Item{Interaction: socialhub.Interaction{NetworkItemID: id, Message: message}}
}

// reply is an item with a root.
func reply(id, root, message string) sources.Item {
	it := text(id, message)
	it.Interaction.Root = &socialhub.Root{RootID: root}
	return it
}

// world is a sandbox with one channel, a database and one source.
type world struct {
	t       testing.TB
	box     *sandbox.Server
	pipe    *sandbox.Pipe
	channel sandbox.Channel
	dbURL   string
	store   *store.Store
	shelf   *shelf
	options Options
	meter   meter
	// engines counts the engines, for their names.
	engines int
}

// meter counts the requests under way.
type meter struct {
	*http.Transport
	now, most atomic.Int64
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	n := m.now.Add(1)
	for most := m.most.Load(); n > most && !m.most.CompareAndSwap(most, n); most = m.most.Load() {
	}
	defer m.now.Add(-1)
	return m.Transport.RoundTrip(r)
}

// newWorld builds a world inside a synctest bubble, on SQLite; options change the sandbox.
func newWorld(t testing.TB, options sandbox.Options, channel sandbox.ChannelOptions) *world {
	return newWorldOn(t, storetest.SQLite(t), options, channel)
}

// newWorldOn builds a world on a migrated database.
func newWorldOn(t testing.TB, dbURL string, options sandbox.Options, channel sandbox.ChannelOptions) *world {
	w := &world{t: t, shelf: &shelf{}, dbURL: dbURL}
	w.box = sandbox.New(options)
	var err error
	if w.channel, err = w.box.AddChannel(channel); err != nil {
		t.Fatal(err)
	}
	w.pipe = sandbox.NewPipe()
	w.meter.Transport = w.pipe.Transport()
	w.meter.MaxIdleConnsPerHost = 32
	server := &http.Server{Handler: w.box}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(w.pipe) }()
	t.Cleanup(func() { server.Close(); w.box.Close(); <-done })
	w.open()
	t.Cleanup(func() { w.store.Close() })
	w.options = Options{
		Channels: []Channel{w.client(w.channel.Token)},
		Sources:  []Source{w.source("shelf", w.shelf)},
		Logger:   slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return w
}

func (w *world) open() {
	var err error
	if w.store, err = store.Open(w.t.Context(), w.dbURL); err != nil {
		w.t.Fatal(err)
	}
}

// client is the sandbox's channel with an access token.
func (w *world) client(raw string) Channel {
	token, err := socialhub.ParseToken(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	client, err := socialhub.NewClient(socialhub.Options{BaseURL: "http://sandbox", Token: token, Transport: &w.meter})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return Channel{ID: token.ChannelID(), Name: "support", Fingerprint: token.Fingerprint(), Client: client, Concurrency: 8}
}

// every sets the schedule of all sources.
func (w *world) every(d time.Duration) {
	for i := range w.options.Sources {
		src := &w.options.Sources[i]
		src.Schedule, src.ScheduleText = cron.Every(d), "@every "+d.String()
	}
}

func (w *world) source(name string, from sources.Source) Source {
	schedule, err := cron.ParseStandard("@every 1m")
	if err != nil {
		w.t.Fatal(err)
	}
	return Source{
		Name: name, Adapter: "shelf", ChannelID: w.channel.ID, Schedule: schedule, ScheduleText: "@every 1m",
		Reset: true, OnDelete: Keep, MassChangeLimit: 200,
		Open: func(context.Context) (sources.Source, error) { return from, nil },
	}
}

// engine is a new process on the world's database.
func (w *world) engine(change ...func(*Options)) *Engine {
	o := w.options
	w.engines++
	o.Store, o.Owner = w.store, fmt.Sprintf("engine %d", w.engines)
	o.Channels, o.Sources = slices.Clone(o.Channels), slices.Clone(o.Sources)
	for _, c := range change {
		c(&o)
	}
	return New(o)
}

// once runs one round and returns what it did for the channel.
func (w *world) once(change ...func(*Options)) ChannelTally {
	w.t.Helper()
	return w.onceAll(change...).Channels[w.channel.ID]
}

// onceAll runs one round and returns what it did.
func (w *world) onceAll(change ...func(*Options)) Tally {
	w.t.Helper()
	e := w.engine(change...)
	if err := e.RunOnce(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return e.Tally()
}

// start runs a daemon until stop is called.
func (w *world) start(change ...func(*Options)) (stop func()) {
	stopped := w.daemon(w.engine(change...))
	return func() {
		w.t.Helper()
		if err := stopped(); err != nil {
			w.t.Error(err)
		}
	}
}

// daemon runs an engine; stop tells it to end and returns what it said.
func (w *world) daemon(e *Engine) (stop func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// secondChannel adds a channel with a source of its own to the options.
func (w *world) secondChannel() (sandbox.Channel, *shelf) {
	w.t.Helper()
	c, err := w.box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	client, shelf := w.client(c.Token), &shelf{}
	client.Name = "other"
	from := w.source("other-shelf", shelf)
	from.ChannelID = c.ID
	w.options.Channels = append(w.options.Channels, client)
	w.options.Sources = append(w.options.Sources, from)
	return c, shelf
}

// pass lets fake time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// until lets fake time go by until something is so; it returns how long that took, to a tenth of a second.
func (w *world) until(what string, so func() bool) (took time.Duration) {
	w.t.Helper()
	for ; !so(); took += 100 * time.Millisecond {
		if took > 5*time.Minute {
			w.t.Fatalf("after five minutes: not so: %s", what)
		}
		pass(100 * time.Millisecond)
	}
	return took
}

// sql opens the world's database beside the store.
func (w *world) sql() *sql.DB {
	w.t.Helper()
	driver, source := "pgx", w.dbURL
	if path, ok := strings.CutPrefix(w.dbURL, "sqlite:"); ok {
		driver, source = "sqlite", path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		w.t.Fatal(err)
	}
	return db
}

// dump is every row of a table as text; without the columns that are named.
func (w *world) dump(table string, without ...string) []string {
	w.t.Helper()
	db := w.sql()
	defer db.Close()
	rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		w.t.Fatal(err)
	}
	var dump []string
	for rows.Next() {
		values := make([]any, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			w.t.Fatal(err)
		}
		var line strings.Builder
		for i, name := range names {
			if !slices.Contains(without, name) {
				fmt.Fprintf(&line, "%s=%v ", name, values[i])
			}
		}
		dump = append(dump, line.String())
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
	return dump
}

// states are the states of the rows for the items.
func (w *world) states(ids ...string) (states []store.State) {
	w.t.Helper()
	for _, id := range ids {
		states = append(states, w.row(id).State)
	}
	return states
}

// onRoute is trouble for the requests of one route, or of any if it is empty.
func onRoute(route string, f sandbox.Fault) sandbox.Faults {
	return func(c sandbox.Call) sandbox.Fault {
		if route == "" || c.Route == route {
			return f
		}
		return sandbox.Fault{}
	}
}

// message is what SocialHub shows for an item; empty if it has no ticket.
func (w *world) message(id string) string {
	t, _ := w.box.Ticket(w.channel.ID, id)
	return t.Interaction.Message
}

// row is the store's row for an item.
func (w *world) row(id string) *store.Ticket {
	w.t.Helper()
	rows, err := w.store.Tickets(w.t.Context(), w.channel.ID, []string{id})
	if err != nil {
		w.t.Fatal(err)
	}
	if rows[id] == nil {
		w.t.Fatalf("the store has no row for %s", id)
	}
	return rows[id]
}

// requests counts the requests of a route; an empty one means all.
func (w *world) requests(route string) (n int) {
	for _, r := range w.box.Requests() {
		if route == "" || r.Route == route {
			n++
		}
	}
	return n
}

// inBubble runs a test on fake time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}
