package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
)

func TestRulesSayWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	body := ""
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Wait", "12")
		fmt.Fprint(w, body)
	})
	const rules = `
items: .posts[]
paging: {kind: page}
errors:
  - {when: '.error == "auth"', do: stop, message: the token was revoked}
  - {when: '.error == "limit"', do: wait, after: '$headers["x-wait"]'}
  - {when: '.error == "limit2"', do: wait}
  - {when: '.error == "none"', do: skip}
  - {when: '.error and $status == 200', do: retry}
  - {when: '.odd[]', do: retry}
`
	for text, want := range map[string]struct {
		problem string
		stops   bool
		after   time.Duration
	}{
		`{"error":"auth"}`:   {problem: "errors[0]: the token was revoked", stops: true},
		`{"error":"limit"}`:  {problem: "errors[1]: holds for the API's answer", after: 12 * time.Second},
		`{"error":"limit2"}`: {problem: "errors[2]: holds for the API's answer", after: time.Minute},
		`{"error":"none"}`:   {},
		`{"error":"s3cret"}`: {problem: "errors[4]: holds for the API's answer"},
		`{"odd":"s3cret"}`:   {problem: "errors[5].when: cannot iterate over: string"},
	} {
		body = text
		p := poll(t, open(t, "url: "+a.URL+rules))
		if want.problem == "" {
			p.want(t)
			continue
		}
		p.fails(t, want.problem)
		later, _ := errors.AsType[*sources.RetryAfterError](p.err)
		if _, stops := settingOf(p.err); stops != want.stops || (later != nil) != (want.after != 0) || later != nil && later.After != want.after {
			t.Errorf("%s: %#v", text, p.err)
		}
	}
}

// waits has a source note how long it would wait.
func waits(s *source) *[]time.Duration {
	waited := new([]time.Duration)
	s.wait = func(_ context.Context, d time.Duration) error {
		*waited = append(*waited, d.Round(time.Second))
		return nil
	}
	return waited
}

func TestTheSourceWaitsAsTheAPIAsks(t *testing.T) {
	t.Parallel()
	var header http.Header
	n := 0
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		n++
		fmt.Fprintf(w, `{"posts":%s,"backoff":%s,"last":%v}`, posts(n), header.Get("X-Backoff"), n%2 == 0)
	})
	in30 := strconv.FormatInt(time.Now().Add(30*time.Second).Unix(), 10)
	for name, test := range map[string]struct {
		header   http.Header
		settings string
		want     time.Duration
	}{
		"nothing":            {http.Header{}, "", 0},
		"interval":           {http.Header{}, "interval: 20s", 20 * time.Second},
		"pause":              {http.Header{"X-Backoff": {"10"}}, "pause: .backoff", 10 * time.Second},
		"pause as text":      {http.Header{"X-Backoff": {`"10"`}}, "pause: .backoff", 10 * time.Second},
		"left":               {http.Header{"X-Ratelimit-Remaining": {"1"}, "X-Ratelimit-Reset": {"10"}}, "", 0},
		"none left":          {http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"10"}}, "", 10 * time.Second},
		"none left, at time": {http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {in30}}, "", 30 * time.Second},
		"none left, draft":   {http.Header{"Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {"10"}}, "", 10 * time.Second},
		"none left, later":   {http.Header{"Ratelimit": {`"default";r=0;t=10`}}, "", 10 * time.Second},
		"odd":                {http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"soon"}}, "", 0},
		"the longest":        {http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"10"}, "X-Backoff": {"20"}}, "pause: .backoff", 20 * time.Second},
	} {
		header = test.header
		if header.Get("X-Backoff") == "" {
			header.Set("X-Backoff", "null")
		}
		n = 0
		s := open(t, "url: "+a.URL+"\nitems: .posts[]\npaging: {kind: page, stop: .last}\n"+test.settings)
		waited := waits(s)
		p := poll(t, s).want(t, "test-1", "test-2")
		if test.want == 0 && len(*waited) == 0 && p.last.NotBefore.IsZero() {
			continue
		}
		off := time.Until(p.last.NotBefore) - test.want
		if len(*waited) != 1 || ((*waited)[0]-test.want).Abs() > 5*time.Second || off.Abs() > 5*time.Second {
			t.Errorf("%s: waited %v, next poll %v later than it should", name, *waited, off)
		}
	}
}

func TestALongWaitEndsThePollWithoutLosingIt(t *testing.T) {
	t.Parallel()
	n := 0
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		if n == leastWalk {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", "600")
		}
		fmt.Fprint(w, posts(n))
	})
	p := poll(t, open(t, "url: "+a.URL+"\npaging: {kind: page}"))
	later, ok := errors.AsType[*sources.RetryAfterError](p.err)
	if !ok || later.After.Round(time.Minute) != 10*time.Minute || len(p.ids) != leastWalk || !strings.Contains(p.cursor, `"walk"`) {
		t.Errorf("%v %v %s", p.err, p.ids, p.cursor)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if err := wait(ctx, time.Hour); !errors.Is(err, stopped) {
		t.Error(err)
	}
	if err := wait(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
}
