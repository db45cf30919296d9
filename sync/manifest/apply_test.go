package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

// mustApply applies and fails the test if SocialHub does not take it.
func (r *rig) mustApply(want Desired, webhook bool) Result {
	r.t.Helper()
	got, a := Apply(r.t.Context(), r.client, want, webhook)
	if a.Outcome != socialhub.Done || len(got.Left) > 0 {
		r.t.Fatalf("got %+v, %+v", got, a)
	}
	return got
}

func (r *rig) current() socialhub.Manifest {
	r.t.Helper()
	got, a := r.client.Manifest(r.t.Context())
	if a.Outcome != socialhub.Done {
		r.t.Fatalf("got %+v", a)
	}
	return got
}

func TestAManifestIsAppliedOnceAndTheWebhookTried(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.ChannelOptions{})
	want := Want(replying, beside, r.hook())
	got := r.mustApply(want, false)
	if !got.Sent || len(got.Lines) != 3 || r.tests != 1 || len(r.changed()) != 1 {
		t.Errorf("got %+v, %d test requests", got, r.tests)
	}
	shown := r.current()
	if diff := cmp.Diff(&socialhub.Inbox{TicketActions: replying, RightSidebar: beside}, shown.Inbox); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if shown.Webhook == nil || shown.Webhook.URL != want.Webhook.URL {
		t.Errorf("got %+v", shown.Webhook)
	}
	if got := r.mustApply(want, false); got.Sent || len(got.Lines) > 0 || len(r.changed()) > 0 || r.tests != 1 {
		t.Errorf("the second time: got %+v, %d test requests", got, r.tests)
	}
}

func TestOnlyThePartThatDiffersIsSent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		want           func(*rig) Desired
		inbox, webhook bool
		actions, aside int
		webhookAnyway  bool
	}{
		"another list of actions": {want: func(r *rig) Desired { return Want(none(), beside, r.hook()) }, inbox: true, actions: 0, aside: 1},
		"no sidebar":              {want: func(r *rig) Desired { return Want(replying, []socialhub.Sidebar{}, r.hook()) }, inbox: true, actions: 1},
		"the sidebar alone":       {want: func(r *rig) Desired { return Want(nil, []socialhub.Sidebar{}, nil) }, inbox: true, actions: 1},
		"the actions alone":       {want: func(r *rig) Desired { return Want(none(), nil, nil) }, inbox: true, aside: 1},
		"nothing":                 {want: func(r *rig) Desired { return Desired{} }, actions: 1, aside: 1},
		"the webhook once more":   {want: func(r *rig) Desired { return Want(replying, beside, r.hook()) }, webhookAnyway: true, webhook: true, actions: 1, aside: 1},
		"another secret": {want: func(r *rig) Desired {
			r.set(func() { r.secret = secret(r.t, "b") })
			return Want(replying, beside, r.hook())
		}, webhook: true, actions: 1, aside: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sandbox.ChannelOptions{})
			r.mustApply(Want(replying, beside, r.hook()), false)
			r.changed()
			r.mustApply(test.want(r), test.webhookAnyway)
			sent := strings.Join(r.changed(), "")
			if strings.Contains(sent, `"inbox"`) != test.inbox || strings.Contains(sent, `"webhook"`) != test.webhook {
				t.Errorf("sent %s", sent)
			}
			shown := r.current()
			if len(shown.Inbox.TicketActions) != test.actions || len(shown.Inbox.RightSidebar) != test.aside || shown.Webhook == nil {
				t.Errorf("got %+v", shown)
			}
		})
	}
}

// none is a list that wants no actions.
func none() []socialhub.ManifestAction { return []socialhub.ManifestAction{} }

func TestARefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options sandbox.ChannelOptions
		spoil   func(*rig)
		want    string
		outcome socialhub.Outcome
	}{
		"the test request fails": {
			spoil: func(r *rig) { r.down = true }, outcome: socialhub.Rejected,
			want: "SocialHub's test request to the webhook " + hookURL + " failed: ",
		},
		"the receiver has another secret": {
			spoil: func(r *rig) { r.secret = secret(r.t, "b") }, outcome: socialhub.Rejected,
			want: "SocialHub's test request to the webhook " + hookURL + " failed: ",
		},
		"a reusable manifest": {
			options: sandbox.ChannelOptions{Reusable: true}, outcome: socialhub.Rejected,
			want: "this channel's manifest can't be changed with its token, because it is a reusable one",
		},
		"a deactivated channel": {
			spoil: func(r *rig) { r.box.Deactivate(r.channel.ID) }, outcome: socialhub.Forbidden,
			want: "the channel is deactivated or the token lacks permission: ",
		},
		"a 403 and then no answer": {
			spoil: func(r *rig) {
				r.box.SetFaults(sandbox.Script("", sandbox.Fault{Kind: sandbox.Forbidden}, sandbox.Fault{Kind: sandbox.BadGateway}))
			}, outcome: socialhub.Unavailable,
			want: "the channel is deactivated or the token lacks permission: ",
		},
		"a replaced token": {
			spoil: func(r *rig) { r.box.ReplaceToken(r.channel.ID) }, outcome: socialhub.Unauthorized,
			want: "SocialHub refuses the access token; copy the present one from the channel's settings: ",
		},
		"a rate limit": {
			spoil: func(r *rig) { r.box.SetFaults(sandbox.Script("", sandbox.Fault{Kind: sandbox.TooMany})) }, outcome: socialhub.RateLimited,
			want: "rate limited, try again in 1s: ",
		},
		"an outage": {
			spoil: func(r *rig) { r.box.SetFaults(sandbox.Script("", sandbox.Fault{Kind: sandbox.BadGateway})) }, outcome: socialhub.Unavailable,
			want: "SocialHub can't be reached: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, test.options)
			want := Want(replying, nil, r.hook())
			if test.spoil != nil {
				r.set(func() { test.spoil(r) })
			}
			_, a := Apply(t.Context(), r.client, want, false)
			if a.Outcome == socialhub.Done {
				t.Fatal("it was taken")
			}
			got := Explain(t.Context(), r.client, want, a)
			if got.Outcome != test.outcome || !strings.HasPrefix(got.Error(), test.want) || strings.Contains(got.Error(), secretText) {
				t.Errorf("got %v, %s", got.Outcome, got)
			}
		})
	}
}

func TestNothingOfAChangeIsTakenWhenTheTestRequestFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.ChannelOptions{})
	r.set(func() { r.down = true })
	if got, a := Apply(t.Context(), r.client, Want(replying, nil, r.hook()), false); a.Outcome != socialhub.Rejected || !got.Sent || len(got.Lines) != 2 {
		t.Errorf("got %+v, %+v", got, a)
	}
	if shown := r.current(); shown.Webhook != nil || len(shown.Inbox.TicketActions) != 0 {
		t.Errorf("got %+v", shown)
	}
}
