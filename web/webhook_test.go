package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

const (
	hookChannel    = "5cc1b08ad62ec72e8388cb47"
	otherChannel   = "5cc1b08ad62ec72e8388cb48"
	hookTicket     = "5cc1b08ad62ec72e8388cb49"
	hookText       = "what the team wrote"
	hookSecretText = "correct-horse-battery-staple-0123456789"
)

func hookSecret(tb testing.TB) socialhub.WebhookSecret {
	tb.Helper()
	s, err := socialhub.ParseWebhookSecret(hookSecretText)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// inbox notes what it gets.
type inbox struct {
	mu   sync.Mutex
	got  []store.Receipt
	fail func(context.Context) error
}

func (i *inbox) Receive(ctx context.Context, channelID string, r store.Receipt) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fail != nil {
		return 0, i.fail(ctx)
	}
	if channelID != hookChannel {
		return 0, errors.New("another channel")
	}
	i.got = append(i.got, r)
	return len(r.Actions), nil
}

// post is a receiver of one channel with all that is seen of it.
type post struct {
	t       *testing.T
	inbox   inbox
	woken   []string
	log     bytes.Buffer
	handler http.Handler
	rc      *Receiver
	secret  socialhub.WebhookSecret
}

func newPost(t *testing.T, change func(*ReceiverOptions)) *post {
	t.Helper()
	p := &post{t: t, secret: hookSecret(t)}
	o := ReceiverOptions{
		Inbox: &p.inbox, Wake: func(id string) { p.woken = append(p.woken, id) }, Logger: slog.New(slog.NewJSONHandler(&p.log, nil)),
		Webhooks: []Webhook{{ChannelID: hookChannel, Name: "support", Secret: p.secret, Tolerance: 5 * time.Minute, Fingerprint: "f"}},
	}
	if change != nil {
		change(&o)
	}
	p.rc = NewReceiver(o)
	mux := http.NewServeMux()
	p.rc.register(mux)
	p.handler = guarded(mux)
	return p
}

// request is one of SocialHub's, signed at a time.
func (p *post) request(method, path, body string, at time.Time) *http.Request {
	r := httptest.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	r.Header.Set(socialhub.HeaderTimestamp, timestamp)
	r.Header.Set(socialhub.HeaderSignature, p.secret.Sign(timestamp, []byte(body)))
	return r
}

func (p *post) send(r *http.Request) *http.Response {
	p.t.Helper()
	recorder := httptest.NewRecorder()
	p.handler.ServeHTTP(recorder, r)
	return recorder.Result()
}

// want checks an answer: its status, whether it has the challenge, and that it says nothing else.
func (p *post) want(r *http.Request, status int, challenge bool) {
	p.t.Helper()
	timestamp := r.Header.Get(socialhub.HeaderTimestamp)
	resp := p.send(r)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != status || len(body) != 0 {
		p.t.Errorf("%d %q, want %d and no body; log: %s", resp.StatusCode, body, status, &p.log)
	}
	want := ""
	if challenge {
		want = p.secret.Challenge(timestamp)
	}
	if got := resp.Header.Get(socialhub.HeaderChallenge); got != want {
		p.t.Errorf("challenge %q, want %q", got, want)
	}
}

func (p *post) deliver(body string) *http.Request {
	return p.request(http.MethodPost, "/webhook/"+hookChannel, body, time.Now())
}

// envelope is a body as SocialHub sends it.
func envelope(channel, events string) string {
	return `{"manifestId":"5cc1b08ad62ec72e8388cb40","accountId":"5cc1b08ad62ec72e8388cb41","channelId":"` + channel + `","events":` + events + `}`
}

// reply is an event with a reply.
func reply(n int) string {
	return fmt.Sprintf(`{"ticketId":%q,"networkItemId":"item-%d","type":"reply","actionId":"reply","time":1577934245000,"uuid":"u-%d",`+
		`"payload":{"followupId":"f-%d","text":%q}}`, hookTicket, n, n, n, hookText)
}

func replies(n int) string { return envelope(hookChannel, `{"ticket_action":[`+reply(n)+`]}`) }

