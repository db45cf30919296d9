package socialhub

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// call is one request and what its route documents.
type call struct {
	operation Operation
	method    string
	path      string        // below the base URL
	query     string        // follows the token's parameter: "" or "&name=value"
	body      any           // sent as JSON; nil sends none
	secret    WebhookSecret // what of the body no reason may repeat
	want      int           // the documented success
	// conflict: a 409 says that the networkItemId is used. missing: a 404 says that the ticket is gone.
	// Where a route does not say so, both are as final as any other 4xx.
	conflict, missing bool
}

// maxAnswer is the most that is read of an answer's body; tickets have a few kilobytes.
const maxAnswer = 1 << 20

// reply is what the JSON of a documented success is read into.
type reply interface {
	// fault says why it is not what was asked for; empty if it is.
	fault() string
}

// do sends one request and reads the answer's JSON into into. It never repeats a request, and neither does
// RoundTrip in a way that could post twice. After a reused connection broke, net/http sends again:
// a GET always; a POST or PATCH only if not one byte was written, for which it needs GetBody. (It would
// take a POST with an Idempotency-Key header for a GET in this, so none may ever be set.) RoundTrip is
// called without an http.Client around it: that would follow redirects and put the URL into errors.
func (c *Client) do(ctx context.Context, r call, into reply) Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, c.timedOut)
	defer cancel()
	req, err := c.request(ctx, r)
	if err != nil {
		return Answer{Outcome: Rejected, Reason: c.reason("encode the request: " + err.Error())}
	}
	began := time.Now()
	a := c.roundTrip(req, r, into)
	if c.observe != nil {
		c.observe(Exchange{Operation: r.operation, Outcome: a.Outcome, Took: time.Since(began), Limit: a.Limit})
	}
	return a
}

func (c *Client) roundTrip(req *http.Request, r call, into reply) Answer {
	ctx := req.Context()
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return Answer{Outcome: Unavailable, Reason: c.reason("no answer: " + errorText(ctx, err))}
	}
	defer res.Body.Close()
	return c.answer(ctx, r, res, into)
}

func (c *Client) request(ctx context.Context, r call) (*http.Request, error) {
	to := *c.base
	to.Path += r.path
	to.RawQuery = c.query.Value() + r.query
	if r.body == nil {
		req := c.get.WithContext(ctx)
		req.Method, req.URL = r.method, &to
		return req, nil
	}
	body, err := encode(r.body)
	if err != nil {
		return nil, err
	}
	req := c.send.WithContext(ctx)
	req.Method, req.URL, req.ContentLength = r.method, &to, int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
	return req, nil
}

// answer classifies what came back. It reads the body to its end, so that the connection can be used again.
func (c *Client) answer(ctx context.Context, r call, res *http.Response, into reply) Answer {
	a := Answer{Outcome: outcome(r, res.StatusCode), Limit: rateLimit(res.Header)}
	if a.Outcome == RateLimited {
		a.RetryAfter = retryAfter(res.Header, time.Now())
	}
	s := scratches.Get().(*scratch)
	defer s.free()
	var readErr error
	if res.StatusCode >= 200 { // below there is none, and after a 101 it never ends
		_, readErr = s.buf.ReadFrom(io.LimitReader(res.Body, maxAnswer+1))
	}
	problem := ""
	switch body := s.buf.Bytes(); {
	case a.Outcome != Done:
		problem = explain(r, res, body)
	case readErr != nil:
		problem = "the answer broke off: " + errorText(ctx, readErr)
	case len(body) > maxAnswer:
		problem = "the answer is longer than 1 MiB: check api_url"
	case json.Unmarshal(body, into) != nil:
		problem = "the answer is not the documented JSON: check api_url"
	default:
		if problem = into.fault(); problem == "" {
			return a
		}
	}
	if a.Outcome == Done {
		a.Outcome = Unavailable
	}
	a.Reason = c.reason(r.secret.redact(problem))
	return a
}

// errorText is the text of a transport's error. If ctx is done it says why, which is the cause of err.
func errorText(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return context.Cause(ctx).Error()
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // without the URL, which has the token
	}
	return err.Error()
}

// newTransport returns a transport for that many requests in flight. It speaks HTTP/1.1 only: HTTP/2
// costs more per small request, and its retry rules are wider than what do relies on.
func newTransport(concurrency int) *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	return &http.Transport{
		Protocols:           &http1,
		Proxy:               quietProxy(http.ProxyFromEnvironment),
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(concurrency)},
		// With net/http's default of 2, all other connections would be closed after each request. There
		// is no MaxConnsPerHost: a request that waits for a slot would pass for a SocialHub that is slow.
		MaxIdleConnsPerHost: concurrency,
		// Below the 60 s after which load balancers commonly hang up, for then a POST's fate is unknown.
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true, // answers are small
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// quietProxy keeps a proxy's address, which may hold a password, out of errors.
func quietProxy(proxy func(*http.Request) (*url.URL, error)) func(*http.Request) (*url.URL, error) {
	return func(r *http.Request) (*url.URL, error) {
		u, err := proxy(r)
		if err != nil {
			return nil, errors.New("the proxy in the environment (HTTPS_PROXY, HTTP_PROXY) is not an address")
		}
		return u, nil
	}
}

// scratch is a buffer to encode a request or read an answer.
type scratch struct {
	buf bytes.Buffer
	enc *json.Encoder // writes to buf
}

var scratches = sync.Pool{New: func() any {
	s := new(scratch)
	s.enc = json.NewEncoder(&s.buf)
	s.enc.SetEscapeHTML(false)
	return s
}}

// free gives the scratch back; one that a rare large text has grown is left to the garbage collector.
func (s *scratch) free() {
	if s.buf.Cap() <= 64<<10 {
		s.buf.Reset()
		scratches.Put(s)
	}
}

// encode returns v as JSON, without escaping < > & for HTML. It is a copy of its own: a transport may read
// it after the answer came. (A reader that gives a pooled buffer back when it is closed would cost more: net/http
// sends headers and body in one write only for the readers it knows.)
func encode(v any) ([]byte, error) {
	s := scratches.Get().(*scratch)
	defer s.free()
	if err := s.enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(s.buf.Bytes(), []byte("\n"))), nil
}
