package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
	"socialhub-sync/web/listen"
)

// rig is a receiver with a real store behind a real listener.
type rig struct {
	tb      testing.TB
	store   *store.Store
	address string
	client  *http.Client
	secret  socialhub.WebhookSecret
	woken   atomic.Int64
}

func newRig(tb testing.TB, url string, clients int) *rig {
	tb.Helper()
	s, err := store.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	if _, err := s.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := s.Register(tb.Context(), map[string]string{hookChannel: "support"}, nil); err != nil {
		tb.Fatal(err)
	}
	r := &rig{tb: tb, store: s, secret: hookSecret(tb)}
	receiver := NewReceiver(ReceiverOptions{
		Inbox: s, Logger: nopLog, Wake: func(string) { r.woken.Add(1) },
		Webhooks: []Webhook{{ChannelID: hookChannel, Name: "support", Secret: r.secret, Tolerance: 5 * time.Minute, Fingerprint: "f"}},
	})
	handler := New(Options{Store: s, Receiver: receiver, Logger: nopLog})
	tb.Cleanup(handler.Close)
	server, err := listen.New(listen.Options{Address: "127.0.0.1:0", Logger: nopLog})
	if err != nil {
		tb.Fatal(err)
	}
	server.Serve(handler)
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(tb.Context()); err != nil {
			tb.Error(err)
		}
	})
	r.address, r.client = "http://"+server.Addr().String()+"/webhook/"+hookChannel, &http.Client{Transport: transport}
	return r
}

// send delivers one request and returns the status; the challenge must be right.
func (r *rig) send(body []byte) int {
	req, err := http.NewRequest(http.MethodPost, r.address, bytes.NewReader(body))
	if err != nil {
		r.tb.Error(err)
		return 0
	}
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	req.Header.Set(socialhub.HeaderTimestamp, timestamp)
	req.Header.Set(socialhub.HeaderSignature, r.secret.Sign(timestamp, body))
	resp, err := r.client.Do(req)
	if err != nil {
		r.tb.Error(err)
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.Header.Get(socialhub.HeaderChallenge) != r.secret.Challenge(timestamp) {
		r.tb.Error("without the challenge")
	}
	return resp.StatusCode
}

// deliver sends a request again while the store takes too long, as SocialHub does.
func (r *rig) deliver(body []byte) (status int) {
	for range 6 {
		if status = r.send(body); status != http.StatusServiceUnavailable {
			break
		}
	}
	return status
}

// stored is how many actions the store has.
func (r *rig) stored() int {
	r.tb.Helper()
	counts, err := r.store.ActionCounts(r.tb.Context())
	if err != nil {
		r.tb.Fatal(err)
	}
	total := 0
	for _, n := range counts[hookChannel] {
		total += n
	}
	return total
}

// engines are the databases that a test or a benchmark runs on.
var engines = map[string]func(testing.TB) string{
	"sqlite":   func(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "sync.db") },
	"postgres": storetest.Postgres,
}

func TestARequestThatComesAgainIsTakenOnce(t *testing.T) {
	t.Parallel()
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, url(t), 8)
			// The same request many times, also at once, as after answers that were lost on their way.
			var all sync.WaitGroup
			for n := range 24 {
				all.Go(func() {
					if status := r.deliver([]byte(replies(n % 3))); status != http.StatusOK {
						t.Errorf("status %d", status)
					}
				})
			}
			all.Wait()
			if n := r.stored(); n != 3 || r.woken.Load() != 24 {
				t.Errorf("%d actions are stored, woken %d times", n, r.woken.Load())
			}
		})
	}
}

func TestADeactivatedChannelIsPaused(t *testing.T) {
	t.Parallel()
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, url(t), 1)
			if status := r.deliver([]byte(envelope(hookChannel, `{"channel_action":[{"type":"disabled","time":1577934247000,"uuid":"u"}]}`))); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			states, err := r.store.ChannelStates(t.Context())
			if err != nil || len(states) != 1 || states[0].Pause.Kind != store.Forbidden {
				t.Errorf("%+v, %v", states, err)
			}
		})
	}
}

// TestEveryOddTextIsOneThatDatabasesTake has a real store for texts that a database could refuse.
func TestEveryOddTextIsOneThatDatabasesTake(t *testing.T) {
	t.Parallel()
	for name, url := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, url(t), 1)
			odd := []string{"\xff", `\u0000`, `\ud800`, `\\u0000`, "\u202e", "\U0001F600", strings.Repeat("x", 900_000), `\"';--`}
			for n, text := range odd {
				if status := r.deliver([]byte(strings.Replace(replies(n), hookText, text, 1))); status != http.StatusOK {
					t.Errorf("%.20q: status %d", text, status)
				}
			}
			if n := r.stored(); n != len(odd) {
				t.Errorf("%d of %d are stored", n, len(odd))
			}
		})
	}
}

func TestAClosedStoreIs503(t *testing.T) {
	t.Parallel()
	r := newRig(t, engines["sqlite"](t), 1)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if status := r.send([]byte(replies(1))); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
}

func TestAPostgresThatIsSilentIs503(t *testing.T) {
	t.Parallel()
	url, silence := storetest.Silencer(t, storetest.Postgres(t))
	r := newRig(t, url, 1)
	if status := r.send([]byte(replies(1))); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	silence()
	if status := r.send([]byte(replies(2))); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
}

func TestTheReceiverIsReachedBesideThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := newPost(t, nil)
	handler := New(Options{Store: w.store, Channels: configured(), Receiver: p.rc, Version: "v1.2.3", Logger: nopLog})
	t.Cleanup(handler.Close)
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, p.deliver(replies(1)))
	if recorder.Code != http.StatusOK || recorder.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", recorder.Code, recorder.Header())
	}
}

// BenchmarkReceive sends requests of one event over as many connections as SocialHub could want, and counts what is stored.
func BenchmarkReceive(b *testing.B) {
	for _, engine := range []string{"sqlite", "postgres"} {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", engine, clients), func(b *testing.B) {
				r := newRig(b, engines[engine](b), clients)
				var next, slowest atomic.Int64
				var all sync.WaitGroup
				b.ResetTimer()
				for range clients {
					all.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							began := time.Now()
							if status := r.send([]byte(replies(int(n)))); status != http.StatusOK {
								b.Errorf("status %d", status)
							}
							for took := int64(time.Since(began)); ; {
								if was := slowest.Load(); was >= took || slowest.CompareAndSwap(was, took) {
									break
								}
							}
						}
					})
				}
				all.Wait()
				b.StopTimer()
				if n := r.stored(); n != b.N {
					b.Errorf("%d of %d are stored", n, b.N)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64(slowest.Load())/1e6, "ms-slowest")
			})
		}
	}
}
