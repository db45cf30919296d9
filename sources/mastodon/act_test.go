package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// acting opens a source to act with.
func acting(t *testing.T, server, settings string) *source {
	t.Helper()
	s := open(t, server, settings, slog.New(slog.DiscardHandler)).(*source)
	s.mediaPause = time.Millisecond
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// asked puts a post into the server that asks us something, from an hour ago, and returns its id.
func asked(f *fake, p post) string {
	at := hourAgo()
	p.ID, p.CreatedAt = snowflake(at, len(f.order)+1), at
	if p.Account.ID == "" {
		p.Account = anna
	}
	return f.put(p)
}

func replyTo(id, key, text string) *sources.Reply {
	return &sources.Reply{Action: sources.Action{
		Key: key, Type: socialhub.ActionReply, ID: "reply", NetworkItemID: "test-" + id, Ref: json.RawMessage(`{"id":"` + id + `"}`),
	}, Text: text}
}

func TestAReplyIsTheItemThatThePullYieldsAndOurOwn(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	id := asked(f, post{Content: "<p>Where is it?</p>", Mentions: []account{me, bob}})
	f.mention(id)
	before := time.Now().Add(-time.Second)
	got, err := acting(t, server, "reply_language: de").Reply(t.Context(), replyTo(id, "k1", "On its way.\n\nBye"))
	if err != nil {
		t.Fatal(err)
	}
	want := []newStatus{{
		Status: "@anna@far.example @bob On its way.\n\nBye", InReplyToID: id, Visibility: "public", Language: "de",
	}}
	if diff := cmp.Diff(want, f.posted); diff != "" {
		t.Errorf("posted: %s", diff)
	}
	if got.CreatedTime.Before(before) || got.URL != "https://m.example/@shop/"+f.keys["k1"] {
		t.Errorf("posted %+v", got)
	}
	p := pull(t, server, "mentions: false", sources.Request{})
	for _, b := range p.batches {
		for _, item := range b.Items {
			if item.Interaction.NetworkItemID == got.NetworkItemID {
				if !item.Own || string(item.Ref) != string(got.Ref) || item.Interaction.Root.RootID != "test-"+id {
					t.Errorf("item %+v", item)
				}
				return
			}
		}
	}
	t.Errorf("the pull has %v (%v), not %s", p.ids(), p.err, got.NetworkItemID)
}

func TestAReplyIsNeverMorePublicThanWhatItAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ setting, option, answered, want string }{
		{"inherit", "", "public", "public"},
		{"inherit", "", "unlisted", "unlisted"},
		{"inherit", "", "private", "private"},
		{"inherit", "", "direct", "direct"},
		{"public", "", "private", "private"},
		{"public", "", "direct", "direct"},
		{"unlisted", "", "public", "unlisted"},
		{"unlisted", "", "private", "private"},
		{"direct", "", "public", "direct"},
		{"unlisted", "direct", "public", "direct"},
		{"inherit", "public", "direct", "direct"},
		{"inherit", "urgent", "unlisted", "unlisted"},
		{"inherit", "", "mutuals_only", "direct"},
		{"public", "", "", "direct"},
	} {
		t.Run(strings.Join([]string{c.setting, c.option, c.answered}, " "), func(t *testing.T) {
			t.Parallel()
			f := newFake()
			server := f.start(t)
			id := asked(f, post{Visibility: c.answered, SpoilerText: "sad"})
			f.posts[id].Visibility = c.answered
			r := replyTo(id, "k", "Hello")
			r.Option = c.option
			if _, err := acting(t, server, "reply_visibility: "+c.setting).Reply(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if got := f.posted[0]; got.Visibility != c.want || got.SpoilerText != "sad" {
				t.Errorf("posted %+v", got)
			}
		})
	}
}

