package app_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
)

func TestTheDaemonRegistersItsWebhookWhenItIsManaged(t *testing.T) {
	t.Parallel()
	for name, manage := range map[string]bool{"managed": true, "not managed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.config(t, "127.0.0.1:0", w.database())
			secret, err := socialhub.ParseWebhookSecret(strings.Repeat("hunter2", 5))
			if err != nil {
				t.Fatal(err)
			}
			c.Channels[0].Webhook = &config.Webhook{Secret: secret, Manage: manage, Tolerance: time.Minute}
			a, err := app.New(c, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			c.Channels[0].Webhook.URL = "http://" + a.Addr() + "/webhook/" + w.channel.ID
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.waitFor(t, "one")
			deadline := time.After(30 * time.Second)
			ticker := time.NewTicker(10 * time.Millisecond)
			defer ticker.Stop()
			for manage && w.box.Webhook(w.channel.ID) == "" {
				select {
				case <-ticker.C:
				case <-deadline:
					t.Fatal("the webhook was not registered")
				}
			}
			if err := a.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			if got := w.box.Webhook(w.channel.ID); strings.HasPrefix(got, c.Channels[0].Webhook.URL+"?v=") != manage {
				t.Errorf("the webhook is %q", got)
			}
		})
	}
}
