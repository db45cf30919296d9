package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// replying posts replies to an issue's comments.
const replying = `
auth: {bearer: s3cret}
timeout: 10s
actions:
  reply:
    url: \($ref.api + "/issues/\($ref.number)/comments")
    headers: {Idempotency-Key: \($action.key)}
    body: '{body: $action.text}'
    posted: '{networkItemId: item_id("\($prefix)-comment"; .id), url: .html_url, createdTime: .created_at, ref: {number: 7}}'
  template_reply:
    url: \($ref.api + "/templates")
    body: '$action | {template, name, language, variables}'
    posted: '{networkItemId: .id, message: .body}'
  delete: {url: '\($ref.api + "/issues/\($ref.number)")'}
  buttons:
    close: {url: '\($ref.api + "/issues/\($ref.number)")', method: PATCH, body: '{state: "closed", by: $action.id}', repeatable: always}
`

// noted is an action with an item whose ref says where the API is.
func noted(a *api, kind socialhub.ActionType, id string) sources.Action {
	return sources.Action{
		Key: "f-1", Type: kind, ID: id, NetworkItemID: "test-42", Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Ref: json.RawMessage(fmt.Sprintf(`{"api":%q,"number":42}`, a.URL)),
	}
}

func replyTo(a *api) *sources.Reply {
	return &sources.Reply{Action: noted(a, socialhub.ActionReply, "reply"), Text: "Hello, \"you\"!"}
}

// refusing is an API that answers everything with this.
func refusing(t testing.TB, status int, header http.Header, body string) *api {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

func TestAReplyGoesOutAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := []string{r.Method, r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type"), string(body)}
		want := []string{"POST", "/issues/42/comments", "Bearer s3cret", "f-1", "application/json", `{"body":"Hello, \"you\"!"}`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":12345678901234567890,"html_url":"https://example.com/42#1","created_at":"2026-03-01T13:00:00+01:00"}`)
	})
	got, err := open(t, "url: "+a.URL+replying).Reply(t.Context(), replyTo(a))
	want := sources.Posted{
		NetworkItemID: "test-comment-12345678901234567890", URL: "https://example.com/42#1",
		CreatedTime: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Ref: json.RawMessage(`{"number":7}`),
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestEachKindOfActionHasItsRequest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body))
		mu.Unlock()
		fmt.Fprint(w, `{"id":"hsm-000007","body":"Hi"}`)
	})
	s := open(t, "url: "+a.URL+replying)
	posted, err := s.ReplyWithTemplate(t.Context(), &sources.TemplateReply{
		Action: noted(a, socialhub.ActionTemplateReply, "t"), TemplateID: "welcome", Name: "Welcome", Language: "de",
		Variables: map[string]any{"first": "Ann", "n": 3, "deep": map[string]any{"x": []string{"y"}}},
	})
	press, remove := noted(a, socialhub.ActionButton, "close"), noted(a, socialhub.ActionDelete, "delete")
	err = errors.Join(err, s.PressButton(t.Context(), &press), s.Delete(t.Context(), &remove))
	want := []string{
		`POST /templates {"language":"de","name":"Welcome","template":"welcome","variables":{"deep":{"x":["y"]},"first":"Ann","n":3}}`,
		`PATCH /issues/42 {"by":"close","state":"closed"}`,
		`DELETE /issues/42 `,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || posted.NetworkItemID != "hsm-000007" {
		t.Error(diff, err, posted)
	}
}

