package mastodon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	token = "t0ken-s3cret"
	myID  = "1001"
)

// post is a status as the API shows it.
type post struct {
	ID               string    `json:"id"`
	URI              string    `json:"uri"`
	URL              *string   `json:"url"`
	CreatedAt        time.Time `json:"created_at"`
	EditedAt         *string   `json:"edited_at"`
	InReplyToID      *string   `json:"in_reply_to_id"`
	Visibility       string    `json:"visibility"`
	SpoilerText      string    `json:"spoiler_text"`
	Content          string    `json:"content"`
	RepliesCount     int       `json:"replies_count"`
	Account          account   `json:"account"`
	Reblog           *post     `json:"reblog"`
	MediaAttachments []any     `json:"media_attachments"`
	Tags             []tag     `json:"tags"`
	Poll             any       `json:"poll"`
	Mentions         []account `json:"mentions"`
	Language         string    `json:"language,omitempty"`

	text       string // as it was written
	favourited bool
	reblogged  bool
}

type account struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	Acct        string `json:"acct"`
	DisplayName string `json:"display_name"`
	URL         string `json:"url"`
	Avatar      string `json:"avatar"`
}

type tag struct {
	Name string `json:"name"`
}

// note is a notification.
type note struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	Status    *post     `json:"status"`
}

var (
	me   = account{ID: myID, Username: "shop", Acct: "shop", DisplayName: "The Shop", URL: "https://m.example/@shop"}
	anna = account{ID: "2002", Username: "anna", Acct: "anna@far.example", DisplayName: "Anna :blobcat:", URL: "https://far.example/@anna"}
)

// fake is a server that does what Mastodon's documentation says of these routes. It is safe for use by several goroutines.
type fake struct {
	mu    sync.Mutex
	posts map[string]*post
	order []string // the ids, sorted
	notes []note
	// requests counts them by route, the last part of an id left out.
	requests map[string]int
	// left is how many requests are still allowed in this window; negative: any number.
	left  int
	reset string
	// change may answer in the place of the server.
	change func(http.ResponseWriter, *http.Request) bool
	actions
}

func newFake() *fake {
	return &fake{posts: map[string]*post{}, requests: map[string]int{}, left: -1}
}

func (f *fake) start(tb testing.TB) string {
	server := httptest.NewServer(f)
	tb.Cleanup(server.Close)
	return server.URL
}

// snowflake is a status' id as Mastodon makes it: milliseconds since 1970 and a sequence.
func snowflake(at time.Time, sequence int) string {
	return strconv.FormatInt(at.UnixMilli()<<16|int64(sequence&0xffff), 10)
}

// put adds a status and lets its parent know. A status with an id that is there replaces it.
func (f *fake) put(p post) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.URI == "" {
		p.URI = "https://m.example/statuses/" + p.ID
	}
	if p.Visibility == "" {
		p.Visibility = "public"
	}
	if p.InReplyToID != nil && f.posts[p.ID] == nil && f.posts[*p.InReplyToID] != nil {
		f.posts[*p.InReplyToID].RepliesCount++
	}
	if old := f.posts[p.ID]; old != nil {
		p.RepliesCount = old.RepliesCount
	}
	if at, known := slices.BinarySearchFunc(f.order, p.ID, compareIDs); !known {
		f.order = slices.Insert(f.order, at, p.ID)
	}
	f.posts[p.ID] = &p
	return p.ID
}

// mention adds a notification about a status.
func (f *fake) mention(id string) { f.notify("mention", id) }

func (f *fake) notify(kind, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = append(f.notes, note{ID: strconv.Itoa(98 + len(f.notes)), Type: kind, CreatedAt: f.posts[id].CreatedAt, Status: &post{ID: id}})
}

func (f *fake) edit(id, content string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edited := *f.posts[id]
	edited.Content, edited.EditedAt = content, new(at.Format(time.RFC3339))
	f.posts[id] = &edited
}

func (f *fake) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.posts, id)
	f.order = slices.DeleteFunc(f.order, func(other string) bool { return other == id })
	f.notes = slices.DeleteFunc(f.notes, func(n note) bool { return n.Status.ID == id })
}

func (f *fake) count(route string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[route]
}

func (f *fake) forgetRequests() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.requests)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.change != nil && f.change(w, r) {
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		say(w, http.StatusUnauthorized, map[string]string{"error": "The access token is invalid"})
		return
	}
	if f.left == 0 {
		w.Header().Set("X-RateLimit-Limit", "300")
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", f.reset)
		say(w, http.StatusTooManyRequests, map[string]string{"error": "Throttled"})
		return
	}
	f.left--
	if !f.act(w, r) {
		f.route(w, r)
	}
}

