package mastodon

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// bob is on our server.
var bob = account{ID: "3003", Username: "bob", Acct: "bob", DisplayName: "Bob", URL: "https://m.example/@bob"}

// actions is what the fake knows for actions. Its zero value is a Mastodon of today.
type actions struct {
	version string // if it is not Mastodon 4.4.0
	// keyless: the server does not know idempotency keys.
	keyless bool
	scopes  []string // that the token lacks
	keys    map[string]string
	posted  []newStatus
	pressed []pressed
	files   map[string]*file
	sent    int // of ids, so that each is another one
	// slowFiles is how often the server says that it works on a file.
	slowFiles int
	noSource  bool // has no route for the text as it was written
}

// pressed is a button that changed something.
type pressed struct{ id, verb string }

type file struct {
	name, kind, description string
	content                 []byte
	waits                   int
}

// act answers the routes that change something, and those that go with them.
func (f *fake) act(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/"), "/")
	route := r.Method + " " + strings.Join(parts[:min(len(parts), 2)], "/")
	switch {
	case route == "GET v2/instance":
		f.requests["instance"]++
		version := f.version
		if version == "" {
			version = "4.4.0"
		}
		say(w, http.StatusOK, map[string]any{"version": version, "configuration": map[string]any{
			"statuses": map[string]any{"max_characters": 500, "characters_reserved_per_url": 23},
		}})
	case route == "POST v2/media":
		f.upload(w, r)
	case route == "GET v1/media" && len(parts) == 3:
		f.file(w, parts[2])
	case route == "POST v1/statuses" && len(parts) == 2:
		f.create(w, r)
	case route == "GET v1/statuses" && len(parts) == 3:
		f.one(w, parts[2], func(p *post) { say(w, http.StatusOK, p) })
	case route == "GET v1/statuses" && len(parts) == 4 && parts[3] == "source" && !f.noSource:
		f.one(w, parts[2], func(p *post) { say(w, http.StatusOK, map[string]string{"id": p.ID, "text": p.text}) })
	case route == "DELETE v1/statuses" && len(parts) == 3:
		f.deletePost(w, parts[2])
	case route == "POST v1/statuses" && len(parts) == 4:
		f.press(w, parts[2], parts[3])
	default:
		return false
	}
	return true
}

// lacks refuses a token without a scope.
func (f *fake) lacks(w http.ResponseWriter, scope string) bool {
	if !slices.Contains(f.scopes, scope) {
		return false
	}
	say(w, http.StatusForbidden, map[string]string{"error": "This action is outside the authorized scopes"})
	return true
}

func (f *fake) one(w http.ResponseWriter, id string, found func(*post)) {
	p := f.posts[id]
	if p == nil {
		say(w, http.StatusNotFound, map[string]string{"error": "Record not found"})
		return
	}
	found(p)
}

func (f *fake) press(w http.ResponseWriter, id, verb string) {
	f.requests[verb]++
	f.one(w, id, func(p *post) {
		before := [2]bool{p.favourited, p.reblogged}
		defer func() {
			if before != [2]bool{p.favourited, p.reblogged} {
				f.pressed = append(f.pressed, pressed{id, verb})
			}
		}()
		switch verb {
		case "favourite", "unfavourite":
			p.favourited = verb == "favourite"
		case "reblog", "unreblog":
			if verb == "reblog" && p.Visibility == "direct" {
				say(w, http.StatusForbidden, map[string]string{"error": "This action is not allowed"})
				return
			}
			p.reblogged = verb == "reblog"
		}
		say(w, http.StatusOK, p)
	})
}

// deletePost deletes own posts only. Those that answered it keep no trace of it.
func (f *fake) deletePost(w http.ResponseWriter, id string) {
	f.requests["delete"]++
	p := f.posts[id]
	if p == nil || p.Account.ID != myID {
		say(w, http.StatusNotFound, map[string]string{"error": "Record not found"})
		return
	}
	f.forget(id)
	say(w, http.StatusOK, p)
}

func (f *fake) forget(id string) {
	delete(f.posts, id)
	f.order = slices.DeleteFunc(f.order, func(other string) bool { return other == id })
	for _, p := range f.posts {
		if p.InReplyToID != nil && *p.InReplyToID == id {
			p.InReplyToID = nil
		}
	}
}

