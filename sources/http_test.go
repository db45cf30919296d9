package sources

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func client(t *testing.T, o HTTPOptions) *HTTPClient {
	t.Helper()
	c := NewHTTPClient(o)
	t.Cleanup(c.Close)
	return c
}

func TestAnAnswerHoldsBodyValidatorsAndFreshness(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("User-Agent"); got != "sync/1" {
			t.Errorf("User-Agent %q", got)
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Sat, 31 Jan 2026 12:00:00 GMT")
		w.Header().Set("Cache-Control", "public, max-age=600")
		fmt.Fprint(w, "hello")
	})
	before := time.Now()
	got, err := client(t, HTTPOptions{UserAgent: "sync/1"}).Do(t.Context(), HTTPRequest{URL: address + "/feed?key=1"})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Body) != "hello" || got.NotModified {
		t.Errorf("body %q, not modified %t", got.Body, got.NotModified)
	}
	want := Validators{ETag: `"v1"`, LastModified: "Sat, 31 Jan 2026 12:00:00 GMT"}
	if diff := cmp.Diff(want, got.Validators); diff != "" {
		t.Error(diff)
	}
	if got.NotBefore.Before(before.Add(10*time.Minute)) || got.NotBefore.After(time.Now().Add(10*time.Minute)) {
		t.Errorf("not before %s", got.NotBefore)
	}
}

func TestAConditionalRequestMayBeAnsweredWithNotModified(t *testing.T) {
	t.Parallel()
	have := Validators{ETag: `"v1"`, LastModified: "Sat, 31 Jan 2026 12:00:00 GMT"}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != have.ETag || r.Header.Get("If-Modified-Since") != have.LastModified {
			t.Errorf("headers %v", r.Header)
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusNotModified)
	})
	got, err := client(t, HTTPOptions{}).Do(t.Context(), HTTPRequest{URL: address, Have: have})
	if err != nil {
		t.Fatal(err)
	}
	if !got.NotModified || got.Validators != have || got.NotBefore.IsZero() {
		t.Errorf("got %+v", got)
	}
}

func TestEveryStatusSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status            int
		retryAfter        string
		stop, retry, fine bool
	}{
		{status: 200, fine: true}, {status: 201, fine: true}, {status: 204, fine: true},
		{status: 304}, {status: 400},
		{status: 401, stop: true}, {status: 401, retryAfter: "5", stop: true},
		{status: 403, stop: true}, {status: 403, retryAfter: "5", retry: true},
		{status: 404}, {status: 404, retryAfter: "5"}, {status: 407}, {status: 408}, {status: 410, stop: true}, {status: 418},
		{status: 429}, {status: 429, retryAfter: "5", retry: true}, {status: 429, retryAfter: "soon"},
		{status: 500}, {status: 502}, {status: 503}, {status: 503, retryAfter: "5", retry: true}, {status: 504}, {status: 599},
	} {
		t.Run(fmt.Sprintf("%d with Retry-After %q", c.status, c.retryAfter), func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.retryAfter != "" {
					w.Header().Set("Retry-After", c.retryAfter)
				}
				w.WriteHeader(c.status)
			})
			_, err := client(t, HTTPOptions{URLSetting: "feed_url"}).Do(t.Context(), HTTPRequest{URL: address})
			if c.fine {
				if err != nil {
					t.Error(err)
				}
				return
			}
			_, stop := errors.AsType[*StopError](err)
			retry, isRetry := errors.AsType[*RetryAfterError](err)
			if stop != c.stop || isRetry != c.retry {
				t.Errorf("stop %t, retry %t: %v", stop, isRetry, err)
			}
			if isRetry && retry.After != 5*time.Second {
				t.Errorf("after %s", retry.After)
			}
			if setting, ok := errors.AsType[*SettingError](err); !ok || setting.Key != "feed_url" {
				t.Errorf("no setting in %v", err)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("answered %d", c.status)) {
				t.Errorf("the error does not say the status: %v", err)
			}
		})
	}
}

