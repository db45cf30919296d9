package mastodon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"socialhub-sync/sources"
)

// request is one that an ability makes.
type request struct {
	method, path string
	// body is read once; kind is its Content-Type and size its length in bytes.
	body io.Reader
	kind string
	size int64
	key  string // of idempotency
	// harmless tells that nobody sees what the request does: whatever goes wrong, nothing was done.
	harmless bool
	// scope is what the token needs.
	scope string
	// timeout is the source's own if 0.
	timeout time.Duration
}

// errGone is the refusal of what can't be done with a post that is not there, or not for this account.
var errGone = &sources.RefusedError{Reason: "the post was deleted"}

// do makes a request and reads the JSON that answers it. Its errors are as [sources.Replier] wants them.
//
// It goes past go-mastodon, which repeats requests by itself and has no idempotency keys, and follows no redirect.
func (a *api) do(ctx context.Context, q *request, into any) (status int, err error) {
	limited, cancel := context.WithTimeout(ctx, cmp.Or(q.timeout, a.timeout))
	defer cancel()
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(limited, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := http.NewRequestWithContext(traced, q.method, a.client.Config.Server+q.path, q.body)
	if err != nil {
		return 0, &sources.NotDoneError{Err: errors.New("make the request: wrong method or address")}
	}
	req.GetBody = nil // net/http repeats what has a key and a body to get again; not every server knows keys
	req.Header.Set("Authorization", "Bearer "+a.client.Config.AccessToken)
	req.Header.Set("User-Agent", a.transport.agent)
	req.Header.Set("Accept", "application/json")
	if q.body != nil {
		req.ContentLength = q.size
		req.Header.Set("Content-Type", q.kind)
	}
	if q.key != "" {
		req.Header.Set("Idempotency-Key", q.key)
	}
	resp, err := a.transport.base.RoundTrip(req)
	if err != nil {
		if err = a.callError(ctx, limited, err); !connected.Load() || q.harmless {
			err = &sources.NotDoneError{Err: err}
		}
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, a.transport.maxSize))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, a.failure(q, resp, text)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		err = fmt.Errorf("ask %s: the answer can't be read: %s", a.shown, reason(err))
		if q.harmless {
			err = &sources.NotDoneError{Err: err}
		}
		return resp.StatusCode, err
	}
	return resp.StatusCode, nil
}

// getJSON asks for what is there. Nothing is done by it.
func (a *api) getJSON(ctx context.Context, path string, into any) (status int, err error) {
	return a.do(ctx, &request{method: http.MethodGet, path: path, harmless: true, scope: "read"}, into)
}

// jsonBody is a request's body.
func jsonBody(v any) (body io.Reader, size int64) {
	text, err := json.Marshal(v)
	if err != nil { // texts and lists of them: can't be
		return nil, 0
	}
	return bytes.NewReader(text), int64(len(text))
}

// throttled is how long to wait when a server does not say.
const throttled = time.Minute

// failure says what an answer without success means for what was to be done.
func (a *api) failure(q *request, resp *http.Response, text []byte) error {
	code, said := resp.StatusCode, a.said(text)
	after, known := comeBack(resp.Header, time.Now())
	problem := strings.TrimSpace(fmt.Sprintf("%s answered %d %s", a.shown, code, http.StatusText(code)))
	stop := func(key, mend string) error {
		return &sources.StopError{Err: &sources.SettingError{Key: key, Problem: problem + ": " + mend}}
	}
	wait := func() error { return &sources.RetryAfterError{After: after, Err: errors.New(problem)} }
	switch {
	case code == http.StatusUnauthorized:
		return stop("access_token", "the token is wrong or was revoked; make a new one")
	case code == http.StatusTooManyRequests:
		if !known {
			after = throttled
		}
		return wait()
	case code == http.StatusForbidden && known:
		return wait()
	case code == http.StatusForbidden && strings.Contains(said, "scope"):
		return stop("access_token", "the token may not do this; it needs the scope "+q.scope)
	case code == http.StatusNotFound, code == http.StatusGone:
		return errGone
	case code >= 300 && code <= 399:
		return stop("server", "it sends us to another address; write the address where the API is")
	case code >= 400 && code <= 499 && code != http.StatusRequestTimeout:
		return &sources.RefusedError{Reason: "the server refuses it: " + cmp.Or(said, http.StatusText(code))}
	case q.harmless && known:
		return wait()
	case q.harmless:
		return &sources.NotDoneError{Err: errors.New(problem)}
	}
	return errors.New(problem)
}

// maxSaid bounds what is shown of a server's words, in characters.
const maxSaid = 200

// said is the server's own word on an error, in one line.
func (a *api) said(text []byte) string {
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &body) != nil {
		return ""
	}
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(body.Error, a.client.Config.AccessToken, "[redacted]"))
	runes := []rune(strings.Join(strings.Fields(line), " "))
	return string(runes[:min(len(runes), maxSaid)])
}
