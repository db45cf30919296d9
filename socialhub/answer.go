package socialhub

import "time"

// Outcome is what an answer means for the caller: a closed set, so that nobody above this package
// reads status codes.
type Outcome int

const (
	// Unavailable: 5xx, 408, 425, time-out, connection error, redirect, or a 2xx that is not the documented JSON.
	// What SocialHub did is unknown; the same request may be sent again later.
	Unavailable Outcome = iota
	// Done: the documented success of the route (200 or 201).
	Done
	// Conflict: 409 on a route that makes a ticket, the networkItemId is used in this channel already.
	Conflict
	// NotFound: 404 on a route of one ticket, SocialHub has no such ticket.
	NotFound
	// Rejected: 400 or another 4xx, also a 404 or 409 on a route that does not document it, or a body that
	// JSON can't carry; the same body never succeeds.
	Rejected
	// Unauthorized: 401, the token is wrong or was replaced; it must not be used again.
	Unauthorized
	// Forbidden: 403, the channel is deactivated or the token may not do this.
	Forbidden
	// RateLimited: 429, wait for RetryAfter.
	RateLimited
)

var outcomeNames = [...]string{
	Unavailable: "unavailable", Done: "done", Conflict: "conflict", NotFound: "not_found", Rejected: "rejected",
	Unauthorized: "unauthorized", Forbidden: "forbidden", RateLimited: "rate_limited",
}

// String is the outcome's name, as metrics call it.
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomeNames) {
		return "unknown"
	}
	return outcomeNames[o]
}

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	all := make([]Outcome, len(outcomeNames))
	for i := range all {
		all[i] = Outcome(i)
	}
	return all
}

// Answer is the result of one request.
type Answer struct {
	Outcome Outcome
	// TicketID is SocialHub's _id (24 hex digits) after a Done on a ticket route.
	TicketID string
	// RetryAfter is set with RateLimited: above 0 and at most [MaxRetryAfter].
	RetryAfter time.Duration
	// Reason is SocialHub's message or the transport's error, fit to show: one line, bounded, without the token.
	Reason string
	// Limit is what the X-RateLimit headers said.
	Limit RateLimit
}

// RateLimit is what SocialHub last said of the channel's budget of requests; Known is false when it said nothing.
type RateLimit struct {
	Known            bool
	Limit, Remaining int
}
