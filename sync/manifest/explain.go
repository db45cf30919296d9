package manifest

import (
	"context"
	"fmt"
	"strings"

	"socialhub-sync/socialhub"
)

// RefusedError says why SocialHub did not give a manifest or take a change of it, and what to do.
type RefusedError struct {
	// Outcome is the answer's. Of a 403 it tells more: [socialhub.Rejected] if it concerns the manifest alone, and not the
	// whole channel, and [socialhub.Unavailable] if that is not known.
	Outcome socialhub.Outcome
	Problem string
}

func (e *RefusedError) Error() string { return e.Problem }

// testFailed is the code of a 422.
const testFailed = "WebhookValidationError"

// Explain makes an error of an answer that is not [socialhub.Done]. After a 403 it asks once more who the channel is: if
// SocialHub answers that, it is the manifest that can't be changed.
func Explain(ctx context.Context, c *socialhub.Client, want Desired, a socialhub.Answer) *RefusedError {
	e := &RefusedError{Outcome: a.Outcome}
	switch a.Outcome {
	case socialhub.Rejected:
		e.Problem = "SocialHub does not take the manifest: " + a.Reason
		if strings.Contains(a.Reason, testFailed) && want.Webhook != nil {
			e.Problem = fmt.Sprintf("SocialHub's test request to the webhook %s failed: %s; the program must be running with this config, "+
				"and be reachable there from the internet by https with a certificate that browsers trust; try again when it is", unmarked(want.Webhook.URL), a.Reason)
		}
	case socialhub.Unauthorized:
		e.Problem = "SocialHub refuses the access token; copy the present one from the channel's settings: " + a.Reason
	case socialhub.Forbidden:
		e.Problem = "the channel is deactivated or the token lacks permission: " + a.Reason
		switch _, again := c.Channel(ctx); again.Outcome {
		case socialhub.Forbidden, socialhub.Unauthorized:
		case socialhub.Done:
			e.Outcome = socialhub.Rejected
			e.Problem = "this channel's manifest can't be changed with its token, because it is a reusable one or the token lacks permission; " +
				"change it where it was made in SocialHub, and take actions, sidebar and webhook.manage out of the config: " + a.Reason
		default:
			e.Outcome = socialhub.Unavailable
		}
	case socialhub.RateLimited:
		e.Problem = fmt.Sprintf("rate limited, try again in %s: %s", a.RetryAfter, a.Reason)
	default:
		e.Problem = "SocialHub can't be reached: " + a.Reason
	}
	return e
}
