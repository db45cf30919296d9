package manifest

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

// keep runs a keeper in the test's bubble; the returned function ends it and waits.
func (r *rig) keep(k *Keeper) (stop func()) {
	k.Client, k.Log = r.client, r.logger()
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	return func() { cancel(); <-done }
}

// after lets time pass in the bubble.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTheManifestIsComparedHourlyAndChangedOnlyWhenItDiffers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sandbox.ChannelOptions{})
		stop := r.keep(&Keeper{Want: Want(replying, beside, r.hook())})
		after(time.Second)
		if n, sent := r.requests(), r.changed(); n != 2 || len(sent) != 1 {
			t.Fatalf("at the start: %d requests, sent %q", n, sent)
		}
		after(time.Hour - 2*time.Second)
		if n := r.requests(); n != 0 {
			t.Errorf("in the first hour: %d requests", n)
		}
		after(9*time.Hour + time.Minute)
		if n, sent := r.requests(), r.changed(); n != 10 || len(sent) != 0 {
			t.Errorf("in ten hours: %d requests, sent %q", n, sent)
		}
		// Somebody takes the webhook away, and later an action.
		r.client.RemoveWebhook(t.Context())
		r.changed()
		after(time.Hour)
		if sent := r.changed(); len(sent) != 1 || strings.Contains(sent[0], "inbox") || r.box.Webhook(r.channel.ID) == "" {
			t.Errorf("without webhook: sent %q", sent)
		}
		r.client.ChangeManifest(t.Context(), &socialhub.Manifest{Inbox: &socialhub.Inbox{RightSidebar: beside}})
		r.changed()
		after(time.Hour)
		if sent := r.changed(); len(sent) != 1 || strings.Contains(sent[0], "webhook") {
			t.Errorf("without action: sent %q", sent)
		}
		stop()
		const updated = `level=INFO msg="manifest brought up to date" changes=`
		if log := r.log.String(); strings.Count(log, updated) != 3 || strings.Count(log, "\n") != 3 || strings.Contains(log, secretText) {
			t.Errorf("the log is:\n%s", log)
		}
	})
}

func TestAWebhookThatWentWithTheTokenIsRegisteredWhenTheNewOneIsThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sandbox.ChannelOptions{})
		stop := r.keep(&Keeper{Want: Want(replying, nil, r.hook())})
		after(time.Second)
		r.box.ReplaceToken(r.channel.ID)
		if r.box.Webhook(r.channel.ID) != "" {
			t.Fatal("the sandbox keeps the webhook")
		}
		r.requests()
		after(3 * time.Hour)
		stop()
		if n := r.requests(); n > 18 {
			t.Errorf("%d requests in three hours with a token that is refused", n)
		}
		r.login()
		r.changed()
		stop = r.keep(&Keeper{Want: Want(replying, nil, r.hook())})
		after(time.Second)
		stop()
		if sent := r.changed(); len(sent) != 1 || strings.Contains(sent[0], "inbox") || r.box.Webhook(r.channel.ID) == "" {
			t.Errorf("sent %q", sent)
		}
	})
}

func TestAReceiverThatIsNotUpYetIsTriedAgainWithoutHaste(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sandbox.ChannelOptions{})
		r.set(func() { r.down = true })
		stop := r.keep(&Keeper{Want: Want(nil, nil, r.hook())})
		after(5 * time.Second)
		if n := len(r.changed()); n < 2 {
			t.Errorf("%d tries in the first seconds", n)
		}
		after(12 * time.Hour)
		if n := len(r.changed()); n < 12*6 || n > 12*12+10 {
			t.Errorf("%d tries in twelve hours", n)
		}
		r.set(func() { r.down = false })
		after(11 * time.Minute)
		if r.box.Webhook(r.channel.ID) == "" {
			t.Error("no webhook after the receiver is up")
		}
		stop()
		const refused = `level=ERROR msg="manifest is not as the config has it, or not known" reason="SocialHub's test request to the webhook `
		if n := strings.Count(r.log.String(), refused); n < 11 || n > 13 {
			t.Errorf("the refusal was logged %d times in twelve hours", n)
		}
	})
}

func TestAnOutageAndARateLimitAreWaitedFor(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sandbox.Fault{
		"502": {Kind: sandbox.BadGateway}, "429": {Kind: sandbox.TooMany, Wait: 20 * time.Minute}, "403": {Kind: sandbox.Forbidden}, "lost": {Kind: sandbox.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, sandbox.ChannelOptions{})
				r.box.SetFaults(func(sandbox.Call) sandbox.Fault { return fault })
				stop := r.keep(&Keeper{Want: Want(replying, nil, nil)})
				after(6 * time.Hour)
				if n := r.requests(); n < 6 || n > 2*(6*12+10) {
					t.Errorf("%d requests in six hours", n)
				}
				r.box.SetFaults(nil)
				after(21 * time.Minute)
				if shown := r.current(); len(shown.Inbox.TicketActions) != 1 {
					t.Errorf("got %+v", shown)
				}
				stop()
			})
		})
	}
}

func TestNothingIsAskedWhileTheChannelIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sandbox.ChannelOptions{})
		var open atomic.Bool
		var paused []socialhub.Outcome
		stop := r.keep(&Keeper{
			Want: Want(replying, nil, r.hook()), Open: open.Load,
			Pause: func(_ context.Context, a socialhub.Answer) {
				paused = append(paused, a.Outcome)
				open.Store(false)
			},
		})
		after(24 * time.Hour)
		if n := r.requests(); n != 0 {
			t.Errorf("%d requests while closed", n)
		}
		r.box.Deactivate(r.channel.ID)
		open.Store(true)
		after(24 * time.Hour)
		if n := r.requests(); n != 2 { // the manifest and, to tell what is forbidden, the channel
			t.Errorf("%d requests of a deactivated channel", n)
		}
		r.box.Activate(r.channel.ID)
		open.Store(true)
		after(5 * time.Second)
		if r.box.Webhook(r.channel.ID) == "" {
			t.Error("no webhook after the channel is open")
		}
		stop()
		if len(paused) != 1 || paused[0] != socialhub.Forbidden {
			t.Errorf("paused: %v", paused)
		}
	})
}

func TestAReusableManifestPausesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sandbox.ChannelOptions{Reusable: true})
		stop := r.keep(&Keeper{Want: Want(replying, nil, nil), Pause: func(context.Context, socialhub.Answer) {
			t.Error("the channel was paused")
		}})
		after(30 * time.Minute)
		stop()
		if log := r.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "reusable") {
			t.Errorf("the log is:\n%s", log)
		}
	})
}

func TestWhatSocialHubShowsOtherwiseIsSentOnlyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sandbox.ChannelOptions{})
		r.set(func() {
			r.rewrite = func(answer string) string { return strings.ReplaceAll(answer, `"maxLength":500`, `"maxLength":499`) }
		})
		stop := r.keep(&Keeper{Want: Want(replying, nil, nil)})
		after(6 * time.Hour)
		if sent := r.changed(); len(sent) != 1 {
			t.Errorf("sent %d times", len(sent))
		}
		// It is still updated when something else is wrong.
		r.client.ChangeManifest(t.Context(), &socialhub.Manifest{Inbox: &socialhub.Inbox{}})
		r.changed()
		after(2 * time.Hour)
		if sent := r.changed(); len(sent) != 1 {
			t.Errorf("sent %d times after somebody took the action away", len(sent))
		}
		stop()
		if log := r.log.String(); strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "max_length 499 -> 500") {
			t.Errorf("the log is:\n%s", log)
		}
	})
}
