package web

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

var nopLog = slog.New(slog.DiscardHandler)

// world is a listener on a store of its own.
type world struct {
	t       *testing.T
	store   *store.Store
	handler http.Handler
}

// channels are those of the config; a store may know others.
var channels = map[string]string{"id-support": "support", "id-press": "press"}

// configured is what the config says of them.
func configured() (list []Channel) {
	for id, name := range channels {
		list = append(list, Channel{id, name, []string{"reviews", "mails", "a", "b", "c", "d", "x", "stopped", evil("source")}})
	}
	return list
}

// evil is a text that would break out of the page if it could.
func evil(where string) string {
	return `"'><script>` + where + `</script><img src=x onerror=alert(1)>`
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, "sqlite:"+filepath.Join(t.TempDir(), "secret-path.db"))
}

func newWorldOn(t *testing.T, url string) *world {
	t.Helper()
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // some tests close it themselves
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler := New(Options{Store: s, Channels: configured(), Version: "v1.2.3", Logger: nopLog})
	t.Cleanup(handler.Close)
	w := &world{t: t, store: s, handler: handler}
	w.must(s.Register(t.Context(), channels, nil))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func key(channelID, source string) store.PollKey {
	return store.PollKey{ChannelID: channelID, Source: source}
}

// claim registers a stream and begins its poll.
func (w *world) claim(k store.PollKey) store.PollLease {
	w.t.Helper()
	w.must(w.store.Register(w.t.Context(), nil, []store.Stream{{PollKey: k, Adapter: "rss", Schedule: "@every 5m"}}))
	leases, err := w.store.ClaimPolls(w.t.Context(), "owner", []store.PollKey{k}, time.Hour, true)
	if err != nil || len(leases) != 1 {
		w.t.Fatalf("claim: %v, %v", leases, err)
	}
	return leases[0]
}

// poll runs a poll that brings the tickets and ends as r says.
func (w *world) poll(k store.PollKey, r store.PollResult, tickets ...store.Ticket) {
	w.t.Helper()
	lease := w.claim(k)
	in := store.Intake{Decide: func(i int, _ *store.Ticket) *store.Ticket { return &tickets[i] }}
	for i := range tickets {
		tickets[i].Source = k.Source
		in.IDs = append(in.IDs, tickets[i].NetworkItemID)
	}
	w.must(w.store.Ingest(w.t.Context(), lease, in))
	w.must(w.store.FinishPoll(w.t.Context(), lease, r))
}

func ticket(id string, state store.State, reason string) store.Ticket {
	return store.Ticket{NetworkItemID: id, State: state, Reason: reason, WantedHash: "hash", Payload: "private content"}
}

func (w *world) pause(channelID string, p store.Pause) {
	w.t.Helper()
	w.must(w.store.PauseChannel(w.t.Context(), channelID, p))
}

func (w *world) ask(method, path string) *http.Response {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(w.t.Context(), method, path, nil))
	return recorder.Result()
}

// get returns the body of an answer that must have the status.
func (w *world) get(path string, status int) string {
	w.t.Helper()
	response := w.ask(http.MethodGet, path)
	body, err := io.ReadAll(response.Body)
	w.must(err)
	if response.StatusCode != status {
		w.t.Errorf("GET %s: status %d, want %d", path, response.StatusCode, status)
	}
	return string(body)
}

// page is the status page, parsed.
func (w *world) page() *html.Node {
	w.t.Helper()
	root, err := html.Parse(strings.NewReader(w.get("/", http.StatusOK)))
	w.must(err)
	return root
}

// elements returns all elements of a name, in order.
func elements(root *html.Node, name string) []*html.Node {
	var found []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

// text is what a reader sees of a node, with single spaces.
func text(root *html.Node) string {
	var words []string
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			words = append(words, strings.Fields(n.Data)...)
		}
	}
	return strings.Join(words, " ")
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// rows returns the text of the rows under the heading, the first of them the header; nil without the heading.
func rows(root *html.Node, heading string) []string {
	for _, section := range elements(root, "section") {
		if text(elements(section, "h2")[0]) != heading {
			continue
		}
		var found []string
		for _, row := range elements(section, "tr") {
			found = append(found, text(row))
		}
		return found
	}
	return nil
}

func wantWords(t *testing.T, got string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(got, w) {
			t.Errorf("%q is missing in: %s", w, got)
		}
	}
}

func wantNoWords(t *testing.T, got string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(got, w) {
			t.Errorf("%q is in: %s", w, got)
		}
	}
}