func TestRetryAfterIsClamped(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value string
		want  time.Duration
		known bool
	}{
		{"", 0, false}, {"soon", 0, false}, {"-5", 0, false}, {"1.5", 0, false},
		{"0", time.Second, true}, {"120", 2 * time.Minute, true}, {"999999999", MaxRetryAfter, true},
		{"99999999999999999999999999", MaxRetryAfter, true},
		{"Sat, 31 Jan 2026 12:05:00 GMT", 5 * time.Minute, true},
		{"Sat, 31 Jan 2026 11:00:00 GMT", time.Second, true},
		{"Sat, 31 Jan 2126 12:00:00 GMT", MaxRetryAfter, true},
	} {
		got, known := RetryAfter(http.Header{"Retry-After": {c.value}}, now)
		if got != c.want || known != c.known {
			t.Errorf("%q: got %s, %t, want %s, %t", c.value, got, known, c.want, c.known)
		}
	}
}

func TestTheEndOfALimitOfRequestsIsRead(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		remaining, reset string
		want             time.Duration
		known            bool
	}{
		{"0", "1800000060", time.Minute, true}, {"", "60", time.Minute, true}, {"0", "1799999999", time.Second, true},
		{"0", "99999999999999999999", MaxRetryAfter, true}, {"5", "60", 0, false}, {"0", "", 0, false}, {"0", "soon", 0, false},
	} {
		got, known := RateLimitReset(http.Header{"X-Ratelimit-Remaining": {c.remaining}, "X-Ratelimit-Reset": {c.reset}}, now)
		if got != c.want || known != c.known {
			t.Errorf("%q, %q: got %s, %t", c.remaining, c.reset, got, known)
		}
	}
}

func TestFreshnessIsClampedAndLessTheAge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		control, age string
		want         time.Duration // 0: no wish
	}{
		{"", "", 0}, {"public", "", 0}, {"max-age=0", "", 0}, {"max-age=x", "", 0}, {"max-age=-1", "", 0},
		{"max-age=600", "", 10 * time.Minute}, {"Public, Max-Age=600", "", 10 * time.Minute}, {`max-age="60"`, "", time.Minute},
		{"max-age=600", "540", time.Minute}, {"max-age=600", "900", 0},
		{"max-age=31536000", "", MaxCacheWait}, {"max-age=99999999999999999999", "", MaxCacheWait},
		{"no-cache, max-age=600", "", 0}, {"max-age=600, no-store", "", 0},
	} {
		h := http.Header{"Cache-Control": {c.control}, "Age": {c.age}}
		want := now.Add(c.want)
		if c.want == 0 {
			want = time.Time{}
		}
		if got := freshUntil(h, now); !got.Equal(want) {
			t.Errorf("%q, age %q: got %s, want %s", c.control, c.age, got, want)
		}
	}
}

func TestAnAnswerThatIsTooLargeIsRefusedAfterDecompression(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(zip, zeros{}, 8<<20); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/exact" {
			_, _ = w.Write(make([]byte, 1<<20))
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	c := client(t, HTTPOptions{MaxSize: 1 << 20})
	if _, err := c.Do(t.Context(), HTTPRequest{URL: address + "/exact"}); err != nil {
		t.Errorf("an answer of just the limit: %v", err)
	}
	_, err := c.Do(t.Context(), HTTPRequest{URL: address})
	if setting, ok := errors.AsType[*SettingError](err); !ok || setting.Key != "max_size" {
		t.Errorf("got %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestASlowAnswerIsGivenUp(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begin")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // no end, which could come just before that of the connection
	})
	_, err := client(t, HTTPOptions{Timeout: 50 * time.Millisecond}).Do(t.Context(), HTTPRequest{URL: address})
	if err == nil || !strings.Contains(err.Error(), "no whole answer within 50ms") {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the error looks like the caller's own deadline")
	}
}

func TestARequestEndsWithItsContextAndSaysWhy(t *testing.T) {
	t.Parallel()
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(reason)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	_, err := client(t, HTTPOptions{}).Do(ctx, HTTPRequest{URL: address})
	if !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
}

func TestAConnectionThatBreaksOffIsAPlainError(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
	})
	_, err := client(t, HTTPOptions{}).Do(t.Context(), HTTPRequest{URL: address})
	if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Errorf("got %v", err)
	}
}

