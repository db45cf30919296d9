package socialhub

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// listen starts a server that handles each connection with h, after it read the first request, and returns its address.
func listen(t *testing.T, h func(net.Conn, *http.Request)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					h(conn, r)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return "http://" + l.Addr().String()
}

func TestABrokenExchangeIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wantReason string
		h                func(net.Conn, *http.Request)
	}{
		{"connection reset", "no answer: ", func(c net.Conn, _ *http.Request) { _ = c.(*net.TCPConn).SetLinger(0) }},
		{"connection closed", "no answer: EOF", func(net.Conn, *http.Request) {}},
		{"answer is not HTTP", "no answer: ", func(c net.Conn, r *http.Request) { fmt.Fprintf(c, "GARBAGE %s\r\n\r\n", r.RequestURI) }},
		{"status is cut", "no answer: ", func(c net.Conn, _ *http.Request) { io.WriteString(c, "HTTP/1.1 2") }},
		{"headers are cut", "no answer: ", func(c net.Conn, _ *http.Request) { io.WriteString(c, "HTTP/1.1 201 Created\r\nX: y") }},
		{"headers never end", "no answer: net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded 65536 bytes", func(c net.Conn, r *http.Request) {
			io.WriteString(c, "HTTP/1.1 201 Created\r\n")
			for range 1000 {
				fmt.Fprintf(c, "X: %s\r\n", r.RequestURI)
			}
		}},
		{"body is cut", "the answer broke off: unexpected EOF", func(c net.Conn, _ *http.Request) {
			io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"_id\":\""+testTicket+"\"}")
		}},
		{"chunk is cut", "the answer broke off: unexpected EOF", func(c net.Conn, _ *http.Request) {
			io.WriteString(c, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n24\r\n{\"_id\":\""+testTicket+"\"}")
		}},
		{"chunk is damaged", "the answer broke off: ", func(c net.Conn, r *http.Request) {
			io.WriteString(c, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"+r.RequestURI+"\r\n")
		}},
		{"another protocol", "the answer is 101 Switching Protocols", func(c net.Conn, _ *http.Request) {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, c) // until the client hangs up
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, call := range routes {
				client := newTestClient(t, listen(t, c.h), nil)
				a := call(t.Context(), client)
				client.Close()
				checkAnswer(t, a)
				// A 201 is the success of create alone, so the others may have another reason.
				if a.Outcome != Unavailable || name == "create" && !strings.HasPrefix(a.Reason, c.wantReason) {
					t.Errorf("%s: %+v", name, a)
				}
			}
		})
	}
}

func TestAStatusStandsThoughItsBodyIsCut(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, listen(t, func(c net.Conn, _ *http.Request) {
		io.WriteString(c, "HTTP/1.1 409 Conflict\r\nContent-Length: 500\r\n\r\n{\"code\":\"Conf")
	}), nil)
	a := c.Create(t.Context(), fullInteraction())
	checkAnswer(t, a)
	if a.Outcome != Conflict {
		t.Errorf("%+v", a)
	}
}

func TestAServerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	a := newTestClient(t, "http://"+l.Addr().String(), nil).Create(t.Context(), fullInteraction())
	checkAnswer(t, a)
	if a.Outcome != Unavailable || !strings.Contains(a.Reason, "connection refused") {
		t.Errorf("%+v", a)
	}
}

func TestACertificateThatIsNotTrustedIsNamed(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(succeed))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs the handshake that fails
	s.StartTLS()
	t.Cleanup(s.Close)
	a := newTestClient(t, s.URL, nil).Create(t.Context(), fullInteraction())
	checkAnswer(t, a)
	if a.Outcome != Unavailable || !strings.Contains(a.Reason, "certificate") {
		t.Errorf("%+v", a)
	}
	a = newTestClient(t, strings.Replace(s.URL, "https", "http", 1), nil).Create(t.Context(), fullInteraction())
	checkAnswer(t, a)
	if a.Outcome == Done {
		t.Errorf("plain HTTP to a TLS server: %+v", a)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token travelled") }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+r.RequestURI, status) })
		for name, call := range routes {
			a := call(t.Context(), c)
			checkAnswer(t, a)
			if a.Outcome != Unavailable || !strings.Contains(a.Reason, "api_url") || !strings.Contains(a.Reason, other.URL) {
				t.Errorf("%s: %d: %+v", name, status, a)
			}
		}
	}
}

