package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
)

func TestMarksAreOrdered(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]any{
		{nil, "2026-01-01T00:00:00Z"},
		{nil, json.Number("0")},
		{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"}, // as texts it is the other way round
		{"2026-01-01T01:30:00+02:00", "2026-01-01T00:00:00Z"},
		{json.Number("9"), json.Number("10")},
		{"9", "10"},
		{"109876543210987654321", "1098765432109876543210"},
		{json.Number("12345678901234567"), json.Number("12345678901234568")},
		{"a9", "b1"},
		{json.Number("-5"), json.Number("3")},
		{"009", "10"},
	} {
		small, err1 := markOf(pair[0])
		large, err2 := markOf(pair[1])
		if err1 != nil || err2 != nil || !small.before(large) || large.before(small) || large.before(large) {
			t.Errorf("%v is not before %v: %v %v", pair[0], pair[1], err1, err2)
		}
		text, err := json.Marshal(large)
		var back mark
		if err != nil || json.Unmarshal(text, &back) != nil || back != large {
			t.Errorf("%v is stored as %s", pair[1], text)
		}
	}
	for _, v := range []any{true, []any{}, 1.5, json.Number("1e3"), map[string]any{}} {
		if m, err := markOf(v); err == nil {
			t.Errorf("%v is the mark %v", v, m)
		}
	}
}

// record is an API with one list; each request is noted, and answered by what answer holds.
func record(t *testing.T, answer *string) (a *api, since func() string) {
	a = serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, *answer) })
	return a, func() string {
		asked := a.asked()
		u, err := url.Parse(asked[len(asked)-1])
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Get("since") + " " + u.Query().Get("cursor")
	}
}

const sinceAndCursor = "\nquery: {since: \\($since), cursor: \\($cursor)}\n"

func TestTheNextPollAsksFromTheLargestValueLessLookback(t *testing.T) {
	t.Parallel()
	answer := `[{"id":1,"at":"2026-01-01T00:10:00.9Z"},{"id":2,"at":"2026-01-01T01:08:00+01:00"},{"id":3,"at":null},{"id":4,"at":"2999-01-01T00:00:00Z"}]`
	a, since := record(t, &answer)
	s := open(t, "url: "+a.URL+sinceAndCursor+"cursor: {value: .at, lookback: 2m}")
	first := poll(t, s).want(t, "test-1", "test-2", "test-3", "test-4")
	if got := since(); got != " " {
		t.Error("the first poll asks from", got)
	}
	answer = "[]"
	second := pullAll(t, s, sources.Request{Cursor: first.cursor})
	if got := since(); got != "2026-01-01T00:08:00Z 2026-01-01T00:10:00.9Z" {
		t.Error("the second poll asks from", got)
	}
	if second.cursor != first.cursor {
		t.Error("nothing is new, but the cursor moves to", second.cursor)
	}
	// What is older does not move it back.
	answer = `[{"id":2,"at":"2026-01-01T00:09:00Z"}]`
	if third := pullAll(t, s, sources.Request{Cursor: first.cursor}); third.cursor != first.cursor {
		t.Error(third.cursor)
	}
}

func TestIDsAreCursorsToo(t *testing.T) {
	t.Parallel()
	answer := `[{"id":9},{"id":10},{"id":8}]`
	a, since := record(t, &answer)
	s := open(t, "url: "+a.URL+sinceAndCursor+"cursor: {value: .id}")
	p := poll(t, s)
	pullAll(t, s, sources.Request{Cursor: p.cursor})
	if got := since(); got != " 10" {
		t.Error(got)
	}
}

func TestRescanReadsAtLeastThatFarBack(t *testing.T) {
	t.Parallel()
	answer := `[{"id":9,"at":"` + time.Now().UTC().Format(time.RFC3339) + `"}]`
	a, since := record(t, &answer)
	for value, back := range map[string]time.Duration{".at": 72 * time.Hour, ".id": 72 * time.Hour} {
		s := open(t, "rescan: 72h\nurl: "+a.URL+sinceAndCursor+"cursor: {value: "+value+"}")
		p := poll(t, s)
		if got := since(); got != " " {
			t.Error("the first poll asks from", got)
		}
		began := time.Now().Add(-back)
		pullAll(t, s, sources.Request{Cursor: p.cursor})
		text, _, _ := strings.Cut(since(), " ")
		got, err := time.Parse(time.RFC3339, text)
		if off := got.Sub(began.Truncate(time.Second)); err != nil || off < 0 || off > time.Minute {
			t.Errorf("%s: asks from %s: %v", value, text, err)
		}
	}
	// A cursor that is older still counts: nothing is lost after a long time off.
	answer = `[{"id":9,"at":"2020-01-01T00:00:00Z"}]`
	s := open(t, "rescan: 72h\nurl: "+a.URL+sinceAndCursor+"cursor: {value: .at, lookback: 0s}")
	p := poll(t, s)
	pullAll(t, s, sources.Request{Cursor: p.cursor})
	if got := since(); !strings.HasPrefix(got, "2020-01-01T00:00:00Z") {
		t.Error(got)
	}
}

