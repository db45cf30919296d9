package socialhub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTestClient returns a client for an API at baseURL; the options may be nil.
func newTestClient(tb testing.TB, baseURL string, change func(*Options)) *Client {
	tb.Helper()
	o := Options{BaseURL: baseURL, Token: testToken(tb)}
	if change != nil {
		change(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// serve starts an API with the handler and returns a client for it.
func serve(tb testing.TB, h http.HandlerFunc) *Client {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return newTestClient(tb, s.URL, nil)
}

// routes are all calls of the client, by name.
var routes = map[string]func(context.Context, *Client) Answer{
	"channel": func(ctx context.Context, c *Client) Answer { _, a := c.Channel(ctx); return a },
	"create":  func(ctx context.Context, c *Client) Answer { return c.Create(ctx, fullInteraction()) },
	"update": func(ctx context.Context, c *Client) Answer {
		return c.Update(ctx, testTicket, UpdateOf(fullInteraction(), time.Time{}), true)
	},
	"confirm": func(ctx context.Context, c *Client) Answer {
		return c.Confirm(ctx, testTicket, "followup-1", &PostedReply{NetworkItemID: "reply-1", URL: "https://example.com/1"})
	},
	"fail": func(ctx context.Context, c *Client) Answer {
		return c.Fail(ctx, testTicket, "reply", "followup-1", "the post was deleted")
	},
	"manifest": func(ctx context.Context, c *Client) Answer { _, a := c.Manifest(ctx); return a },
	"remove":   func(ctx context.Context, c *Client) Answer { return c.RemoveWebhook(ctx) },
}

// succeed answers every route as documented.
func succeed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.Method {
	case http.MethodGet:
		fmt.Fprintf(w, `{"channel":{"_id":%q,"name":"Support","uniqueName":"Support #1","accountId":%q,"networkId":"us"},"manifest":{}}`,
			testChannel, testAccount)
	case http.MethodPost:
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"_id":%q,"interaction":{"message":"x"}}`, testTicket)
	default:
		fmt.Fprintf(w, `{"_id":%q,"interaction":{"message":"x"}}`, testTicket)
	}
}

// checkAnswer holds every answer to what the doc comments promise.
func checkAnswer(tb testing.TB, a Answer) {
	tb.Helper()
	noSecret(tb, fmt.Sprintf("%+v", a))
	if n := len([]rune(a.Reason)); n > maxReason {
		tb.Errorf("the reason has %d characters", n)
	}
	if a.Reason != oneLine(a.Reason) || strings.Contains(a.Reason, "\xff") {
		tb.Errorf("the reason is not one clean line: %q", a.Reason)
	}
	if (a.Outcome == Done) != (a.Reason == "") {
		tb.Errorf("outcome %d with the reason %q", a.Outcome, a.Reason)
	}
	if a.TicketID != "" && (a.Outcome != Done || !ValidTicketID(a.TicketID)) {
		tb.Errorf("outcome %d with the ticket %q", a.Outcome, a.TicketID)
	}
	if (a.Outcome == RateLimited) != (a.RetryAfter != 0) || a.RetryAfter < 0 || a.RetryAfter > MaxRetryAfter {
		tb.Errorf("outcome %d with the wait %v", a.Outcome, a.RetryAfter)
	}
	if !a.Limit.Known && a.Limit != (RateLimit{}) || a.Limit.Limit < 0 || a.Limit.Remaining < 0 {
		tb.Errorf("the limit is %+v", a.Limit)
	}
}

type sent struct {
	Method, URI, Body string
	Length            int64
	Header            map[string]string
}

// record answers as documented and keeps the request.
func record(got *sent) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = sent{r.Method, r.RequestURI, string(body), r.ContentLength, map[string]string{}}
		for name := range r.Header {
			got.Header[name] = r.Header.Get(name)
		}
		succeed(w, r)
	}
}

func TestARequestIsWhatSocialHubDocuments(t *testing.T) {
	t.Parallel()
	get := map[string]string{"Accept": "application/json", "User-Agent": "test/1"}
	write := func(body string) map[string]string {
		return map[string]string{"Accept": "application/json", "User-Agent": "test/1", "Content-Type": "application/json",
			"Content-Length": strconv.Itoa(len(body))}
	}
	created := `{"interaction":{"networkItemId":"abcdef","message":"<b> & \"ü\" 😀"}}`
	updated := `{"interaction":{"message":"","pictures":[],"attachments":[],"link":"https://example.com/","updatedTime":"2020-01-02T03:04:05Z"}}`
	confirmed := `{"interaction":{"networkItemId":"reply-1","createdTime":"2020-01-02T03:04:05Z","url":"https://example.com/1"}}`
	failed := `{"followupId":"f-1","reason":"the post was deleted"}`
	webhook := `{"webhook":{"url":"https://example.com/hook","secret":"` + testSecret + `"}}`
	update := &Update{Link: "https://example.com/", UpdatedTime: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}
	for name, c := range map[string]struct {
		call func(context.Context, *Client) Answer
		want sent
	}{
		"channel": {routes["channel"], sent{"GET", "/?accesstoken=" + testRaw, "", 0, get}},
		"create": {func(ctx context.Context, c *Client) Answer {
			return c.Create(ctx, &Interaction{NetworkItemID: "abcdef", Message: `<b> & "ü" 😀`})
		}, sent{"POST", "/inbox/tickets?accesstoken=" + testRaw, created, int64(len(created)), write(created)}},
		"update": {func(ctx context.Context, c *Client) Answer { return c.Update(ctx, testTicket, update, false) },
			sent{"PATCH", "/inbox/tickets/" + testTicket + "?accesstoken=" + testRaw, updated, int64(len(updated)), write(updated)}},
		"update with reset": {func(ctx context.Context, c *Client) Answer { return c.Update(ctx, testTicket, update, true) },
			sent{"PATCH", "/inbox/tickets/" + testTicket + "?accesstoken=" + testRaw + "&reset=true", updated, int64(len(updated)), write(updated)}},
		"confirm": {func(ctx context.Context, c *Client) Answer {
			return c.Confirm(ctx, testTicket, "f-1", &PostedReply{NetworkItemID: "reply-1", CreatedTime: update.UpdatedTime, URL: "https://example.com/1"})
		}, sent{"POST", "/inbox/tickets/" + testTicket + "/replies/f-1/success?accesstoken=" + testRaw, confirmed, int64(len(confirmed)), write(confirmed)}},
		"fail": {func(ctx context.Context, c *Client) Answer {
			return c.Fail(ctx, testTicket, "reply-action", "f-1", "the post was deleted")
		}, sent{"POST", "/inbox/tickets/" + testTicket + "/reset/reply-action?accesstoken=" + testRaw, failed, int64(len(failed)), write(failed)}},
		"manifest": {routes["manifest"], sent{"PATCH", "/manifest?accesstoken=" + testRaw, "{}", 2, write("{}")}},
		"remove":   {routes["remove"], sent{"PATCH", "/manifest?accesstoken=" + testRaw, `{"webhook":null}`, 16, write(`{"webhook":null}`)}},
		"webhook": {func(ctx context.Context, c *Client) Answer {
			_, a := c.ChangeManifest(ctx, &Manifest{Webhook: &Webhook{URL: "https://example.com/hook", Secret: hookSecret(t)}})
			return a
		}, sent{"PATCH", "/manifest?accesstoken=" + testRaw, webhook, int64(len(webhook)), write(webhook)}},
	} {
		for _, prefix := range []string{"", "/", "/api/v1", "/api/v1//"} {
			var got sent
			s := httptest.NewServer(record(&got))
			client := newTestClient(t, s.URL+prefix, func(o *Options) { o.UserAgent = "test/1" })
			a := c.call(t.Context(), client)
			client.Close()
			s.Close()
			checkAnswer(t, a)
			if a.Outcome != Done {
				t.Fatalf("%s: %+v", name, a)
			}
			want := c.want
			want.URI = strings.TrimRight(prefix, "/") + want.URI
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s below %q (-want +got):\n%s", name, prefix, diff)
			}
		}
	}
	if update.Pictures != nil {
		t.Error("the caller's update was changed")
	}
}

func TestASuccessTellsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-RateLimit-Limit", "60")
		w.Header().Set("X-RateLimit-Remaining", "59")
		succeed(w, r)
	})
	limit := RateLimit{Known: true, Limit: 60, Remaining: 59}
	channel, a := c.Channel(t.Context())
	if a != (Answer{Outcome: Done, Limit: limit}) {
		t.Errorf("channel: %+v", a)
	}
	if want := (Channel{testChannel, "Support", "Support #1", testAccount, "us"}); channel != want {
		t.Errorf("channel %+v, want %+v", channel, want)
	}
	for _, name := range []string{"create", "update", "confirm", "fail"} {
		if a := routes[name](t.Context(), c); a != (Answer{Outcome: Done, TicketID: testTicket, Limit: limit}) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestATicketIDThatIsNoneIsRejectedWithoutARequest(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	for _, id := range []string{"", "../../manifest", testTicket + "/replies", strings.ToUpper(testTicket)} {
		a := c.Update(t.Context(), id, UpdateOf(fullInteraction(), time.Time{}), false)
		checkAnswer(t, a)
		if a.Outcome != Rejected {
			t.Errorf("%q: %+v", id, a)
		}
		for what, a := range map[string]Answer{
			"confirm": c.Confirm(t.Context(), id, "f-1", &PostedReply{}), "confirm of": c.Confirm(t.Context(), testTicket, id+"/", &PostedReply{}),
			"fail": c.Fail(t.Context(), id, "reply", "", ""), "fail of": c.Fail(t.Context(), testTicket, id+"?", "", ""),
		} {
			if checkAnswer(t, a); a.Outcome != Rejected {
				t.Errorf("%s %q: %+v", what, id, a)
			}
		}
	}
}

func TestAManifestIsReadAsFarAsItConcernsUs(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"webhook":{"url":"https://example.com/hook"},"branding":{"color":"#fff"},"inbox":{"ticketActions":[
			{"type":"reply","id":"reply","label":{"en":"Reply","de":"Antworten","fr":"Répondre"},"config":{"maxLength":500},"attachments":{}},
			{"type":"delete","id":"delete","label":{"en":"Delete"}}]}}`)
	})
	got, a := c.Manifest(t.Context())
	want := Manifest{Webhook: &Webhook{URL: "https://example.com/hook"}, Inbox: &Inbox{TicketActions: []ManifestAction{
		{Type: ActionReply, ID: "reply", Label: Label{"Reply", "Antworten", "Répondre"}, Config: &ActionConfig{MaxLength: 500}, Attachments: &ActionFiles{}},
		{Type: ActionDelete, ID: "delete", Label: Label{EN: "Delete"}},
	}}}
	same := cmp.Comparer(func(a, b WebhookSecret) bool { return a == b })
	if diff := cmp.Diff(want, got, same); a.Outcome != Done || diff != "" {
		t.Errorf("%+v %s", a, diff)
	}
}

