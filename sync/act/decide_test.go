package act

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

func TestWhatIsDoneWithAnActionThatIsFound(t *testing.T) {
	t.Parallel()
	always, never := skills{repeatable: sources.Always}, skills{}
	finds, both := skills{finds: true}, skills{repeatable: 10 * time.Minute, finds: true}
	for _, test := range []struct {
		name  string
		state store.ActionState
		can   skills
		tried time.Duration
		want  move
	}{
		{"new", store.ActionReceived, never, 0, perform},
		{"not done before", store.ActionReceived, never, 2 * time.Hour, perform},
		{"tried, may be repeated for ever", store.ActionPerforming, always, 1000 * time.Hour, perform},
		{"tried, may be repeated still", store.ActionPerforming, both, 8 * time.Minute, perform},
		{"tried, may hardly be repeated", store.ActionPerforming, both, 9 * time.Minute, find},
		{"tried, may be repeated no more", store.ActionPerforming, skills{repeatable: 10 * time.Minute}, time.Hour, doubt},
		{"tried, can be found", store.ActionPerforming, finds, time.Second, find},
		{"tried, and nobody can know", store.ActionPerforming, never, time.Millisecond, doubt},
		{"posted", store.ActionPerformed, never, time.Hour, callback},
		{"failed", store.ActionFailed, always, 0, callback},
		{"uncertain", store.ActionUncertain, finds, 0, callback},
	} {
		if got := next(&store.Action{State: test.state, Tried: test.tried}, test.can); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		want := test.want
		if want == doubt {
			want = anew
		}
		if got := next(&store.Action{State: test.state, Tried: test.tried, Retried: true}, test.can); got != want {
			t.Errorf("%s, and taken up again: %v, want %v", test.name, got, want)
		}
	}
}

var (
	errRefused = &sources.RefusedError{Reason: "the post\nwas deleted"}
	errStop    = &sources.StopError{Err: errors.New("no login")}
	errNotDone = &sources.NotDoneError{Err: errors.New("busy")}
	errLater   = &sources.RetryAfterError{After: 20 * time.Minute, Err: errors.New("slow down")}
	errUnknown = errors.New("connection cut")
)

// outcome is a step without what is the same for all.
type outcome struct {
	To     store.ActionState
	Wait   bool
	After  time.Duration
	Reason string
}

func outcomeOf(s store.ActionStep) outcome {
	reason, _, _ := strings.Cut(s.Reason, ":")
	return outcome{s.To, s.Wait, s.After, reason}
}

const doubtful = "it may have been done"

