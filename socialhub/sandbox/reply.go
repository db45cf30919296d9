package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const jsonType = "application/json"

// reply is an answer before it is sent.
type reply struct {
	status      int
	contentType string // empty means JSON
	retryAfter  string
	body        []byte
	slow        time.Duration // how long the body takes
}

// The answers that never differ. The messages of 401 and 409 are recorded ones.
var (
	replyUnauthorized = failure(http.StatusUnauthorized, "AccessTokenInvalidError", "Error: Invalid access token")
	replyDeactivated  = failure(http.StatusForbidden, "ChannelDeactivated", "Error: The channel is deactivated")
	replyNoRoute      = failure(http.StatusNotFound, "NotFoundError", "Error: No such route")
	replyNoTicket     = failure(http.StatusNotFound, "NotFoundError", "Error: No such ticket")
	replyConflict     = failure(http.StatusConflict, "ConflictError", "Error: Ticket with such network item id already exists")
)

func failure(status int, code, message string) reply {
	body, _ := json.Marshal(map[string]string{"code": code, "message": message}) // strings always marshal
	return reply{status: status, body: body}
}

func badRequest(err error) reply {
	return failure(http.StatusBadRequest, "BadRequestError", "Error: "+err.Error())
}

func tooMany(retryAfter string) reply {
	r := failure(http.StatusTooManyRequests, "TooManyRequestsError", "Error: Too many requests")
	r.retryAfter = retryAfter
	return r
}

// ServeHTTP answers API requests, and those for the page under /ui/. A fault that cuts the connection panics
// with [http.ErrAbortHandler] where it can't be hijacked, so it needs a real http.Server.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ui" || strings.HasPrefix(r.URL.Path, "/ui/") {
		s.ui.ServeHTTP(w, r)
		return
	}
	c := s.newCall(r)
	if c.route == RouteRoot && !c.query.Has("accesstoken") && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/ui/", http.StatusSeeOther)
		return
	}
	s.serveAPI(w, r, c)
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, c *call) {
	entry := Request{
		Method: r.Method, Path: r.URL.Path, Route: c.route, Reset: c.query.Get("reset") == "true",
	}
	if c.channel != nil {
		entry.ChannelID = c.channel.info.ID
	}
	rep, fault, err := s.decide(w, r, c)
	if err == nil {
		err = s.pause(r.Context(), s.opts.Latency)
	}
	if err == nil {
		entry.Status = rep.status
	}
	entry.Time, entry.Fault = time.Now(), fault
	s.log.add(entry)
	if err == nil {
		err = s.send(w, r, rep)
	}
	if err != nil {
		cut(w, fault == Reset)
	}
}

// decide returns the answer and the trouble it met; the error means that there is none to give.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, c *call) (reply, Kind, error) {
	remaining, wait := s.opts.RateLimit.shown(), time.Duration(0)
	if c.channel != nil {
		remaining, wait = c.channel.budget.take(s.opts.RateLimit, time.Now())
	}
	h := w.Header()
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.opts.RateLimit.shown()))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	if wait > 0 {
		return tooMany(strconv.Itoa(seconds(wait))), NoFault, nil
	}
	fault := s.fault(r, c)
	if rep, ok := fault.instead(time.Now()); ok {
		return rep, fault.Kind, nil
	}
	switch fault.Kind {
	case Reset:
		return reply{}, fault.Kind, errCut
	case Hang:
		return reply{}, fault.Kind, s.hang(w, r)
	}
	rep := s.answer(w, r, c)
	if fault.Kind == Lost {
		return reply{}, fault.Kind, errCut
	}
	return fault.spoil(rep), fault.Kind, nil
}

// fault asks the source of trouble, if there is one.
func (s *Server) fault(r *http.Request, c *call) Fault {
	f := *s.faults.Load()
	if f == nil {
		return Fault{}
	}
	about := Call{N: int(s.calls.Add(1)), Method: r.Method, Path: r.URL.Path, Route: c.route}
	if c.channel != nil {
		about.ChannelID = c.channel.info.ID
	}
	return f(about)
}

// hang waits until the client goes or the sandbox is closed. The body is read first: net/http sees a client go
// only after that.
func (s *Server) hang(w http.ResponseWriter, r *http.Request) error {
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, s.opts.MaxBody)) // what is wrong with it doesn't matter
	select {
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	return errCut
}

var errClosed = errors.New("the sandbox is closed")

// pause waits for d, or until the client goes or the sandbox is closed.
func (s *Server) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return errClosed
	}
}

// slowPieces is how many pieces a slow body comes in.
const slowPieces = 8

func (s *Server) send(w http.ResponseWriter, r *http.Request, rep reply) error {
	h := w.Header()
	if rep.contentType == "" {
		rep.contentType = "application/json; charset=utf-8"
	}
	h.Set("Content-Type", rep.contentType)
	h.Set("Content-Length", strconv.Itoa(len(rep.body)))
	if rep.retryAfter != "" {
		h.Set("Retry-After", rep.retryAfter)
	}
	w.WriteHeader(rep.status)
	if rep.slow == 0 {
		_, err := w.Write(rep.body)
		return err
	}
	piece := len(rep.body)/slowPieces + 1
	for body := rep.body; len(body) > 0; body = body[min(piece, len(body)):] {
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		if err := s.pause(r.Context(), rep.slow/slowPieces); err != nil {
			return err
		}
		if _, err := w.Write(body[:min(piece, len(body))]); err != nil {
			return err
		}
	}
	return nil
}

// cut ends the connection without an answer, by a reset if asked and possible.
func cut(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // then it is closed without the RST
	}
	_ = conn.Close() // it is gone either way
}
