package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

func TestTheRequestIsMadeOfTemplates(t *testing.T) {
	t.Parallel()
	type request struct{ Method, URI, Accept, Type, Version, Agent, Body string }
	var got request
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = request{r.Method, r.URL.RequestURI(), r.Header.Get("Accept"), r.Header.Get("Content-Type"), r.Header.Get("X-Version"), r.Header.Get("User-Agent"), string(body)}
		fmt.Fprint(w, posts(1))
	})
	for settings, want := range map[string]request{
		"/a?b=c": {Method: "GET", URI: "/a?b=c", Accept: "application/json", Agent: "sync/1"},
		`/\("ä/b")?x=\($prefix)` + "\nquery: {y: \\($since), z: a b&c, n: 7}":                                {Method: "GET", URI: "/%C3%A4%2Fb?n=7&x=test&z=a+b%26c", Accept: "application/json", Agent: "sync/1"},
		"/\nheaders: {Accept: text/json, X-Version: 'v\\(1+1)', User-Agent: evil, Content-Type: \\($since)}": {Method: "GET", URI: "/", Accept: "text/json", Version: "v2", Agent: "sync/1"},
		"/\nmethod: POST\nbody: '{after: $page.token, since: $since}'": {
			Method: "POST", URI: "/", Accept: "application/json", Type: "application/json", Agent: "sync/1", Body: `{"after":null,"since":null}`},
		"/\nmethod: POST\nheaders: {Content-Type: application/x-www-form-urlencoded}\nbody: '\"a=b&n=\\($page.number)\"'": {
			Method: "POST", URI: "/", Accept: "application/json", Type: "application/x-www-form-urlencoded", Agent: "sync/1", Body: "a=b&n=1"},
	} {
		poll(t, open(t, "url: "+a.URL+settings)).want(t, "test-1")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", settings, diff)
		}
	}
}

func TestPagesAreCountedFromWhereTheSettingsSay(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		w.Header().Set("X-WP-TotalPages", "2")
		if n < 4 {
			fmt.Fprint(w, posts(2*n, 2*n+1))
			return
		}
		fmt.Fprint(w, "[]")
	})
	for settings, want := range map[string]string{
		"query: {n: \\($page.number)}\npaging: {kind: page}":                                                                   "/?n=1 /?n=2 /?n=3 /?n=4",
		"query: {n: \\($page.number)}\npaging: {kind: page, first: 0}":                                                         "/?n=0 /?n=1 /?n=2 /?n=3 /?n=4",
		"query: {n: \\($page.offset)}\npaging: {kind: offset}":                                                                 "/?n=0 /?n=2 /?n=4",
		"query: {n: \\($page.offset)}\npaging: {kind: offset, first: 1}":                                                       "/?n=1 /?n=3 /?n=5",
		"query: {n: \\($page.number)}\npaging: {kind: page, stop: '$page.number >= ($headers[\"x-wp-totalpages\"]|tonumber)'}": "/?n=1 /?n=2",
		"query: {n: \\($page.number)}\npaging: {kind: page, stop: 'any(.id==5)'}":                                              "/?n=1 /?n=2",
		"query: {n: 1}": "/?n=1",
	} {
		if p := poll(t, open(t, "url: "+a.URL+"\n"+settings)); p.err != nil {
			t.Errorf("%s: %v", settings, p.err)
		}
		if got := strings.Join(a.asked(), " "); got != want {
			t.Errorf("%s asks for %s; want %s", settings, got, want)
		}
	}
}