func TestWhatTheErrorOfATryMeans(t *testing.T) {
	t.Parallel()
	const received, performing = store.ActionReceived, store.ActionPerforming
	always, never, finds := skills{repeatable: sources.Always}, skills{}, skills{finds: true}
	type O = outcome
	for _, test := range []struct {
		name    string
		state   store.ActionState // before the try
		can     skills
		err     error
		elapsed time.Duration
		want    outcome
	}{
		{"refused", received, never, errRefused, 0, O{store.ActionFailed, true, 0, "the post was deleted"}},
		{"refused late", received, never, errRefused, 2 * time.Hour, O{store.ActionFailed, true, 0, "the post was deleted"}},
		{"refused after one of unknown outcome", performing, always, errRefused, 0, O{store.ActionUncertain, true, 0, doubtful}},
		{"stopped", received, always, errStop, 0, O{store.ActionFailed, true, 0, "the settings of the source must be changed"}},
		{"stopped after one of unknown outcome", performing, always, errStop, 0, O{store.ActionUncertain, true, 0, doubtful}},
		{"not done", received, never, errNotDone, 0, O{received, true, 8 * time.Second, "busy"}},
		{"not done near the hour", received, never, errNotDone, time.Hour - time.Second, O{received, true, time.Second, "busy"}},
		{"not done for an hour", received, never, errNotDone, time.Hour, O{store.ActionFailed, true, 0, "the source could not be reached for an hour; please send it again"}},
		{"not done after one of unknown outcome", performing, always, errNotDone, 0, O{performing, true, 8 * time.Second, "busy"}},
		{"not done after one of unknown outcome, to be found", performing, finds, errNotDone, 0, O{performing, true, settling, "busy"}},
		{"not done after one of unknown outcome, for an hour", performing, always, errNotDone, time.Hour, O{store.ActionUncertain, true, 0, doubtful}},
		{"come back later", received, never, errLater, 0, O{received, true, 20 * time.Minute, "slow down"}},
		{"come back too late", received, never, errLater, 50 * time.Minute, O{store.ActionFailed, true, 0, "the source asks to wait for too long; please send it again later"}},
		{"come back later after one of unknown outcome", performing, always, errLater, 0, O{performing, true, 20 * time.Minute, "slow down"}},
		{"unknown, repeated", received, always, errUnknown, 0, O{performing, true, 8 * time.Second, "connection cut"}},
		{"unknown, repeated for an hour", performing, always, errUnknown, time.Hour, O{store.ActionUncertain, true, 0, doubtful}},
		{"unknown, repeated no more when it is due", received, skills{repeatable: 2 * time.Minute}, errUnknown, 55 * time.Second, O{store.ActionUncertain, true, 0, doubtful}},
		{"unknown, to be found", received, finds, errUnknown, 0, O{performing, true, settling, "connection cut"}},
		{"unknown, to be found, after an hour", received, finds, errUnknown, time.Hour, O{store.ActionUncertain, true, 0, doubtful}},
		{"unknown", received, never, errUnknown, 0, O{store.ActionUncertain, true, 0, doubtful}},
	} {
		a := &store.Action{Key: "k", State: test.state, Attempts: 3, Tried: test.elapsed, Retried: test.state == performing}
		if diff := cmp.Diff(test.want, outcomeOf(afterTry(a, test.can, test.err, test.elapsed, 8*time.Second))); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestWhatTheAnswerOfAFinderMeans(t *testing.T) {
	t.Parallel()
	const performing = store.ActionPerforming
	for _, test := range []struct {
		name    string
		err     error
		elapsed time.Duration
		want    outcome
	}{
		{"not there", nil, time.Minute, outcome{store.ActionReceived, true, 0, ""}},
		{"not there after an hour", nil, time.Hour, outcome{store.ActionFailed, true, 0, "the source could not be reached for an hour; please send it again"}},
		{"can't say", errUnknown, time.Minute, outcome{performing, true, 8 * time.Second, "connection cut"}},
		{"refuses to say", errRefused, time.Minute, outcome{performing, true, 8 * time.Second, "the post was deleted"}},
		{"can't say after an hour", errUnknown, time.Hour, outcome{store.ActionUncertain, true, 0, doubtful}},
	} {
		a := &store.Action{Key: "k", State: performing}
		if diff := cmp.Diff(test.want, outcomeOf(afterFind(a, test.err, test.elapsed, 8*time.Second))); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestWhatTroubleBeforeATryMeans(t *testing.T) {
	t.Parallel()
	const received, performing = store.ActionReceived, store.ActionPerforming
	for _, test := range []struct {
		name    string
		state   store.ActionState
		err     error
		elapsed time.Duration
		want    outcome
	}{
		{"refused", received, errRefused, 0, outcome{store.ActionFailed, true, 0, "the post was deleted"}},
		{"refused, and a try was before", performing, errRefused, 0, outcome{store.ActionUncertain, true, 0, doubtful}},
		{"trouble", received, errUnknown, 0, outcome{received, true, 8 * time.Second, "connection cut"}},
		{"trouble, and a try was before", performing, errUnknown, 0, outcome{performing, true, 8 * time.Second, "connection cut"}},
		{"trouble for an hour", received, errUnknown, time.Hour, outcome{store.ActionFailed, true, 0, "the source could not be reached for an hour; please send it again"}},
		{"trouble for an hour, and a try was before", performing, errUnknown, time.Hour, outcome{store.ActionUncertain, true, 0, doubtful}},
	} {
		a := &store.Action{Key: "k", State: test.state}
		if diff := cmp.Diff(test.want, outcomeOf(beforeTry(a, test.err, test.elapsed, 8*time.Second))); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestTheHourBeginsWithTheFirstTryAndNotWhileTheProcessWasDown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		action store.Action
		want   time.Duration
	}{
		{store.Action{Waited: 5 * time.Hour}, 0},
		{store.Action{Waited: 5 * time.Hour, Attempts: 2}, 5 * time.Hour},                   // nothing but the opening of the source failed
		{store.Action{Waited: time.Minute, Attempts: 2, Tried: 5 * time.Hour}, time.Minute}, // a person has had it taken up again
		{store.Action{Waited: 5 * time.Hour, Tried: 6 * time.Hour}, 0},
	} {
		if got := since(&test.action); got != test.want {
			t.Errorf("%+v: %v", test.action, got)
		}
	}
}

// TestWhatEachAnswerToACallbackMeans is the table of the callbacks, over every outcome.
func TestWhatEachAnswerToACallbackMeans(t *testing.T) {
	t.Parallel()
	type step = store.ActionStep
	const ticket = "5f0000000000000000000001"
	var none *step // no attempt
	table := map[store.ActionState]map[socialhub.Outcome]*step{
		store.ActionPerformed: {
			socialhub.Done:         {To: store.ActionConfirmed, ReplyTicketID: ticket},
			socialhub.Conflict:     {To: store.ActionConfirmed},
			socialhub.NotFound:     {To: store.ActionPerformed, Reason: "the reply was posted, and SocialHub does not take the confirmation: why"},
			socialhub.Rejected:     {To: store.ActionPerformed, Reason: "the reply was posted, and SocialHub does not take the confirmation: why"},
			socialhub.Unavailable:  {To: store.ActionPerformed, Wait: true, After: time.Minute, Attempts: 4, Reason: "why"},
			socialhub.Unauthorized: none, socialhub.Forbidden: none, socialhub.RateLimited: none,
		},
		store.ActionFailed: {
			socialhub.Done:         {To: store.ActionReported, Reason: "closed"},
			socialhub.NotFound:     {To: store.ActionReported, Reason: "closed"},
			socialhub.Conflict:     {To: store.ActionFailed, Reason: "closed; SocialHub does not take the report: why"},
			socialhub.Rejected:     {To: store.ActionFailed, Reason: "closed; SocialHub does not take the report: why"},
			socialhub.Unavailable:  {To: store.ActionFailed, Wait: true, After: time.Minute, Attempts: 4, Reason: "closed"},
			socialhub.Unauthorized: none, socialhub.Forbidden: none, socialhub.RateLimited: none,
		},
		store.ActionUncertain: {
			socialhub.Done:         {To: store.ActionUncertain, Reason: "closed"},
			socialhub.NotFound:     {To: store.ActionUncertain, Reason: "closed"},
			socialhub.Conflict:     {To: store.ActionUncertain, Reason: "closed; SocialHub does not take the report: why"},
			socialhub.Rejected:     {To: store.ActionUncertain, Reason: "closed; SocialHub does not take the report: why"},
			socialhub.Unavailable:  {To: store.ActionUncertain, Wait: true, After: time.Minute, Attempts: 4, Reason: "closed"},
			socialhub.Unauthorized: none, socialhub.Forbidden: none, socialhub.RateLimited: none,
		},
	}
	for state, answers := range table {
		for o := socialhub.Unavailable; o <= socialhub.RateLimited; o++ {
			want, listed := answers[o]
			if !listed {
				t.Fatalf("%s: the outcome %d is not in the table", state, o)
			}
			a := &store.Action{Key: "k", State: state, Attempts: 3, Reason: "closed"}
			answer := socialhub.Answer{Outcome: o, Reason: "why"}
			if o == socialhub.Done {
				answer.TicketID, answer.Reason = ticket, ""
			}
			got, ok := afterAnswer(a, answer, time.Minute)
			if ok != (want != nil) {
				t.Errorf("%s, outcome %d: is a step: %v", state, o, ok)
			}
			if want == nil {
				continue
			}
			want.Key, want.From = "k", state
			if diff := cmp.Diff(*want, got); diff != "" {
				t.Errorf("%s, outcome %d: %s", state, o, diff)
			}
			if state == store.ActionPerformed && (got.To == store.ActionFailed || got.To == store.ActionReceived) {
				t.Errorf("outcome %d: a reply that stands is %s", o, got.To)
			}
		}
	}
}

func TestAReasonIsOneShortLine(t *testing.T) {
	t.Parallel()
	if got := bounded("a\r\n b\x00\u2028c\xff " + strings.Repeat("ä", 1000)); !strings.HasPrefix(got, "a b c\uFFFD ä") || len([]rune(got)) != maxReason+1 {
		t.Errorf("%q", got)
	}
}