func TestABodyThatJSONCannotCarryIsRejectedWithoutARequest(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	i := fullInteraction()
	i.CreatedTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	a := c.Create(t.Context(), i)
	checkAnswer(t, a)
	if a.Outcome != Rejected || !strings.Contains(a.Reason, "year") {
		t.Errorf("%+v", a)
	}
}

func TestNewClientRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"api.socialhub.io", "//api.socialhub.io", "ftp://api.socialhub.io", "https://", "https://:443",
		"https://me:password@example.com", "https://example.com/?a=b", "https://example.com/?", "https://example.com/#a",
		"https://example.com:port", "https://exa mple.com", "\x00"} {
		_, err := NewClient(Options{BaseURL: base, Token: testToken(t)})
		if err == nil || !strings.Contains(err.Error(), "api_url") || strings.Contains(err.Error(), "password") {
			t.Errorf("%q: %v", base, err)
		}
	}
	if _, err := NewClient(Options{}); err == nil || !strings.Contains(err.Error(), "access token") {
		t.Errorf("no token: %v", err)
	}
}

func TestTheDefaultsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, "", nil)
	if c.base.String() != DefaultBaseURL || DefaultBaseURL != "https://api.socialhub.io" {
		t.Errorf("the API is at %s", c.base)
	}
	if got := c.get.UserAgent(); c.timeout != DefaultTimeout || got != DefaultUserAgent {
		t.Errorf("timeout %v, user agent %q", c.timeout, got)
	}
	if got := c.transport.(*http.Transport).MaxIdleConnsPerHost; got != DefaultConcurrency {
		t.Errorf("%d idle connections", got)
	}
}