func TestPagesWithoutAnEndAreAnError(t *testing.T) {
	t.Parallel()
	n := 0
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		id := n
		if r.URL.Path == "/same" {
			id = 7
		}
		w.Header().Set("Link", `</link?a>; rel="next"`)
		fmt.Fprintf(w, `{"next":"x","url":"/link?b","at":%q,"items":[{"id":%d,"text":"t"}]}`, time.Now(), id)
	})
	for settings, want := range map[string]string{
		"/x\npaging: {kind: token, next: .next}":           "paging.next: the API gives the token of a page that was read before, so there is no end",
		"/x\npaging: {kind: url, next: .url}":              "paging.next: the API gives the address of a page that was read before, so there is no end",
		"/x\npaging: {kind: link}":                         "paging.kind: the API gives the address of a page that was read before, so there is no end",
		"/same\npaging: {kind: page}":                      "paging: page 2 holds the same as one before, so there is no end; check how the next page is asked for",
		"/same\npaging: {kind: offset}":                    "paging: page 2 holds the same as one before, so there is no end; check how the next page is asked for",
		"/same\npaging: {kind: token, next: '.at'}":        "paging: page 2 holds the same as one before, so there is no end; check how the next page is asked for",
		"/x\npaging: {kind: token, next: '\"x\" * 20000'}": "paging.next: gives a token of more than 16384 bytes",
		"/x\npaging: {kind: url, next: '7'}":               "paging.next: gives number where an address is wanted",
		"/x\npaging: {kind: url, next: '\"http://[\"'}":    "paging.next: the API gives an address of the next page that can't be read",
		"/x\npaging: {kind: token, next: '.next[]'}":       "paging.next: cannot iterate over: string",
		"/x\npaging: {kind: page, stop: '.next[]'}":        "paging.stop: cannot iterate over: string",
	} {
		poll(t, open(t, "url: "+a.URL+settings+"\nitems: .items[]")).fails(t, want)
	}
}

func TestTheNextLinkIsFoundInAnyHeader(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		`<https://x.example/?a=1,2>; rel="next"`:          "https://x.example/?a=1,2",
		`</p1>; rel="prev", </p3>; rel="next"`:            "/p3",
		`</p1>; rel=prev; title="a, <b>", </p3>;rel=next`: "/p3",
		`</p3>; rel="last Next"`:                          "/p3",
		`</p3>; title="rel=next"`:                         "",
		`</p3`:                                            "",
		`nothing`:                                         "",
		``:                                                "",
		`</p3>; REL="next"`:                               "/p3",
	} {
		if got := nextLink(http.Header{"Link": {header}}); got != want {
			t.Errorf("%s: %s; want %s", header, got, want)
		}
	}
	if got := nextLink(http.Header{"Link": {"</a>; rel=prev", "</b>; rel=next"}}); got != "/b" {
		t.Error(got)
	}
}

func TestAnAnswerThatIsNoDataIsOneClearError(t *testing.T) {
	t.Parallel()
	body := ""
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	for text, want := range map[string]string{
		" <!DOCTYPE html><html>s3cret":  "url: HOST/… answered with a page or XML instead of JSON: a login page? Check the address and the credentials",
		"":                              "url: HOST/… answered with nothing in it",
		`{"s3cret":`:                    "url: HOST/… answered with something that is not valid JSON: it ends too early",
		`s3cret`:                        "url: HOST/… answered with something that is not valid JSON at byte 1",
		`{"s3cret":"s3cret"}{}`:         "url: HOST/… answered with something that is not valid JSON: something follows the value, after byte 19",
		`"s3cret"`:                      "items: cannot iterate over: string",
		`null`:                          "items: cannot iterate over: null",
		"[" + strings.Repeat(" ", 5000): "max_size: the answer of HOST/… is larger than 4096 bytes; allow more if that is right",
	} {
		body = text
		poll(t, open(t, "max_size: 4096\nurl: "+a.URL+"/x?s3cret")).fails(t, strings.ReplaceAll(want, "HOST", a.URL))
	}
	body = "\xEF\xBB\xBF" + posts(1)
	poll(t, open(t, "url: "+a.URL)).want(t, "test-1")
}