func TestWhatARequestBringsIsStoredAndThenAnswered(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	p.want(p.deliver(envelope(hookChannel, `{"ticket_action":[`+reply(1)+`,{"ticketId":"`+hookTicket+`","networkItemId":"item-2","type":"button",
		"actionId":"like","payload":{},"time":1577934246000,"uuid":"u-2"}],"channel_action":[{"type":"disabled","time":1577934247000,"uuid":"u-3"}]}`)),
		http.StatusOK, true)
	want := []store.Receipt{{
		Fingerprint: "f", Disabled: time.UnixMilli(1577934247000).UTC(),
		Actions: []store.NewAction{
			{Key: "f-1", UUID: "u-1", Type: "reply", ActionID: "reply", NetworkItemID: "item-1", TicketID: hookTicket,
				Payload: `{"followupId":"f-1","text":"` + hookText + `"}`, Time: time.UnixMilli(1577934245000).UTC()},
			{Key: "u-2", UUID: "u-2", Type: "button", ActionID: "like", NetworkItemID: "item-2", TicketID: hookTicket, Payload: `{}`,
				Time: time.UnixMilli(1577934246000).UTC()},
		},
	}}
	if diff := cmp.Diff(want, p.inbox.got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{hookChannel}, p.woken); diff != "" {
		t.Errorf("woken: %s", diff)
	}
}

func TestTheTestRequestOfARegistrationIsAnsweredWithoutTheStore(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	p.inbox.fail = func(context.Context) error { return errors.New("down") }
	p.want(p.deliver(envelope(hookChannel, `{}`)), http.StatusOK, true)
	if len(p.woken) != 0 {
		t.Error("it woke the engine for nothing")
	}
}

func TestEventsThatAreNotKnownAreAcceptedAndLogged(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	p.want(p.deliver(envelope(hookChannel, `{"weather":[{"rain":"`+hookText+`"}],"ticket_action":[`+reply(1)+`,{"type":"dance"}]}`)), http.StatusOK, true)
	if len(p.inbox.got) != 1 || len(p.inbox.got[0].Actions) != 1 {
		t.Errorf("stored: %+v", p.inbox.got)
	}
	wantWords(t, p.log.String(), "weather: not a kind of event that is documented", "not a type of action that is documented")
	wantNoWords(t, p.log.String(), hookText)
}

func TestASignedRequestThatMakesNoSenseIsNotToComeAgain(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null", "[]", "{", `{"channelId":"x"}`, `{"events":{}}`, replies(1)[:100], "\xff\xfe\x00{", strings.Repeat("[", 20_000)} {
		p := newPost(t, nil)
		p.want(p.deliver(body), http.StatusOK, true)
		if len(p.inbox.got) != 0 {
			t.Errorf("%q was stored", body)
		}
		wantWords(t, p.log.String(), "webhook request passed over")
	}
}

func TestTextThatIsNoUTF8IsStoredAsFarAsItIs(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	body := strings.Replace(replies(1), hookText, "caf\xe9", 1)
	r := p.deliver(body)
	r.Header.Set("Content-Type", "application/json; charset=iso-8859-1")
	p.want(r, http.StatusOK, true)
	if got := p.inbox.got; len(got) != 1 || !strings.Contains(got[0].Actions[0].Payload, "caf\uFFFD") {
		t.Errorf("stored: %+v", got)
	}
}

func TestAnEventWithoutATimeIsOfNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, at := range []string{"0", "-5", "9223372036854775807"} {
			p := newPost(t, nil)
			p.want(p.deliver(strings.Replace(replies(1), "1577934245000", at, 1)), http.StatusOK, true)
			if got := p.inbox.got[0].Actions[0].Time; !got.Equal(time.Now()) {
				t.Errorf("%s: %s", at, got)
			}
		}
	})
}

