package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// What a [Rule] does.
const (
	doStop   = "stop"
	doRetry  = "retry"
	doWait   = "wait"
	doSkip   = "skip"   // in pulls and finds only
	doRefuse = "refuse" // in actions only
)

const (
	// defaultWait is how long a rule waits that does not say how long.
	defaultWait = time.Minute
	// patience is how long a pull waits for the next request; if it takes longer the poll ends, and goes on then.
	patience = time.Minute
)

// judge asks the rules what an answer means.
func (s *source) judge(ctx context.Context, a *answer, vars jq.Vars) (skip bool, err error) {
	rule, key, err := s.rule(ctx, a, vars, doRefuse)
	if err != nil || rule == nil {
		return false, err
	}
	wrong := rule.fault(key)
	switch rule.Do {
	case doStop:
		return false, &sources.StopError{Err: wrong}
	case doWait:
		after, err := s.seconds(ctx, rule.After, key+".after", a, vars)
		if err != nil {
			return false, err
		}
		return false, &sources.RetryAfterError{After: cmp.Or(after, defaultWait), Err: wrong}
	case doSkip:
		return true, nil
	}
	return false, wrong
}

// rule returns the first rule that holds, nil if none does, and its setting. Those that do what except says do not count.
func (s *source) rule(ctx context.Context, a *answer, vars jq.Vars, except string) (*Rule, string, error) {
	for i := range s.settings.Errors {
		rule, key := &s.settings.Errors[i], fmt.Sprintf("errors[%d]", i)
		if rule.Do == except {
			continue
		}
		holds, err := rule.When.Is(ctx, a.body, a.vars(vars))
		if err != nil && (!a.odd || ctx.Err() != nil) {
			return nil, "", programError(ctx, key+".when", err)
		}
		if holds {
			return rule, key, nil
		}
	}
	return nil, "", nil
}

// fault is what a rule that holds says.
func (r *Rule) fault(key string) *sources.SettingError {
	return &sources.SettingError{Key: key, Problem: cmp.Or(r.Message, "holds for the API's answer")}
}

// seconds runs a program that gives a number of seconds; 0 if it gives none.
func (s *source) seconds(ctx context.Context, p jq.Program, key string, a *answer, vars jq.Vars) (time.Duration, error) {
	if p.IsZero() {
		return 0, nil
	}
	out, err := p.One(ctx, a.body, a.vars(vars))
	if err != nil && (!a.odd || ctx.Err() != nil) {
		return 0, programError(ctx, key, err)
	}
	if err != nil || out == nil || out == false {
		return 0, nil
	}
	text, _ := jq.Text(out)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) {
		return 0, &sources.SettingError{Key: key, Problem: "gives " + jq.TypeOf(out) + " where a number of seconds is wanted"}
	}
	return bounded(n), nil
}

// bounded makes a wait of seconds, at most [sources.MaxRetryAfter].
func bounded(seconds float64) time.Duration {
	return time.Duration(min(max(seconds, 0), sources.MaxRetryAfter.Seconds()) * float64(time.Second))
}

// heed notes how long an answer asks to wait before the next request.
func (s *source) heed(ctx context.Context, a *answer, vars jq.Vars) error {
	pause, err := s.seconds(ctx, s.settings.Pause, "pause", a, vars)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, until := range []time.Time{now.Add(pause), now.Add(quota(a.header, now))} {
		if until.After(s.notBefore) {
			s.notBefore = until
		}
	}
	return nil
}

// waitForTurn waits until the next request may be made.
func (s *source) waitForTurn(ctx context.Context) error {
	d := time.Until(s.notBefore)
	switch {
	case d <= 0:
		return nil
	case d > patience:
		return &sources.RetryAfterError{After: d, Err: errors.New("the API asks to wait before the next request")}
	}
	return s.wait(ctx, d)
}

// quotaError makes of a refusal because a quota is used up (GitHub's 403, with its X-RateLimit headers) a wait.
func (s *source) quotaError(a *answer, failure error) error {
	d := quota(a.header, time.Now())
	if d <= 0 || a.status != http.StatusForbidden && a.status != http.StatusTooManyRequests {
		return failure
	}
	if _, known := errors.AsType[*sources.RetryAfterError](failure); known {
		return failure
	}
	wrong, ok := errors.AsType[*sources.SettingError](failure)
	if !ok {
		return failure
	}
	return &sources.RetryAfterError{After: d, Err: &sources.SettingError{Key: "url", Problem: wrong.Problem}}
}

// structured is the one field RateLimit of the later drafts of RateLimit header fields for HTTP: "default";r=0;t=30.
var structured = regexp.MustCompile(`;\s*r=0\s*;\s*t=(\d+)`)

// quota is how long to wait when headers say that no request is left: X-RateLimit-Remaining and -Reset, or the same
// without X-. Reset is in seconds, or a time in seconds since 1970.
func quota(h http.Header, now time.Time) time.Duration {
	if m := structured.FindStringSubmatch(h.Get("RateLimit")); m != nil {
		n, _ := strconv.ParseFloat(m[1], 64)
		return bounded(n)
	}
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-", "X-Rate-Limit-"} {
		if strings.TrimSpace(h.Get(prefix+"Remaining")) != "0" {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(h.Get(prefix+"Reset")), 64)
		if err != nil || math.IsNaN(n) {
			return 0
		}
		const year = 366 * 24 * 60 * 60
		if n > 10*year {
			n -= float64(now.UnixNano()) / float64(time.Second)
		}
		return bounded(n)
	}
	return 0
}