func TestProgramsSeeTheActionAndTheNotesOfItsItems(t *testing.T) {
	t.Parallel()
	var got string
	a := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = string(body)
	})
	s := open(t, "url: "+a.URL+"/\nactions: {reply: {url: '"+a.URL+`/x', body: '{a: ($action | del(.attachments)), r: $ref, t: $root, p: $prefix}', posted: empty}}`)
	r := replyTo(a)
	r.Ref, r.Option = json.RawMessage(`{"n":12345678901234567890}`), "yes"
	for _, test := range []struct{ rootID, rootRef, root, wantID, want string }{
		{"", "", "", "null", `{"n":12345678901234567890}`}, // it is the first of its thread
		{"test-1", `[1]`, "", `"test-1"`, `[1]`},
		{"test-1", ``, "", `"test-1"`, `null`},
	} {
		r.RootID, r.RootRef = test.rootID, json.RawMessage(test.rootRef)
		if _, err := s.Reply(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		want := `{"a":{"id":"reply","key":"f-1","language":null,"name":null,"networkItemId":"test-42","option":"yes","rootId":` + test.wantID +
			`,"template":null,"text":"Hello, \"you\"!","time":"2026-03-01T12:00:00Z","type":"reply","variables":null},"p":"test","r":{"n":12345678901234567890},"t":` + test.want + "}"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// outcomeOf says what an error says of the outcome.
func outcomeOf(err error) string {
	if refused, ok := errors.AsType[*sources.RefusedError](err); ok {
		return "refused: " + refused.Reason
	}
	if later, ok := errors.AsType[*sources.RetryAfterError](err); ok {
		return fmt.Sprintf("after %s", later.After)
	}
	if _, ok := errors.AsType[*sources.StopError](err); ok {
		return "stop"
	}
	if _, ok := errors.AsType[*sources.NotDoneError](err); ok {
		return "not done"
	}
	if err != nil {
		return "unknown"
	}
	return "done"
}

func TestTheStatusOfAnAnswerSaysWhatIsKnownOfTheOutcome(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		200: "done", 201: "done", 202: "done", 204: "done",
		300: "unknown", 301: "stop", 302: "unknown", 303: "unknown", 304: "unknown", 307: "stop", 308: "stop",
		400: "refused: the API answered 400 Bad Request: it does not take this text or file, or no answers here",
		401: "stop", 403: "stop",
		404: "refused: the API answered 404 Not Found: what this is about may have been deleted",
		405: "refused: the API answered 405 Method Not Allowed",
		407: "stop", 408: "unknown",
		409: "refused: the API answered 409 Conflict",
		410: "refused: the API answered 410 Gone: what this is about may have been deleted",
		413: "refused: the API answered 413 Request Entity Too Large: it is too large",
		418: "refused: the API answered 418 I'm a teapot",
		422: "refused: the API answered 422 Unprocessable Entity: it does not take this text or file, or no answers here",
		425: "not done", 429: "not done", 499: "refused: the API answered 499",
		500: "unknown", 501: "unknown", 502: "unknown", 503: "unknown", 504: "unknown", 599: "unknown",
	} {
		a := refusing(t, status, nil, `{"s3cret":"s3cret"}`)
		_, err := open(t, "url: "+a.URL+replying).Reply(t.Context(), replyTo(a))
		if got := outcomeOf(err); got != want || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%d: %s, %v; want %s", status, got, err, want)
		}
		if asked := a.asked(); len(asked) != 1 {
			t.Errorf("%d: %v", status, asked)
		}
	}
}

func TestAnAnswerMaySayWhenToComeBack(t *testing.T) {
	t.Parallel()
	quota := http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"30"}}
	later := http.Header{"Retry-After": {"7"}}
	for _, test := range []struct {
		status int
		header http.Header
		want   string
	}{
		{403, later, "after 7s"}, {425, later, "after 7s"}, {429, later, "after 7s"},
		{403, quota, "after 30s"}, {429, quota, "after 30s"},
		{408, later, "unknown"}, {503, later, "unknown"}, {500, quota, "unknown"},
		{404, quota, "refused: the API answered 404 Not Found: what this is about may have been deleted"},
	} {
		a := refusing(t, test.status, test.header, "")
		_, err := open(t, "url: "+a.URL+replying).Reply(t.Context(), replyTo(a))
		if got := outcomeOf(err); got != test.want {
			t.Errorf("%d %v: %s, %v", test.status, test.header, got, err)
		}
	}
}

func TestRulesHoldForActionsToo(t *testing.T) {
	t.Parallel()
	const rules = `
errors:
  - {when: .error == "closed", do: refuse, message: the topic is closed}
  - {when: .error == "revoked", do: stop, message: the token was revoked}
  - {when: .error == "slow", do: wait, after: .seconds}
  - {when: .error == "busy", do: retry}
  - {when: .error == "gone", do: skip}
`
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{200, `{"error":"closed"}`, "refused: the topic is closed"},
		{403, `{"error":"closed"}`, "refused: the topic is closed"},
		{200, `{"error":"revoked"}`, "stop"},
		{400, `{"error":"slow","seconds":9}`, "after 9s"},
		{400, `{"error":"slow"}`, "after 1m0s"},
		{409, `{"error":"busy"}`, "not done"},
		{404, `{"error":"gone"}`, "refused: the API answered 404 Not Found: what this is about may have been deleted"},
		{200, `{"error":"gone"}`, "done"},
		{200, `[7]`, "done"}, // on which no rule can be asked
		{200, `no JSON`, "done"},
		// Whatever the answer says, it may have been done.
		{500, `{"error":"busy"}`, "unknown"}, {503, `{"error":"slow"}`, "unknown"}, {500, `{"error":"closed"}`, "unknown"},
	} {
		a := refusing(t, test.status, nil, test.body)
		_, err := open(t, "url: "+a.URL+replying+rules).Reply(t.Context(), replyTo(a))
		if got := outcomeOf(err); got != test.want {
			t.Errorf("%d %s: %s, %v", test.status, test.body, got, err)
		}
	}
}

