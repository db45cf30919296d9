package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"socialhub-sync/sources"
)

const issues = `
items: .issues[]
map: '{networkItemId: item_id($prefix; .id), message: .title}'
query: {since: \($since)}
cursor: {value: .at, lookback: 0s}
auth: {bearer: s3cret}
details:
  - when: .comments > 0
    url: \(.comments_url)
    query: {since: \($since), size: 1}
    paging: {kind: link}
    items: .[]
    map: '{networkItemId: item_id("c"; .id), root: {rootId: item_id($prefix; $item.id)}, message: .body}'
`

// tracker has issues with comments, which come in pages of one.
func tracker(t *testing.T) *api {
	var a *api
	a = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		switch {
		case r.URL.Path == "/issues":
			fmt.Fprintf(w, `{"issues":[{"id":"issue-1","title":"a","comments":2,"at":"2026-01-01T00:00:00Z","comments_url":"%s/issues/1/comments?x=y"},
				{"id":"issue-2","title":"b","comments":0,"at":"2026-01-02T00:00:00Z"}]}`, a.URL)
		case r.URL.Query().Get("page") == "":
			w.Header().Set("Link", `</issues/1/comments?page=2>; rel="next"`)
			fmt.Fprint(w, `[{"id":"first","body":"c"}]`)
		default:
			fmt.Fprint(w, `[{"id":"second","body":"d"},{"id":"s3cret-third","body":7}]`)
		}
	})
	return a
}

func TestDetailsComeAfterTheirItem(t *testing.T) {
	t.Parallel()
	a := tracker(t)
	s := open(t, "url: "+a.URL+"/issues"+issues)
	p := poll(t, s)
	p.want(t, "test-issue-1", "c-first", "c-second", "! item \"issue-1\", details[0] \"s3cret-third\": details[0].map: message: want a text in quotes", "test-issue-2")
	if root := p.last.Items[2].Interaction.Root; root == nil || root.RootID != "test-issue-1" {
		t.Error(root)
	}
	if asked := strings.Join(a.asked(), " "); asked != "/issues /issues/1/comments?size=1&x=y /issues/1/comments?page=2" {
		t.Error(asked)
	}
	pullAll(t, s, sources.Request{Cursor: p.cursor})
	if asked := strings.Join(a.asked()[:2], " "); asked != "/issues?since=2026-01-02T00%3A00%3A00Z /issues/1/comments?since=2026-01-02T00%3A00%3A00Z&size=1&x=y" {
		t.Error(asked)
	}
}

func TestWhatIsWrongWithTheDetailsOfAnItemIsItsFault(t *testing.T) {
	t.Parallel()
	a := tracker(t)
	for change, want := range map[string]string{
		`.comments_url|.nothing`:        "details[0].url: gives no address that can be used",
		`.comments_url|.comments_url.x`: "details[0].url: expected an object but got: string",
		`.comments_url|"https://x.example/y"`: `details[0].url: gives an address on another host, "x.example", than ` +
			strings.TrimPrefix(a.URL, "http://") + "; write the host out if that is right",
		`size: 1|size: '\(.title[])'`: "details[0].query: cannot iterate over: string",
		`items: .[]
    map|items: .[].body[]
    map`: "details[0].items: cannot iterate over: string",
	} {
		from, to, _ := strings.Cut(change, "|")
		text := strings.Replace(issues, from, to, 1)
		if text == issues {
			t.Fatal(change)
		}
		poll(t, open(t, "url: "+a.URL+"/issues"+text)).want(t, "test-issue-1", "! item \"issue-1\", details[0]: "+want, "test-issue-2")
	}
	poll(t, open(t, "url: "+a.URL+"/issues"+strings.Replace(issues, ".comments > 0", ".title[]", 1))).want(t,
		"test-issue-1", "! item \"issue-1\", details[0]: details[0].when: cannot iterate over: string",
		"test-issue-2", "! item \"issue-2\", details[0]: details[0].when: cannot iterate over: string")
}

func TestDetailsWithoutAnEndAreAnError(t *testing.T) {
	t.Parallel()
	a := tracker(t)
	for paging, want := range map[string]string{
		`{kind: token, next: '"same"'}`:       "details[0].paging.next: the API gives the token of a page that was read before, so there is no end",
		`{kind: token, next: 'now|tostring'}`: "details[0].paging: page 2 holds the same as one before, so there is no end; check how the next page is asked for",
	} {
		poll(t, open(t, "url: "+a.URL+"/issues"+strings.Replace(issues, "{kind: link}", paging, 1))).fails(t, want)
	}
}

func TestADetailInTroubleKeepsTheCursor(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, posts(1, 2))
		case "/2":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			fmt.Fprint(w, "[]")
		}
	})
	p := poll(t, open(t, "url: "+a.URL+"/\ndetails: [{url: '"+a.URL+`/\(.id)', items: '.[]', map: empty}]`))
	later, ok := errors.AsType[*sources.RetryAfterError](p.err)
	if !ok || later.After.Seconds() != 7 || p.cursor != "" || !strings.HasPrefix(p.err.Error(), "details[0].url: ") {
		t.Errorf("%v %q", p.err, p.cursor)
	}
}

// A page of 30 topics takes 31 requests, of which an API may allow 60 a minute.
func TestAShortWalkWithDetailsGoesOnWhereAQuotaCutIt(t *testing.T) {
	t.Parallel()
	left := 5
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if left--; left < 0 {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if page, found := strings.CutPrefix(r.URL.Path, "/pages/"); found && page < "3" {
			fmt.Fprintf(w, `{"next":"/pages/%c","items":[{"id":"%s1"},{"id":"%[2]s2"}]}`, page[0]+1, page)
			return
		}
		fmt.Fprint(w, `{"items":[]}`)
	})
	s := open(t, "url: "+a.URL+`/pages/1
items: .items[]
paging: {kind: url, next: .next}
details: [{url: "`+a.URL+`/details/\\(.id)", items: '.items[]', map: empty}]`)
	cut := poll(t, s)
	if _, later := errors.AsType[*sources.RetryAfterError](cut.err); !later {
		t.Fatal(cut.err)
	}
	a.asked()
	left = 100
	pullAll(t, s, sources.Request{Cursor: cut.cursor})
	if asked := strings.Join(a.asked(), " "); asked != "/pages/2 /details/21 /details/22 /pages/3" {
		t.Error(asked)
	}
}