func TestNamesStandBeforeATextThatHasThemNot(t *testing.T) {
	t.Parallel()
	names := []string{"anna@far.example", "bob"}
	for text, want := range map[string]string{
		"Hi":                           "@anna@far.example @bob Hi",
		"":                             "@anna@far.example @bob",
		"Hi @bob!":                     "@anna@far.example Hi @bob!",
		"@Anna@far.example, @bob: hi":  "@Anna@far.example, @bob: hi",
		"@bobby and bob@far.example":   "@anna@far.example @bob @bobby and bob@far.example",
		"@bob@far.example @anna":       "@anna@far.example @bob @bob@far.example @anna",
		"https://m.example/@bob is it": "@anna@far.example @bob https://m.example/@bob is it",
	} {
		if got := withNames(names, text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestLengthIsCountedAsMastodonDoes(t *testing.T) {
	t.Parallel()
	r := &rules{maxLength: 500, perURL: 23}
	for text, want := range map[string]int{
		"":                     0,
		"hello":                5,
		"👩‍👩‍👧 ü":              3,
		"@anna@far.example hi": 8,
		"see https://example.com/" + strings.Repeat("x", 300): 27,
		"http://a.b c": 25,
	} {
		if got := r.length(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
	if err := r.check(strings.Repeat("w", 100), strings.Repeat("x", 400)); err != nil {
		t.Error(err)
	}
	if err := (&rules{}).check("", strings.Repeat("x", 4000)); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	if err := r.check(strings.Repeat("w", 100), strings.Repeat("x", 401)); !isRefused(err) || !strings.Contains(err.Error(), "500 characters") {
		t.Errorf("too long: %v", err)
	}
}

func TestAReplyThatIsTooLongIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	id := asked(f, post{})
	r := replyTo(id, "k", strings.Repeat("x", 495))
	r.Attachments = []sources.Attachment{picture("a")}
	if _, err := acting(t, server, "").Reply(t.Context(), r); !isRefused(err) || !strings.Contains(err.Error(), "500") {
		t.Errorf("got %v", err)
	}
	if f.count("post")+f.count("media") != 0 {
		t.Error("something was sent")
	}
}

func picture(content string) sources.Attachment {
	return sources.Attachment{Name: "Plan ü.png", MimeType: "image/png", Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

func TestAFileIsPartOfTheReplyWhenTheServerIsDoneWithIt(t *testing.T) {
	t.Parallel()
	for _, slow := range []int{0, 1, 3} {
		f := newFake()
		f.slowFiles = slow
		server := f.start(t)
		id := asked(f, post{SpoilerText: "plans"})
		r := replyTo(id, "k", "")
		r.Attachments = []sources.Attachment{picture("PNG")}
		if _, err := acting(t, server, "").Reply(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		sent := f.posted[0]
		if len(sent.MediaIDs) != 1 || !sent.Sensitive {
			t.Fatalf("posted %+v", sent)
		}
		got := f.files[sent.MediaIDs[0]]
		if diff := cmp.Diff(&file{"Plan ü.png", "image/png", "Plan ü.png", []byte("PNG"), 0}, got, cmp.AllowUnexported(file{})); diff != "" {
			t.Errorf("file: %s", diff)
		}
	}
}

func TestTheSameReplyTwiceIsOnePost(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	id := asked(f, post{})
	s := acting(t, server, "")
	r := replyTo(id, "k", "Hello")
	if s.RepeatableFor(&r.Action) != 0 {
		t.Error("a server that is not known yet may have no idempotency keys")
	}
	first, err1 := s.Reply(t.Context(), r)
	second, err2 := s.Reply(t.Context(), r)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" || len(f.posted) != 1 {
		t.Errorf("%d posts: %s", len(f.posted), diff)
	}
	if got := s.RepeatableFor(&r.Action); got <= 0 || got >= time.Hour {
		t.Errorf("repeatable for %s; Mastodon keeps keys for an hour", got)
	}
}

func TestOnlyMastodonIsTrustedWithKeys(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"4.4.0": true, "3.5.3": true, "4.5.0-nightly.2025-08-01+glitch": true,
		"2.7.2 (compatible; Pleroma 2.6.0)": false, "3.5.3 (compatible; Pixelfed 0.12.4)": false,
		"0.17.3": false, "0.19.1+git-1234567": false, "": false,
	} {
		if got := isMastodon(version); got != want {
			t.Errorf("%s: %t", version, got)
		}
	}
}

// cutAnswer carries the first request of a route to the server and drops the answer.
func cutAnswer(f *fake, route string) {
	done := false
	f.change = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method+" "+r.URL.Path != route || done {
			return false
		}
		done = true
		if r.Header.Get("Authorization") == "Bearer "+token {
			f.create(discard{}, r)
		}
		panic(http.ErrAbortHandler)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestAReplyWhoseAnswerWasLostIsFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		noSource   bool
		gone       bool // the post that it answers, meanwhile
	}{
		{"by its text", "On its way.\n\nSee https://example.com/track?id=1&x=2", false, false},
		{"by what is shown of its text", "On its way & <more>.\n\nSee https://example.com/track?id=1 @bob", true, false},
		{"when the post is gone", "On its way", false, true},
		{"when the post is gone and there is no source", "On its way", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			f.noSource, f.keyless = c.noSource, true
			server := f.start(t)
			id := asked(f, post{Content: "<p>Where is it?</p>"})
			other := asked(f, post{})
			s := acting(t, server, "")
			since := time.Now()
			if _, found, err := s.FindReply(t.Context(), replyTo(id, "k", c.text), since); found || err != nil {
				t.Fatalf("before: %t %v", found, err)
			}
			if _, err := s.Reply(t.Context(), replyTo(other, "k0", "Something else")); err != nil {
				t.Fatal(err)
			}
			cutAnswer(f, "POST /api/v1/statuses")
			_, err := s.Reply(t.Context(), replyTo(id, "k", c.text))
			if err == nil || sources.NotDone(err) {
				t.Fatalf("a lost answer: %v", err)
			}
			if c.gone {
				f.mu.Lock()
				f.forget(id)
				f.mu.Unlock()
			}
			got, found, err := s.FindReply(t.Context(), replyTo(id, "k", c.text), since)
			if err != nil || !found || got.NetworkItemID != "test-"+f.keys["k"] || got.URL == "" || len(got.Ref) == 0 {
				t.Errorf("found %t: %+v %v", found, got, err)
			}
			if _, found, err := s.FindReply(t.Context(), replyTo(id, "k", c.text+"!"), since); found || err != nil {
				t.Errorf("with another text: %t %v", found, err)
			}
			if _, found, err := s.FindReply(t.Context(), replyTo(id, "k", c.text), time.Now().Add(time.Hour)); found || err != nil {
				t.Errorf("later: %t %v", found, err)
			}
		})
	}
}

func TestAReplyIsFoundThoughItsFileIsNotAtHandAndOthersAreNamedByNow(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Look", ""} {
		f := newFake()
		f.keyless = true
		server := f.start(t)
		id := asked(f, post{})
		s := acting(t, server, "")
		since := time.Now()
		r := replyTo(id, "k", text)
		r.Attachments = []sources.Attachment{picture("x")}
		cutAnswer(f, "POST /api/v1/statuses")
		if _, err := s.Reply(t.Context(), r); err == nil || sources.NotDone(err) {
			t.Fatalf("a lost answer: %v", err)
		}
		f.mu.Lock()
		f.posts[id].Mentions = append(f.posts[id].Mentions, bob) // an edit
		f.mu.Unlock()
		if got, found, err := s.FindReply(t.Context(), replyTo(id, "k", text), since); !found || err != nil || got.NetworkItemID != "test-"+f.keys["k"] {
			t.Errorf("%q: found %t: %+v %v", text, found, got, err)
		}
	}
}

func TestAFindThatFailsSaysThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	id := asked(f, post{})
	f.change = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/context") {
			return false
		}
		say(w, http.StatusInternalServerError, nil)
		return true
	}
	if _, found, err := acting(t, server, "").FindReply(t.Context(), replyTo(id, "k", "x"), time.Now()); err == nil || found {
		t.Errorf("%t %v", found, err)
	}
}