func TestARefuseRuleIsNoneForPulls(t *testing.T) {
	t.Parallel()
	a := refusing(t, 200, nil, posts(1))
	poll(t, open(t, "url: "+a.URL+"\nerrors: [{when: 'true', do: refuse, message: no}]")).want(t, "test-1")
}

func TestWhatIsGoneIsDeleted(t *testing.T) {
	t.Parallel()
	const rule = "errors: [{when: .code == 7, do: refuse, message: no}]\n"
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{204, "", "done"}, {404, "", "done"}, {410, "x", "done"}, {404, `{"code":7}`, "refused: no"}, {403, "", "stop"},
	} {
		a := refusing(t, test.status, nil, test.body)
		remove := noted(a, socialhub.ActionDelete, "delete")
		if got := outcomeOf(open(t, "url: "+a.URL+replying+rule).Delete(t.Context(), &remove)); got != test.want {
			t.Errorf("%d %s: %s", test.status, test.body, got)
		}
		press := noted(a, socialhub.ActionButton, "close")
		if got := outcomeOf(open(t, "url: "+a.URL+replying).PressButton(t.Context(), &press)); test.status == 404 && !strings.HasPrefix(got, "refused") {
			t.Errorf("a button: %s", got)
		}
	}
}

func TestWithoutAConnectionNothingWasDone(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	a := &api{Server: closed}
	s := open(t, "url: "+a.URL+replying)
	_, err := s.Reply(t.Context(), replyTo(a))
	if got := outcomeOf(err); got != "not done" {
		t.Error(got, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopping := errors.New("stopping")
	cancel(stopping)
	if _, err := s.Reply(ctx, replyTo(a)); outcomeOf(err) != "not done" || !errors.Is(err, stopping) {
		t.Error(err)
	}
}

func TestALostAnswerLeavesTheOutcomeUnknown(t *testing.T) {
	t.Parallel()
	received := make(chan struct{}, 1)
	ended := make(chan struct{})
	for name, test := range map[string]struct {
		settings string
		handler  http.HandlerFunc
	}{
		"cut":       {"", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"too slow":  {"timeout: 50ms", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); panic(http.ErrAbortHandler) }},
		"too large": {"max_size: 10", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 11)) }},
		"stopped": {"", func(_ http.ResponseWriter, r *http.Request) {
			received <- struct{}{}
			select {
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			case <-ended:
			}
		}},
	} {
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			test.handler(w, r)
		})
		settings := strings.Replace("url: "+a.URL+replying, "timeout: 10s", test.settings, 1)
		if name == "too large" {
			settings += "timeout: 10s"
		}
		ctx, cancel := context.WithCancel(t.Context())
		if name == "stopped" {
			go func() { <-received; cancel() }()
		}
		_, err := open(t, settings).Reply(ctx, replyTo(a))
		if got := outcomeOf(err); got != "unknown" || len(a.asked()) != 1 {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		cancel()
	}
	close(ended)
}

func TestARequestIsNotRedirected(t *testing.T) {
	t.Parallel()
	other := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, status := range []int{301, 302, 303, 307, 308} {
		a := refusing(t, status, http.Header{"Location": {other.URL}}, "")
		_, err := open(t, "url: "+a.URL+replying).Reply(t.Context(), replyTo(a))
		if err == nil || len(other.asked()) > 0 {
			t.Errorf("%d: %v", status, err)
		}
		if status == 307 && err.Error() != "actions.reply.url: is redirected with 307, which is not followed; write the address that it leads to" {
			t.Error(err)
		}
	}
}