func (f *fake) route(w http.ResponseWriter, r *http.Request) {
	route, ok := strings.CutPrefix(r.URL.Path, "/api/v1/")
	parts := strings.Split(route, "/")
	switch {
	case !ok:
	case route == "accounts/verify_credentials":
		f.requests["me"]++
		say(w, http.StatusOK, me)
		return
	case route == "notifications":
		f.requests["mentions"]++
		f.notifications(w, r)
		return
	case len(parts) == 3 && parts[0] == "accounts" && parts[2] == "statuses":
		f.requests["own"]++
		f.statuses(w, r, 20, func(p *post) bool {
			return p.Account.ID == parts[1] && (p.Reblog == nil || r.FormValue("exclude_reblogs") != "true")
		})
		return
	case len(parts) == 3 && parts[0] == "timelines" && parts[1] == "tag":
		f.requests["#"+parts[2]]++
		f.statuses(w, r, 20, func(p *post) bool {
			return p.Visibility == "public" && slices.Contains(p.Tags, tag{strings.ToLower(parts[2])})
		})
		return
	case len(parts) == 3 && parts[0] == "statuses" && parts[2] == "context":
		f.requests["context"]++
		f.context(w, parts[1])
		return
	}
	say(w, http.StatusNotFound, map[string]string{"error": "Record not found"})
}

func say(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (f *fake) notifications(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	var ids []string
	byID := map[string]note{}
	for _, n := range f.notes {
		if !slices.Contains(r.Form["exclude_types[]"], n.Type) {
			ids = append(ids, n.ID)
			byID[n.ID] = n
		}
	}
	list := []note{}
	for _, id := range paginate(w, r, ids, 40, 80) {
		n := byID[id]
		n.Status = f.posts[n.Status.ID]
		list = append(list, n)
	}
	say(w, http.StatusOK, list)
}

func (f *fake) statuses(w http.ResponseWriter, r *http.Request, usual int, belongs func(*post) bool) {
	var ids []string
	for _, id := range f.order {
		if belongs(f.posts[id]) {
			ids = append(ids, id)
		}
	}
	list := []*post{}
	for _, id := range paginate(w, r, ids, usual, 40) {
		list = append(list, f.posts[id])
	}
	say(w, http.StatusOK, list)
}

// paginate picks a page out of sorted ids, the highest one first, and says where the others are. With min_id it is the page right above
// that id, else the one on top below max_id.
func paginate(w http.ResponseWriter, r *http.Request, ids []string, usual, most int) []string {
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil {
		limit = usual
	}
	limit = min(limit, most)
	minID, maxID, sinceID := r.FormValue("min_id"), r.FormValue("max_id"), r.FormValue("since_id")
	ids = slices.DeleteFunc(ids, func(id string) bool {
		return maxID != "" && compareIDs(id, maxID) >= 0 || minID != "" && compareIDs(id, minID) <= 0 ||
			sinceID != "" && compareIDs(id, sinceID) <= 0
	})
	if len(ids) > limit {
		if minID != "" {
			ids = ids[:limit]
		} else {
			ids = ids[len(ids)-limit:]
		}
	}
	slices.Reverse(ids)
	if len(ids) > 0 {
		link(w, r, ids, limit)
	}
	return ids
}

func link(w http.ResponseWriter, r *http.Request, ids []string, limit int) {
	page := func(key, id, rel string) string {
		query := url.Values{"limit": {strconv.Itoa(limit)}, key: {id}}
		return fmt.Sprintf(`<http://%s%s?%s>; rel="%s"`, r.Host, r.URL.Path, query.Encode(), rel)
	}
	links := []string{page("min_id", ids[0], "prev")}
	if len(ids) == limit {
		links = append([]string{page("max_id", ids[len(ids)-1], "next")}, links...)
	}
	w.Header().Set("Link", strings.Join(links, ", "))
}

func (f *fake) context(w http.ResponseWriter, id string) {
	if f.posts[id] == nil {
		say(w, http.StatusNotFound, map[string]string{"error": "Record not found"})
		return
	}
	answer := struct {
		Ancestors   []*post `json:"ancestors"`
		Descendants []*post `json:"descendants"`
	}{[]*post{}, []*post{}}
	for at := f.posts[id]; at.InReplyToID != nil && f.posts[*at.InReplyToID] != nil; {
		at = f.posts[*at.InReplyToID]
		answer.Ancestors = append([]*post{at}, answer.Ancestors...)
	}
	replies := map[string][]*post{}
	for _, id := range f.order {
		if p := f.posts[id]; p.InReplyToID != nil {
			replies[*p.InReplyToID] = append(replies[*p.InReplyToID], p)
		}
	}
	var below func(string)
	below = func(id string) {
		for _, p := range replies[id] {
			answer.Descendants = append(answer.Descendants, p)
			below(p.ID)
		}
	}
	below(id)
	say(w, http.StatusOK, answer)
}
