package act

import (
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// afterAnswer says what SocialHub's answer to a callback means for the action; false if it says nothing of it, because the
// channel is to pause, which is no attempt. wait is the time until the next try.
//
// Of a performed reply nothing but the confirmation is ever told: it stands, whatever SocialHub says.
func afterAnswer(a *store.Action, answer socialhub.Answer, wait time.Duration) (step store.ActionStep, ok bool) {
	step = store.ActionStep{Key: a.Key, From: a.State, To: a.State, Reason: a.Reason}
	switch answer.Outcome {
	case socialhub.Unauthorized, socialhub.Forbidden, socialhub.RateLimited:
		return step, false
	case socialhub.Unavailable:
		step.Wait, step.After, step.Attempts = true, wait, a.Attempts+1
		if a.State == store.ActionPerformed {
			step.Reason = answer.Reason
		}
		return step, true
	}
	if a.State == store.ActionPerformed {
		return afterConfirm(step, answer), true
	}
	return afterFail(step, answer), true
}

// afterConfirm ends the way of a posted reply. A 409 says that the reply has its ticket already.
func afterConfirm(step store.ActionStep, answer socialhub.Answer) store.ActionStep {
	switch answer.Outcome {
	case socialhub.Done:
		step.To, step.ReplyTicketID, step.Reason = store.ActionConfirmed, answer.TicketID, ""
	case socialhub.Conflict:
		step.To, step.Reason = store.ActionConfirmed, ""
	default: // SocialHub can't be told; a person may
		step.Reason = "the reply was posted, and SocialHub does not take the confirmation: " + answer.Reason
	}
	return step
}

// afterFail ends the way of an action that failed, or leaves one of unknown outcome to a person.
func afterFail(step store.ActionStep, answer socialhub.Answer) store.ActionStep {
	told := answer.Outcome == socialhub.Done || answer.Outcome == socialhub.NotFound // without the ticket nobody is left to tell
	switch {
	case told && step.From == store.ActionFailed:
		step.To = store.ActionReported
	case !told:
		step.Reason = bounded(step.Reason + "; SocialHub does not take the report: " + answer.Reason)
	}
	return step
}
