package act

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// report tells SocialHub what became of an action.
func (s *session) report(a *store.Action) {
	answer, sent := s.Channel.Request(s.soft, s.hard, a.Key, func() socialhub.Answer {
		leased, release := s.Channel.Leased(s.soft, s.hard)
		defer release()
		return s.callback(leased, a)
	})
	if !sent {
		return // it is still due in the store
	}
	step, ok := afterAnswer(a, answer, s.Channel.Backoff(a.Attempts+1))
	if ok {
		s.store(a, step)
	}
}

// callback sends the request; it may go on while the session ends.
func (s *session) callback(ctx context.Context, a *store.Action) socialhub.Answer {
	if a.State == store.ActionPerformed {
		return s.Client.Confirm(ctx, a.TicketID, a.Key, confirmationOf(a))
	}
	followup := ""
	if isReply(a) {
		followup = a.Key
	}
	return s.Client.Fail(ctx, a.TicketID, a.ActionID, followup, a.Reason)
}

// store stores a step, whatever it takes short of the lease, and tells the log.
func (s *session) store(a *store.Action, step store.ActionStep) {
	err := s.Channel.Persist(s.hard, func(ctx context.Context) error { return s.Store.StepAction(ctx, s.lease, step) })
	switch {
	case err == nil:
		s.Channel.Stepped(step)
		s.tell(a, step)
		return
	case errors.Is(err, store.ErrLeaseLost) && step.ReplyTicketID != "":
		s.Channel.Adopt(s.hard, a.ReplyID, step.ReplyTicketID)
	}
	level := slog.LevelWarn
	if step.To == store.ActionPerformed && step.From != step.To {
		level = slog.LevelError // the reply stands, and who has the lease now does not know it
	}
	s.Log.Log(s.hard, level, "a step of an action could not be stored", slog.String("action", a.Key),
		slog.String("item", a.NetworkItemID), slog.String("to", string(step.To)), slog.Any("error", err))
}

// tell logs a step by the ids alone. The reasons are the source's and SocialHub's, not the team's words.
func (s *session) tell(a *store.Action, step store.ActionStep) {
	about := []any{
		slog.String("action", a.Key), slog.String("type", a.Type), slog.String("item", a.NetworkItemID), slog.String("source", a.Source),
	}
	reason := slog.String("reason", step.Reason)
	switch {
	case step.To == store.ActionUncertain && step.From != store.ActionUncertain:
		s.Log.Error("nobody knows whether an action was done; the team is told to check", append(about, reason)...)
	case step.To == store.ActionFailed && step.From != store.ActionFailed:
		s.Log.Warn("an action failed; the team is told", append(about, reason)...)
	case !step.Wait && (step.To == store.ActionPerformed || step.To == store.ActionFailed):
		s.Log.Error("SocialHub can't be told of an action; it waits for a person", append(about, reason)...)
	case step.To == store.ActionPerformed && step.From != step.To:
		s.Log.Debug("reply posted", append(about, slog.String("reply", step.Reply.NetworkItemID))...)
	case step.To == store.ActionConfirmed:
		s.Log.Info("action done", about...)
	case step.Wait && step.Attempts > 0:
		s.Log.Warn("action, trying again", append(about, reason, slog.Int("attempt", step.Attempts),
			slog.Duration("retry_in", step.After.Round(time.Millisecond)))...)
	}
}
