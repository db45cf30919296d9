package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

func TestRoutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		method, path string
		status       int
		contentType  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/metrics", 200, "text/plain"},
		{"GET", "/healthz", 200, "text/plain; charset=utf-8"},
		{"GET", "/readyz", 200, "text/plain; charset=utf-8"},
		{"POST", "/", 405, ""}, {"DELETE", "/metrics", 405, ""}, {"PUT", "/healthz", 405, ""}, {"POST", "/readyz", 405, ""},
		{"GET", "/index.html", 404, ""}, {"GET", "/metrics/x", 404, ""}, {"POST", "/webhook", 404, ""},
	} {
		response := w.ask(test.method, test.path)
		if response.StatusCode != test.status {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, response.StatusCode, test.status)
		}
		if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, test.contentType) {
			t.Errorf("%s %s: Content-Type %q", test.method, test.path, got)
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Content-Security-Policy": "default-src 'none'",
		} {
			if got := response.Header.Get(header); !strings.HasPrefix(got, want) {
				t.Errorf("%s %s: %s is %q, want %q", test.method, test.path, header, got, want)
			}
		}
	}
	if got := w.get("/healthz", 200) + w.get("/readyz", 200); got != "ok\nok\n" {
		t.Errorf("got %q", got)
	}
}

func TestThePolicyAllowsTheStyleAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	policy := w.ask("GET", "/").Header.Get("Content-Security-Policy")
	page := w.page()
	styles := elements(page, "style")
	if len(styles) != 1 || !strings.Contains(policy, "style-src '"+hashOf(styles[0].FirstChild.Data)+"'") {
		t.Errorf("the policy %q does not name the style that is served", policy)
	}
	wantWords(t, policy, "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'")
	for n := range page.Descendants() {
		for _, a := range n.Attr {
			link := n.Data == "a" && (strings.HasPrefix(a.Val, "?") || strings.HasPrefix(a.Val, "#")) // within the page
			if a.Key == "src" || a.Key == "href" && !link || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s %s=%q> is not allowed by the policy", n.Data, a.Key, a.Val)
			}
		}
	}
	if scripts := elements(page, "script"); len(scripts) > 0 || strings.Contains(styles[0].FirstChild.Data, "url(") {
		t.Error("the page loads something")
	}
}

func TestAStoreThatIsClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poll(key("id-support", "reviews"), store.PollResult{}, ticket("a-1", store.Synced, ""))
	w.get("/", http.StatusOK) // the count is kept, and must not be shown
	w.must(w.store.Close())
	for path, check := range whenDown {
		check(t, w, path)
	}
}

func TestAStoreThatNeverAnswers(t *testing.T) {
	t.Parallel()
	database := storetest.Postgres(t)
	for path, check := range whenDown {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			// A proxy for each, so that each gets a connection that was good.
			address, stall := storetest.Silencer(t, database)
			w := newWorldOn(t, address)
			w.get("/readyz", http.StatusOK)
			stall()
			check(t, w, path)
		})
	}
}

// The store's own limit for a count is minutes.
func TestCloseEndsACountUnderWay(t *testing.T) {
	t.Parallel()
	address, silence := storetest.Silencer(t, storetest.Postgres(t))
	w := newWorldOn(t, address)
	silence()
	tally := tallyOf(w.store)
	if got := tally.read(t.Context()); got != nil {
		t.Errorf("counted %v", got)
	}
	tally.close()
	if tally.done != nil {
		t.Error("it goes on")
	}
}

// whenDown checks the answer of each path while the store is down.
var whenDown = map[string]func(t *testing.T, w *world, path string){
	"/": func(t *testing.T, w *world, path string) {
		page := w.get(path, http.StatusServiceUnavailable)
		wantWords(t, page, "The database does not answer at the moment", `http-equiv="refresh"`, "v1.2.3")
		wantNoWords(t, page, "support", "All is well", "<table", "goroutine", "secret-path", "sql", "postgres", "127.0.0.1", "deadline")
	},
	"/metrics": func(t *testing.T, w *world, path string) {
		metrics := w.get(path, http.StatusOK)
		wantWords(t, metrics, "socialhub_sync_store_up 0\n", "socialhub_sync_build_info{", "go_goroutines ")
		wantNoWords(t, metrics, "socialhub_sync_tickets", "socialhub_sync_channel", "socialhub_sync_source", "secret-path", "postgres")
	},
	"/readyz": func(t *testing.T, w *world, path string) {
		if got := w.get(path, http.StatusServiceUnavailable); got != "the database does not answer\n" {
			t.Errorf("got %q", got)
		}
	},
	"/healthz": func(t *testing.T, w *world, path string) {
		if got := w.get(path, http.StatusOK); got != "ok\n" {
			t.Errorf("got %q", got)
		}
	},
}

func TestThePageIsASoundDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poll(key("id-support", "reviews"), store.PollResult{}, ticket("a-1", store.Rejected, "why"))
	w.poll(store.PollKey{ChannelID: "id-support", Source: "reviews", Backfill: "all..all"}, store.PollResult{})
	page := w.page()
	if got := attribute(elements(page, "html")[0], "lang"); got != "en" {
		t.Errorf("lang is %q", got)
	}
	if n := len(elements(page, "h1")); n != 1 {
		t.Errorf("%d main headings", n)
	}
	tables := elements(page, "table")
	if len(tables) != 4 {
		t.Errorf("%d tables, want 4", len(tables))
	}
	for _, table := range tables {
		name := text(elements(table, "caption")[0])
		rows := elements(table, "tr")
		if name == "" || len(rows) < 2 {
			t.Errorf("table %q has %d rows", name, len(rows))
		}
		columns := len(elements(rows[0], "th"))
		for _, row := range rows[1:] {
			heads := elements(row, "th")
			if len(heads) != 1 || attribute(heads[0], "scope") != "row" || 1+len(elements(row, "td")) != columns {
				t.Errorf("table %q: a row has %d heads, %d cells; the header has %d columns", name, len(heads), len(elements(row, "td")), columns)
			}
			wantNames(t, rows[0], row)
		}
	}
}

// wantNames checks that a cell's own name, seen on a phone, is the one of its column.
func wantNames(t *testing.T, header, row *html.Node) {
	t.Helper()
	columns := elements(header, "th")
	for i, cell := range elements(row, "td") {
		column := columns[i+1]
		if name := attribute(cell, "data-name"); name != "" && name != text(column) {
			t.Errorf("a cell named %q is in the column %q", name, text(column))
		}
		if attribute(column, "scope") != "col" {
			t.Errorf("the column %q has no scope", text(column))
		}
	}
}

func TestARequestThatBreaksDownIsToldWithoutItsContent(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	broken := telling(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret words") }), slog.New(slog.NewTextHandler(&log, nil)))
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("ends with %v", p)
			}
		}()
		broken.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	}()
	if got := log.String(); !strings.Contains(got, "level=ERROR msg=\"a request broke down") || strings.Contains(got, "secret words") {
		t.Errorf("log: %s", got)
	}
}
