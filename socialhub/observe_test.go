package socialhub

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow answers after two seconds.
type slow func(*http.Request) (*http.Response, error)

func (f slow) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(2 * time.Second)
	return f(r)
}

func slowly(status int, body string) slow {
	return func(*http.Request) (*http.Response, error) {
		header := http.Header{"X-Ratelimit-Limit": {"100"}, "X-Ratelimit-Remaining": {"7"}}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func TestEveryRequestIsObservedAsTheCallerSeesIt(t *testing.T) {
	t.Parallel()
	operations := map[string]Operation{
		"channel": OpChannel, "create": OpCreate, "update": OpUpdate, "confirm": OpCallback, "fail": OpCallback,
		"manifest": OpManifest, "remove": OpManifest,
	}
	answers := map[string]slow{
		"no ticket and no channel": slowly(200, `{}`),
		"created, but no ticket":   slowly(201, `{}`),
		"another one": slowly(200, fmt.Sprintf(`{"_id":%q,"channel":{"_id":%q}}`,
			strings.Repeat("a", 24), strings.Repeat("a", 24))),
		"as asked":  slowly(200, fmt.Sprintf(`{"_id":%q,"channel":{"_id":%q}}`, testTicket, testChannel)),
		"created":   slowly(201, fmt.Sprintf(`{"_id":%q}`, testTicket)),
		"refused":   slowly(400, `{}`),
		"limited":   slowly(429, `{}`),
		"no answer": func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	}
	synctest.Test(t, func(t *testing.T) {
		for name, answer := range answers {
			for route, call := range routes {
				var seen []Exchange
				c := newTestClient(t, "http://api", func(o *Options) {
					o.Transport, o.Observe = answer, func(e Exchange) { seen = append(seen, e) }
				})
				a := call(t.Context(), c)
				want := Exchange{Operation: operations[route], Outcome: a.Outcome, Took: 2 * time.Second, Limit: a.Limit}
				if len(seen) != 1 || seen[0] != want {
					t.Errorf("%s, %s: observed %+v, want %+v", route, name, seen, want)
				}
				if a.Limit.Known != (name != "no answer") {
					t.Errorf("%s, %s: the limit is %+v", route, name, a.Limit)
				}
			}
		}
	})
}

func TestARequestThatIsNotSentIsNotObserved(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, "http://api", func(o *Options) {
		o.Observe = func(e Exchange) { t.Errorf("observed %+v", e) }
	})
	for _, a := range []Answer{
		c.Update(t.Context(), "no id", &Update{}, false), c.Fail(context.Background(), "no id", "reply", "", ""),
	} {
		if a.Outcome != Rejected {
			t.Errorf("%+v", a)
		}
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	t.Parallel()
	var names []string
	for _, o := range append(Outcomes(), -1, 99) {
		names = append(names, o.String())
	}
	if got, want := strings.Join(names, " "),
		"unavailable done conflict not_found rejected unauthorized forbidden rate_limited unknown unknown"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
