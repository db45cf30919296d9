package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// numbered serves three pages of one item each, after which one is empty. answer may answer in its place.
func numbered(t testing.TB, answer func(w http.ResponseWriter, page string) bool) *api {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("p")
		switch {
		case answer(w, page):
		case page < "4":
			fmt.Fprintf(w, `[{"id":%s,"text":"t"}]`, page)
		default:
			fmt.Fprint(w, "[]")
		}
	})
}

const byNumber = "\nquery: {p: \\($page.number), size: 1}\npaging: {kind: page}"

// An API that allows two requests a quarter of an hour would else be asked for the same two pages for ever.
func TestAShortWalkGoesOnWhereAQuotaCutIt(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(w http.ResponseWriter, left int) bool{
		"429": func(w http.ResponseWriter, left int) bool {
			if left < 0 {
				w.Header().Set("Retry-After", "900")
				w.WriteHeader(http.StatusTooManyRequests)
			}
			return left < 0
		},
		"a header": func(w http.ResponseWriter, left int) bool {
			if left <= 0 {
				w.Header().Set("RateLimit-Remaining", "0")
				w.Header().Set("RateLimit-Reset", "900")
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := 2
			a := numbered(t, func(w http.ResponseWriter, _ string) bool {
				left--
				return refuse(w, left)
			})
			cut := poll(t, open(t, "url: "+a.URL+byNumber))
			if _, later := errors.AsType[*sources.RetryAfterError](cut.err); !later || strings.Join(cut.ids, " ") != "test-1 test-2" {
				t.Fatal(cut.ids, cut.err)
			}
			left = 100
			pullAll(t, open(t, "url: "+a.URL+byNumber), sources.Request{Cursor: cut.cursor}).want(t, "test-2", "test-3")
		})
	}
}

// cutWalk is the cursor of a walk through pages by number that ended after two of them.
func cutWalk(t testing.TB, down *bool, s *source) string {
	t.Helper()
	*down = true
	cut := poll(t, s)
	*down = false
	if cut.err == nil || !strings.Contains(cut.cursor, `"walk"`) {
		t.Fatal(cut.cursor, cut.err)
	}
	return cut.cursor
}

func limited(t testing.TB) (a *api, down *bool) {
	down = new(bool)
	return numbered(t, func(w http.ResponseWriter, page string) bool {
		if *down && page == "3" {
			w.Header().Set("Retry-After", "900")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		return false
	}), down
}

// With half as many items to a page, the same number of the page is a place further ahead.
func TestAWalkBeginsAnewIfAnotherSizeOfPageIsAskedFor(t *testing.T) {
	t.Parallel()
	a, down := limited(t)
	cursor := cutWalk(t, down, open(t, "url: "+a.URL+byNumber))
	s := open(t, "url: "+a.URL+strings.Replace(byNumber, "size: 1", "size: 2", 1))
	pullAll(t, s, sources.Request{Cursor: cursor}).want(t, "test-1", "test-2", "test-3")
}

func TestAGatewayInTroubleDoesNotMakeAWalkBeginAnew(t *testing.T) {
	t.Parallel()
	status := 0
	down := false
	a := numbered(t, func(w http.ResponseWriter, page string) bool {
		switch {
		case down && page == "3":
			w.Header().Set("Retry-After", "900")
			w.WriteHeader(http.StatusTooManyRequests)
		case status != 0:
			w.WriteHeader(status)
			status = 0
		default:
			return false
		}
		return true
	})
	s := open(t, "url: "+a.URL+byNumber)
	cursor := cutWalk(t, &down, s)
	a.asked()
	for _, status = range []int{502, 503, 504} {
		p := pullAll(t, s, sources.Request{Cursor: cursor})
		if asked := a.asked(); p.err == nil || len(asked) != 1 || p.cursor != cursor {
			t.Error(p.err, asked)
		}
	}
}

// Our clock may be ahead of the API's by more than the look-back.
func TestWithoutAValueTheCursorIsByTheClockThatIsBehind(t *testing.T) {
	t.Parallel()
	for shift, want := range map[time.Duration]time.Duration{-time.Hour: -time.Hour, time.Hour: 0} {
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(shift).UTC().Format(http.TimeFormat))
			fmt.Fprint(w, posts(1))
		})
		s := open(t, "url: "+a.URL+"\nquery: {since: \\($since)}")
		before := time.Now().Add(-time.Second)
		mark := s.readCursor(poll(t, s).cursor, time.Now()).Mark.time
		if mark.Before(before.Add(want)) || mark.After(time.Now().Add(want)) {
			t.Errorf("%s: %s", shift, mark)
		}
	}
}

