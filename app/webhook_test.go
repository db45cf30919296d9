package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources/builtin"
)

const hookSecret = "correct-horse-battery-staple-0123456789"

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// hooked is the world's config with a webhook and more keys at the top level.
func (w *world) hooked(t *testing.T, more string) *config.Config {
	t.Helper()
	text := `
database: ${DATABASE}
api_url: ${API}
listen: 127.0.0.1:0
channels:
  support:
    access_token: "${TOKEN}"
    webhook: {secret: "${SECRET}"}
    templates: [{id: thanks, text: {en: "Thank you, {{name}}!"}, variables: {name: text}}]
sources: {items: {adapter: jsonl, channel: support, schedule: "@every 1s", settings: {path: items.jsonl}}}
` + more
	values := map[string]string{"DATABASE": w.database(), "API": w.api, "TOKEN": w.channel.Token, "SECRET": hookSecret}
	c, err := config.Parse("config.yaml", []byte(text), w.dir, builtin.Adapters(), func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// register has the sandbox use the app's webhook, which it tries at once.
func (w *world) register(t *testing.T, c *config.Config, address string) {
	t.Helper()
	client, err := app.NewClient(c, &c.Channels[0])
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	label := socialhub.Label{EN: "Reply", DE: "Antworten", FR: "Répondre"}
	_, answer := client.ChangeManifest(t.Context(), &socialhub.Manifest{
		Webhook: &socialhub.Webhook{URL: address, Secret: c.Channels[0].Webhook.Secret},
		Inbox:   &socialhub.Inbox{TicketActions: []socialhub.ManifestAction{{Type: socialhub.ActionReply, ID: "reply", Label: label}}},
	})
	if answer.Outcome != socialhub.Done || w.box.Webhook(w.channel.ID) != address {
		t.Fatalf("not registered: %+v", answer)
	}
}

func TestSocialHubRegistersTheWebhookAndKeepsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.hooked(t, "")
	var log lines
	a, err := app.New(c, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.waitFor(t, "one")
	address := "http://" + a.Addr() + "/webhook/" + w.channel.ID
	w.register(t, c, address)
	const text = "a private answer"
	if _, err := w.box.Act(w.channel.ID, sandbox.Act{TicketID: w.box.Tickets(w.channel.ID)[0].ID, ActionID: "reply", Text: text}); err != nil {
		t.Fatal(err)
	}
	// The source can't reply, so the team is told that it failed, which tells us that the event was taken and worked on.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for w.box.Actions(w.channel.ID)[0].State != sandbox.ActionFailed {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("%+v; log: %s", w.box.Actions(w.channel.ID)[0], &log)
		}
	}
	if got := w.box.Webhook(w.channel.ID); got != address {
		t.Errorf("the webhook is %q", got)
	}
	page := get(t, "http://"+a.Addr()+"/metrics")
	if !strings.Contains(page, `socialhub_sync_webhook_requests_total{channel="support",result="taken"} 2`) {
		t.Errorf("metrics: %s", page)
	}
	stop(t, a)
	for _, secret := range []string{hookSecret, w.channel.Token, text} {
		if strings.Contains(log.String(), secret) || strings.Contains(page, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
}

func TestTheTemplatesOfTheConfigAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.hooked(t, "")
	a := start(t, c)
	defer stop(t, a)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+"/webhook/"+w.channel.ID+"/templates?channelId="+w.channel.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	req.Header.Set(socialhub.HeaderTimestamp, timestamp)
	req.Header.Set(socialhub.HeaderSignature, c.Channels[0].Webhook.Secret.Sign(timestamp, nil))
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s, %v", resp.Status, body, err)
	}
	var got []socialhub.Template
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Channels[0].Templates, got); diff != "" {
		t.Error(diff)
	}
}

func TestACertificateThatCanNotBeUsedIsToldByNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := app.New(w.hooked(t, "tls: {cert_file: none.pem, key_file: none.key}"), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "tls.cert_file: stat "+filepath.Join(w.dir, "none.pem")) {
		t.Errorf("error: %v", err)
	}
}