func TestAClientCannotBePrinted(t *testing.T) {
	t.Parallel()
	o := Options{Token: testToken(t)}
	c := newTestClient(t, "", nil)
	for _, v := range []any{c, *c, struct{ c *Client }{c}, struct{ c Client }{*c}, o, &o} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d", "%p"} {
			noSecret(t, fmt.Sprintf(verb, v))
		}
		noSecret(t, logged(v))
	}
	//lint:ignore SA9005 that nothing comes out is what is tested
	text, _ := json.Marshal(c)
	noSecret(t, string(text))
}

// counter counts the connections that are opened to it.
type counter struct {
	net.Listener
	mu    sync.Mutex
	conns int
}

func (l *counter) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.conns++
		l.mu.Unlock()
	}
	return c, err
}

func (l *counter) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns
}

// serveCounted is serve with as many connections as the concurrency says, which are counted.
func serveCounted(t *testing.T, concurrency int, h http.HandlerFunc) (*Client, *counter) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	l := &counter{Listener: s.Listener}
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return newTestClient(t, s.URL, func(o *Options) { o.Concurrency = concurrency }), l
}

func TestOneConnectionServesWhateverIsAnswered(t *testing.T) {
	t.Parallel()
	answers := []http.HandlerFunc{succeed}
	for _, status := range []int{200, 201, 204, 301, 304, 400, 401, 403, 404, 409, 422, 429, 500, 503} {
		for _, body := range []string{"", "{", `{"code":"A","message":"b"}`, "<html>", strings.Repeat("x", 99_999)} {
			answers = append(answers, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				io.WriteString(w, body) //nolint:errcheck // some statuses take no body
			})
		}
	}
	next := 0
	c, l := serveCounted(t, 1, func(w http.ResponseWriter, r *http.Request) {
		answers[next/len(routes)](w, r)
		next++
	})
	for range answers {
		for _, call := range routes {
			checkAnswer(t, call(t.Context(), c))
		}
	}
	if got := l.count(); got != 1 {
		t.Errorf("%d connections for %d requests", got, next)
	}
}

func TestAsManyConnectionsStayOpenAsRequestsAreInFlight(t *testing.T) {
	t.Parallel()
	const concurrency, rounds = 12, 5
	var round sync.WaitGroup
	c, l := serveCounted(t, concurrency, func(w http.ResponseWriter, r *http.Request) {
		round.Done()
		round.Wait() // all are in flight at once
		succeed(w, r)
	})
	for range rounds {
		round.Add(concurrency)
		var callers sync.WaitGroup
		for range concurrency {
			callers.Go(func() { checkAnswer(t, c.Create(t.Context(), fullInteraction())) })
		}
		callers.Wait()
	}
	// A connection that is on its way back to the pool may be missed once; a pool of 2 would open 10 more in each round.
	if got := l.count(); got > 2*concurrency {
		t.Errorf("%d connections for %d rounds of %d", got, rounds, concurrency)
	}
}
