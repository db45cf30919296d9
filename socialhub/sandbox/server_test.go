package sandbox_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"socialhub-sync/socialhub/sandbox"
)

func TestTheRootRouteShowsChannelAndManifest(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{
		ID: "5cc1b08ad62ec72e8388cb41", AccountID: "5cc1b08ad62ec72e8388cb42", Name: "Support", UniqueName: "support", NetworkID: "acme",
		Manifest: json.RawMessage(`{"branding":{"color":"#3b5998"}}`), IssuedAt: time.Unix(1548694692, 0),
	})
	a := r.do("GET", "/", "")
	delete(a.json["manifest"].(map[string]any), "_id")
	want := map[string]any{
		"channel": map[string]any{
			"_id": "5cc1b08ad62ec72e8388cb41", "accountId": "5cc1b08ad62ec72e8388cb42", "name": "Support", "uniqueName": "support",
			"networkId": "acme", "createdTime": "2019-01-28T16:58:12.000Z",
		},
		"manifest": map[string]any{"branding": map[string]any{"color": "#3b5998"}},
	}
	if diff := cmp.Diff(want, a.json); diff != "" || a.status != http.StatusOK {
		t.Error(a.status, diff)
	}
}

func TestATokenIsAReadableJWT(t *testing.T) {
	t.Parallel()
	o := sandbox.ChannelOptions{ID: "5cc1b08ad62ec72e8388cb41", IssuedAt: time.Unix(1548694692, 0)}
	r := newRig(t, sandbox.Options{}, o)
	parts := strings.Split(r.channel.Token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token is %q", r.channel.Token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"accountId":"5cc1b08ad62ec72e8388cb47","channelId":"5cc1b08ad62ec72e8388cb41","iat":1548694692}`
	if string(payload) != want {
		t.Errorf("payload is %s", payload)
	}
	if again := newRig(t, sandbox.Options{}, o).channel.Token; again != r.channel.Token {
		t.Error("another run gives the same channel another token")
	}
	if other := newRig(t, sandbox.Options{Key: []byte("other")}, o).channel.Token; other == r.channel.Token {
		t.Error("another key gives the same token")
	}
}

func TestOnlyTheLatestTokenWorks(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	refused := func(when string) {
		t.Helper()
		a := r.do("POST", "/inbox/tickets", `{"interaction":{`+simple("item-1")+`}}`)
		if a.status != http.StatusUnauthorized || a.text != `{"code":"AccessTokenInvalidError","message":"Error: Invalid access token"}` {
			t.Errorf("%s: answered %d %s", when, a.status, a.text)
		}
	}
	old, id := r.channel.Token, r.channel.ID
	token, ok := r.ReplaceToken(id)
	if !ok || token == old {
		t.Fatal("the token was not replaced")
	}
	refused("replaced")
	r.channel.Token = ""
	refused("missing")
	r.channel.Token = "abc"
	refused("unknown")
	r.channel.Token = token
	if a := r.do("GET", "/", ""); a.status != http.StatusOK || a.json["channel"].(map[string]any)["_id"] != id {
		t.Errorf("the new token answered %d %s", a.status, a.text)
	}
	if got := r.Channels()[0]; got.Token != token || !got.Active || len(r.Tickets(id)) != 0 {
		t.Errorf("the channel is %+v", got)
	}
}

func TestADeactivatedChannelIsForbidden(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	r.Deactivate(r.channel.ID)
	for _, a := range []answer{r.do("GET", "/", ""), r.do("POST", "/inbox/tickets", `{"interaction":{`+simple("item-1")+`}}`)} {
		if a.status != http.StatusForbidden || a.json["code"] != "ChannelDeactivated" {
			t.Errorf("answered %d %s", a.status, a.text)
		}
	}
	r.Activate(r.channel.ID)
	r.post(simple("item-1"))
}

func TestUnknownChannelsAreToldApart(t *testing.T) {
	t.Parallel()
	s := sandbox.New(sandbox.Options{})
	_, replaced := s.ReplaceToken("x")
	_, ticket := s.Ticket("x", "item-1")
	if replaced || ticket || s.Deactivate("x") || s.Activate("x") || s.Tickets("x") != nil {
		t.Error("a channel that is not there was found")
	}
}

func TestABadChannelIsRefused(t *testing.T) {
	t.Parallel()
	s := sandbox.New(sandbox.Options{})
	if _, err := s.AddChannel(sandbox.ChannelOptions{ID: "5cc1b08ad62ec72e8388cb41"}); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]sandbox.ChannelOptions{
		"the same id":        {ID: "5cc1b08ad62ec72e8388cb41"},
		"an id of no form":   {ID: "support"},
		"a manifest of null": {Manifest: json.RawMessage(`null`)},
		"a broken manifest":  {Manifest: json.RawMessage(`{`)},
	} {
		if _, err := s.AddChannel(o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if len(s.Channels()) != 1 {
		t.Error("a refused channel is there")
	}
}

func TestOtherRoutesAndMethodsAreNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	for _, c := range [][2]string{
		{"GET", "/inbox/tickets"}, {"PUT", "/inbox/tickets"}, {"POST", "/"}, {"POST", "/inbox/tickets/"}, {"PATCH", "/inbox/tickets/"},
		{"GET", "/inbox/tickets/" + ticket}, {"DELETE", "/inbox/tickets/" + ticket}, {"GET", "/manifest"}, {"GET", "/x"}, {"POST", "/inbox/tickets/" + ticket + "/replies//success"}, {"POST", "/inbox/tickets/" + ticket + "/reset/a/b"},
		{"PATCH", "/inbox/tickets/" + ticket + "/x"}, {"PATCH", "/inbox/tickets/5cc1b08ad62ec72e8388cb47"}, {"PATCH", "/inbox/tickets/x"},
	} {
		a := r.do(c[0], c[1], `{"interaction":{"message":"a"}}`)
		if a.status != http.StatusNotFound || a.json["code"] != "NotFoundError" {
			t.Errorf("%s %s answered %d %s", c[0], c[1], a.status, a.text)
		}
	}
}

func TestRequestsAreLoggedAndCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	r.do("GET", "/", "")
	ticket := r.post(simple("item-1"))
	r.do("POST", "/inbox/tickets", `{"interaction":{`+simple("item-1")+`}}`)
	r.patch(ticket, "?reset=true", `"message":"b"`)
	r.SetFaults(sandbox.Script("", sandbox.Fault{Kind: sandbox.Lost}))
	if _, err := r.try("POST", "/x", ""); err == nil {
		t.Error("the lost answer arrived")
	}
	id := r.channel.ID
	want := []sandbox.Request{
		{Method: "GET", Path: "/", Route: sandbox.RouteRoot, ChannelID: id, Status: 200},
		{Method: "POST", Path: "/inbox/tickets", Route: sandbox.RoutePost, ChannelID: id, Status: 201},
		{Method: "POST", Path: "/inbox/tickets", Route: sandbox.RoutePost, ChannelID: id, Status: 409},
		{Method: "PATCH", Path: "/inbox/tickets/" + ticket, Route: sandbox.RoutePatch, Reset: true, ChannelID: id, Status: 200},
		{Method: "POST", Path: "/x", Route: sandbox.RouteOther, ChannelID: id, Fault: sandbox.Lost},
	}
	if diff := cmp.Diff(want, r.Requests(), cmpopts.IgnoreFields(sandbox.Request{}, "Time")); diff != "" {
		t.Error(diff)
	}
	counts := r.Counts()
	if len(counts) != 5 || counts[sandbox.Count{Route: sandbox.RoutePost, Status: 409}] != 1 {
		t.Errorf("counts are %v", counts)
	}
}

