package torture

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// careful is what a desk does so that no reply is posted twice, and what the config says of it.
type careful string

const (
	// withKeys takes an idempotency key.
	withKeys careful = "idempotency keys"
	// withList lists its replies with the keys that they were posted with.
	withList careful = "a list to look in"
	// careless does neither.
	careless careful = "nothing"
)

// desk is a source with one question, which takes replies and shows them as our own.
type desk struct {
	*httptest.Server
	careful careful

	mu      sync.Mutex
	replies []reply
	// kill is called at the moment of a posting that it names, the request in hand.
	kill map[moment]func()
}

// moment is one before or after a reply is posted.
type moment string

const (
	before moment = "before"
	after  moment = "after"
)

type reply struct{ Key, Text string }

func newDesk(tb testing.TB, c careful) *desk {
	d := &desk{careful: c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items", d.items)
	mux.HandleFunc("GET /replies", func(w http.ResponseWriter, _ *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		list := []map[string]string{}
		for n, r := range d.replies {
			list = append(list, map[string]string{"id": strconv.Itoa(n + 1), "key": r.Key})
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	mux.HandleFunc("POST /replies", d.post)
	d.Server = httptest.NewServer(mux)
	tb.Cleanup(d.Close)
	return d
}

// items are the question and the replies.
func (d *desk) items(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []map[string]any{{"id": "question", "text": "Do you deliver to Norway?"}}
	for n, r := range d.replies {
		list = append(list, map[string]any{"id": strconv.Itoa(n + 1), "text": r.Text, "own": true, "root": "question"})
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (d *desk) post(w http.ResponseWriter, r *http.Request) {
	var in reply
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	d.reach(before)
	d.mu.Lock()
	at := -1
	if d.careful == withKeys {
		at = slices.IndexFunc(d.replies, func(have reply) bool { return have.Key == in.Key })
	}
	if at < 0 {
		at = len(d.replies)
		d.replies = append(d.replies, in)
	}
	d.mu.Unlock()
	d.reach(after)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{"id": strconv.Itoa(at + 1)})
}

func (d *desk) reach(m moment) {
	d.mu.Lock()
	kill := d.kill[m]
	d.mu.Unlock()
	if kill != nil {
		kill()
	}
}

// posted are the replies so far.
func (d *desk) posted() []reply {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.replies)
}

// source is the desk as a source of the config.
func (d *desk) source() string {
	text := fmt.Sprintf(`  desk:
    adapter: http
    channel: support
    schedule: "@every 1s"
    settings:
      url: %[1]s/items
      prefix: desk
      items: .[]
      map: '{networkItemId: item_id("desk"; .id), message: .text, own: (.own // false), root: (if .root then {rootId: item_id("desk"; .root)} else null end)}'
      actions:
        reply:
          url: %[1]s/replies
          body: '{Key: $action.key, Text: $action.text}'
          posted: '{networkItemId: item_id("desk"; .id)}'
`, d.URL)
	switch d.careful {
	case withKeys:
		text += "          repeatable: always\n"
	case withList:
		text += fmt.Sprintf("          find:\n            url: %s/replies\n            posted: '.[] | select(.key == $action.key) | {networkItemId: item_id(\"desk\"; .id)}'\n", d.URL)
	}
	return text
}
