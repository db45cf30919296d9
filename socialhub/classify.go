package socialhub

import (
	"net/http"
	"strconv"
	"time"
)

// outcome maps a status to what it means for the call. A Done still needs the documented body.
func outcome(r call, status int) Outcome {
	switch {
	case status == r.want:
		return Done
	case status == http.StatusUnauthorized:
		return Unauthorized
	case status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusNotFound && r.missing:
		return NotFound
	case status == http.StatusConflict && r.conflict:
		return Conflict
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly:
		// Both speak of the moment, not of the request: RFC 9110 and RFC 8470 let the client repeat it as it is.
		return Unavailable
	case status >= 400 && status < 500:
		return Rejected
	}
	return Unavailable
}

// rateLimit reads the two headers that SocialHub sends with every answer; both or neither count.
func rateLimit(h http.Header) RateLimit {
	limit, err1 := strconv.Atoi(h.Get("X-Ratelimit-Limit"))
	remaining, err2 := strconv.Atoi(h.Get("X-Ratelimit-Remaining"))
	if err1 != nil || err2 != nil || limit < 0 || remaining < 0 {
		return RateLimit{}
	}
	return RateLimit{Known: true, Limit: limit, Remaining: remaining}
}

// retryAfter reads the wait of a 429, in seconds or as a date: above 0 and at most [MaxRetryAfter],
// [DefaultRetryAfter] if the header says nothing of the kind.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds <= int64(MaxRetryAfter/time.Second) { // else it may not fit a Duration
			wait = time.Duration(seconds) * time.Second
		}
	} else if until, err := http.ParseTime(value); err == nil {
		// The sender's own clock is the right measure, unless it is far off: then an answer from a cache is likelier.
		if date, err := http.ParseTime(h.Get("Date")); err == nil && date.Sub(now).Abs() <= 24*time.Hour {
			now = date
		}
		wait = until.Sub(now)
	}
	if wait <= 0 || wait > MaxRetryAfter {
		return DefaultRetryAfter
	}
	return wait
}