// TestNobodyElseIsBelieved sends what is not SocialHub's, or not whole, or not for this path. The answers have no detail.
func TestNobodyElseIsBelieved(t *testing.T) {
	t.Parallel()
	now := time.Now()
	big := envelope(hookChannel, `{"x":"`+strings.Repeat("x", maxBody)+`"}`)
	for name, test := range map[string]struct {
		request func(*post) *http.Request
		status  int
		reason  string
	}{
		"forged": {func(p *post) *http.Request {
			r := p.deliver(replies(1))
			r.Header.Set(socialhub.HeaderSignature, strings.Repeat("0", 64))
			return r
		}, 401, "the signature is not that of our secret"},
		"with another body": {func(p *post) *http.Request {
			r := p.deliver(replies(1))
			r.Body = io.NopCloser(strings.NewReader(replies(2)))
			return r
		}, 401, "the signature is not that of our secret"},
		"unsigned": {func(p *post) *http.Request {
			r := p.deliver(replies(1))
			r.Header.Del(socialhub.HeaderSignature)
			return r
		}, 401, "the request is not signed"},
		"without a time": {func(p *post) *http.Request {
			r := p.deliver(replies(1))
			r.Header.Del(socialhub.HeaderTimestamp)
			return r
		}, 401, "the request is not signed"},
		"with a strange time": {func(p *post) *http.Request {
			r := p.deliver(replies(1))
			r.Header.Set(socialhub.HeaderTimestamp, "yesterday")
			return r
		}, 401, "no number of milliseconds"},
		"replayed later": {func(p *post) *http.Request {
			return p.request(http.MethodPost, "/webhook/"+hookChannel, replies(1), now.Add(-5*time.Minute-time.Second))
		}, 401, "check this machine's clock"},
		"from the future": {func(p *post) *http.Request {
			return p.request(http.MethodPost, "/webhook/"+hookChannel, replies(1), now.Add(6*time.Minute))
		}, 401, "check this machine's clock"},
		"cut short": {func(p *post) *http.Request {
			r := p.deliver(replies(1))
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(replies(1)[:50]), brokenBody{}))
			return r
		}, 400, "did not arrive whole"},
		"too large":    {func(p *post) *http.Request { return p.deliver(big) }, 413, "more than 1 MiB"},
		"for nobody":   {func(p *post) *http.Request { return p.request("POST", "/webhook/"+otherChannel, replies(1), now) }, 404, "no channel"},
		"by GET":       {func(p *post) *http.Request { return p.request("GET", "/webhook/"+hookChannel, "", now) }, 405, "the method"},
		"by PUT":       {func(p *post) *http.Request { return p.request("PUT", "/webhook/"+hookChannel, replies(1), now) }, 405, "the method"},
		"no templates": {func(p *post) *http.Request { return p.request("POST", "/webhook/"+hookChannel+"/templates", "", now) }, 405, "the method"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPost(t, nil)
			p.want(test.request(p), test.status, false)
			if len(p.inbox.got) != 0 || len(p.woken) != 0 {
				t.Errorf("stored: %+v", p.inbox.got)
			}
			wantWords(t, p.log.String(), test.reason, `"peer":"192.0.2.1"`, `"status":`+strconv.Itoa(test.status))
			wantNoWords(t, p.log.String(), hookText, hookSecretText, otherChannel)
		})
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) {
	return 0, errors.New("read tcp 192.0.2.1: connection reset by peer")
}

func TestTheSizeOfABodyIsLimitedToTheByte(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	frame := len(envelope(hookChannel, `{"x":""}`))
	p.want(p.deliver(envelope(hookChannel, `{"x":"`+strings.Repeat("x", maxBody-frame)+`"}`)), 200, true)
	p.want(p.deliver(envelope(hookChannel, `{"x":"`+strings.Repeat("x", maxBody-frame+1)+`"}`)), 413, false)
}

func TestEventsOfAnotherChannelAreRefused(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	p.want(p.deliver(strings.Replace(replies(1), hookChannel, otherChannel, 1)), http.StatusBadRequest, true)
	if len(p.inbox.got) != 0 {
		t.Errorf("stored: %+v", p.inbox.got)
	}
	wantWords(t, p.log.String(), "the events are for another channel")
}

