package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources/sourcetest"
)

// world is a forum with an API of its own: /posts gives its posts in one of the ways of paging.
type world struct {
	sourcetest.Shelf
	*sourcetest.Server
	settings string
}

// post is how the forum shows an item.
type post struct {
	ID      int       `json:"id"`
	Text    string    `json:"text"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

func newWorld(settings string) func(testing.TB) sourcetest.World {
	return func(t testing.TB) sourcetest.World {
		w := &world{settings: settings}
		w.Server = sourcetest.NewServer(t, http.HandlerFunc(w.answer))
		return w
	}
}

func (w *world) Settings() string {
	return fmt.Sprintf(`url: %s/posts
auth: {bearer: s3cret-token}
items: .posts[]
map: '{networkItemId: item_id($prefix; .id), message: .text, createdTime: .created, updatedTime: .updated}'
`, w.URL()) + w.settings
}

const pageSize = 100

// answer gives a page. Parameters: order (oldest or newest by updated), since, and page, offset or after (the token,
// which is the last item of the page before).
func (w *world) answer(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer s3cret-token" {
		http.Error(rw, `{"error":"unauthorized"}`, http.StatusUnauthorized)
		return
	}
	query := r.URL.Query()
	items := w.Items()
	if since, err := time.Parse(time.RFC3339, query.Get("since")); err == nil {
		items = slices.DeleteFunc(items, func(i sourcetest.Item) bool { return i.Updated.Before(since) })
	}
	if query.Get("order") == "newest" {
		slices.Reverse(items)
	}
	from := 0
	if n, err := strconv.Atoi(query.Get("page")); err == nil {
		from = (n - 1) * pageSize
	}
	if n, err := strconv.Atoi(query.Get("offset")); err == nil {
		from = n
	}
	if after := query.Get("after"); after != "" {
		for from < len(items) && keyOf(items[from]) <= after {
			from++
		}
	}
	page := items[min(from, len(items)):min(from+pageSize, len(items))]
	var answer struct {
		Posts []post  `json:"posts"`
		Next  *string `json:"next"`
		URL   string  `json:"url,omitempty"`
	}
	answer.Posts = []post{}
	for _, i := range page {
		answer.Posts = append(answer.Posts, post{i.ID, i.Text, i.Created, i.Updated})
	}
	if from+pageSize < len(items) {
		answer.Next = new(keyOf(page[len(page)-1]))
		query.Set("after", *answer.Next)
		answer.URL = "/posts?" + query.Encode()
		rw.Header().Set("Link", fmt.Sprintf(`<%s/posts?first>; rel="first", <%[1]s%s>; title="a, b"; rel="prev next"`, w.URL(), answer.URL))
	}
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(answer)
}

// keyOf orders items as their list does.
func keyOf(i sourcetest.Item) string { return fmt.Sprintf("%012d-%06d", i.Updated.Unix(), i.ID) }

var wrong = []sourcetest.Wrong{
	{Line: "timeout: 0s"}, {Line: "max_size: -1"}, {Line: "url: example.com/posts"}, {Line: "interval: 2m"}, {Line: "rescan: -1s"},
	{Line: "paging: {kind: pages}", Key: "paging.kind"}, {Line: "prefix: 'a b'"},
}

func TestContract(t *testing.T) {
	t.Parallel()
	const counted = "loses nothing while items go"
	for name, settings := range map[string]string{
		"oldest first by token": `query: {order: oldest, since: \($since), after: \($page.token)}
paging: {kind: token, next: .next}
cursor: {value: .updated, order: oldest, lookback: 1m}
`,
		"oldest first by link": `query: {order: oldest, since: \($since)}
paging: {kind: link}
cursor: {value: .updated, order: oldest, lookback: 1m}
`,
		"by address, without order and value": `query: {order: oldest, since: \($since)}
paging: {kind: url, next: .url}
cursor: {lookback: 6m}
`,
		"newest first by page": `query: {order: newest, page: \($page.number)}
paging: {kind: page}
cursor: {value: .updated, order: newest, lookback: 1m}
`,
		"newest first by offset": `query: {order: newest, offset: \($page.offset)}
paging: {kind: offset, stop: .next == null}
cursor: {value: .updated, order: newest, lookback: 1m}
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var except map[string]string
			if strings.Contains(settings, "kind: page") || strings.Contains(settings, "kind: offset") {
				except = map[string]string{counted: "an API that counts its pages moves items to pages that were read already; the docs say so"}
			}
			sourcetest.Run(t, sourcetest.Suite{
				Adapter: New(), World: newWorld(settings), Items: 301,
				Except: except, Incremental: true, Edits: sourcetest.Always, Timeout: "timeout: 100ms", Wrong: wrong,
			})
		})
	}
}

func TestCases(t *testing.T) {
	t.Parallel()
	sourcetest.Cases(t, New(), "testdata")
}
