package act

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// ready is an action with all that its ability needs.
type ready struct {
	// leased ends with the lease, as all that is done must.
	leased context.Context
	// began is when this look at the action did, wait the time until the next try if this one brings nothing.
	began    time.Time
	wait     time.Duration
	source   sources.Source
	able     skills
	reply    *sources.Reply
	template *sources.TemplateReply
	close    func()
}

// elapsed is for how long the action has been tried.
func (r *ready) elapsed(a *store.Action) time.Duration { return since(a) + time.Since(r.began) }

// aged is the action with the age of its first call as it is now.
func (r *ready) aged(a *store.Action) *store.Action {
	aged := *a
	aged.Tried += time.Since(r.began)
	return &aged
}

// perform does an action, or finds out what became of an earlier try.
func (s *session) perform(a *store.Action) {
	if s.soft.Err() != nil || !s.Channel.Able() {
		return // it is still due in the store
	}
	r := &ready{close: func() {}, began: time.Now(), wait: s.Channel.Backoff(a.Attempts + 1)}
	defer func() { r.close() }()
	leased, release := s.Channel.Leased(s.soft, s.hard)
	defer release()
	r.leased = leased
	if err := s.prepare(a, r); err != nil {
		if s.soft.Err() == nil {
			s.store(a, beforeTry(a, err, r.elapsed(a), r.wait))
		}
		return
	}
	switch next(a, r.able) {
	case doubt:
		s.store(a, uncertain(a, "the process was stopped while it was done"))
	case anew:
		s.store(a, undone(a))
	case find:
		s.lookFor(a, r)
	default:
		s.try(a, r)
	}
}

// lookFor finds out whether the reply of an earlier try is there.
func (s *session) lookFor(a *store.Action, r *ready) {
	// Whoever had the lease until now may have tried it to the last; and a person may be quick to say that it be tried again.
	if left := settling - min(time.Since(s.began), a.Waited); left > 0 {
		s.store(a, postponed(a, min(left, settling)))
		return
	}
	posted, found, err := s.find(a, r, r.began.Add(-a.Tried).UTC())
	switch {
	case found && err == nil:
		s.performed(a, posted)
	case r.leased.Err() == nil:
		s.store(a, afterFind(a, err, r.elapsed(a), r.wait))
	}
}

// prepare opens the source and gets everything together. What fails here has done nothing.
func (s *session) prepare(a *store.Action, r *ready) (err error) {
	if r.source, r.close, err = s.opened.get(s.soft, a.Source); err != nil {
		return err
	}
	for _, f := range []func() error{func() error { return s.ask(a, r) }, func() error { return s.load(a, r) }} {
		if err := s.Channel.Guard(a.Source, f); err != nil {
			return err
		}
	}
	return nil
}

// ask asks the source what it can do.
func (s *session) ask(a *store.Action, r *ready) error {
	if !sources.Can(r.source, socialhub.ActionType(a.Type), a.ActionID) {
		return &sources.RefusedError{Reason: fmt.Sprintf("the source %s can't do this", a.Source)}
	}
	if repeater, ok := r.source.(sources.Repeater); ok {
		asked := actionOf(a)
		r.able.repeatable = repeater.RepeatableFor(&asked)
	}
	_, finder := r.source.(sources.Finder)
	r.able.finds = finder && a.Type == string(socialhub.ActionReply)
	return nil
}

// load reads what a reply says and gets its files, unless it will not be tried.
func (s *session) load(a *store.Action, r *ready) error {
	if !isReply(a) {
		return nil
	}
	p, err := payloadOf(a)
	if err != nil {
		return err
	}
	if a.Type == string(socialhub.ActionTemplateReply) {
		r.template = templateOf(a, &p)
		return nil
	}
	r.reply = replyOf(a, &p)
	if next(a, r.able) == perform {
		var tidy func()
		leave := r.close
		r.reply.Attachments, tidy, err = s.files(s.soft, &p)
		r.close = func() { tidy(); leave() }
	}
	return err
}

