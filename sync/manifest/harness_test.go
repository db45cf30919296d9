package manifest

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hookURL is where the tests' receiver is; the listener in memory takes any address.
const hookURL = "http://127.0.0.1/webhook/1"

// rig is a sandbox, a receiver for its webhook, and a client, all on listeners in memory, so that it works in a bubble
// of testing/synctest too.
type rig struct {
	t       *testing.T
	box     *sandbox.Server
	channel sandbox.Channel
	client  *socialhub.Client
	api     *sandbox.Pipe
	log     bytes.Buffer

	mu sync.Mutex
	// changes are the bodies of the requests that change a manifest; asked counts all requests.
	changes []string
	asked   int
	// secret is the receiver's, tests counts the requests that it found well signed. With down it answers 502.
	secret socialhub.WebhookSecret
	tests  int
	down   bool
	// rewrite changes what the sandbox answers.
	rewrite func(string) string
}

func newRig(t *testing.T, o sandbox.ChannelOptions) *rig {
	t.Helper()
	r := &rig{t: t, api: sandbox.NewPipe(), secret: secret(t, "a")}
	receiver := sandbox.NewPipe()
	r.box = sandbox.New(sandbox.Options{Transport: receiver.Transport()})
	var err error
	if r.channel, err = r.box.AddChannel(o); err != nil {
		t.Fatal(err)
	}
	serve(t, receiver, http.HandlerFunc(r.receive))
	serve(t, r.api, http.HandlerFunc(r.answer))
	t.Cleanup(func() { _ = r.box.Close() })
	r.login()
	return r
}

// serve answers on a listener until the test ends.
func serve(t *testing.T, on *sandbox.Pipe, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(on) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
}

// login makes a client with the present token.
func (r *rig) login() {
	r.t.Helper()
	token, err := socialhub.ParseToken(r.box.Channels()[0].Token)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.client, err = socialhub.NewClient(socialhub.Options{BaseURL: "http://127.0.0.1", Token: token, Transport: r.api.Transport()}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(r.client.Close)
}

// answer is the sandbox with an eye on what changes.
func (r *rig) answer(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	q.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.asked++
	if q.Method == http.MethodPatch && string(body) != "{}" {
		r.changes = append(r.changes, string(body))
	}
	rewrite := r.rewrite
	r.mu.Unlock()
	if rewrite == nil {
		r.box.ServeHTTP(w, q)
		return
	}
	kept := &recorder{header: make(http.Header)}
	r.box.ServeHTTP(kept, q)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(kept.status)
	_, _ = io.WriteString(w, rewrite(kept.body.String()))
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *recorder) Header() http.Header         { return k.header }
func (k *recorder) WriteHeader(status int)      { k.status = status }
func (k *recorder) Write(b []byte) (int, error) { return k.body.Write(b) }

// receive is the smallest receiver of a webhook.
func (r *rig) receive(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, _ := io.ReadAll(q.Body)
	challenge, err := r.secret.Verify(q.Header, body, time.Now(), socialhub.MaxWebhookSkew)
	if r.down || err != nil || q.URL.Path != "/webhook/1" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	r.tests++
	w.Header().Set(socialhub.HeaderChallenge, challenge)
}

// set changes what the servers do.
func (r *rig) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// changed returns the changes since the last time.
func (r *rig) changed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.changes
	r.changes = nil
	return all
}

// requests returns how many requests there were since the last time.
func (r *rig) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.asked
	r.asked = 0
	return n
}

func (r *rig) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// secretText is in every secret of the tests.
const secretText = "hunter2-"

func secret(t *testing.T, end string) socialhub.WebhookSecret {
	t.Helper()
	s, err := socialhub.ParseWebhookSecret(strings.Repeat(secretText, 5) + end)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) hook() *socialhub.Webhook { return &socialhub.Webhook{URL: hookURL, Secret: r.secret} }

// same is a label that is the same in every language.
func same(text string) socialhub.Label { return socialhub.Label{EN: text, DE: text, FR: text} }

var (
	replying = []socialhub.ManifestAction{{Type: socialhub.ActionReply, ID: "reply", Label: same("Reply"),
		Config: &socialhub.ActionConfig{MaxLength: 500}}}
	beside = []socialhub.Sidebar{{ID: "thread", Label: same("Thread"), TreeBuilder: socialhub.FlatListWithRoot}}
)