// answerWith lets a route give a status.
func answerWith(f *fake, route string, code int, header map[string]string, body any) {
	f.change = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method+" "+r.URL.Path != route {
			return false
		}
		for key, value := range header {
			w.Header().Set(key, value)
		}
		say(w, code, body)
		return true
	}
}

// kind names an error's meaning for the engine.
func kind(err error) string {
	if _, ok := errors.AsType[*sources.RetryAfterError](err); ok {
		return "retry after"
	}
	if _, ok := errors.AsType[*sources.StopError](err); ok {
		return "stop"
	}
	if _, ok := errors.AsType[*sources.NotDoneError](err); ok {
		return "not done"
	}
	switch {
	case isRefused(err):
		return "refused"
	case err == nil:
		return "done"
	}
	return "unknown"
}

func TestEachAnswerSaysWhatIsKnownOfTheOutcome(t *testing.T) {
	t.Parallel()
	const post1, media1, get1, rules1 = "POST /api/v1/statuses", "POST /api/v2/media", "GET /api/v1/statuses/ID", "GET /api/v2/instance"
	words := map[string]string{"error": "Validation failed: no\nway, " + token}
	for _, c := range []struct {
		name, route string
		code        int
		header      map[string]string
		body        any
		kind, text  string
	}{
		{"a revoked token", post1, 401, nil, words, "stop", "access_token"},
		{"a token without the scope", post1, 403, nil, map[string]string{"error": "This action is outside the authorized scopes"}, "stop", "write:statuses"},
		{"a thing that is not allowed", post1, 403, nil, map[string]string{"error": "This action is not allowed"}, "refused", "This action is not allowed"},
		{"a post that is gone", post1, 404, nil, words, "refused", "the post was deleted"},
		{"a text that is not taken", post1, 422, nil, words, "refused", "Validation failed: no way, [redacted]"},
		{"a bad request without words", post1, 400, nil, nil, "refused", "Bad Request"},
		{"too many requests", post1, 429, map[string]string{"Retry-After": "7"}, words, "retry after", "429"},
		{"too many requests, for how long is not said", post1, 429, nil, words, "retry after", "429"},
		{"a move", post1, 301, map[string]string{"Location": "https://other.example/"}, nil, "stop", "server"},
		{"an error of the server", post1, 500, nil, words, "unknown", "500"},
		{"an overload", post1, 503, map[string]string{"Retry-After": "7"}, words, "unknown", "503"},
		{"an answer without a post", post1, 200, nil, map[string]string{}, "unknown", ""},
		{"an answer of another form", post1, 200, nil, "queued", "unknown", ""},
		{"a file that is not taken", media1, 422, nil, words, "refused", "Validation failed"},
		{"a server without files", media1, 404, nil, words, "refused", "attachment"},
		{"an error with a file", media1, 500, nil, words, "not done", "500"},
		{"an overload with a file", media1, 503, map[string]string{"Retry-After": "7"}, words, "retry after", "503"},
		{"an error with what is answered", get1, 502, nil, nil, "not done", "502"},
		{"a post that was gone before", get1, 404, nil, words, "refused", "the post was deleted"},
		{"an error with the rules", rules1, 500, nil, nil, "not done", "500"},
		{"a server without rules", rules1, 404, nil, nil, "done", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			server := f.start(t)
			id := asked(f, post{})
			answerWith(f, strings.Replace(c.route, "ID", id, 1), c.code, c.header, c.body)
			r := replyTo(id, "k", "Hello")
			r.Attachments = []sources.Attachment{picture("x")}
			_, err := acting(t, server, "").Reply(t.Context(), r)
			if got := kind(err); got != c.kind {
				t.Fatalf("%s: %v, want %s", got, err, c.kind)
			}
			if err != nil && (!strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), token)) {
				t.Errorf("says %v", err)
			}
			if again, ok := errors.AsType[*sources.RetryAfterError](err); ok && c.header != nil && again.After != 7*time.Second {
				t.Errorf("after %s", again.After)
			}
		})
	}
}

