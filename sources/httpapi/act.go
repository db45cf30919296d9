package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

var (
	_ sources.Replier         = (*source)(nil)
	_ sources.TemplateReplier = (*source)(nil)
	_ sources.ButtonPresser   = (*source)(nil)
	_ sources.Deleter         = (*source)(nil)
	_ sources.Repeater        = (*source)(nil)
	_ sources.Chooser         = (*source)(nil)
	_ sources.Finder          = finder{}
)

// Can implements [sources.Chooser].
func (s *source) Can(t socialhub.ActionType, id string) bool {
	act, _ := s.settings.Actions.act(t, id)
	return act != nil
}

// RepeatableFor implements [sources.Repeater].
func (s *source) RepeatableFor(a *sources.Action) time.Duration {
	if act, _ := s.settings.Actions.act(a.Type, a.ID); act != nil {
		return time.Duration(act.Repeatable)
	}
	return 0
}

// Reply implements [sources.Replier].
func (s *source) Reply(ctx context.Context, r *sources.Reply) (sources.Posted, error) {
	return s.post(ctx, &task{Action: &r.Action, reply: r}, s.settings.Actions.Reply.Posted)
}

// ReplyWithTemplate implements [sources.TemplateReplier].
func (s *source) ReplyWithTemplate(ctx context.Context, r *sources.TemplateReply) (sources.Posted, error) {
	return s.post(ctx, &task{Action: &r.Action, template: r}, s.settings.Actions.TemplateReply.Posted)
}

// PressButton implements [sources.ButtonPresser].
func (s *source) PressButton(ctx context.Context, a *sources.Action) error {
	return s.carryOut(ctx, &task{Action: a})
}

// Delete implements [sources.Deleter].
func (s *source) Delete(ctx context.Context, a *sources.Action) error {
	return s.carryOut(ctx, &task{Action: a})
}

// enter waits until no other action is carried out.
func (s *source) enter(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *source) leave() { <-s.turn }

// carryOut carries out an action that gives nothing.
func (s *source) carryOut(ctx context.Context, t *task) error {
	if err := s.enter(ctx); err != nil {
		return &sources.NotDoneError{Err: err}
	}
	defer s.leave()
	_, _, err := s.perform(ctx, t)
	return err
}

// post carries out an action that posts something. Once the API has said that it did, there is no error: a reply without a
// known id is better than one that is posted twice.
func (s *source) post(ctx context.Context, t *task, posted jq.Program) (sources.Posted, error) {
	if err := s.enter(ctx); err != nil {
		return sources.Posted{}, &sources.NotDoneError{Err: err}
	}
	defer s.leave()
	a, vars, err := s.perform(ctx, t)
	if err != nil {
		return sources.Posted{}, err
	}
	p, _, err := s.posted(context.WithoutCancel(ctx), posted, a, vars)
	if err != nil {
		_, key := s.settings.Actions.act(t.Type, t.ID)
		s.logger.Warn("reply was posted, what the API says of it is not understood", "setting", key+"posted", "error", err)
	}
	return p, nil
}

// posted reads an answer about a reply; found is false if the program gives nothing.
func (s *source) posted(ctx context.Context, p jq.Program, a *answer, vars jq.Vars) (posted sources.Posted, found bool, err error) {
	out, err := p.One(ctx, a.body, a.vars(vars))
	if err != nil || out == nil {
		return posted, false, err
	}
	text, err := jq.Encode(out)
	if err != nil {
		return posted, false, err
	}
	item, err := s.decoder.Decode(text)
	if err != nil {
		return posted, false, err
	}
	i := &item.Interaction
	return sources.Posted{NetworkItemID: i.NetworkItemID, URL: i.URL, CreatedTime: i.CreatedTime, Ref: item.Ref}, true, nil
}

