package sources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Limits of an [HTTPClient].
const (
	// DefaultHTTPTimeout and DefaultHTTPSize (bytes) hold where an adapter says nothing else.
	DefaultHTTPTimeout = 30 * time.Second
	DefaultHTTPSize    = 16 << 20
	// MaxRetryAfter is the longest wait taken from a Retry-After, MaxCacheWait the longest from a
	// Cache-Control: a server that says "a year" means its caches, not a feed that people wait for.
	MaxRetryAfter = 24 * time.Hour
	MaxCacheWait  = time.Hour

	maxRedirects  = 5
	maxValidator  = 1 << 10 // bytes of an ETag or a Last-Modified; a longer one is not kept
	maxHeaderSize = 1 << 20
)

// HTTPClient makes an adapter's requests: bounded in time and size, with errors that say what to do and never
// show credentials. It may be used by several goroutines at once.
type HTTPClient struct {
	options   HTTPOptions
	client    http.Client
	transport *http.Transport
}

// HTTPOptions are what an adapter's settings say about its requests.
type HTTPOptions struct {
	// UserAgent is [Env.UserAgent].
	UserAgent string
	// Timeout bounds a request from the first byte sent to the last one read; 0 is [DefaultHTTPTimeout].
	Timeout time.Duration
	// MaxSize bounds an answer's body after decompression, in bytes; 0 is [DefaultHTTPSize].
	MaxSize int64
	// URLSetting and SizeSetting are the keys that errors name; empty means "url" and "max_size".
	URLSetting, SizeSetting string
}

// Validators are a server's marks of one version of a page. Sent back they make a request conditional.
type Validators struct {
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
}

// HTTPRequest is one request.
type HTTPRequest struct {
	// Method is GET if empty.
	Method string
	// URL is absolute; a user and password in it become an Authorization header.
	URL string
	// Header is sent to the host of URL only: a redirect to another host goes without it, apart from Accept.
	Header http.Header
	Body   []byte
	// NoRedirect makes a redirect an answer that is no success, for a request that must not be made twice or as a GET.
	NoRedirect bool
	// Have is what the last answer's Validators were; zero makes the request unconditional.
	Have Validators
}

// HTTPAnswer is a 2xx, or a 304 to a conditional request.
type HTTPAnswer struct {
	// NotModified: nothing changed since [HTTPRequest.Have]; there is no Body.
	NotModified bool
	Status      int
	Body        []byte
	Header      http.Header
	// URL is where the answer came from after redirects, without user and password.
	URL *url.URL
	// Validators are to be kept with the content, and only once that is stored.
	Validators Validators
	// NotBefore is until when the answer is fresh by its own word, see [MaxCacheWait]; zero if it says nothing.
	NotBefore time.Time
}

// NewHTTPClient returns a client. Close it.
func NewHTTPClient(o HTTPOptions) *HTTPClient {
	if o.Timeout <= 0 {
		o.Timeout = DefaultHTTPTimeout
	}
	if o.MaxSize <= 0 {
		o.MaxSize = DefaultHTTPSize
	}
	if o.URLSetting == "" {
		o.URLSetting = "url"
	}
	if o.SizeSetting == "" {
		o.SizeSetting = "max_size"
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: maxHeaderSize,
	}
	return &HTTPClient{options: o, client: http.Client{Transport: transport}, transport: transport}
}

// Close closes idle connections.
func (c *HTTPClient) Close() { c.transport.CloseIdleConnections() }

// Do makes one request. Errors:
//
//   - 401, and 403 without Retry-After: a [*StopError], because a person must change the credentials
//   - 410: a [*StopError], because the server says that the page is gone for good
//   - 429, 503 and 403 with Retry-After: a [*RetryAfterError]
//   - everything else, 404 too (pages that vanish by mistake come back): a plain error, try again with backoff
//
// The error of an answer that is not a success holds a [*StatusError] and a [*SettingError] on the URL's key.
// After ctx is done the error wraps its cause.
func (c *HTTPClient) Do(ctx context.Context, r HTTPRequest) (*HTTPAnswer, error) {
	req, err := c.newRequest(r)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	client := c.client
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if r.NoRedirect {
			return http.ErrUseLastResponse
		}
		return checkRedirect(next, via, r.Header)
	}
	resp, err := client.Do(req.WithContext(limited))
	if err != nil {
		return nil, c.transportError(ctx, limited, req.URL, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && r.Have != Validators{}:
		return &HTTPAnswer{
			NotModified: true, Status: resp.StatusCode, Header: resp.Header, URL: resp.Request.URL,
			Validators: r.Have, NotBefore: freshUntil(resp.Header, time.Now()),
		}, nil
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, c.statusError(resp, time.Now())
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.options.MaxSize+1))
	if err != nil {
		return nil, c.transportError(ctx, limited, req.URL, err)
	}
	if int64(len(body)) > c.options.MaxSize {
		return nil, &SettingError{Key: c.options.SizeSetting, Problem: fmt.Sprintf(
			"the answer of %s is larger than %d bytes; allow more if that is right", ShownURL(req.URL), c.options.MaxSize)}
	}
	return &HTTPAnswer{
		Status: resp.StatusCode, Body: body, Header: resp.Header, URL: resp.Request.URL,
		Validators: validators(resp.Header), NotBefore: freshUntil(resp.Header, time.Now()),
	}, nil
}

func (c *HTTPClient) newRequest(r HTTPRequest) (*http.Request, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		// Not the parser's error, which shows the text with its password.
		return nil, &SettingError{Key: c.options.URLSetting, Problem: "not an http or https address"}
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	user := u.User
	u.User = nil
	req, err := http.NewRequest(method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, errors.New("make the request: wrong method or address")
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Header.Set("User-Agent", c.options.UserAgent)
	if user != nil && req.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	if r.Have.ETag != "" {
		req.Header.Set("If-None-Match", r.Have.ETag)
	}
	if r.Have.LastModified != "" {
		req.Header.Set("If-Modified-Since", r.Have.LastModified)
	}
	return req, nil
}

// redirectError is a redirect that is not followed.
type redirectError string

func (e redirectError) Error() string { return string(e) }

func checkRedirect(next *http.Request, via []*http.Request, secret http.Header) error {
	last := via[len(via)-1]
	switch {
	case len(via) > maxRedirects:
		return redirectError(fmt.Sprintf("redirects more than %d times", maxRedirects))
	case next.URL.Scheme != "http" && next.URL.Scheme != "https":
		return redirectError("redirects to something that is not http or https")
	case last.URL.Scheme == "https" && next.URL.Scheme == "http":
		return redirectError("redirects from https to http, which is not followed; write the http address if that is what you want")
	}
	next.URL.User = nil
	next.Header.Del("Referer") // holds the query, which may hold a key
	if next.URL.Host != via[0].URL.Host {
		for name := range secret {
			if http.CanonicalHeaderKey(name) != "Accept" {
				next.Header.Del(name)
			}
		}
		next.Header.Del("Authorization")
	}
	return nil
}

func validators(h http.Header) Validators {
	v := Validators{ETag: h.Get("ETag"), LastModified: h.Get("Last-Modified")}
	if len(v.ETag) > maxValidator {
		v.ETag = ""
	}
	if len(v.LastModified) > maxValidator {
		v.LastModified = ""
	}
	return v
}