func TestUserAndPasswordAreSentToTheHostOnly(t *testing.T) {
	t.Parallel()
	var atOther http.Header
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) { atOther = r.Header })
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "jo" || password != "s3cret" || r.Header.Get("Private-Token") != "t0ken" {
			t.Errorf("%s: headers %v", r.URL.Path, r.Header)
		}
		next := other + "/?from=other"
		if r.URL.Path == "/" {
			next = "/second"
		}
		http.Redirect(w, r, next, http.StatusFound)
	})
	secret := http.Header{"Private-Token": {"t0ken"}, "Accept": {"text/plain"}}
	got, err := client(t, HTTPOptions{}).Do(t.Context(), HTTPRequest{
		URL: strings.Replace(address, "://", "://jo:s3cret@", 1) + "/?key=k3y", Header: secret,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Authorization", "Private-Token", "Referer"} {
		if atOther.Get(name) != "" {
			t.Errorf("the other host was sent %s: %s", name, atOther.Get(name))
		}
	}
	if atOther.Get("Accept") != "text/plain" {
		t.Errorf("the other host was not sent Accept")
	}
	if got.URL.String() != other+"/?from=other" {
		t.Errorf("answer is from %s", got.URL)
	}
}

func TestRedirectsAreLimitedAndNeverToHTTPFromHTTPS(t *testing.T) {
	t.Parallel()
	plain := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
	_, err := client(t, HTTPOptions{}).Do(t.Context(), HTTPRequest{URL: plain})
	if err == nil || !strings.Contains(err.Error(), "more than 5 times") {
		t.Errorf("endless redirects: %v", err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain+"/?key=k3y", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	c := client(t, HTTPOptions{})
	c.transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	_, err = c.Do(t.Context(), HTTPRequest{URL: server.URL})
	if err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("downgrade: %v", err)
	}
}

func TestNoErrorShowsCredentials(t *testing.T) {
	t.Parallel()
	secrets := []string{"jo", "s3cret", "k3y", "t0ken"}
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/t0ken/location":
			w.Header().Set("Location", "http://exa mple.com/t0ken?key=k3y")
			w.WriteHeader(http.StatusFound)
		case "/t0ken/loop":
			http.Redirect(w, r, "/t0ken/loop?key=k3y", http.StatusFound)
		case "/t0ken/ftp":
			http.Redirect(w, r, "ftp://jo:s3cret@example.com/t0ken?key=k3y", http.StatusFound)
		case "/t0ken/status":
			hijack(t, w, "HTTP/1.1 %s\r\n\r\n", r.RequestURI)
		case "/t0ken/header":
			hijack(t, w, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", r.RequestURI)
		case "/t0ken/length":
			hijack(t, w, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", r.RequestURI)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	address := serve(t, handler)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, target := range []string{
		address + "/t0ken", address + "/t0ken/location", address + "/t0ken/loop", address + "/t0ken/ftp",
		address + "/t0ken/status", address + "/t0ken/header", address + "/t0ken/length", gone.URL + "/t0ken",
		"http://\x7f", "ftp://example.com", "http://host:port:port",
	} {
		_, rest, _ := strings.Cut(target, "://")
		scheme := target[:len(target)-len(rest)-3]
		_, err := client(t, HTTPOptions{}).Do(t.Context(), HTTPRequest{URL: scheme + "://jo:s3cret@" + rest + "?key=k3y"})
		if err == nil {
			t.Errorf("%q: no error", target)
			continue
		}
		for _, secret := range secrets {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q: the error shows %q: %v", target, secret, err)
			}
		}
	}
}

// hijack answers with a text that need not be HTTP.
func hijack(t *testing.T, w http.ResponseWriter, format string, args ...any) {
	t.Helper()
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	fmt.Fprintf(conn, format, args...)
	conn.Close()
}

func TestABodyIsSent(t *testing.T) {
	t.Parallel()
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v %v", r.Method, r.Header, err)
		}
		_, _ = w.Write(body)
	})
	got, err := client(t, HTTPOptions{}).Do(t.Context(), HTTPRequest{
		Method: http.MethodPost, URL: address, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{}`),
	})
	if err != nil || string(got.Body) != "{}" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestValidatorsThatAreTooLongAreNotKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxValidator+1)
	if got := validators(http.Header{"Etag": {long}, "Last-Modified": {long}}); got != (Validators{}) {
		t.Errorf("kept %d and %d bytes", len(got.ETag), len(got.LastModified))
	}
}

func TestAShownURLHoldsNoKey(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://jo:s3cret@example.com/t0ken%2Fb?key=k3y#x": "https://example.com/…",
		"https://example.com:8443/t0ken/feed.xml":           "https://example.com:8443/…",
		"https://jo:s3cret@example.com?key=k3y":             "https://example.com/…",
		"https://jo:s3cret@example.com/#k3y":                "https://example.com",
		"http://example.com":                                "http://example.com",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := ShownURL(u); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}
