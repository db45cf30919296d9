package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
)

func TestRulesSeeAnswersThatAreNoSuccess(t *testing.T) {
	t.Parallel()
	status, body := 0, ""
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	s := open(t, "url: "+a.URL+`
errors:
  - {when: '$status == 400 and .code == "rest_post_invalid_page_number"', do: skip}
  - {when: '$status == 401 and .reason == "busy"', do: retry, message: busy}
  - {when: $status == 418, do: stop}
`)
	for _, test := range []struct {
		status int
		body   string
		want   string
		stops  bool
	}{
		{400, `{"code":"rest_post_invalid_page_number"}`, "", false},
		{400, `{"code":"s3cret"}`, "url: " + a.URL + " answered 400 Bad Request", false},
		{401, `{"reason":"busy"}`, "errors[1]: busy", false},
		{401, `s3cret`, "url: " + a.URL + " answered 401 Unauthorized: check the credentials and what they may read", true},
		{418, ``, "errors[2]: holds for the API's answer", true},
	} {
		status, body = test.status, test.body
		p := poll(t, s)
		if test.want == "" {
			p.want(t)
			continue
		}
		p.fails(t, test.want)
		if _, stops := settingOf(p.err); stops != test.stops {
			t.Errorf("%d %s: %v", status, body, p.err)
		}
	}
}

func TestAUsedUpQuotaIsNoRefusal(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", "600")
			w.WriteHeader(status)
		})
		p := poll(t, open(t, "auth: {bearer: s3cret}\nurl: "+a.URL))
		later, ok := errors.AsType[*sources.RetryAfterError](p.err)
		if _, stops := settingOf(p.err); !ok || stops || later.After.Round(time.Minute) != 10*time.Minute {
			t.Errorf("%d: %#v", status, p.err)
		}
	}
}

func TestADetailThatIsGoneIsAFaultOfItsItem(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, posts(1, 2, 3))
		case "/1":
			w.WriteHeader(http.StatusNotFound)
		case "/2":
			w.WriteHeader(http.StatusGone)
		default:
			fmt.Fprint(w, `[{"id":"x"}]`)
		}
	})
	p := poll(t, open(t, "auth: {bearer: s3cret}\nurl: "+a.URL+"/\ndetails: [{url: '"+a.URL+`/\(.id)', items: '.[]', map: '{networkItemId: item_id("c"; "long-\(.id)")}'}]`))
	p.want(t, "test-1", "! item \"1\", details[0]: details[0].url: "+a.URL+"/… answered 404 Not Found: check the address",
		"test-2", "! item \"2\", details[0]: details[0].url: "+a.URL+"/… answered 410 Gone: the server says that it is gone for good; find its new address",
		"test-3", "c-long-x")
	if strings.Contains(p.cursor, "walk") {
		t.Error(p.cursor)
	}
}

func TestAGoneListIsNoFaultOfTheCredentials(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	if key, stops := settingOf(poll(t, open(t, "auth: {bearer: s3cret}\nurl: "+a.URL)).err); key != "url" || !stops {
		t.Error(key, stops)
	}
}
