package manifest

import (
	"context"
	"slices"

	"socialhub-sync/socialhub"
)

// Change is the part of a manifest that must be sent so that the current one becomes as wanted; zero if none. A list that
// the config does not mention goes along as it is, because SocialHub takes both or none. With webhook it is sent in any case.
func Change(current socialhub.Manifest, want Desired, webhook bool) (m socialhub.Manifest) {
	if len(actionLines(current, want))+len(sidebarLines(current, want)) > 0 {
		inbox := inboxOf(current)
		if want.Actions != nil {
			inbox.TicketActions = want.Actions
		}
		if want.Sidebar != nil {
			inbox.RightSidebar = want.Sidebar
		}
		m.Inbox = &inbox
	}
	if want.Webhook != nil && (webhook || len(webhookLine(current.Webhook, want.Webhook)) > 0) {
		m.Webhook = want.Webhook
	}
	return m
}

// Result is what came of [Apply].
type Result struct {
	// Lines are what differed before, see [Diff].
	Lines []string
	// Sent tells that there was a change to send.
	Sent bool
	// Left are what differs after the change, which SocialHub took without a complaint.
	Left []string
}

// Apply asks for the manifest and sends what differs, in one request; the webhook also where nothing seems to differ, if
// that is asked for. The answer is that of the last request: [socialhub.Done] means that all is as wanted but for
// [Result.Left]. Lines and Sent are right also after a failure.
func Apply(ctx context.Context, c *socialhub.Client, want Desired, webhook bool) (Result, socialhub.Answer) {
	return apply(ctx, c, want, webhook, nil)
}

// apply is Apply, but does not send anything if the manifest differs by exactly these lines.
func apply(ctx context.Context, c *socialhub.Client, want Desired, webhook bool, known []string) (Result, socialhub.Answer) {
	current, a := c.Manifest(ctx)
	if a.Outcome != socialhub.Done {
		return Result{}, a
	}
	r := Result{Lines: Diff(current, want)}
	change := Change(current, want, webhook)
	if change == (socialhub.Manifest{}) || known != nil && slices.Equal(r.Lines, known) {
		r.Left = r.Lines
		return r, a
	}
	r.Sent = true
	after, a := c.ChangeManifest(ctx, &change)
	if a.Outcome == socialhub.Done {
		r.Left = Diff(after, want)
	}
	return r, a
}
