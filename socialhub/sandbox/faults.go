package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind is a kind of trouble.
type Kind string

// The kinds. Those up to Hang happen instead of the request: nothing changes. The others change the state as
// the request asks and then spoil the answer.
const (
	// NoFault lets the request be.
	NoFault Kind = ""
	// Reset cuts the connection (TCP RST where there is TCP).
	Reset Kind = "reset"
	// InternalError is a 500 with SocialHub's JSON.
	InternalError Kind = "500"
	// BadGateway is a 502 with an HTML body, as of a proxy in front.
	BadGateway Kind = "502"
	// TooMany is a 429 with Retry-After in seconds: [Fault.Wait].
	TooMany Kind = "429"
	// TooManyDate is a 429 with Retry-After as an HTTP date that is [Fault.Wait] away.
	TooManyDate Kind = "429-date"
	// TooManyAbsurd is a 429 with a Retry-After that makes no sense: [Fault.RetryAfter].
	TooManyAbsurd Kind = "429-absurd"
	// Unauthorized is a 401 although the token is right.
	Unauthorized Kind = "401"
	// Forbidden is a 403 AccessDenied.
	Forbidden Kind = "403"
	// Hang gives no answer until the client goes or the sandbox is closed.
	Hang Kind = "hang"

	// Lost cuts the connection after the state changed: the client can't know what happened.
	Lost Kind = "lost"
	// Slow sends the headers at once and the body in pieces that take [Fault.Wait] together.
	Slow Kind = "slow"
	// Truncated sends half of the JSON, as a complete body.
	Truncated Kind = "truncated"
	// Empty answers 200 without a body.
	Empty Kind = "empty"
)

// Kinds are all kinds of trouble, by name.
var Kinds = []Kind{
	TooMany, TooManyAbsurd, TooManyDate, Unauthorized, Forbidden, InternalError, BadGateway,
	Empty, Hang, Lost, Reset, Slow, Truncated,
}

// Fault is the trouble that one request meets.
type Fault struct {
	Kind Kind
	// Wait is what TooMany and TooManyDate ask for (0: one second) and how long Slow takes (0: thirty seconds).
	Wait time.Duration
	// RetryAfter is the header's value for TooManyAbsurd; empty means -1.
	RetryAfter string
}

// Call is what a source of trouble may look at.
type Call struct {
	// N counts the API requests from 1; the order of concurrent ones is chance.
	N            int
	Method, Path string
	// Route is as in [Request].
	Route string
	// ChannelID is empty when the token isn't valid.
	ChannelID string
}

// Faults decides on the trouble of each request. It is called concurrently.
type Faults func(Call) Fault

// Script gives the requests of a route (any, if it is empty) the faults in order; those after the last are left
// alone. NoFault in the list lets one request pass.
func Script(route string, faults ...Fault) Faults {
	var mu sync.Mutex
	return func(c Call) Fault {
		mu.Lock()
		defer mu.Unlock()
		if len(faults) == 0 || route != "" && route != c.Route {
			return Fault{}
		}
		next := faults[0]
		faults = faults[1:]
		return next
	}
}

// ParseFaults reads a list like "lost:0.05,429:0.01": kinds and how likely each is for a request, together at
// most 1. The same seed gives the n-th request the same fault. Empty text means no trouble.
func ParseFaults(text string, seed uint64) (Faults, error) {
	likely := map[Kind]float64{}
	total := 0.0
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		kind, p, err := parseFault(part)
		if err != nil {
			return nil, err
		}
		if _, twice := likely[kind]; twice {
			return nil, fmt.Errorf("fault %q is named twice", kind)
		}
		likely[kind] = p
		total += p
	}
	if total > 1+1e-9 {
		return nil, fmt.Errorf("faults %q: the probabilities add up to %g, more than 1", text, total)
	}
	kinds := slices.Sorted(maps.Keys(likely))
	return func(c Call) Fault {
		// A generator per request needs no lock and makes the n-th draw independent of the others' order.
		draw := float64(rand.NewPCG(seed, uint64(c.N)).Uint64()>>11) / (1 << 53)
		for _, k := range kinds {
			if draw -= likely[k]; draw < 0 {
				return Fault{Kind: k}
			}
		}
		return Fault{}
	}, nil
}

func parseFault(part string) (Kind, float64, error) {
	name, number, ok := strings.Cut(part, ":")
	kind := Kind(strings.TrimSpace(name))
	if !slices.Contains(Kinds, kind) {
		return "", 0, fmt.Errorf("fault %q is not known: write one of %s", name, kindNames())
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(p >= 0 && p <= 1) {
		return "", 0, fmt.Errorf("fault %q needs a probability from 0 to 1, as %s:0.05", part, kind)
	}
	return kind, p, nil
}

func kindNames() string {
	names := make([]string, len(Kinds))
	for i, k := range Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// errCut asks for the connection to be cut.
var errCut = errors.New("cut the connection")

// instead returns the answer that replaces the request's own; false if the request is to be carried out.
func (f Fault) instead(now time.Time) (reply, bool) {
	switch f.Kind {
	case InternalError:
		return failure(500, "InternalServerError", "Error: There was an unexpected error"), true
	case BadGateway:
		return reply{status: 502, contentType: "text/html", body: []byte("<html><head><title>502 Bad Gateway</title></head>" +
			"<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>\r\n")}, true
	case Unauthorized:
		return replyUnauthorized, true
	case Forbidden:
		return failure(403, "AccessDenied", "Error: Access denied"), true
	case TooMany:
		return tooMany(strconv.Itoa(seconds(f.Wait))), true
	case TooManyDate:
		return tooMany(now.Add(time.Duration(seconds(f.Wait)) * time.Second).UTC().Format(http.TimeFormat)), true
	case TooManyAbsurd:
		if f.RetryAfter == "" {
			return tooMany("-1"), true
		}
		return tooMany(f.RetryAfter), true
	}
	return reply{}, false
}

// spoil changes the answer of a request that was carried out.
func (f Fault) spoil(r reply) reply {
	switch f.Kind {
	case Truncated:
		r.body = r.body[:len(r.body)/2]
	case Empty:
		r.status, r.body = 200, nil
	case Slow:
		r.slow = f.Wait
		if r.slow <= 0 {
			r.slow = 30 * time.Second
		}
	}
	return r
}

// seconds rounds up to what Retry-After can say, at least one.
func seconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}
