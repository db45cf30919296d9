package sandbox

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The routes, as they are told in [Request], [Count] and [Call].
const (
	RouteRoot  = "GET /"
	RoutePost  = "POST /inbox/tickets"
	RoutePatch = "PATCH /inbox/tickets/:ticketId"
	// RouteConfirm and RouteFail answer an action of the team.
	RouteConfirm  = "POST /inbox/tickets/:ticketId/replies/:followupId/success"
	RouteFail     = "POST /inbox/tickets/:ticketId/reset/:actionId"
	RouteManifest = "PATCH /manifest"
	// RouteOther is everything that isn't documented, or not emulated.
	RouteOther = "other"
)

const ticketsPath = "/inbox/tickets"

// call is one API request on its way.
type call struct {
	route    string
	ticketID string
	// actionID is the followupId or the actionId of the path.
	actionID string
	channel  *channel // nil if the token isn't valid
	query    url.Values
}

func (s *Server) newCall(r *http.Request) *call {
	c := &call{query: r.URL.Query()}
	c.channel = (*s.tokens.Load())[c.query.Get("accesstoken")]
	c.route, c.ticketID, c.actionID = route(r.Method, r.URL.Path)
	return c
}

func route(method, path string) (route, ticketID, actionID string) {
	switch {
	case method == http.MethodPost && path == ticketsPath:
		return RoutePost, "", ""
	case method == http.MethodGet && path == "/":
		return RouteRoot, "", ""
	case method == http.MethodPatch && path == "/manifest":
		return RouteManifest, "", ""
	}
	rest, _ := strings.CutPrefix(path, ticketsPath+"/")
	parts := strings.Split(rest, "/")
	switch {
	case slices.Contains(parts, ""):
	case method == http.MethodPatch && len(parts) == 1:
		return RoutePatch, parts[0], ""
	case method == http.MethodPost && len(parts) == 4 && parts[1] == "replies" && parts[3] == "success":
		return RouteConfirm, parts[0], parts[2]
	case method == http.MethodPost && len(parts) == 3 && parts[1] == "reset":
		return RouteFail, parts[0], parts[2]
	}
	return RouteOther, "", ""
}

// answer carries the request out.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *call) reply {
	switch {
	case c.route == RouteOther:
		return replyNoRoute
	case c.channel == nil:
		return replyUnauthorized
	case !c.channel.active.Load():
		return replyDeactivated
	}
	if c.route == RouteRoot {
		return reply{status: http.StatusOK, body: c.channel.rootBody()}
	}
	body, err := s.readBody(w, r)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return failure(http.StatusRequestEntityTooLarge, "PayloadTooLargeError", "Error: the body is too large")
	}
	if err != nil {
		return badRequest(err)
	}
	switch c.route {
	case RoutePost:
		return s.postTicket(c.channel, body)
	case RouteManifest:
		return s.patchManifest(r.Context(), c.channel, body)
	case RouteConfirm:
		return s.confirm(c, body)
	case RouteFail:
		return s.fail(c, body)
	}
	return s.patchTicket(c, body)
}

// readBody reads a JSON body of at most MaxBody bytes; other errors than too many bytes are for the client.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if t := r.Header.Get("Content-Type"); t != jsonType {
		if t, _, err := mime.ParseMediaType(t); err != nil || t != jsonType {
			return nil, &fieldError{"Content-Type", "must be application/json"}
		}
	}
	in := http.MaxBytesReader(w, r.Body, s.opts.MaxBody)
	if n := r.ContentLength; n > 0 && n <= s.opts.MaxBody {
		body := make([]byte, n)
		_, err := io.ReadFull(in, body)
		return body, err
	}
	return io.ReadAll(in)
}

func (s *Server) postTicket(ch *channel, body []byte) reply {
	in, err := decodeCreation(body, ch.reusable)
	if err != nil {
		return badRequest(err)
	}
	now := time.Now().UTC()
	if in.CreatedTime.IsZero() {
		in.CreatedTime = now
	}
	c := creation{
		id: s.ids.next(), item: in.Interaction, fill: s.opts.FillHiddenRoots,
		own:      ch.info.NetworkID != "" && in.Interactor != nil && in.Interactor.InteractorID == ch.info.NetworkID,
		revision: s.revision(http.MethodPost, now, body),
	}
	if in.Root != nil {
		c.hiddenID = s.ids.next()
	}
	t, ok := ch.tickets.create(&c)
	if !ok {
		return replyConflict
	}
	return reply{status: http.StatusCreated, body: ticketBody(ch, &t)}
}

func (s *Server) patchTicket(c *call, body []byte) reply {
	var reset bool
	switch c.query.Get("reset") {
	case "", "false":
	case "true":
		reset = true
	default:
		return badRequest(&fieldError{"reset", "must be true or false"})
	}
	in, err := decodeUpdate(body, c.channel.reusable, s.opts.LoosePatch)
	if err != nil {
		return badRequest(err)
	}
	rev := s.revision(http.MethodPatch, time.Now().UTC(), body)
	rev.Reset = reset
	t, ok := c.channel.tickets.update(c.ticketID, in, rev)
	if !ok {
		return replyNoTicket
	}
	return reply{status: http.StatusOK, body: ticketBody(c.channel, &t)}
}

func (s *Server) revision(method string, now time.Time, body []byte) Revision {
	if s.opts.NoBodies {
		body = nil
	}
	return Revision{Time: now, Method: method, Body: body}
}