func TestASecretIsThatOfOneChannel(t *testing.T) {
	t.Parallel()
	other, err := socialhub.ParseWebhookSecret(strings.Repeat("x", 32))
	if err != nil {
		t.Fatal(err)
	}
	p := newPost(t, func(o *ReceiverOptions) {
		o.Webhooks = append(o.Webhooks, Webhook{ChannelID: otherChannel, Name: "press", Secret: other, Tolerance: time.Minute})
	})
	p.want(p.request("POST", "/webhook/"+otherChannel, envelope(otherChannel, "{}"), time.Now()), http.StatusUnauthorized, false)
}

func TestAStoreInTroubleIsToldWithTheChallenge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t, nil)
		p.inbox.fail = func(context.Context) error { return errors.New("connection refused") }
		p.want(p.deliver(replies(1)), http.StatusServiceUnavailable, true)
		began := time.Now()
		p.inbox.fail = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		p.want(p.deliver(replies(1)), http.StatusServiceUnavailable, true)
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("it waited %s for the store", waited)
		}
		if len(p.woken) != 0 {
			t.Error("it woke the engine for nothing")
		}
		wantWords(t, p.log.String(), "SocialHub sends it again", "connection refused")
	})
}

func TestWhatBreaksDownIsAnsweredWithTheChallengeToo(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(o *ReceiverOptions) {
		o.Webhooks[0].Templates = func(context.Context) ([]socialhub.Template, error) { panic("a word of the team") }
	})
	p.inbox.fail = func(context.Context) error { panic("a word of the team") }
	p.want(p.deliver(replies(1)), http.StatusInternalServerError, true)
	p.want(p.request(http.MethodGet, "/webhook/"+hookChannel+"/templates?channelId="+hookChannel, "", time.Now()), http.StatusInternalServerError, true)
	if log := p.log.String(); strings.Count(log, "webhook request broke down") != 2 || strings.Contains(log, "a word of the team") {
		t.Errorf("log: %s", log)
	}
	p.inbox.fail = nil
	p.want(p.deliver(replies(2)), http.StatusOK, true)
	if n := testutil.ToFloat64(p.rc.requests.WithLabelValues("support", resultUnavailable)); n != 2 {
		t.Errorf("%v requests counted as unavailable", n)
	}
}

func TestWhatArrivedIsStoredThoughWhoSentItHungUp(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	p.inbox.fail = func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	}
	p.want(p.deliver(replies(1)).WithContext(ctx), http.StatusOK, true)
}

func TestAFloodOfBadRequestsIsNoFloodOfLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t, nil)
		bad := func() *http.Request {
			r := p.deliver(replies(1))
			r.Header.Set(socialhub.HeaderSignature, "00")
			return r
		}
		for range 1000 {
			p.want(bad(), 401, false)
		}
		if lines := strings.Count(p.log.String(), "\n"); lines != logBurst {
			t.Errorf("%d lines", lines)
		}
		// A flood of the one keeps no line of the other from being written.
		p.inbox.fail = func(context.Context) error { return errors.New("down") }
		p.want(p.deliver(replies(1)), 503, true)
		wantWords(t, p.log.String(), "SocialHub sends it again")
		time.Sleep(logEvery)
		p.want(bad(), 401, false)
		wantWords(t, p.log.String(), `"lines_left_out":990`)
	})
}

func TestTheNumbersOfTheReceiver(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	p.want(p.deliver(replies(1)), 200, true)
	p.want(p.deliver(envelope(hookChannel, "{}")), 200, true)
	p.want(p.deliver("{"), 200, true)
	p.want(p.deliver(envelope(otherChannel, "{}")), 400, true)
	p.want(p.request("POST", "/webhook/"+otherChannel, "", time.Now()), 404, false)
	p.inbox.fail = func(context.Context) error { return errors.New("down") }
	p.want(p.deliver(replies(1)), 503, true)

	w := newWorld(t)
	handler := New(Options{Store: w.store, Channels: configured(), Receiver: p.rc, Version: "v1.2.3", Logger: nopLog})
	t.Cleanup(handler.Close)
	w.handler = handler
	wantWords(t, w.get("/metrics", 200),
		`socialhub_sync_webhook_requests_total{channel="support",result="taken"} 2`,
		`socialhub_sync_webhook_requests_total{channel="support",result="passed_over"} 1`,
		`socialhub_sync_webhook_requests_total{channel="support",result="refused"} 1`,
		`socialhub_sync_webhook_requests_total{channel="support",result="unavailable"} 1`,
		`socialhub_sync_webhook_requests_total{channel="",result="refused"} 1`)
}

