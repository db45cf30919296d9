package sourcetest

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
)

// Server is the HTTP half of a [World]: it answers with the author's handler, and is a [Breaker] and a [Watcher]. It
// knows every [Trouble].
type Server struct {
	handler http.Handler
	server  *httptest.Server
	closing chan struct{}

	mu        sync.Mutex
	trouble   Trouble
	first     *httptest.ResponseRecorder // what a repeating server says
	requests  int
	watched   int
	onRequest func(int)
}

// NewServer starts a server that ends with the test.
func NewServer(t testing.TB, handler http.Handler) *Server {
	s := &Server{handler: handler, closing: make(chan struct{})}
	s.server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		close(s.closing)
		s.server.Close()
	})
	return s
}

// URL is the server's address, without a slash at its end.
func (s *Server) URL() string { return s.server.URL }

// Requests is how many requests there have been.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Break implements [Breaker].
func (s *Server) Break(trouble Trouble) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble, s.first = trouble, nil
	return true
}

// OnRequest implements [Watcher].
func (s *Server) OnRequest(f func(n int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched, s.onRequest = 0, f
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // or the end of the client would not be noticed
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	s.requests++
	s.watched++
	n, watch := s.watched, s.onRequest
	s.mu.Unlock()
	if watch != nil {
		watch(n)
	}
	s.mu.Lock()
	trouble := s.trouble
	s.mu.Unlock()
	s.answer(w, r, trouble)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, trouble Trouble) {
	switch trouble {
	case Fine:
		s.handler.ServeHTTP(w, r)
	case Unauthorized:
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case Throttled, Unavailable:
		w.Header().Set("Retry-After", strconv.Itoa(int(RetryAfter.Seconds())))
		status := http.StatusTooManyRequests
		if trouble == Unavailable {
			status = http.StatusServiceUnavailable
		}
		http.Error(w, "later", status)
	case Failing:
		http.Error(w, "the database is away", http.StatusInternalServerError)
	case Dropped:
		panic(http.ErrAbortHandler)
	case CutOff:
		cutOff(w, s.record(r))
	case Lost:
		answer := s.record(r)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			panic(http.ErrAbortHandler)
		}
		replay(w, answer)
	case Hanging:
		select {
		case <-r.Context().Done():
		case <-s.closing:
		}
	case LoginPage:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form><input name=\"password\"></form></body></html>")
	case Garbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("\x00\xff\xfe}{\x1b[31m<\x80"))
	case TooLarge:
		endless(w)
	case Repeating:
		replay(w, s.firstAnswer(r))
	default:
		http.Error(w, fmt.Sprintf("no such trouble: %s", trouble), http.StatusInternalServerError)
	}
}

// record has the handler answer into memory.
func (s *Server) record(r *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, r)
	return recorder
}

// firstAnswer is the answer to the first request since the trouble began.
func (s *Server) firstAnswer(r *http.Request) *httptest.ResponseRecorder {
	s.mu.Lock()
	first := s.first
	s.mu.Unlock()
	if first != nil {
		return first
	}
	answer := s.record(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = answer
	return answer
}

func replay(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// cutOff promises the whole answer and sends half of it.
func cutOff(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), answer.Header())
	body := answer.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

// mostSent bounds what a [TooLarge] answer sends to an adapter that never has enough, in bytes.
const mostSent = 512 << 20

// endless sends a JSON text, white space and all, until the client has enough.
func endless(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range mostSent / len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}
