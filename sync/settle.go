package sync

import (
	"math/rand/v2"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// Retries wait between 1 s and 10 min, longer with every failure.
const (
	firstRetry = time.Second
	lastRetry  = 10 * time.Minute
)

// backoff is the wait after so many failures in a row, with full jitter: anything up to the limit, so that
// what failed together does not come back together.
func backoff(failures int) time.Duration {
	limit := lastRetry
	if failures < 10 {
		limit = min(limit, firstRetry<<max(0, failures-1))
	}
	return firstRetry/10 + rand.N(limit)
}

// settle is the decision table: what an answer to a ticket's request means for the ticket. wait is for
// an answer that says nothing for good.
func settle(t *store.Ticket, a socialhub.Answer, wait time.Duration) store.Settlement {
	update := t.TicketID != ""
	s := store.Settlement{
		NetworkItemID: t.NetworkItemID, Sent: t.WantedHash,
		Changed: store.Standing{State: store.Pending},
	}
	switch a.Outcome {
	case socialhub.Done:
		s.TicketID, s.Delivered = a.TicketID, &s.Sent
		s.Same.State = store.Synced
	case socialhub.Conflict:
		if update { // not documented for a PATCH: a 4xx like the others
			return refuse(s, t, a.Reason)
		}
		s.Same = store.Standing{State: store.Unlinked, Reason: a.Reason}
		s.Changed = s.Same
		if !t.Delivered {
			s.Delivered = &s.Sent
		}
	case socialhub.NotFound:
		if !update {
			return refuse(s, t, a.Reason)
		}
		s.Same = store.Standing{State: store.Gone, Reason: a.Reason}
		s.Changed = s.Same
	case socialhub.Rejected:
		return refuse(s, t, a.Reason)
	case socialhub.Unauthorized, socialhub.Forbidden, socialhub.RateLimited:
		// Not an attempt: the channel pauses, the ticket stays due.
		s.Delivered = untouched(t)
		s.Same = store.Standing{State: store.Pending, Attempts: t.Attempts, Reason: t.Reason}
	case socialhub.Unavailable:
		s.Same = store.Standing{State: store.Pending, After: wait, Attempts: t.Attempts + 1, Reason: a.Reason}
		s.Changed.After = wait
	}
	return s
}

// refuse settles a ticket whose content SocialHub will never take.
func refuse(s store.Settlement, t *store.Ticket, reason string) store.Settlement {
	s.Delivered = untouched(t)
	s.Same = store.Standing{State: store.Rejected, Attempts: t.Attempts + 1, Reason: reason}
	return s
}

// untouched is the delivered hash after an answer that says that SocialHub changed nothing: what it was
// before the update was noted as under way.
func untouched(t *store.Ticket) *string {
	if t.TicketID == "" {
		return nil
	}
	return &t.DeliveredHash
}

// unsent gives a ticket back that was read to be sent and was not.
func unsent(t *store.Ticket) store.Settlement {
	return settle(t, socialhub.Answer{Outcome: socialhub.RateLimited}, 0)
}

// settled is for a ticket that needs no request.
func settled(t *store.Ticket, state store.State, reason string) store.Settlement {
	return store.Settlement{
		NetworkItemID: t.NetworkItemID, Sent: t.WantedHash,
		Same:    store.Standing{State: state, Reason: reason},
		Changed: store.Standing{State: store.Pending},
	}
}