func TestWithoutAValueTheNextPollAsksFromTheBeginOfTheLast(t *testing.T) {
	t.Parallel()
	answer := "[]"
	a, since := record(t, &answer)
	s := open(t, "url: "+a.URL+sinceAndCursor+"cursor: {lookback: 1h}")
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	first := poll(t, s)
	second := pullAll(t, s, sources.Request{Cursor: first.cursor})
	text, _, _ := strings.Cut(since(), " ")
	got, err := time.Parse(time.RFC3339, text)
	if off := got.Sub(began); err != nil || off < 0 || off > time.Minute {
		t.Errorf("asks from %s: %v", text, err)
	}
	if second.cursor != first.cursor {
		t.Error("the cursor moves at every poll") // each move is a write
	}
	if p := poll(t, open(t, "url: "+a.URL)); strings.Contains(p.cursor, "mark") {
		t.Error("a source that always reads everything stores when it did:", p.cursor)
	}
}

func TestABackfillAsksForItsTimesOnly(t *testing.T) {
	t.Parallel()
	answer := `[{"id":1,"at":"2026-01-05T00:00:00Z"},{"id":2,"at":"2026-02-05T00:00:00Z"}]`
	a, _ := record(t, &answer)
	s := open(t, "url: "+a.URL+"\nquery: {since: \\($since), until: \\($until), cursor: \\($cursor)}\ncursor: {value: .at}\n"+
		"map: '{networkItemId: item_id($prefix; .id), createdTime: .at}'")
	pullAll(t, s, sources.Request{
		Backfill: true, Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
	}).want(t, "test-1")
	if asked := strings.Join(a.asked(), ""); asked != "/?since=2026-01-01T00%3A00%3A00Z&until=2026-02-01T00%3A00%3A00Z" {
		t.Error(asked)
	}
}

func TestAnotherAddressOrValueBeginsAnew(t *testing.T) {
	t.Parallel()
	answer := `[{"id":1,"at":"2026-01-05T00:00:00Z"}]`
	a, since := record(t, &answer)
	p := poll(t, open(t, "url: "+a.URL+"/x?key=1"+sinceAndCursor+"cursor: {value: .at}"))
	for settings, anew := range map[string]bool{
		"/x?key=1" + sinceAndCursor + "cursor: {value: .at}": false,
		"/x?key=2" + sinceAndCursor + "cursor: {value: .at}": false,
		"/y?key=1" + sinceAndCursor + "cursor: {value: .at}": true,
		"/x?key=1" + sinceAndCursor + "cursor: {value: .id}": true,
	} {
		pullAll(t, open(t, "url: "+a.URL+settings), sources.Request{Cursor: p.cursor})
		if got := since(); (got == " ") != anew {
			t.Errorf("%s asks from %s", settings, got)
		}
	}
}

func TestAValueThatCantBeReadIsAFaultAndTheItemIsRead(t *testing.T) {
	t.Parallel()
	answer := `[{"id":1,"at":["s3cret"]},{"id":2,"at":"2026-01-05T00:00:00Z"}]`
	a, _ := record(t, &answer)
	p := poll(t, open(t, "url: "+a.URL+"\ncursor: {value: .at}"))
	p.want(t, "! item \"1\", cursor.value: cursor.value: want a time in RFC 3339, or an id that is a text or a whole number", "test-1", "test-2")
	if !strings.Contains(p.cursor, "2026-01-05") {
		t.Error(p.cursor)
	}
}

// forum has pages of one post each, newest first: post n was made on day n.
func forum(t *testing.T, posts int) (a *api, down *int) {
	down = new(int)
	a = serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscan(r.URL.Query().Get("p"), &n); err != nil {
			t.Error(err)
		}
		if n == *down {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if n > posts {
			fmt.Fprint(w, "[]")
			return
		}
		id := posts + 1 - n
		fmt.Fprintf(w, `[{"id":%d,"at":%q}]`, id, time.Date(2026, 1, id, 0, 0, 0, 0, time.UTC).Format(time.RFC3339))
	})
	return a, down
}

const newestFirst = "/\nquery: {p: \\($page.number)}\npaging: {kind: page}\ncursor: {value: .at, order: newest, lookback: 36h}"

func TestNewestFirstEndsAtWhatIsKnown(t *testing.T) {
	t.Parallel()
	a, _ := forum(t, 20)
	s := open(t, "url: "+a.URL+newestFirst)
	p := poll(t, s)
	a.asked()
	pullAll(t, s, sources.Request{Cursor: p.cursor}).want(t, "test-20", "test-19", "test-18")
	if asked := len(a.asked()); asked != 3 {
		t.Error(asked, "requests")
	}
	a.asked()
	pullAll(t, s, sources.Request{Backfill: true, Since: time.Date(2026, 1, 18, 12, 0, 0, 0, time.UTC)})
	if asked := len(a.asked()); asked != 3 {
		t.Error(asked, "requests of a backfill")
	}
	// A value that is no time must not end it where ids and times meet.
	ids := open(t, "rescan: 72h\nurl: "+a.URL+strings.ReplaceAll(newestFirst, ".at", ".id"))
	a.asked()
	p = poll(t, ids)
	pullAll(t, ids, sources.Request{Cursor: p.cursor})
	if asked := len(a.asked()); asked != 42 {
		t.Error(asked, "requests by id")
	}
}

func TestALongWalkGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	a, down := forum(t, 25)
	for _, backfill := range []bool{false, true} {
		s := open(t, "url: "+a.URL+newestFirst)
		*down = 18
		cut := pullAll(t, s, sources.Request{Backfill: backfill})
		if key, stops := settingOf(cut.err); key != "url" || stops || len(cut.ids) != 17 {
			t.Errorf("%v %v", cut.ids, cut.err)
		}
		*down = 0
		a.asked()
		rest := pullAll(t, s, sources.Request{Cursor: cut.cursor, Backfill: backfill})
		rest.want(t, "test-9", "test-8", "test-7", "test-6", "test-5", "test-4", "test-3", "test-2", "test-1")
		if first := a.asked()[0]; first != "/?p=17" { // one page earlier, see overlapping
			t.Error("goes on at", first)
		}
		if !strings.Contains(rest.cursor, `"mark":"2026-01-25T00:00:00Z"`) || strings.Contains(rest.cursor, "walk") {
			t.Error(rest.cursor)
		}
	}
}

func TestAShortWalkIsNotStored(t *testing.T) {
	t.Parallel()
	a, down := forum(t, 25)
	*down = leastWalk
	if p := poll(t, open(t, "url: "+a.URL+newestFirst)); p.err == nil || p.cursor != "" {
		t.Error(p.err, p.cursor)
	}
}

func TestAWalkWhosePlaceIsGoneBeginsAnew(t *testing.T) {
	t.Parallel()
	a, down := forum(t, 25)
	s := open(t, "url: "+a.URL+newestFirst)
	*down = 18
	cut := poll(t, s)
	*down = 17
	p := pullAll(t, s, sources.Request{Cursor: cut.cursor})
	asked := a.asked()
	if len(p.ids) != 16 || p.err == nil || strings.Join(asked[18:20], " ") != "/?p=17 /?p=1" {
		t.Errorf("%v %v %v", p.ids, p.err, asked)
	}
}

func TestOldestFirstMovesTheCursorAtEachPage(t *testing.T) {
	t.Parallel()
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if page := r.URL.Query().Get("p"); page < "4" {
			fmt.Fprintf(w, `[{"id":%s,"at":"2026-01-0%[1]sT00:00:00Z"}]`, page)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	settings := func(value, order string) string {
		return fmt.Sprintf("url: %s/\nquery: {p: \\($page.number)}\npaging: {kind: page}\ncursor: {value: '%s', order: %s}", a.URL, value, order)
	}
	if p := poll(t, open(t, settings(".at", orderOldest))); p.err == nil || !strings.Contains(p.cursor, "2026-01-03") {
		t.Error(p.cursor, p.err)
	}
	if p := poll(t, open(t, settings(".at", orderNewest))); p.err == nil || p.cursor != "" {
		t.Error(p.cursor, p.err)
	}
	// An API that does not sort as the settings say: what is older may come yet.
	const mixed = `["", "2026-01-05T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-06T00:00:00Z"][.id]`
	if p := poll(t, open(t, settings(mixed, orderOldest))); p.err == nil || strings.Contains(p.cursor, `"mark"`) || !strings.Contains(p.cursor, `"at":{"number":4`) {
		t.Error(p.cursor, p.err)
	}
}

func TestACursorThatIsNotUnderstoodReadsEverythingAgain(t *testing.T) {
	t.Parallel()
	answer := `[{"id":1,"at":"2026-01-05T00:00:00Z"}]`
	a, since := record(t, &answer)
	s := open(t, "url: "+a.URL+sinceAndCursor+"cursor: {value: .at, lookback: 0s}")
	good := poll(t, s).cursor
	ahead := time.Now().UTC().AddDate(1, 0, 0).Format("2006-01-02")
	for cursor, anew := range map[string]bool{
		good: false,
		strings.Replace(good, `"v":1`, `"v":2`, 1):                                                                  true,
		strings.Replace(good, `"v":1`, `"v":1,"more":1`, 1):                                                         true,
		strings.Replace(good, `2026-01-05`, ahead, 1):                                                               true,
		strings.TrimSuffix(good, "}") + `,"walk":{"began":"` + ahead + `T00:00:00Z","at":{"number":9},"pages":20}}`: true,
		strings.Replace(good, `"2026-01-05T00:00:00Z"`, `[]`, 1):                                                    true,
		"nonsense": true,
	} {
		pullAll(t, s, sources.Request{Cursor: cursor}).want(t, "test-1")
		want := "2026-01-05T00:00:00Z 2026-01-05T00:00:00Z"
		if anew {
			want = " "
		}
		if got := since(); got != want {
			t.Errorf("%s asks from %s; want %s", cursor, got, want)
		}
	}
}