func (f *fake) create(w http.ResponseWriter, r *http.Request) {
	f.requests["post"]++
	if f.lacks(w, "write:statuses") {
		return
	}
	var n newStatus
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		say(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if known := f.posts[f.keys[key]]; known != nil && !f.keyless {
		say(w, http.StatusOK, known)
		return
	}
	code, problem := f.refuses(&n)
	if problem != "" {
		say(w, code, map[string]string{"error": problem})
		return
	}
	p := f.made(&n)
	if f.keys == nil {
		f.keys = map[string]string{}
	}
	f.keys[key] = p.ID
	f.posted = append(f.posted, n)
	say(w, http.StatusOK, p)
}

func (f *fake) refuses(n *newStatus) (code int, problem string) {
	_, visible := openness[n.Visibility]
	switch length := utf8.RuneCountInString(n.SpoilerText) + utf8.RuneCountInString(n.Status); {
	case f.posts[n.InReplyToID] == nil:
		return http.StatusNotFound, "The status you are trying to reply to does not appear to exist."
	case !visible:
		return http.StatusUnprocessableEntity, fmt.Sprintf("'%s' is not a valid visibility", n.Visibility)
	case n.Status == "" && len(n.MediaIDs) == 0:
		return http.StatusUnprocessableEntity, "Validation failed: Text can't be blank"
	case length > 500 && !strings.Contains(n.Status, "://"):
		return http.StatusUnprocessableEntity, "Validation failed: Text character limit of 500 exceeded"
	}
	for _, id := range n.MediaIDs {
		if m := f.files[id]; m == nil || m.waits > 0 {
			return http.StatusUnprocessableEntity, "Cannot attach files that have not finished processing. Try again in a moment!"
		}
	}
	return 0, ""
}

// made is the status that is made of what was sent.
func (f *fake) made(n *newStatus) *post {
	f.sent++
	at := time.Now().UTC().Truncate(time.Millisecond)
	p := &post{
		ID: snowflake(at, f.sent), CreatedAt: at, Account: me, InReplyToID: &n.InReplyToID, Visibility: n.Visibility,
		SpoilerText: n.SpoilerText, Content: markup(n.Status), Language: n.Language, text: n.Status, MediaAttachments: []any{},
	}
	p.URI = "https://m.example/users/shop/statuses/" + p.ID
	p.URL = new("https://m.example/@shop/" + p.ID)
	for _, a := range []account{anna, bob} {
		if strings.Contains(n.Status, "@"+a.Acct) {
			p.Mentions = append(p.Mentions, a)
		}
	}
	for _, id := range n.MediaIDs {
		p.MediaAttachments = append(p.MediaAttachments, map[string]string{
			"id": id, "type": "image", "url": "https://m.example/" + id + ".png", "description": f.files[id].description,
		})
	}
	f.posts[p.ID] = p
	f.posts[n.InReplyToID].RepliesCount++
	at2, _ := slices.BinarySearchFunc(f.order, p.ID, compareIDs)
	f.order = slices.Insert(f.order, at2, p.ID)
	return p
}

var (
	mentioned = regexp.MustCompile(`@([a-z]+)(@[a-z.]+)?`)
	linked    = regexp.MustCompile(`(https?://)([^\s<]+)`)
)

// markup is a text as Mastodon shows it: names without their domain, links without their beginning.
func markup(text string) string {
	text = html.EscapeString(text)
	text = linked.ReplaceAllString(text, `<a href="$1$2"><span class="invisible">$1</span><span>$2</span></a>`)
	text = mentioned.ReplaceAllString(text, `<span class="h-card"><a href="https://x.example/@$1" class="u-url mention">@<span>$1</span></a></span>`)
	text = strings.ReplaceAll(text, "\n\n", "</p><p>")
	return "<p>" + strings.ReplaceAll(text, "\n", "<br />") + "</p>"
}

func (f *fake) upload(w http.ResponseWriter, r *http.Request) {
	f.requests["media"]++
	if f.lacks(w, "write:media") {
		return
	}
	content, header, err := r.FormFile("file")
	if err != nil {
		say(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	text, err := io.ReadAll(content)
	if err != nil || header.Header.Get("Content-Type") == "application/x-msdownload" {
		say(w, http.StatusUnprocessableEntity, map[string]string{"error": "Validation failed: File content type is invalid"})
		return
	}
	f.sent++
	id := strconv.Itoa(7000 + f.sent)
	if f.files == nil {
		f.files = map[string]*file{}
	}
	f.files[id] = &file{header.Filename, header.Header.Get("Content-Type"), r.FormValue("description"), text, f.slowFiles}
	if f.slowFiles > 0 {
		say(w, http.StatusAccepted, map[string]any{"id": id, "url": nil})
		return
	}
	say(w, http.StatusOK, map[string]any{"id": id, "url": "https://m.example/x"})
}

func (f *fake) file(w http.ResponseWriter, id string) {
	m := f.files[id]
	switch {
	case m == nil:
		say(w, http.StatusNotFound, map[string]string{"error": "Record not found"})
	case m.waits > 1:
		m.waits--
		say(w, http.StatusPartialContent, map[string]any{"id": id, "url": nil})
	default:
		m.waits = 0
		say(w, http.StatusOK, map[string]any{"id": id, "url": "https://m.example/x"})
	}
}