func TestATransportsErrorIsShownWithoutTheToken(t *testing.T) {
	t.Parallel()
	cause := errors.New("the network is\r\nunreachable")
	for name, wrap := range map[string]func(address string) error{
		"alone":               func(string) error { return cause },
		"in a url.Error":      func(a string) error { return &url.Error{Op: "Post", URL: a, Err: cause} },
		"deep in a url.Error": func(a string) error { return fmt.Errorf("try %s: %w", a, &url.Error{Op: "Post", URL: a, Err: cause}) },
	} {
		c := newTestClient(t, "", func(o *Options) {
			o.Transport = double(func(r *http.Request) (*http.Response, error) { return nil, wrap(r.URL.String()) })
		})
		for _, call := range routes {
			a := call(t.Context(), c)
			checkAnswer(t, a)
			if want := "no answer: the network is unreachable"; a.Outcome != Unavailable || a.Reason != want {
				t.Errorf("%s: %+v, want %q", name, a, want)
			}
		}
	}
	c := newTestClient(t, "", func(o *Options) {
		o.Transport = double(func(r *http.Request) (*http.Response, error) { return nil, fmt.Errorf("post %s: refused", r.URL) })
	})
	if a := routes["channel"](t.Context(), c); a.Outcome != Unavailable || a.Reason != "no answer: post https://api.socialhub.io/?accesstoken=[redacted]: refused" {
		t.Errorf("%+v", a)
	}
}

func TestATransportThatOnlyKnowsThatTheContextIsDoneIsExplained(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the daemon stops"))
	c := newTestClient(t, "", func(o *Options) {
		o.Transport = double(func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() })
	})
	a := c.Create(ctx, fullInteraction())
	checkAnswer(t, a)
	if a.Outcome != Unavailable || a.Reason != "no answer: the daemon stops" {
		t.Errorf("%+v", a)
	}
}

// pipes is a listener whose connections are pipes, so that both ends live in a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// servePipes runs a server with the handler in the bubble and returns a client for it, and what ends both.
func servePipes(t *testing.T, timeout time.Duration, h http.HandlerFunc) (*Client, func()) {
	t.Helper()
	p := newPipes()
	s := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(p) })
	transport := newTransport(1)
	transport.DialContext = p.dial
	c := newTestClient(t, "http://api.example.com", func(o *Options) { o.Transport, o.Timeout = transport, timeout })
	return c, func() { c.Close(); s.Close(); serving.Wait() }
}

// hang waits until the client is gone, which a server notices once it has read the body. It gives no answer: one could
// come just before the connection ends.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