func TestOtherWebhooksAreKnownFromNowOn(t *testing.T) {
	t.Parallel()
	p := newPost(t, nil)
	p.want(p.deliver(replies(1)), 200, true)
	event := func(channel string) *http.Request {
		return p.request("POST", "/webhook/"+channel, envelope(channel, "{}"), time.Now())
	}
	p.rc.Know([]Webhook{{ChannelID: otherChannel, Name: "sales", Secret: p.secret, Tolerance: time.Minute}}, nil)
	p.want(event(hookChannel), 404, false)
	p.want(event(otherChannel), 200, true)
	// Those of sales, and the one of a path that names no channel.
	if n := testutil.CollectAndCount(p.rc.requests); n != len(webhookResults)+1 {
		t.Errorf("%d numbers are left", n)
	}
	other, err := socialhub.ParseWebhookSecret(strings.ToUpper(hookSecretText))
	if err != nil {
		t.Fatal(err)
	}
	p.rc.Know([]Webhook{{ChannelID: otherChannel, Name: "sales", Secret: other, Tolerance: time.Minute}}, nil)
	p.want(event(otherChannel), 401, false)
	p.secret = other
	p.want(event(otherChannel), 200, true)
}

func TestTemplatesAreListedForSocialHubAlone(t *testing.T) {
	t.Parallel()
	list := []socialhub.Template{{Name: "Thanks", NetworkID: "t-1", Text: socialhub.TemplateText{EN: "Hello {{firstName}}"}}}
	var fail error
	p := newPost(t, func(o *ReceiverOptions) {
		o.Webhooks[0].Templates = func(context.Context) ([]socialhub.Template, error) { return list, fail }
	})
	ask := func(query string) *http.Request {
		return p.request(http.MethodGet, "/webhook/"+hookChannel+"/templates"+query, "", time.Now())
	}
	for _, want := range [][]socialhub.Template{list, {}} {
		list = want
		r := ask("?channelId=" + hookChannel)
		resp := p.send(r)
		var got []socialhub.Template
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%d, %v", resp.StatusCode, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if resp.Header.Get(socialhub.HeaderChallenge) != p.secret.Challenge(r.Header.Get(socialhub.HeaderTimestamp)) {
			t.Error("without the challenge")
		}
	}
	p.want(ask(""), http.StatusBadRequest, true)
	p.want(ask("?channelId="+otherChannel), http.StatusBadRequest, true)
	forged := ask("?channelId=" + hookChannel)
	forged.Header.Set(socialhub.HeaderSignature, p.secret.Sign(forged.Header.Get(socialhub.HeaderTimestamp), []byte("x")))
	p.want(forged, http.StatusUnauthorized, false)
	p.want(p.request("GET", "/webhook/"+otherChannel+"/templates?channelId="+otherChannel, "", time.Now()), http.StatusNotFound, false)
	fail = errors.New("the source is down")
	p.want(ask("?channelId="+hookChannel), http.StatusServiceUnavailable, true)
	wantWords(t, p.log.String(), "the source is down")
	none := newPost(t, nil)
	none.want(none.request("GET", "/webhook/"+hookChannel+"/templates?channelId="+hookChannel, "", time.Now()), http.StatusNotFound, true)
}

