package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxErrorBody is how much is kept of an answer that is not a success, in bytes.
const maxErrorBody = 64 << 10

// StatusError is an answer that is not a success, for adapters that know what its server means by it.
type StatusError struct {
	Status int
	Header http.Header
	// Body is its beginning, at most 64 KiB. Its content must not be shown.
	Body []byte
	Err  error
}

func (e *StatusError) Error() string { return e.Err.Error() }
func (e *StatusError) Unwrap() error { return e.Err }

// statusError says what an answer that is not a success means for the source.
func (c *HTTPClient) statusError(resp *http.Response, now time.Time) error {
	code := resp.StatusCode
	said := strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
	problem := ShownURL(resp.Request.URL) + " answered " + said
	if mend := statusMend(code); mend != "" {
		problem += ": " + mend
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what came of it; the status is what counts
	err := &StatusError{
		Status: code, Header: resp.Header, Body: body,
		Err: &SettingError{Key: c.options.URLSetting, Problem: problem},
	}
	after, known := RetryAfter(resp.Header, now)
	switch code {
	case http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if known {
			return &RetryAfterError{After: after, Err: err}
		}
	}
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusGone:
		return &StopError{Err: err}
	}
	return err
}

func statusMend(code int) string {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "check the credentials and what they may read"
	case http.StatusNotFound:
		return "check the address"
	case http.StatusGone:
		return "the server says that it is gone for good; find its new address"
	case http.StatusProxyAuthRequired:
		return "check the proxy in the environment"
	case http.StatusNotModified:
		return "without having been asked for changes only"
	}
	return ""
}

// transportError tells why there is no whole answer. outer is the caller's context, limited the one with the time limit.
func (c *HTTPClient) transportError(outer, limited context.Context, u *url.URL, err error) error {
	if outer.Err() != nil {
		return fmt.Errorf("fetch %s: %w", ShownURL(u), context.Cause(outer))
	}
	if refused, ok := errors.AsType[redirectError](err); ok {
		return &SettingError{Key: c.options.URLSetting, Problem: ShownURL(u) + " " + refused.Error()}
	}
	if limited.Err() != nil {
		return fmt.Errorf("fetch %s: no whole answer within %s", ShownURL(u), c.options.Timeout)
	}
	// A url.Error shows the address.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("fetch %s: %s", ShownURL(u), ShownReason(err))
}

// quoted is a text in quotes, with escapes as %q writes them.
var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// ShownReason is the text of an error of package net/http or encoding/json as it may stand in an error: without what it
// quotes of the answer, which may be content or repeat the address.
func ShownReason(err error) string {
	reason := err.Error()
	switch {
	case strings.Contains(reason, "Location header"):
		return "redirects to an address that can't be read"
	case strings.Contains(reason, "malformed HTTP"), strings.Contains(reason, "malformed MIME"):
		return "answered with something that is not HTTP"
	}
	return quoted.ReplaceAllString(reason, `"…"`)
}

// ShownURL is the address as it may stand in an error, "https://example.com/…": user, password, path and query may
// hold a key.
func ShownURL(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host}
	if u.RequestURI() == "/" {
		return shown.String()
	}
	return shown.String() + "/…"
}

// RetryAfter reads when to come back, as 1 s to [MaxRetryAfter]: Retry-After, in seconds or a date.
func RetryAfter(h http.Header, now time.Time) (wait time.Duration, known bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if wait, known = seconds(value); !known {
		at, err := http.ParseTime(value)
		if err != nil {
			return 0, false
		}
		wait = at.Sub(now)
	}
	return saneWait(wait), true
}

// RateLimitReset reads when a limit of requests ends, as 1 s to [MaxRetryAfter], of an answer without Retry-After:
// where nothing remains, X-RateLimit-Reset, a time (Mastodon) or seconds since 1970 or from now (others).
func RateLimitReset(h http.Header, now time.Time) (wait time.Duration, known bool) {
	if left := h.Get("X-RateLimit-Remaining"); left != "" && left != "0" {
		return 0, false // not the reason for this answer
	}
	reset := strings.TrimSpace(h.Get("X-RateLimit-Reset"))
	if at, err := time.Parse(time.RFC3339, reset); err == nil {
		return saneWait(at.Sub(now)), true
	}
	const since1970 = 1e9 * time.Second
	if wait, known = seconds(reset); wait > since1970 {
		wait = time.Unix(int64(wait/time.Second), 0).Sub(now)
	}
	if !known {
		return 0, false
	}
	return saneWait(wait), true
}

func saneWait(wait time.Duration) time.Duration {
	return min(max(wait, time.Second), MaxRetryAfter)
}

// freshUntil reads Cache-Control: max-age, less the Age that the answer has already; zero if there is none.
func freshUntil(h http.Header, now time.Time) time.Time {
	var fresh time.Duration
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-cache", "no-store":
			return time.Time{}
		case "max-age":
			fresh, _ = seconds(strings.Trim(value, `"`))
		}
	}
	if age, ok := seconds(h.Get("Age")); ok {
		fresh -= age
	}
	if fresh <= 0 {
		return time.Time{}
	}
	return now.Add(min(fresh, MaxCacheWait))
}

// seconds reads a whole number of seconds that is not negative; one too large for a Duration is the largest.
func seconds(s string) (time.Duration, bool) {
	const most = 1 << 32
	n, err := strconv.ParseUint(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return most * time.Second, true
	}
	return time.Duration(min(n, most)) * time.Second, err == nil
}