// perform makes an action's request. Its errors are those of [sources.Replier] and the other abilities.
func (s *source) perform(ctx context.Context, t *task) (*answer, jq.Vars, error) {
	act, key := s.settings.Actions.act(t.Type, t.ID)
	if act == nil {
		return nil, jq.Vars{}, &sources.RefusedError{Reason: "the source is not set up for this"}
	}
	vars, err := s.actVars(t, act)
	if err != nil {
		return nil, vars, err
	}
	if vars.Ref == nil && act.mentions("$ref") { // a null in a body may mean something else to the API
		return nil, vars, &sources.RefusedError{Reason: "the source has not noted where this item is; it will when the item changes"}
	}
	l := s.settings.actList(&act.Request, key, defaultMethod(t.Type))
	r, err := l.buildAct(ctx, act, t, vars)
	switch {
	case ctx.Err() != nil:
		return nil, vars, &sources.NotDoneError{Err: context.Cause(ctx)}
	case sources.NotDone(err):
		return nil, vars, err
	case err != nil:
		return nil, vars, &sources.RefusedError{Reason: "the source's settings can't make a request of this: " + err.Error()}
	}
	got, err := s.sendOnce(ctx, l, r)
	if err != nil && !answered(err) {
		return nil, vars, err
	}
	a, err := s.outcome(context.WithoutCancel(ctx), l, got, err, vars) // what is known already must not be lost
	if err != nil && t.Type == socialhub.ActionDelete && (a.status == http.StatusNotFound || a.status == http.StatusGone) && !a.ruled {
		err = nil
	}
	return a, vars, err
}

// answered tells whether an error is about an answer.
func answered(err error) bool {
	status, _, _ := failedAnswer(err)
	return status != 0
}

// sendOnce makes a request that must not be made twice. An error that is about no answer says what is known of the outcome.
func (s *source) sendOnce(ctx context.Context, l *list, r sources.HTTPRequest) (*sources.HTTPAnswer, error) {
	r.NoRedirect = true
	s.client.Close() // on a connection that was idle the request may be lost without a word
	for {
		if err := s.waitForTurn(ctx); err != nil {
			return nil, notDone(err)
		}
		u, err := url.Parse(r.URL)
		if err != nil { // can't be: it was built as one
			return nil, &sources.RefusedError{Reason: "gives no address that can be used"}
		}
		if err := s.auth.Apply(ctx, r.Header, u); err != nil {
			return nil, notDone(err)
		}
		signed := r
		signed.URL = u.String()
		var connected atomic.Bool
		traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
		got, err := s.client.Do(traced, signed)
		s.notBefore = time.Now().Add(s.settings.Interval)
		switch status, _, _ := failedAnswer(err); {
		case err == nil:
			return got, nil
		case status == http.StatusUnauthorized && s.auth.Renew():
			continue
		case !connected.Load():
			return nil, notDone(s.blame(l, err))
		}
		return nil, s.blame(l, err)
	}
}

// notDone marks an error after which nothing was done.
func notDone(err error) error {
	if sources.NotDone(err) {
		return err
	}
	return &sources.NotDoneError{Err: err}
}