func TestTheLogForgetsTheOldest(t *testing.T) {
	t.Parallel()
	s := sandbox.New(sandbox.Options{})
	for n := range 10_001 {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/"+strconv.Itoa(n), nil))
	}
	log := s.Requests()
	if len(log) != 10_000 || log[0].Path != "/1" || log[9_999].Path != "/10000" {
		t.Errorf("the log has %d requests from %s to %s", len(log), log[0].Path, log[len(log)-1].Path)
	}
	if got := s.Counts()[sandbox.Count{Route: sandbox.RouteOther, Status: 404}]; got != 10_001 {
		t.Errorf("%d requests were counted", got)
	}
}

// bubble is a sandbox on a pipe, inside a synctest bubble.
func bubble(t *testing.T, o sandbox.Options) *rig {
	t.Helper()
	s := sandbox.New(o)
	ch, err := s.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pipe := sandbox.NewPipe()
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(pipe) }()
	transport := pipe.Transport()
	t.Cleanup(func() {
		_ = s.Close()
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return &rig{t: t, Server: s, channel: ch, url: "http://sandbox", client: &http.Client{Transport: transport}}
}

func TestTheRateLimitIsTheChannelsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{RateLimit: sandbox.RateLimit{Requests: 2, Window: time.Minute}})
		check := func(status int, remaining, retry string) {
			t.Helper()
			a := r.do("GET", "/", "")
			h := a.header
			if a.status != status || h.Get("X-RateLimit-Limit") != "2" || h.Get("X-RateLimit-Remaining") != remaining || h.Get("Retry-After") != retry {
				t.Errorf("answered %d %v", a.status, h)
			}
			if status == 429 && a.json["code"] != "TooManyRequestsError" {
				t.Errorf("answered %s", a.text)
			}
		}
		check(200, "1", "")
		time.Sleep(30*time.Second + time.Millisecond)
		check(200, "0", "")
		check(429, "0", "30")
		first := r.channel
		second, err := r.AddChannel(sandbox.ChannelOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r.channel = second
		check(200, "1", "")
		r.channel.Token = "unknown"
		check(401, "2", "")
		r.channel = first
		time.Sleep(30 * time.Second)
		check(200, "1", "")
	})
}

func TestEveryAnswerTellsTheRateLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	for _, a := range []answer{r.do("GET", "/", ""), r.do("GET", "/x", ""), r.do("POST", "/inbox/tickets", "")} {
		if a.header.Get("X-RateLimit-Limit") != "1000000" || a.header.Get("X-RateLimit-Remaining") != "1000000" {
			t.Errorf("%d has %v", a.status, a.header)
		}
	}
}

func TestLatencyDelaysEachAnswerAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{Latency: time.Second})
		start := time.Now()
		done := make(chan error)
		for _, item := range []string{"item-1", "item-2", "item-3"} {
			go func() {
				_, err := r.try("POST", "/inbox/tickets", `{"interaction":{`+simple(item)+`}}`)
				done <- err
			}()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("three requests at a time took %s", took)
		}
	})
}

func TestAClientThatGoesEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{Latency: time.Hour})
		r.client.Timeout = time.Second
		if _, err := r.try("POST", "/inbox/tickets", `{"interaction":{`+simple("item-1")+`}}`); err == nil {
			t.Error("there was an answer")
		}
		synctest.Wait()
		if log := r.Requests(); len(log) != 1 || log[0].Status != 0 {
			t.Errorf("the log is %+v", log)
		}
		if len(r.Tickets(r.channel.ID)) != 1 {
			t.Error("the request did not take effect")
		}
	})
}

func TestCloseEndsWaitingRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{Latency: time.Hour})
		done := make(chan error)
		go func() {
			_, err := r.try("GET", "/", "")
			done <- err
		}()
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Error("there was an answer")
		}
	})
}

func TestADialOnAPipeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sandbox.NewPipe().DialContext(ctx, "tcp", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("the dial ended with %v", err)
	}
}

func TestAClosedPipeRefusesConnections(t *testing.T) {
	t.Parallel()
	pipe := sandbox.NewPipe()
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.Accept(); err == nil {
		t.Error("Accept went on")
	}
	if _, err := pipe.DialContext(t.Context(), "tcp", "x"); err == nil {
		t.Error("the dial succeeded")
	}
}
