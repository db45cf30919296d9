package mastodon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// transport stands between go-mastodon and the network, for what that library leaves open: it bounds the size of an
// answer, it ends a request at any status that is not 200 (the library would sleep on a 429, for an hour if need be,
// and net/http would take the token along on a redirect), and it keeps the answer's text for [readEach].
type transport struct {
	base    *http.Transport
	agent   string
	maxSize int64
}

// answer is what one call learns beyond what go-mastodon returns.
type answer struct {
	body []byte
	// linked tells that the server says where the next page is, or by its absence that there is none.
	linked bool
}

type answerKey struct{}

// refusal is an error that says all there is to say; what is wrapped around it on its way up is not shown.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }

func newTransport(agent string, maxSize int64) *transport {
	return &transport{agent: agent, maxSize: maxSize, base: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}}
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	shown := sources.ShownURL(req.URL)
	if resp.StatusCode != http.StatusOK {
		return nil, &refusal{statusError(resp, shown, time.Now())}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, t.maxSize+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > t.maxSize {
		return nil, &refusal{&sources.SettingError{Key: "max_size", Problem: fmt.Sprintf(
			"the answer of %s is larger than %d bytes; allow more if that is right", shown, t.maxSize)}}
	}
	if start := bytes.TrimLeft(body, " \t\r\n"); len(start) == 0 || start[0] != '{' && start[0] != '[' {
		return nil, &refusal{notTheAPI(shown, start)}
	}
	if a, ok := req.Context().Value(answerKey{}).(*answer); ok {
		a.body, a.linked = body, resp.Header.Get("Link") != ""
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// notTheAPI is the error for a text that is no JSON.
func notTheAPI(shown string, start []byte) error {
	what := "something that is not JSON"
	switch {
	case len(start) == 0:
		what = "nothing"
	case start[0] == '<':
		what = "a web page"
	}
	return &sources.SettingError{Key: "server", Problem: fmt.Sprintf(
		"%s answered with %s; check that it is a server with Mastodon's API", shown, what)}
}

// statusError says what an answer without success means.
func statusError(resp *http.Response, shown string, now time.Time) error {
	code := resp.StatusCode
	key, mend := statusMend(resp)
	problem := shown + " answered " + strings.TrimSpace(strconv.Itoa(code)+" "+http.StatusText(code))
	if mend != "" {
		problem += ": " + mend
	}
	var err error = &httpError{code: code, err: &sources.SettingError{Key: key, Problem: problem}}
	after, known := comeBack(resp.Header, now)
	switch code {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusForbidden:
		if known {
			return &sources.RetryAfterError{After: after, Err: err}
		}
	}
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &sources.StopError{Err: err}
	}
	return err
}

// statusMend says which setting a status is about and what to do.
func statusMend(resp *http.Response) (key, mend string) {
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		return "access_token", "the token is wrong or was revoked; make a new one"
	case code == http.StatusForbidden:
		return "access_token", "the account is locked, or the token may not read this; " +
			"it needs the scopes read:accounts, read:notifications and read:statuses"
	case code == http.StatusNotFound:
		return "server", "check that it is a server with Mastodon's API"
	case code >= 300 && code <= 399:
		if to, err := resp.Location(); err == nil {
			return "server", "it sends us to " + sources.ShownURL(to) + "; write the address where the API is"
		}
	}
	return "server", ""
}

// httpError keeps the status beside what people read.
type httpError struct {
	code int
	err  error
}

func (e *httpError) Error() string { return e.err.Error() }
func (e *httpError) Unwrap() error { return e.err }

// isGone tells that there is no such thing, or none that the account may see.
func isGone(err error) bool {
	e, ok := errors.AsType[*httpError](err)
	return ok && (e.code == http.StatusNotFound || e.code == http.StatusGone)
}

// comeBack reads when to ask again.
func comeBack(h http.Header, now time.Time) (wait time.Duration, known bool) {
	if wait, known = sources.RetryAfter(h, now); known {
		return wait, true
	}
	return sources.RateLimitReset(h, now)
}

// callError says why a call gave nothing. outer is the caller's context, limited the one with the time limit.
func (a *api) callError(outer, limited context.Context, err error) error {
	if outer.Err() != nil {
		return fmt.Errorf("ask %s: %w", a.shown, context.Cause(outer))
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		return refused.err
	}
	if limited.Err() != nil {
		return fmt.Errorf("ask %s: no whole answer within %s", a.shown, a.timeout)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("ask %s: %s", a.shown, sources.ShownReason(err))
}

// pagesWrong is the error for a server that does not page as it should: going on would never end.
func (a *api) pagesWrong(parameter string) error {
	return &sources.SettingError{Key: "server", Problem: a.shown + " ignores " + parameter + " and sends the same posts again; it can't be read"}
}
