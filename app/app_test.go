package app_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources/builtin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a sandbox with one channel and a folder with one item for it.
type world struct {
	box      *sandbox.Server
	api, dir string
	channel  sandbox.Channel
}

func newWorld(t *testing.T) *world {
	w := &world{box: sandbox.New(sandbox.Options{}), dir: t.TempDir()}
	api := httptest.NewServer(w.box)
	t.Cleanup(func() {
		w.box.Close()
		api.Close()
	})
	w.api = api.URL
	var err error
	if w.channel, err = w.box.AddChannel(sandbox.ChannelOptions{}); err != nil {
		t.Fatal(err)
	}
	w.write(t, `{"networkItemId":"item-1","message":"one"}`)
	return w
}

func (w *world) write(t *testing.T, line string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, "items.jsonl"), []byte(line+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// config is the world's config with another address and database.
func (w *world) config(t *testing.T, listen, database string) *config.Config {
	t.Helper()
	text := `
database: ${DATABASE}
api_url: ${API}
listen: ${LISTEN}
channels: {support: {access_token: "${TOKEN}"}}
sources: {items: {adapter: jsonl, channel: support, schedule: "@every 1s", settings: {path: items.jsonl}}}
`
	values := map[string]string{"DATABASE": database, "API": w.api, "LISTEN": listen, "TOKEN": w.channel.Token}
	c, err := config.Parse("config.yaml", []byte(text), w.dir, builtin.Adapters(), func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) database() string { return "sqlite:" + filepath.Join(w.dir, "sync.db") }

// waitFor waits until the sandbox has the message.
func (w *world) waitFor(t *testing.T, message string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		for _, ticket := range w.box.Tickets(w.channel.ID) {
			if ticket.Interaction.Message == message {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("there is no ticket that says %q", message)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

func wantFree(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Errorf("not free again: %v", err)
		return
	}
	listener.Close()
}

func start(t *testing.T, c *config.Config) *app.App {
	t.Helper()
	a, err := app.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func stop(t *testing.T, a *app.App) {
	t.Helper()
	if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestAnAppStartsAndStopsAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := start(t, w.config(t, "127.0.0.1:0", w.database()))
	w.waitFor(t, "one")
	if page := get(t, "http://"+a.Addr()+"/readyz"); page != "ok\n" {
		t.Errorf("ready: %q", page)
	}
	stop(t, a)
	wantFree(t, a.Addr())

	w.write(t, `{"networkItemId":"item-1","message":"two"}`)
	b := start(t, w.config(t, a.Addr(), w.database()))
	w.waitFor(t, "two")
	if tickets := w.box.Tickets(w.channel.ID); len(tickets) != 1 {
		t.Errorf("%d tickets", len(tickets))
	}
	stop(t, b)
	stop(t, b) // once more does nothing
}

func TestTwoAppsRunBesideEachOther(t *testing.T) {
	t.Parallel()
	w, v := newWorld(t), newWorld(t)
	a, b := start(t, w.config(t, "127.0.0.1:0", w.database())), start(t, v.config(t, "127.0.0.1:0", v.database()))
	w.waitFor(t, "one")
	v.waitFor(t, "one")
	if a.Addr() == b.Addr() {
		t.Error("both listen on", a.Addr())
	}
	stop(t, a)
	get(t, "http://"+b.Addr()+"/healthz")
	stop(t, b)
}

func TestAnAppWithoutAnAddressListensNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := start(t, w.config(t, "", w.database()))
	w.waitFor(t, "one")
	if a.Addr() != "" {
		t.Errorf("it listens on %q", a.Addr())
	}
	stop(t, a)
}

func TestAListenerThatStrangersReachIsToldAtTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log lines
	a, err := app.New(w.config(t, ":0", w.database()), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop(t, a)
	if !strings.Contains(log.String(), "level=WARN "+whoeverReads) {
		t.Errorf("the log is\n%s", log.String())
	}
}

// wantClosed checks that the listener lets nobody read the metrics but who knows the token.
func wantClosed(t *testing.T, address, token string) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for authorization, want := range map[string]int{"": 401, "Bearer " + token: 200} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("with %q: %s, want %d", authorization, resp.Status, want)
		}
	}
}

func TestAPortThatIsTakenIsToldByNew(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	w := newWorld(t)
	_, err = app.New(w.config(t, listener.Addr().String(), w.database()), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), `choose another address in config.yaml, or listen: "" for none`) {
		t.Errorf("error: %v", err)
	}
}

func TestAFailedStartEndsWhatItHadBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	database := w.database()
	running := start(t, w.config(t, "", database))
	defer stop(t, running)
	for name, bad := range map[string]string{
		"no folder":     "sqlite:" + filepath.Join(w.dir, "missing", "sync.db"),
		"no database":   "sqlite:" + filepath.Join(w.dir, "items.jsonl"),
		"taken":         database,
		"no such login": "postgres://nobody@127.0.0.1:0/none",
	} {
		a, err := app.New(w.config(t, "127.0.0.1:0", bad), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if name == "no such login" {
			cancel() // it would be waited for
		}
		if err := a.Start(ctx); err == nil {
			t.Errorf("%s: it started", name)
		}
		cancel()
		wantFree(t, a.Addr())
		stop(t, a)
	}
}
