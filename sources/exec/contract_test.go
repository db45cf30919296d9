package execsource

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources/sourcetest"
)

// examples is the folder of the programs in the docs.
const examples = "../../docs/examples"

// shop is the API that reviews.py reads.
type shop struct {
	sourcetest.Shelf
	*sourcetest.Server
	program string

	mu      sync.Mutex
	answers []answer
	deeds   []sourcetest.Deed
	known   map[string]int // keys, and the number of the answer
}

// answer is one of the shop's own.
type answer struct {
	sourcetest.Item
	to int
}

func newShop(t testing.TB) sourcetest.World {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal("python3 is missing; install it with apt-get install python3, dnf install python3 or brew install python3")
	}
	program, err := filepath.Abs(examples + "/reviews.py")
	if err != nil {
		t.Fatal(err)
	}
	w := &shop{program: program, known: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reviews", w.list)
	mux.HandleFunc("POST /reviews/{id}/{what}", w.act)
	w.Server = sourcetest.NewServer(t, mux)
	return w
}

func (w *shop) Settings() string {
	return "command: [python3, " + strconv.Quote(w.program) + "]\n" +
		"env: {REVIEWS_URL: " + strconv.Quote(w.URL()+"/reviews") + ", REVIEWS_TOKEN: s3cret-token}\n" +
		"act: [python3, " + strconv.Quote(w.program) + "]\nactions: [reply, button/hide]\nrepeatable: 24h\n"
}

// Done implements [sourcetest.Actor].
func (w *shop) Done() []sourcetest.Deed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.deeds)
}

// act posts an answer to a review, or hides it.
func (w *shop) act(out http.ResponseWriter, in *http.Request) {
	id, _ := strconv.Atoi(in.PathValue("id"))
	isIt := func(i sourcetest.Item) bool { return i.ID == id }
	if in.Header.Get("Authorization") != "Bearer s3cret-token" || !slices.ContainsFunc(w.Items(), isIt) {
		http.NotFound(out, in)
		return
	}
	var body struct{ Text string }
	_ = json.NewDecoder(in.Body).Decode(&body)
	w.mu.Lock()
	defer w.mu.Unlock()
	key, now := in.Header.Get("Idempotency-Key"), time.Now().UTC().Truncate(time.Second)
	number, known := w.known[key]
	switch {
	case known:
	case in.PathValue("what") == "hide":
		w.deeds = append(w.deeds, sourcetest.Deed{Type: socialhub.ActionButton, Item: id, Button: "hide"})
	default:
		number = len(w.answers)
		w.deeds = append(w.deeds, sourcetest.Deed{Type: socialhub.ActionReply, Item: id, Text: body.Text})
		w.answers = append(w.answers, answer{sourcetest.Item{ID: 1_000_000 + number, Text: body.Text, Created: now, Updated: now}, id})
	}
	w.known[key] = number
	if in.PathValue("what") == "hide" {
		_, _ = out.Write([]byte("{}"))
		return
	}
	_ = json.NewEncoder(out).Encode(map[string]any{"id": w.answers[number].ID, "created": w.answers[number].Created})
}

// all are the reviews and the answers in the order in which they changed.
func (w *shop) all() []answer {
	var all []answer
	for _, item := range w.Items() {
		all = append(all, answer{Item: item})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	all = append(all, w.answers...)
	slices.SortStableFunc(all, func(a, b answer) int { return a.Updated.Compare(b.Updated) })
	return all
}

func (w *shop) list(out http.ResponseWriter, in *http.Request) {
	if in.Header.Get("Authorization") != "Bearer s3cret-token" {
		http.Error(out, "no", http.StatusUnauthorized)
		return
	}
	since, err := time.Parse(time.RFC3339, in.URL.Query().Get("since"))
	after, err2 := strconv.Atoi(in.URL.Query().Get("after"))
	if err != nil || err2 != nil {
		http.Error(out, "since and after are needed", http.StatusBadRequest)
		return
	}
	reviews := []map[string]any{}
	for _, item := range w.all() {
		if c := item.Updated.Compare(since); (c > 0 || c == 0 && item.ID > after) && len(reviews) < 100 {
			reviews = append(reviews, map[string]any{
				"id": item.ID, "text": item.Text, "stars": item.ID%5 + 1, "created": item.Created, "updated": item.Updated,
				"customer": map[string]any{"id": item.ID, "name": "Anna"}, "answer_to": item.to,
			})
		}
	}
	_ = json.NewEncoder(out).Encode(map[string]any{"reviews": reviews})
}

// TestContract holds the adapter, and with it the example in Python, against the contract.
func TestContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Adapter: New(), World: newShop, Items: 301,
		Incremental: true, Edits: sourcetest.Always, Late: time.Minute,
		Timeout: "timeout: 100ms\nact_timeout: 100ms",
		Wrong: []sourcetest.Wrong{
			{Line: "timeout: -1s"}, {Line: "format: xml"}, {Line: "command: []"}, {Line: "prefix: x"},
			{Line: "act: []"}, {Line: "act: ['']"}, {Line: "actions: [like]"}, {Line: "actions: [button/a b]"},
			{Line: "act_timeout: 0s"}, {Line: "act_timeout: 2h"}, {Line: "repeatable: often"}, {Line: "repeatable: -1s"},
		},
		Actions: []sourcetest.Ability{{Type: socialhub.ActionReply}, {Type: socialhub.ActionButton, ID: "hide"}},
	})
}