func TestNoTemplatesAreAnEmptyList(t *testing.T) {
	t.Parallel()
	p := newPost(t, func(o *ReceiverOptions) {
		o.Webhooks[0].Templates = func(context.Context) ([]socialhub.Template, error) { return nil, nil }
	})
	resp := p.send(p.request(http.MethodGet, "/webhook/"+hookChannel+"/templates?channelId="+hookChannel, "", time.Now()))
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "[]" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestWhoAskedIsTakenFromTrustedProxiesAlone(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("127.0.0.1/32")}
	for _, test := range []struct{ remote, forwarded, want string }{
		{"198.51.100.1:4711", "", "198.51.100.1"},
		{"198.51.100.1:4711", "203.0.113.9", "198.51.100.1"},
		{"10.1.1.1:4711", "", "10.1.1.1"},
		{"10.1.1.1:4711", "203.0.113.9", "203.0.113.9"},
		{"[::ffff:10.1.1.1]:4711", "203.0.113.9", "203.0.113.9"},
		{"10.1.1.1:4711", "192.0.2.66, 203.0.113.9", "203.0.113.9"},
		{"10.1.1.1:4711", "192.0.2.66, 203.0.113.9, 10.2.2.2", "203.0.113.9"},
		{"127.0.0.1:4711", "203.0.113.9,  [2001:db8::1]:99 ", "203.0.113.9"},
		{"10.1.1.1:4711", "203.0.113.9:1234", "203.0.113.9"},
		{"10.1.1.1:4711", "10.9.9.9, 10.8.8.8", "10.9.9.9"},
		{"10.1.1.1:4711", "203.0.113.9, <script>", "10.1.1.1"},
		{"10.1.1.1:4711", "203.0.113.9, unknown, 10.3.3.3", "10.3.3.3"},
		{"[fe80::1%eth0]:4711", "203.0.113.9", "fe80::1"},
		{"@", "203.0.113.9", "unknown"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
		r.RemoteAddr = test.remote
		first, second, two := strings.Cut(test.forwarded, ",")
		if r.Header.Set("X-Forwarded-For", first); two {
			r.Header.Add("X-Forwarded-For", second) // a header may stand there twice, which is one list
		}
		if got := peer(r, proxies); got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
}

// FuzzReceiver sends anything. Nothing is stored that was not signed, nothing unsigned gets a challenge, and no answer has words.
func FuzzReceiver(f *testing.F) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when a bubble's time begins
	secret := hookSecret(f)
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	for _, body := range []string{replies(1), envelope(hookChannel, "{}"), envelope(otherChannel, "{}"), "{", "", "\xff"} {
		f.Add("POST", "/webhook/"+hookChannel, timestamp, secret.Sign(timestamp, []byte(body)), "203.0.113.9", []byte(body), false)
		f.Add("POST", "/webhook/"+hookChannel, timestamp, "00", "10.1.1.1, x", []byte(body), true)
	}
	f.Add("GET", "/webhook/"+hookChannel+"/templates?channelId="+hookChannel, timestamp, secret.Sign(timestamp, nil), "", []byte{}, false)
	f.Add("PATCH", "/webhook/x", "-1", "", ",,", []byte("x"), true)
	f.Fuzz(func(t *testing.T, method, path, timestamp, signature, forwarded string, body []byte, sign bool) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, bytes.NewReader(body))
		if err != nil {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			p := newPost(t, func(o *ReceiverOptions) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
			if sign {
				signature = secret.Sign(timestamp, body)
			}
			r.RemoteAddr = "10.1.1.1:1"
			r.Header.Set(socialhub.HeaderTimestamp, timestamp)
			r.Header.Set(socialhub.HeaderSignature, signature)
			r.Header.Set("X-Forwarded-For", forwarded)
			resp := p.send(r)
			_, unsigned := secret.Verify(r.Header, body, time.Now(), 5*time.Minute)
			_, unasked := secret.Verify(r.Header, nil, time.Now(), 5*time.Minute)
			if challenged := resp.Header.Get(socialhub.HeaderChallenge) != ""; challenged && unsigned != nil && unasked != nil {
				t.Errorf("a challenge for %q %q", timestamp, signature)
			}
			if len(p.inbox.got) > 0 && (unsigned != nil || resp.StatusCode != 200) {
				t.Errorf("stored, and answered by %d", resp.StatusCode)
			}
			if strings.Contains(p.log.String(), hookSecretText) {
				t.Error("the secret is in the log")
			}
		})
	})
}