func TestASlowAnswerEndsWithTheTimeout(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"no answer": hang,
		"one byte a second": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
				}
			}
			panic(http.ErrAbortHandler)
		},
		"half a body": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"_id":"`+testTicket+`"`)
			w.(http.Flusher).Flush()
			hang(w, r)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, stop := servePipes(t, 0, h)
			defer stop()
			start := time.Now()
			a := c.Create(t.Context(), fullInteraction())
			checkAnswer(t, a)
			if a.Outcome != Unavailable || !strings.Contains(a.Reason, "it took longer than 30s") {
				t.Errorf("%s: %+v", name, a)
			}
			if took := time.Since(start); took != DefaultTimeout {
				t.Errorf("%s: gave up after %v", name, took)
			}
		})
	}
}

func TestACallerThatGivesUpIsToldWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stop := servePipes(t, time.Minute, hang)
		defer stop()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("the daemon stops")) })
		start := time.Now()
		a := c.Create(ctx, fullInteraction())
		checkAnswer(t, a)
		if a.Outcome != Unavailable || a.Reason != "no answer: the daemon stops" || time.Since(start) != time.Second {
			t.Errorf("after %v: %+v", time.Since(start), a)
		}
	})
}

func TestAPOSTThatMayHaveArrivedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]string{"create": "POST", "update": "PATCH"} {
		synctest.Test(t, func(t *testing.T) {
			var arrived atomic.Int32
			c, stop := servePipes(t, 0, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == method && arrived.Add(1) > 1 { // the first makes the connection a reused one
					panic(http.ErrAbortHandler)
				}
				succeed(w, r)
			})
			defer stop()
			if a := routes[name](t.Context(), c); a.Outcome != Done {
				t.Fatalf("%+v", a)
			}
			synctest.Wait() // the connection is back in the pool
			a := routes[name](t.Context(), c)
			checkAnswer(t, a)
			if a.Outcome != Unavailable || arrived.Load() != 2 {
				t.Errorf("%s: %d requests for two calls: %+v", name, arrived.Load(), a)
			}
		})
	}
}

// brittle is a connection that can be told to take no more bytes.
type brittle struct {
	net.Conn
	broken *atomic.Bool
}

func (b brittle) Write(p []byte) (int, error) {
	if b.broken.CompareAndSwap(true, false) {
		return 0, errors.New("broken pipe")
	}
	return b.Conn.Write(p)
}

func TestARequestOfWhichNothingWasSentIsSentOnAnotherConnection(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"create", "update"} {
		synctest.Test(t, func(t *testing.T) {
			var arrived atomic.Int32
			var bodies [2][]byte
			c, stop := servePipes(t, 0, func(w http.ResponseWriter, r *http.Request) {
				bodies[arrived.Add(1)-1], _ = io.ReadAll(r.Body)
				succeed(w, r)
			})
			defer stop()
			var broken atomic.Bool
			transport := c.transport.(*http.Transport)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				return brittle{conn, &broken}, err
			}
			routes[name](t.Context(), c)
			synctest.Wait()
			broken.Store(true)
			if a := routes[name](t.Context(), c); a.Outcome != Done || arrived.Load() != 2 {
				t.Errorf("%s: %d requests arrived for two calls: %+v", name, arrived.Load(), a)
			}
			if !bytes.Equal(bodies[0], bodies[1]) || len(bodies[1]) == 0 {
				t.Errorf("%s: the bodies differ: %s and %s", name, bodies[0], bodies[1])
			}
		})
	}
}

func TestAnEarlyAnswerDoesNotSpoilTheNextBody(t *testing.T) {
	t.Parallel()
	// A transport that is still reading the body when its answer is long back.
	var late []io.ReadCloser
	c := newTestClient(t, "", func(o *Options) {
		o.Transport = double(func(r *http.Request) (*http.Response, error) {
			late = append(late, r.Body)
			return &http.Response{StatusCode: 400, Body: http.NoBody}, nil
		})
	})
	for n := range 10 {
		c.Create(t.Context(), &Interaction{NetworkItemID: fmt.Sprintf("item-%d", n), Message: "x"})
	}
	for n, body := range late {
		got, err := io.ReadAll(body)
		if want := fmt.Sprintf(`{"interaction":{"networkItemId":"item-%d","message":"x"}}`, n); err != nil || string(got) != want {
			t.Errorf("body %s (%v), want %s", got, err, want)
		}
	}
}

func TestAProxysPasswordStaysOutOfErrors(t *testing.T) {
	t.Parallel()
	fail := quietProxy(func(*http.Request) (*url.URL, error) { return nil, errors.New(`invalid proxy "http://me:hunter2@:x"`) })
	if _, err := fail(nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	want := &url.URL{Scheme: "http", Host: "proxy.example.com:3128"}
	if got, err := quietProxy(http.ProxyURL(want))(nil); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
}
