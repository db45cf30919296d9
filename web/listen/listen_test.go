package listen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var nopLog = slog.New(slog.DiscardHandler)

// pipes is a listener without a network, so that time is the test's.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	gone  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), gone: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.gone:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.gone) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// dial returns once the server has taken the connection.
func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// serving is a server on pipes that answers with the handler; it ends with the test.
func serving(t *testing.T, handler http.HandlerFunc) (*Server, *pipes) {
	t.Helper()
	s, p := &Server{log: nopLog}, newPipes()
	s.init(p, nil)
	s.Serve(handler)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, p
}

// ok reads the whole request and answers it.
func ok(w http.ResponseWriter, r *http.Request) {
	if _, err := io.ReadAll(r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
}

// slowly writes a byte a second, until it is done or cut off, and returns how long that took.
func slowly(c net.Conn, text string) (time.Duration, error) {
	began := time.Now()
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			return time.Since(began), err
		}
		time.Sleep(time.Second)
	}
	return time.Since(began), nil
}

// ask sends a request and returns the status, or why there is none.
func ask(c net.Conn, request string) (int, error) {
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

func TestWhoSendsHeadersByteByByteIsCutAndOthersAreAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, p := serving(t, ok)
		var slow sync.WaitGroup
		for range maxConnections - 1 {
			slow.Go(func() {
				c := p.dial()
				defer c.Close()
				go io.Copy(io.Discard, c)
				if took, err := slowly(c, "GET / HTTP/1.1\r\nHost: "+strings.Repeat("x", 100)); err == nil || took > headerTimeout+time.Second { // the next byte tells
					t.Errorf("cut after %s: %v", took, err)
				}
			})
		}
		time.Sleep(time.Second)
		c := p.dial()
		defer c.Close()
		if status, err := ask(c, get); status != 200 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
		slow.Wait()
	})
}

func TestABodyThatTakesTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := make(chan error, 1)
		_, p := serving(t, func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			given <- err
		})
		c := p.dial()
		defer c.Close()
		go io.Copy(io.Discard, c)
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		go slowly(c, strings.Repeat("x", 100))
		if err := <-given; err == nil || time.Since(began) > requestTimeout {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		c.Close()
		synctest.Wait()
		time.Sleep(time.Second)
	})
}

func TestWhoDoesNotReadTheAnswerIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan struct{})
		_, p := serving(t, func(w http.ResponseWriter, _ *http.Request) {
			defer close(cut)
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		})
		c := p.dial()
		defer c.Close()
		began := time.Now()
		if _, err := io.WriteString(c, get); err != nil {
			t.Fatal(err)
		}
		if <-cut; time.Since(began) != answerTimeout {
			t.Errorf("cut after %s", time.Since(began))
		}
	})
}

func TestMoreConnectionsThanTheLimitWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, p := serving(t, ok)
		var open []net.Conn
		for range maxConnections {
			c := p.dial()
			defer c.Close()
			open = append(open, c)
			if status, err := ask(c, get); status != 200 || err != nil {
				t.Fatalf("%d, %v", status, err)
			}
		}
		taken := make(chan net.Conn)
		go func() { taken <- p.dial() }()
		synctest.Wait()
		select {
		case <-taken:
			t.Error("one too many was taken")
		default:
		}
		open[0].Close()
		c := <-taken
		defer c.Close()
		if status, err := ask(c, get); status != 200 || err != nil {
			t.Errorf("%d, %v", status, err)
		}
	})
}

func TestAConnectionThatIsNotUsedIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, p := serving(t, ok)
		c := p.dial()
		defer c.Close()
		if status, err := ask(c, get); status != 200 || err != nil {
			t.Fatalf("%d, %v", status, err)
		}
		began := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) != idleTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestHugeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, p := serving(t, ok)
		for size, want := range map[int]int{60 << 10: 200, 80 << 10: http.StatusRequestHeaderFieldsTooLarge} {
			c := p.dial()
			// The server may answer before it has read all.
			go fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", size))
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != want {
				t.Errorf("%d bytes: %d, want %d", size, resp.StatusCode, want)
			}
			c.Close()
		}
	})
}

func TestCloseCutsWhoIsTooSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := serving(t, ok)
		c := p.dial()
		defer c.Close()
		go io.Copy(io.Discard, c)
		if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		if err := s.Close(t.Context()); err != nil || time.Since(began) != closeTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("once more: %v", err)
		}
	})
}

func TestAServerThatNeverServedIsClosed(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Address: "127.0.0.1:0", Logger: nopLog})
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(Options{Address: s.Addr().String(), Logger: nopLog})
	if _, bound := errors.AsType[*AddressError](err); !bound {
		t.Errorf("a taken address: %v", err)
	}
	for range 2 {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	again, err := New(Options{Address: s.Addr().String(), Logger: nopLog})
	if err != nil {
		t.Fatalf("not free again: %v", err)
	}
	if err := again.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