func TestAReplyOnAnotherHostIsNotSent(t *testing.T) {
	t.Parallel()
	a, other := refusing(t, 200, nil, "{}"), refusing(t, 200, nil, "{}")
	_, err := open(t, "url: "+a.URL+replying).Reply(t.Context(), replyTo(other))
	host := strings.TrimPrefix(other.URL, "http://")
	want := fmt.Sprintf("refused: the source's settings can't make a request of this: actions.reply.url: gives an address on another host, %q, than %s; write the host out if that is right",
		host, strings.TrimPrefix(a.URL, "http://"))
	if got := outcomeOf(err); got != want || len(other.asked()) > 0 {
		t.Error(got)
	}
	written := strings.ReplaceAll(replying, `\($ref.api + "/issues/\($ref.number)/comments")`, other.URL+`/issues/\($ref.number)/comments`)
	if _, err := open(t, "url: "+a.URL+written).Reply(t.Context(), replyTo(other)); err != nil || len(other.asked()) != 1 {
		t.Error(err)
	}
}

func TestAnItemWithoutANoteIsTold(t *testing.T) {
	t.Parallel()
	a := refusing(t, 200, nil, "{}")
	for _, settings := range []string{replying, "\nactions: {reply: {url: '" + a.URL + "/x', posted: empty, body: '{parent: $ref.number}'}}"} {
		r := replyTo(a)
		r.Ref = nil
		_, err := open(t, "url: "+a.URL+settings).Reply(t.Context(), r)
		if got := outcomeOf(err); got != "refused: the source has not noted where this item is; it will when the item changes" || len(a.asked()) > 0 {
			t.Error(got)
		}
	}
}

