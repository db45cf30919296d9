package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
)

// rereads are the places that a pull has forgotten, and the cursor after it.
func rereads(t testing.TB, s *source, req sources.Request) (places []string, cursor string) {
	t.Helper()
	cursor = req.Cursor
	for b, err := range s.Pull(t.Context(), req) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Rereads != "" {
			places = append(places, b.Rereads)
		}
		if b.Cursor != "" {
			cursor = b.Cursor
		}
	}
	return places, cursor
}

func TestTheFaultsOfAnItemAreForgottenOnceItCanBeRead(t *testing.T) {
	t.Parallel()
	item := func(id int, text string) string {
		return fmt.Sprintf(`{"id":%d,"at":"2026-01-05T00:00:00Z","text":%s}`, id, text)
	}
	answer := ""
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/details/5":
			fmt.Fprint(w, `[{"id":1,"text":7}]`)
		case "/":
			fmt.Fprint(w, "["+answer+"]")
		default:
			fmt.Fprint(w, `[{"id":1,"text":"t"}]`)
		}
	})
	s := open(t, "url: "+a.URL+`/
query: {since: \($since)}
cursor: {value: .at}
details: [{when: .text != "calm", url: "`+a.URL+`/details/\\(.id)", items: '.[]', map: '{networkItemId: "detail-1", message: .text}'}]`)
	cursor := ""
	for i, step := range []struct{ items, want string }{
		{item(5, "1") + "," + item(50, "2") + "," + item(6, `"a"`), "item "},
		{item(5, `"mended, but not its detail"`), ""},
		{item(50, "3"), ""},
		{item(6, `"b"`) + "," + item(5, `"calm"`) + "," + item(50, `"calm"`), `item "5" item "50"`},
		{item(5, `"calm"`) + "," + item(50, `"calm"`), ""},
	} {
		answer = step.items
		var places []string
		places, cursor = rereads(t, s, sources.Request{Cursor: cursor})
		if got := strings.Join(places, " "); got != step.want {
			t.Errorf("step %d: %q; want %q", i, got, step.want)
		}
	}
}

func TestTheListOfFaultyItemsIsBounded(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, strings.ReplaceAll(many(2*maxFaults), `"t"`, "7"))
	})
	s := open(t, "url: "+a.URL+"\nquery: {since: \\($since)}")
	if c := s.readCursor(poll(t, s).cursor, time.Now()); len(c.Faults) != maxFaults {
		t.Error(len(c.Faults))
	}
}

// many writes n items.
func many(n int) string {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i
	}
	return posts(ids...)
}

// Faults must stay known where a program leaves items out that were read before.
func TestAProgramThatLooksAtSinceDoesNotReadEverything(t *testing.T) {
	t.Parallel()
	answer := `[{"id":1,"at":"2026-01-05T00:00:00Z","text":"t"}]`
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
	for _, settings := range []string{
		"items: .[] | select($since == null or .at >= $since)",
		"map: '{networkItemId: item_id($prefix; .id), message: .text} | select($since == null)'",
		"paging: {kind: page, stop: $since == null}",
		"details: [{when: $since == null, url: " + a.URL + "/x, items: '.[]', map: empty}]",
	} {
		s := open(t, "url: "+a.URL+"/\ncursor: {value: .at}\n"+settings)
		_, cursor := rereads(t, s, sources.Request{})
		for b := range s.Pull(t.Context(), sources.Request{Cursor: cursor}) {
			if b.Rereads != "" {
				t.Errorf("%s: %q", settings, b.Rereads)
			}
			break
		}
	}
}

// A backfill's cursor is none of the polls', which are the ones to read items anew.
func TestABackfillRemembersNoFaults(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[{"id":1,"text":7}]`) })
	s := open(t, "url: "+a.URL+"\nquery: {since: \\($since)}")
	for _, backfill := range []bool{true, false} {
		p := pullAll(t, s, sources.Request{Backfill: backfill})
		if strings.Contains(p.cursor, "faults") == backfill {
			t.Errorf("backfill %t: %s", backfill, p.cursor)
		}
	}
}