// outcome says what an answer means for an action. The answer is returned beside the error.
func (s *source) outcome(ctx context.Context, l *list, got *sources.HTTPAnswer, failure error, vars jq.Vars) (*answer, error) {
	a := &answer{odd: true} // a rule whose program fails does not hold
	var text []byte
	if failure == nil {
		a.status, a.header, text = got.Status, got.Header, got.Body
	} else {
		a.status, a.header, text = failedAnswer(failure)
	}
	a.headers = headerVars(a.header)
	a.body, _ = jq.Decode(bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF")))
	if err := s.heed(ctx, a, vars); err != nil {
		s.logger.Warn("how long to wait after an action is not known", "error", err)
	}
	if a.status >= http.StatusInternalServerError {
		return a, unknown(failure)
	}
	if err := s.refusal(ctx, a, vars); err != nil {
		a.ruled = true
		return a, err
	}
	if failure == nil {
		return a, nil
	}
	return a, s.statusOutcome(l, a, failure)
}

// unknown takes from an error about an answer what would say that nothing was done.
func unknown(failure error) error {
	if status, ok := errors.AsType[*sources.StatusError](failure); ok {
		return status
	}
	return failure
}

// refusal asks the rules whether an answer says that nothing was done.
func (s *source) refusal(ctx context.Context, a *answer, vars jq.Vars) error {
	rule, key, _ := s.rule(ctx, a, vars, doSkip) // an error is of ctx, which does not end
	if rule == nil {
		return nil
	}
	wrong := rule.fault(key)
	switch rule.Do {
	case doStop:
		return &sources.StopError{Err: wrong}
	case doRefuse:
		return &sources.RefusedError{Reason: wrong.Problem}
	case doWait:
		after, err := s.seconds(ctx, rule.After, key+".after", a, vars)
		if err != nil {
			s.logger.Warn("how long to wait is not known", "setting", key+".after", "error", err)
		}
		return &sources.RetryAfterError{After: cmp.Or(after, defaultWait), Err: wrong}
	}
	return &sources.NotDoneError{Err: wrong}
}

// statusOutcome says what an answer below 500 that is no success means.
func (s *source) statusOutcome(l *list, a *answer, failure error) error {
	failure = s.quotaError(a, failure)
	if _, later := errors.AsType[*sources.RetryAfterError](failure); later {
		return failure
	}
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return failure
	case http.StatusProxyAuthRequired:
		return &sources.StopError{Err: failure}
	case http.StatusTooEarly, http.StatusTooManyRequests:
		if after, known := sources.RetryAfter(a.header, time.Now()); known {
			return &sources.RetryAfterError{After: after, Err: failure}
		}
		return &sources.NotDoneError{Err: failure}
	case http.StatusRequestTimeout: // also of a gateway that handed a request on already
		return unknown(failure)
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return &sources.StopError{Err: redirected(l, a, "write the address that it leads to")}
	}
	if a.status < http.StatusBadRequest { // a web form shows so that it was done (RFC 9110, 15.4.4; many with 302), or wants a login
		return redirected(l, a, "write the address that it leads to, or a rule in errors that says what it means")
	}
	return &sources.RefusedError{Reason: "the API answered " + statusWords(a.status)}
}

func redirected(l *list, a *answer, mend string) error {
	return &sources.SettingError{Key: l.key + "url", Problem: fmt.Sprintf("is redirected with %d, which is not followed; %s", a.status, mend)}
}

// statusWords is a status for the team.
func statusWords(status int) string {
	words := strconv.Itoa(status)
	if text := http.StatusText(status); text != "" {
		words += " " + text
	}
	switch status {
	case http.StatusNotFound, http.StatusGone:
		words += ": what this is about may have been deleted"
	case http.StatusRequestEntityTooLarge:
		words += ": it is too large"
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		words += ": it does not take this text or file, or no answers here"
	}
	return words
}

// finder is a source that can tell whether a reply was posted.
type finder struct{ *source }

// findSlack is how far the API's clock may be behind ours.
const findSlack = time.Minute

// FindReply implements [sources.Finder].
func (f finder) FindReply(ctx context.Context, r *sources.Reply, since time.Time) (sources.Posted, bool, error) {
	s := f.source
	if err := s.enter(ctx); err != nil {
		return sources.Posted{}, false, err
	}
	defer s.leave()
	find := &s.settings.Actions.Reply.Find
	const key = "actions.reply.find."
	vars := s.taskVars(&task{Action: &r.Action, reply: r})
	vars.Since = since.Add(-findSlack)
	l := s.settings.actList(&find.Request, key, http.MethodGet)
	request, err := l.build(ctx, position{}, nil, vars)
	if err != nil {
		return sources.Posted{}, false, err
	}
	a, err := s.ask(ctx, l, request, vars)
	if err != nil || a.skip {
		return sources.Posted{}, false, err
	}
	posted, found, err := s.posted(ctx, find.Posted, a, vars)
	if err != nil {
		return posted, false, programError(ctx, key+"posted", err)
	}
	return posted, found, nil
}
