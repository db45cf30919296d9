package execsource

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"socialhub-sync/sources/sourcetest"
)

// examples is the folder of the programs in the docs.
const examples = "../../docs/examples"

// shop is the API that reviews.py reads.
type shop struct {
	sourcetest.Shelf
	*sourcetest.Server
	program string
}

func newShop(t testing.TB) sourcetest.World {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal("python3 is missing; install it with apt-get install python3, dnf install python3 or brew install python3")
	}
	program, err := filepath.Abs(examples + "/reviews.py")
	if err != nil {
		t.Fatal(err)
	}
	w := &shop{program: program}
	w.Server = sourcetest.NewServer(t, http.HandlerFunc(w.answer))
	return w
}

func (w *shop) Settings() string {
	return "command: [python3, " + strconv.Quote(w.program) + "]\n" +
		"env: {REVIEWS_URL: " + strconv.Quote(w.URL()+"/reviews") + ", REVIEWS_TOKEN: s3cret-token}\n"
}

func (w *shop) answer(out http.ResponseWriter, in *http.Request) {
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
	for _, item := range w.Items() {
		if c := item.Updated.Compare(since); (c > 0 || c == 0 && item.ID > after) && len(reviews) < 100 {
			reviews = append(reviews, map[string]any{
				"id": item.ID, "text": item.Text, "stars": item.ID%5 + 1, "created": item.Created, "updated": item.Updated,
				"customer": map[string]any{"id": item.ID, "name": "Anna"},
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
		Timeout: "timeout: 100ms",
		Wrong:   []sourcetest.Wrong{{Line: "timeout: -1s"}, {Line: "format: xml"}, {Line: "command: []"}, {Line: "prefix: x"}},
	})
}