func TestAPageWithoutInteractionsThatComesTwiceEndsThePoll(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, posts(1, 2)) })
	p := poll(t, open(t, "url: "+a.URL+byNumber+"\nmap: empty"))
	if asked := a.asked(); len(asked) != 2 || p.err == nil || !strings.Contains(p.err.Error(), "page 2 holds the same") {
		t.Error(asked, p.err)
	}
}

func TestNoContentIsAPageWithoutItems(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	poll(t, open(t, "url: "+a.URL+byNumber)).want(t)
}

// Parameters that can't be read would be left out silently, and another list be read.
func TestAnAddressWhoseParametersCantBeReadIsAnError(t *testing.T) {
	t.Parallel()
	next := ""
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"items":%s,"next":%q}`, posts(1), next)
	})
	s := open(t, "url: "+a.URL+"/?tags=a;b\nquery: {size: 1}")
	poll(t, s).fails(t, "url: has a parameter that can't be read; write it in query, or %3B for ; and %25 for %")

	next = "/?key=s3cret&tags=a;b"
	const byURL = "\nitems: .items[]\npaging: {kind: url, next: .next}"
	poll(t, open(t, "url: "+a.URL+byURL+"\nauth: {query: {name: key, value: s3cret}}")).
		fails(t, "auth.query: the address has a parameter that can't be read: a ; or a % that is not encoded")
	a.asked()
	if poll(t, open(t, "url: "+a.URL+byURL)); a.asked()[1] != next {
		t.Error("without a key to add the address is not used as it is")
	}
}

// A program is written for the answers that are a success; what goes wrong otherwise must not hide behind it.
func TestARuleThatFailsOnARefusalDoesNotHideIt(t *testing.T) {
	t.Parallel()
	status := http.StatusUnauthorized
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "900")
		w.WriteHeader(status)
		fmt.Fprint(w, `"go away"`)
	})
	s := open(t, "url: "+a.URL+"\nerrors: [{when: .error == 1, do: retry}]\npause: .backoff")
	if key, stops := settingOf(poll(t, s).err); key != "url" || !stops {
		t.Error(key, stops)
	}
	status = http.StatusTooManyRequests
	if _, later := errors.AsType[*sources.RetryAfterError](poll(t, s).err); !later {
		t.Error("the wait is lost")
	}
	status = http.StatusOK
	poll(t, s).fails(t, "errors[0].when: expected an object but got: string")
}

func TestARuleHoldsForAnAnswerThatIsNoJSON(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<p>We are moving house</p>") })
	s := open(t, "url: "+a.URL+`
errors: [{when: '$headers["content-type"] | startswith("text/html")', do: wait, after: 900}]`)
	if _, later := errors.AsType[*sources.RetryAfterError](poll(t, s).err); !later {
		t.Error("the rule does not hold")
	}
}

func TestAnAddressInAnItemIsNotAskedWithoutTLSIfTheSourceHasIt(t *testing.T) {
	t.Parallel()
	s := open(t, "url: https://api.example.com/x\nitems: .[]\ndetails: [{url: \\(.more), items: '.[]', map: empty}]")
	l := s.settings.detail(&s.settings.Details[0], "details[0].")
	for _, address := range []string{"http://api.example.com/y?a=1", "https://api.example.com/y?a=1"} {
		r, err := l.build(t.Context(), position{}, map[string]any{"more": address}, jq.Vars{})
		if r.URL != "https://api.example.com/y?a=1" || err != nil {
			t.Error(r.URL, err)
		}
	}
}

// A walk that goes on begins a page before the one it was at, so it must not be stored before that was read.
func TestAWalkThatIsRefusedAtOnceStaysWhereItIs(t *testing.T) {
	t.Parallel()
	down, all := false, false
	a := numbered(t, func(w http.ResponseWriter, page string) bool {
		if all || down && page == "3" {
			w.Header().Set("Retry-After", "900")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		return false
	})
	s := open(t, "url: "+a.URL+byNumber)
	cursor := cutWalk(t, &down, s)
	all = true
	if p := pullAll(t, s, sources.Request{Cursor: cursor}); p.cursor != cursor {
		t.Error(p.cursor, p.err)
	}
}

func TestAWalkThatWasOutOfOrderStaysSoWhenItGoesOn(t *testing.T) {
	t.Parallel()
	times := []string{"", "2026-01-05", "2026-01-04", "2026-01-06", "2026-01-07"}
	last := "3"
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("p")
		if page >= last {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `[{"id":%s,"at":"%sT00:00:00Z"}]`, page, times[page[0]-'0'])
	})
	s := open(t, "url: "+a.URL+byNumber+"\ncursor: {value: .at, order: oldest}")
	cursor := poll(t, s).cursor
	last = "5"
	p := pullAll(t, s, sources.Request{Cursor: cursor})
	if strings.Join(p.ids, " ") != "test-2 test-3 test-4" || strings.Contains(p.cursor, `"mark"`) {
		t.Error(p.ids, p.cursor)
	}
}