func TestNothingIsDoneWhenTheServerIsNotReached(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	s := acting(t, "http://"+l.Addr().String(), "")
	_, err = s.Reply(t.Context(), replyTo("1", "k", "x"))
	if kind(err) != "not done" {
		t.Errorf("a reply: %v", err)
	}
	if err := s.PressButton(t.Context(), button1("1", "boost")); kind(err) != "not done" {
		t.Errorf("a button: %v", err)
	}
}

func TestATimeoutLeavesTheOutcomeOpenOnlyWhereSomethingWasSent(t *testing.T) {
	t.Parallel()
	for route, want := range map[string]string{"POST /api/v1/statuses": "unknown", "GET /api/v2/instance": "not done"} {
		f := newFake()
		server := f.start(t)
		id := asked(f, post{})
		s := acting(t, server, "")
		ctx, cancel := context.WithCancelCause(t.Context())
		f.change = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method+" "+r.URL.Path != route {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection is not noticed
			cancel(errors.New("shutting down"))
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		_, err := s.Reply(ctx, replyTo(id, "k", "x"))
		if kind(err) != want || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("%s: %v", route, err)
		}
	}
}

func TestAnItemWithoutARefIsKnownByItsID(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	id := asked(f, post{})
	s := acting(t, server, "")
	r := replyTo(id, "k", "Hello")
	r.Ref = nil
	if _, err := s.Reply(t.Context(), r); err != nil || f.posted[0].InReplyToID != id {
		t.Errorf("%v %+v", err, f.posted)
	}
	for _, wrong := range []string{"other-17", "test-", "tes"} {
		r.NetworkItemID = wrong
		if _, err := s.Reply(t.Context(), r); kind(err) != "refused" {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func button1(id, button string) *sources.Action {
	return &sources.Action{Key: "u", Type: socialhub.ActionButton, ID: button, NetworkItemID: "test-" + id}
}

func TestButtonsMayBePressedAgain(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	id := asked(f, post{})
	private := asked(f, post{Visibility: "direct"})
	s := acting(t, server, "")
	for _, c := range []struct {
		button                string
		favourited, reblogged bool
	}{{"favourite", true, false}, {"boost", true, true}, {"unfavourite", false, true}, {"unboost", false, false}} {
		for range 2 {
			if err := s.PressButton(t.Context(), button1(id, c.button)); err != nil {
				t.Fatal(err)
			}
		}
		if p := f.posts[id]; p.favourited != c.favourited || p.reblogged != c.reblogged {
			t.Errorf("after %s: %t %t", c.button, p.favourited, p.reblogged)
		}
		if !sources.Can(s, socialhub.ActionButton, c.button) || s.RepeatableFor(button1(id, c.button)) != sources.Always {
			t.Errorf("%s can't be pressed again", c.button)
		}
	}
	for _, c := range []struct{ id, button, want string }{
		{id, "follow", "refused"}, {"1", "boost", "refused"}, {private, "boost", "refused"},
	} {
		if err := s.PressButton(t.Context(), button1(c.id, c.button)); kind(err) != c.want {
			t.Errorf("%s: %v", c.button, err)
		}
	}
	if sources.Can(s, socialhub.ActionButton, "follow") || sources.Can(s, socialhub.ActionTemplateReply, "reply") ||
		!sources.Can(s, socialhub.ActionReply, "any") || !sources.Can(s, socialhub.ActionDelete, "any") {
		t.Error("it can what it can't")
	}
}

func TestOnlyOwnPostsAreDeleted(t *testing.T) {
	t.Parallel()
	f := newFake()
	server := f.start(t)
	theirs, ours := asked(f, post{}), asked(f, post{Account: me})
	s := acting(t, server, "")
	deletion := func(id string) *sources.Action {
		return &sources.Action{Key: "u", Type: socialhub.ActionDelete, ID: "delete", NetworkItemID: "test-" + id}
	}
	if err := s.Delete(t.Context(), deletion(theirs)); kind(err) != "refused" || f.posts[theirs] == nil || f.count("delete") != 0 {
		t.Errorf("theirs: %v", err)
	}
	for _, what := range []string{"ours", "what is gone already"} {
		if err := s.Delete(t.Context(), deletion(ours)); err != nil || f.posts[ours] != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