func TestABadItemIsAFaultWithAStablePlaceAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	body := ""
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	mapping := `
map: |
  if .several then ({networkItemId: item_id($prefix; .id)}, {networkItemId: 7}, {networkItemId: item_id($prefix; "\(.id)b")})
  else {networkItemId: item_id($prefix; .id), message: .text.plain, own: .own} end`
	const bad = `{"id":2,"text":"s3cret"},{"uuid":"u-3","text":{}},{"text":{"plain":"s3cret"}},{"id":5,"text":{"plain":7}},` +
		`{"id":6,"own":"s3cret"},{"id":8,"several":true},"s3cret"`
	want := []string{
		"! item \"2\": map: expected an object but got: string",
		"! item \"u-3\": map: item_id wants a text that is not empty or a number as native id, not null",
		"! item #6e68afffd5e2bc64: map: item_id wants a text that is not empty or a number as native id, not null",
		"! item \"5\": map: message: want a text in quotes",
		"! item \"6\": map: own: want true or false",
		"test-8",
		"! item \"8\", output 2: map: networkItemId: want a text in quotes",
		"test-8b",
		"! item #8e1d6eac6d3cb7e0: map: expected an object but got: string",
	}
	for range 2 {
		body = `[{"id":1},` + bad + `,{"id":9,"text":{"plain":"x"}}]`
		p := poll(t, open(t, "url: "+a.URL+mapping))
		for i, text := range p.ids {
			if strings.HasPrefix(text, "! item #") && i < len(want)+1 { // the hashes are checked by their being equal
				want[i-1] = text
			}
		}
		p.want(t, append(append([]string{"test-1"}, want...), "test-9")...)
		body = `[{"id":0},{"id":1},` + bad + `]`
	}
}

func TestInterruptedPullsEndWithTheCause(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	n := 0
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n++; n == 2 {
			cancel(stopped)
		}
		fmt.Fprint(w, posts(n))
	})
	var last error
	for _, err := range open(t, "url: "+a.URL+"\npaging: {kind: page}").Pull(ctx, sources.Request{}) {
		last = err
	}
	if !errors.Is(last, stopped) {
		t.Error(last)
	}
}

func TestLargeItemsMakeSmallBatches(t *testing.T) {
	t.Parallel()
	const items = 8
	text := strings.Repeat("x", 400<<10)
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		var list []map[string]any
		for id := range items {
			list = append(list, map[string]any{"id": id, "text": text})
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	batches, got := 0, 0
	for b, err := range open(t, "url: "+a.URL).Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		batches++
		got += len(b.Items)
		if len(b.Items) > 2 || (b.Cursor != "") != (got == items) {
			t.Errorf("%d items, cursor %q after %d", len(b.Items), b.Cursor, got)
		}
	}
	if batches != items/2 || got != items {
		t.Error(batches, got)
	}
}

func TestFaultsAreForgottenByAWalkThroughEverything(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, posts(1)) })
	for settings, want := range map[string][2]string{
		"":                             {"item ", "item "},
		"\nquery: {since: \\($since)}": {"item ", ""},
		"\ncursor: {value: '\"2026-01-01T00:00:00Z\"', order: newest}": {"item ", ""},
	} {
		s := open(t, "url: "+a.URL+settings)
		first := poll(t, s)
		second := pullAll(t, s, sources.Request{Cursor: first.cursor})
		backfill := pullAll(t, s, sources.Request{Backfill: true})
		if got := [2]string{first.last.Rereads, second.last.Rereads}; got != want || backfill.last.Rereads != "" {
			t.Errorf("%q: %q %q", settings, got, backfill.last.Rereads)
		}
	}
}

func TestTheNextPageIsNotReadWithoutTLSIfTheFirstWasWithIt(t *testing.T) {
	t.Parallel()
	s := open(t, "url: https://api.example.com/x")
	for from, want := range map[string]string{"https": "https://api.example.com/y?page=2", "http": "http://api.example.com/y?page=2"} {
		pages := s.pages(&Paging{Kind: kindLink}, "paging", &url.URL{Scheme: "http", Host: "api.example.com"})
		at, more, err := pages.follow(position{}, &answer{url: &url.URL{Scheme: from, Host: "api.example.com", Path: "/x"}}, "http://me@api.example.com/y?page=2#top", "")
		if at.URL != want || !more || err != nil {
			t.Error(at.URL, more, err)
		}
	}
}