func TestNoErrorOfAnActionShowsAKey(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(nil)
	closed.Close()
	apis := map[string]*api{
		"refused":    {Server: closed},
		"cut":        serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"no HTTP":    serve(t, hijack("s3cret\r\n\r\n")),
		"redirected": refusing(t, 302, http.Header{"Location": {"https://s3cret.example/?key=s3cret"}}, "s3cret"),
	}
	for _, status := range []int{400, 401, 403, 404, 407, 429, 500} {
		apis[http.StatusText(status)] = refusing(t, status, nil, `{"error":"s3cret"}`)
	}
	for name, a := range apis {
		settings := "url: " + a.URL + strings.Replace(replying, "auth: {bearer: s3cret}", "auth: {basic: {user: me, password: s3cret}, query: {name: key, value: s3cret}}", 1)
		_, err := open(t, settings).Reply(t.Context(), replyTo(a))
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "Hello") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// hijack answers with something that is not HTTP.
func hijack(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
}

func TestATokenTakenBackIsReplacedForAReply(t *testing.T) {
	t.Parallel()
	e := serveTokens(t, true)
	var bearers []string
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		bearers = append(bearers, r.Header.Get("Authorization"))
		if len(bearers) == 2 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"id":1}`)
	})
	settings := "url: " + a.URL + strings.Replace(replying, "auth: {bearer: s3cret}", strings.TrimSpace(e.settings("s3cret")), 1)
	s := open(t, settings)
	for range 2 {
		if _, err := s.Reply(t.Context(), replyTo(a)); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(bearers, ", "); got != "Bearer token-1, Bearer token-1, Bearer token-2" {
		t.Error(got)
	}
	e.refuse = func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true }
	s = open(t, settings)
	if _, err := s.Reply(t.Context(), replyTo(a)); outcomeOf(err) != "not done" {
		t.Error(err)
	}
}

func TestAPostedReplyIsNeverToldAsFailed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "s3cret: no JSON", `{"id":null}`, `{"id":1,"created_at":"s3cret"}`, `[]`, `"s3cret"`} {
		a := refusing(t, http.StatusCreated, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"-"}}, body)
		var logs bytes.Buffer
		s := openWith(t, "pause: .id.x\nurl: "+a.URL+replying, slog.NewJSONHandler(&logs, nil)).(*source)
		posted, err := s.Reply(t.Context(), replyTo(a))
		if err != nil || posted.NetworkItemID != "" {
			t.Errorf("%q: %v %v", body, posted, err)
		}
		if !strings.Contains(logs.String(), "actions.reply.posted") || strings.Contains(logs.String(), "s3cret") {
			t.Errorf("%q: %s", body, &logs)
		}
	}
}

func TestActionsAreCarriedOutOneAtATimeEachOnANewConnection(t *testing.T) {
	t.Parallel()
	var now, most, connections atomic.Int32
	a := &api{}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		fmt.Fprint(w, `{"id":1}`)
	}))
	a.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	a.Start()
	t.Cleanup(a.Close)
	s := open(t, "url: "+a.URL+replying)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if _, err := s.Reply(t.Context(), replyTo(a)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 || connections.Load() != 5 {
		t.Error(most.Load(), connections.Load())
	}
}

func TestASourceCanDoWhatItsSettingsDeclare(t *testing.T) {
	t.Parallel()
	a := refusing(t, 200, nil, "{}")
	all, none := open(t, "url: "+a.URL+replying), open(t, "url: "+a.URL)
	for _, test := range []struct {
		kind   socialhub.ActionType
		id     string
		can    bool
		repeat time.Duration
	}{
		{socialhub.ActionReply, "anything", true, 0},
		{socialhub.ActionTemplateReply, "anything", true, 0},
		{socialhub.ActionDelete, "anything", true, 0},
		{socialhub.ActionButton, "close", true, sources.Always},
		{socialhub.ActionButton, "open", false, 0},
		{"new kind", "close", false, 0},
	} {
		if got := sources.Can(all, test.kind, test.id); got != test.can || sources.Can(none, test.kind, test.id) {
			t.Errorf("%s %s: %t", test.kind, test.id, got)
		}
		if got := all.RepeatableFor(&sources.Action{Type: test.kind, ID: test.id}); got != test.repeat {
			t.Errorf("%s %s: %s", test.kind, test.id, got)
		}
	}
	if _, err := none.Reply(t.Context(), replyTo(a)); outcomeOf(err) != "refused: the source is not set up for this" {
		t.Error(err)
	}
	daily := open(t, "url: "+a.URL+"\nactions: {reply: {url: '"+a.URL+"', posted: empty, repeatable: 24h}}")
	if got := daily.RepeatableFor(&replyTo(a).Action); got != 24*time.Hour {
		t.Error(got)
	}
}

const finding = `
    find:
      url: \($ref.api + "/issues/\($ref.number)/comments")
      query: {since: \($since)}
      posted: '.[] | select(.body == $action.text) | {networkItemId: item_id("\($prefix)-comment"; .id)}'
`

func TestAReplyIsFoundByItsTextAndTime(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 3, 1, 12, 0, 30, 0, time.FixedZone("", 3600))
	for answer, want := range map[string]string{
		`[]`: "not found",
		`[{"id":70001,"body":"Hi"},{"id":70002,"body":"Hello, \"you\"!"}]`:              "test-comment-70002",
		`[{"id":70001,"body":"Hello, \"you\"!"},{"id":70002,"body":"Hello, \"you\"!"}]`: "actions.reply.find.posted: the jq program gives several outputs where one is wanted",
		`no JSON`:                    "actions.reply.find.url: URL/… answered with something that is not valid JSON at byte 2",
		`[{"id":1,"body":"Hi"},"x"]`: "actions.reply.find.posted: expected an object but got: string",
	} {
		a := refusing(t, 200, nil, answer)
		s := openWith(t, "url: "+a.URL+strings.Replace(replying, "\n  template_reply", finding+"  template_reply", 1), slog.DiscardHandler)
		posted, found, err := s.(sources.Finder).FindReply(t.Context(), replyTo(a), first)
		got := posted.NetworkItemID
		switch {
		case err != nil:
			got = strings.ReplaceAll(err.Error(), a.URL, "URL")
		case !found:
			got = "not found"
		}
		if got != want {
			t.Errorf("%s: %s; want %s", answer, got, want)
		}
		if asked := strings.Join(a.asked(), " "); asked != "/issues/42/comments?since=2026-03-01T10%3A59%3A30Z" {
			t.Error(asked)
		}
	}
	for _, status := range []int{404, 429, 500} {
		a := refusing(t, status, nil, "[]")
		s := openWith(t, "url: "+a.URL+strings.Replace(replying, "\n  template_reply", finding+"  template_reply", 1), slog.DiscardHandler)
		if _, found, err := s.(sources.Finder).FindReply(t.Context(), replyTo(a), first); found || err == nil {
			t.Errorf("%d is taken for an answer", status)
		}
	}
}

func TestOnlyASourceThatSaysHowCanFindReplies(t *testing.T) {
	t.Parallel()
	var s sources.Source = open(t, "url: https://example.com"+replying)
	if _, can := s.(sources.Finder); can {
		t.Error("it says that it can")
	}
}
