package act

import (
	"errors"
	"strings"
	"time"
	"unicode"

	"socialhub-sync/sources"
	"socialhub-sync/store"
)

const (
	// patience is how long an action is tried that can't be done now, from the first try on; what comes before that, such as
	// its wait for an earlier action of the item, does not count.
	patience = time.Hour
	// repeatMargin is what must be left of the time in which a source takes a repetition for the same action: its
	// server judges the time when the request arrives.
	repeatMargin = time.Minute
	// settling is how long after a try of unknown outcome a source is asked whether it has the reply: a request that was cut
	// off may still be worked on.
	settling = 10 * time.Second
	// callLimit bounds one call of an ability. Its outcome is unknown then.
	callLimit = 10 * time.Minute
)

// Reasons that the team reads.
const (
	reasonDoubt   = "it may have been done: please check, and send it again only if it was not"
	reasonTooLate = "could not be reached for an hour; please send it again"
)

// skills is what a source can do about one action.
type skills struct {
	// repeatable is for how long after the first try it may be repeated; finds whether the source can tell that a reply
	// was posted.
	repeatable time.Duration
	finds      bool
}

// move is what is to be done with an action.
type move int

const (
	// perform: call the ability.
	perform move = iota
	// find: ask the source whether the reply is there.
	find
	// anew: nothing can tell, but a person has looked, and it was not done.
	anew
	// doubt: nobody can know; a person must look.
	doubt
	// callback: the outcome is known, tell SocialHub.
	callback
)

// next says what to do with an action that is due. One found in performing was tried, by this process or one that
// died, and the outcome is not known.
func next(a *store.Action, can skills) move {
	switch {
	case a.State == store.ActionReceived:
		return perform
	case a.State != store.ActionPerforming:
		return callback
	case can.repeatable-repeatMargin > a.Tried:
		return perform
	case can.finds:
		return find
	case a.Retried:
		return anew
	}
	return doubt
}

// afterTry says what an error of an ability means; it is not for success. elapsed is for how long the action has been tried,
// wait the time until the next try if the source does not name another. What is certain of this try is not certain
// of the action if an earlier try's outcome is not known: a.State is still performing then.
func afterTry(a *store.Action, can skills, err error, elapsed, wait time.Duration) store.ActionStep {
	before := a.State == store.ActionPerforming
	if refused, ok := refusal(err); ok {
		if before {
			return uncertain(a, "a later try was refused: "+refused)
		}
		return fail(a, refused)
	}
	if !before && sources.NotDone(err) {
		return later(a, store.ActionReceived, err, elapsed, wait)
	}
	again := *a
	again.State, again.Tried, again.Retried = store.ActionPerforming, a.Tried+wait, false
	switch move := next(&again, can); {
	case move == doubt || elapsed >= patience:
		return uncertain(a, reasonOf(err))
	case move == find:
		wait = max(wait, settling)
	}
	return later(a, store.ActionPerforming, err, elapsed, wait)
}

// afterFind says what it means that the source was asked for a reply and does not have it, or could not say.
func afterFind(a *store.Action, err error, elapsed, wait time.Duration) store.ActionStep {
	switch {
	case err != nil && elapsed >= patience:
		return uncertain(a, "the source can't say: "+reasonOf(err))
	case err != nil:
		return later(a, store.ActionPerforming, err, elapsed, wait)
	case elapsed >= patience:
		return fail(a, "the source "+reasonTooLate)
	}
	return undone(a)
}

// undone is the step of an action of which no try has done anything: it may be done like a new one.
func undone(a *store.Action) store.ActionStep {
	return store.ActionStep{Key: a.Key, From: a.State, To: store.ActionReceived, Wait: true, Attempts: a.Attempts, Reason: a.Reason}
}

// beforeTry says what an error means that came before the source was called: of opening it, or of a file of the reply.
func beforeTry(a *store.Action, err error, elapsed, wait time.Duration) store.ActionStep {
	reason, refused := refusal(err)
	switch before := a.State == store.ActionPerforming; {
	case refused && before, before && elapsed >= patience:
		return uncertain(a, reasonOf(err))
	case refused:
		return fail(a, reason)
	case before:
		return later(a, store.ActionPerforming, err, elapsed, wait)
	}
	return later(a, store.ActionReceived, err, elapsed, wait)
}

// later is the step to another try, or the end of our patience with an action of which nothing was done.
func later(a *store.Action, to store.ActionState, err error, elapsed, wait time.Duration) store.ActionStep {
	asked, asks := errors.AsType[*sources.RetryAfterError](err)
	if asks {
		wait = max(wait, asked.After)
	}
	wait = min(wait, patience)
	if to == store.ActionReceived {
		switch left := patience - elapsed; {
		case left <= 0:
			return fail(a, "the source "+reasonTooLate)
		case asks && asked.After > left:
			return fail(a, "the source asks to wait for too long; please send it again later")
		default:
			wait = min(wait, left) // the last try is at the end of the hour
		}
	}
	return store.ActionStep{
		Key: a.Key, From: a.State, To: to, Wait: true, After: wait, Attempts: a.Attempts + 1, Reason: reasonOf(err),
	}
}

// fail is the step to the report that nothing was done.
func fail(a *store.Action, reason string) store.ActionStep {
	return store.ActionStep{Key: a.Key, From: a.State, To: store.ActionFailed, Wait: true, Reason: reason}
}

// uncertain is the step to the report that nobody knows.
func uncertain(a *store.Action, reason string) store.ActionStep {
	return store.ActionStep{Key: a.Key, From: a.State, To: store.ActionUncertain, Wait: true, Reason: reasonDoubt + " (" + reason + ")"}
}

// refusal is what the team is told of an error after which trying again does not help.
func refusal(err error) (reason string, ok bool) {
	if refused, ok := errors.AsType[*sources.RefusedError](err); ok {
		return bounded(refused.Reason), true
	}
	if stop, ok := errors.AsType[*sources.StopError](err); ok {
		return bounded("the settings of the source must be changed: " + stop.Error()), true
	}
	return "", false
}

func reasonOf(err error) string { return bounded(err.Error()) }

// maxReason is the most characters of a reason that is kept and told.
const maxReason = 500

// bounded makes a text fit to show: one line, not too long.
func bounded(text string) string {
	line := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if runes := []rune(line); len(runes) > maxReason {
		line = string(runes[:maxReason]) + "…"
	}
	return line
}

// since is for how long an action has been tried, opening its source and getting its files included.
func since(a *store.Action) time.Duration {
	if a.Attempts == 0 {
		return 0
	}
	return a.Waited
}