// try calls the ability, between two steps that are stored.
func (s *session) try(a *store.Action, r *ready) {
	if s.soft.Err() != nil {
		return
	}
	// Until the store has said whether it took it: a row in performing that nobody tried would be a false doubt.
	err := s.Channel.Persist(s.hard, func(ctx context.Context) error { return s.Store.BeginAction(ctx, s.lease, a.Key) })
	if err != nil {
		return
	}
	begun := *a
	begun.State = store.ActionPerforming
	// Time has gone by, and in a process that stood still much of it.
	if r.leased.Err() != nil || !s.Channel.Able() || next(r.aged(a), r.able) != perform {
		back := postponed(a, 0)
		back.From = begun.State
		s.store(a, back)
		return
	}
	posted, err := s.call(a, r)
	switch {
	case err == nil && isReply(a):
		s.performed(&begun, posted)
	case err == nil:
		s.store(a, store.ActionStep{Key: a.Key, From: begun.State, To: store.ActionConfirmed})
	case r.leased.Err() != nil && !sources.NotDone(err):
		s.cutOff(&begun, err)
	default:
		step := afterTry(r.aged(a), r.able, err, r.elapsed(a), r.wait)
		step.From = begun.State
		s.store(a, step)
	}
}

// cutOff leaves an action whose outcome is not known to whoever has the lease next. That one must not ask the source for
// the reply while the request may still be worked on.
func (s *session) cutOff(a *store.Action, err error) {
	s.store(a, store.ActionStep{
		Key: a.Key, From: a.State, To: a.State, Wait: true, After: settling, Attempts: a.Attempts + 1, Reason: reasonOf(err),
	})
}

// postponed is the step of an action that is as it was and is looked at again later.
func postponed(a *store.Action, wait time.Duration) store.ActionStep {
	return store.ActionStep{Key: a.Key, From: a.State, To: a.State, Wait: true, After: wait, Attempts: a.Attempts, Reason: a.Reason}
}

// call calls the ability; its context ends with the lease.
func (s *session) call(a *store.Action, r *ready) (posted sources.Posted, err error) {
	ctx, cancel := context.WithTimeoutCause(r.leased, callLimit, errCallLimit)
	defer cancel()
	err = s.Channel.Guard(a.Source, func() (err error) {
		switch socialhub.ActionType(a.Type) {
		case socialhub.ActionReply:
			posted, err = r.source.(sources.Replier).Reply(ctx, r.reply)
		case socialhub.ActionTemplateReply:
			posted, err = r.source.(sources.TemplateReplier).ReplyWithTemplate(ctx, r.template)
		case socialhub.ActionButton:
			pressed := actionOf(a)
			err = r.source.(sources.ButtonPresser).PressButton(ctx, &pressed)
		case socialhub.ActionDelete:
			deleted := actionOf(a)
			err = r.source.(sources.Deleter).Delete(ctx, &deleted)
		}
		return err
	})
	return posted, err
}

var errCallLimit = errors.New("the source did not answer for 10 minutes")

// find asks the source for the reply of an earlier try.
func (s *session) find(a *store.Action, r *ready, first time.Time) (posted sources.Posted, found bool, err error) {
	ctx, cancel := context.WithTimeoutCause(r.leased, callLimit, errCallLimit)
	defer cancel()
	err = s.Channel.Guard(a.Source, func() (err error) {
		posted, found, err = r.source.(sources.Finder).FindReply(ctx, r.reply, first)
		return err
	})
	return posted, found, err
}

// performed stores that a reply is posted, and which it is.
func (s *session) performed(a *store.Action, posted sources.Posted) {
	s.store(a, store.ActionStep{
		Key: a.Key, From: store.ActionPerforming, To: store.ActionPerformed, Wait: true, Reply: postedOf(a, posted),
	})
}
