package execsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

// TestWhatTheProgramWritesDecides runs scripts and shows what comes of them.
func TestWhatTheProgramWritesDecides(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ script, want string }{
		"nothing":                          {"", ""},
		"items without a cursor":           {says(item("item-1"), item("item-2")), "item-1 item-2"},
		"a cursor at the end":              {says(item("item-1"), `{"cursor":"c1"}`), "item-1 cursor(c1)"},
		"items after the last cursor":      {says(`{"cursor":"c1"}`, item("item-1")), "item-1 cursor(c1)"},
		"a cursor alone":                   {says(`{"cursor":"c1"}`), "cursor(c1)"},
		"blank lines, CR LF, a BOM":        {`printf '\357\273\277\r\n{"cursor":"c"}\r\n \n'`, "cursor(c)"},
		"a last line without its end":      {`printf '%s' '` + item("item-1") + `'`, "item-1"},
		"spaces and another order of keys": {says(` { "level" : "debug", "log" : "x" } `), ""},

		"an item with a wrong field":           {says(`{"interaction":{"networkItemId":"item-1","mesage":"x"}}`, item("item-2")), `item-2 fault(output:item-1: unknown field "mesage"; an item has `},
		"an item of broken text":               {`printf '{"interaction":{"networkItemId":"item-1","message":"\377"}}\n'`, "fault(output:item-1: not valid JSON at byte"},
		"an item with a key twice":             {says(`{"interaction":{"networkItemId":"item-1","message":"a","message":"b"}}`), "fault(output:item-1: not valid JSON at byte"},
		"an item without an id":                {says("", `{"interaction":{"message":"x"}}`), "fault(output:#"},
		"an item that is no object":            {says(`{"interaction":null}`), "fault(output:#"},
		"a text":                               {says(item("item-1"), "Hello", item("item-2")), "item-1 error(command: line 2 of the program's output: not valid JSON at byte 1; write what is meant for people to standard error)"},
		"a cut line":                           {says(`{"interaction":{"networkItemId":"item-1"`, item("item-2")), "error(command: line 1 of the program's output: not valid JSON at byte"},
		"a list":                               {says("[]"), "error(command: line 1 of the program's output: not an object; a line is an object with one of interaction,"},
		"an unknown key":                       {says(`{"item":{}}`), `error(command: line 1 of the program's output: unknown key "item"; a line is`},
		"two keys":                             {says(`{"cursor":"a","log":"b"}`), "error(command: line 1 of the program's output: a line is an object with one of"},
		"no key":                               {says(`{}`), "error(command: line 1 of the program's output: a line is an object with one of"},
		"a cursor that is no text":             {says(`{"cursor":7}`), "error(command: line 1 of the program's output: cursor: want a text in quotes)"},
		"a cursor that can't be stored":        {says(`{"cursor":"a\u0000"}`), "error(command: line 1 of the program's output: the cursor holds a NUL character"},
		"a wait that is no number":             {says(`{"error":"x","retry_after":"5"}`), "error(command: line 1 of the program's output: retry_after: want a number of seconds)"},
		"a level that there is not":            {says(`{"log":"x","level":"loud"}`), "error(command: line 1 of the program's output: level: want debug, info, warn or error)"},
		"a broken line after a cursor":         {says(item("item-1"), `{"cursor":"c1"}`, item("item-2"), "oops"), "item-1 item-2 cursor(c1) error("},
		"a last line cut by a broken program":  {says(item("item-1")) + `printf '{"inter'; exit 3`, "item-1 error(command: the program ended with exit code 3)"},
		"a last line cut by nobody":            {`printf '{"inter'`, "error(command: line 1 of the program's output: not valid JSON"},
		"an error":                             {says(`{"error":"the shop is closed"}`, item("item-1")), "error(command: the program reports: the shop is closed)"},
		"an error after items":                 {says(item("item-1"), `{"error":"no more"}`), "item-1 error(command: the program reports: no more)"},
		"an error without a text":              {says(`{"error":""}`), "error(command: the program reports: an error without a text)"},
		"an error that stops":                  {says(`{"error":"wrong token","stop":true}`), "stop(command: the program reports: wrong token)"},
		"an error to come back":                {says(`{"error":"slowly","retry_after":2.5}`), "after 2.5s(command: the program reports: slowly)"},
		"an error to come back in a century":   {says(`{"error":"slowly","retry_after":1e99}`), "after 24h0m0s("},
		"an error of several lines":            {says(`{"error":"a\n\tb\u001b[31m"}`), "error(command: the program reports: a b[31m)"},
		"an exit code":                         {says(item("item-1")) + "echo why >&2; echo >&2; exit 1", "item-1 error(command: the program ended with exit code 1; it last said: why)"},
		"an exit code after an error":          {says(`{"error":"told","stop":true}`) + "exit 1", "stop(command: the program reports: told)"},
		"EX_TEMPFAIL":                          {"exit 75", "error(command: the program ended with exit code 75)"},
		"EX_NOPERM":                            {"echo 'wrong token' >&2; exit 77", "stop(command: the program ended with exit code 77; it last said: wrong token)"},
		"EX_CONFIG":                            {"exit 78", "stop(command: the program ended with exit code 78)"},
		"a program that is killed":             {"kill -9 $$", "error(command: the program ended by signal: killed)"},
		"output after standard input is ended": {"cat >/dev/null\n" + says(`{"cursor":"c"}`), "cursor(c)"},
		"output that is closed early":          {"exec >&-; exit 4", "error(command: the program ended with exit code 4)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := shell(t, test.script).pull(t, sources.Request{}).String()
			if got != test.want && (test.want == "" || !strings.HasPrefix(got, test.want) || strings.HasSuffix(test.want, ")")) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestTheProgramGetsItsRequest(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600))
	for want, request := range map[string]sources.Request{
		`{"version":1,"source":"test","cursor":"","backfill":false}`:                                                               {},
		`{"version":1,"source":"test","cursor":"a \"b\" ä","backfill":false}`:                                                      {Cursor: `a "b" ä`},
		`{"version":1,"source":"test","cursor":"","backfill":true,"since":"2026-01-31T12:00:00Z"}`:                                 {Backfill: true, Since: at},
		`{"version":1,"source":"test","cursor":"c","backfill":true,"since":"2026-01-31T12:00:00Z","until":"2026-01-31T13:00:00Z"}`: {Backfill: true, Cursor: "c", Since: at, Until: at.Add(time.Hour)},
	} {
		s := shell(t, "cat >request")
		if r := s.pull(t, request); r.err != nil {
			t.Error(r.err)
		}
		if diff := cmp.Diff(want+"\n", readFile(t, s.dir, "request")); diff != "" {
			t.Error(diff)
		}
	}
}

// A cursor that fills the pipe must not wait for a program that does not read it.
func TestAProgramNeedNotReadItsRequest(t *testing.T) {
	t.Parallel()
	r := shell(t, says(item("item-1"))).pull(t, sources.Request{Cursor: strings.Repeat("x", maxCursor)})
	if r.String() != "item-1" {
		t.Error(r)
	}
}

func TestABackfillTakesWhatItAskedForOnly(t *testing.T) {
	t.Parallel()
	dated := func(id, created, updated string) string {
		return fmt.Sprintf(`{"interaction":{"networkItemId":%q,"message":"x","createdTime":%q,"updatedTime":%q}}`, id, created, updated)
	}
	s := shell(t, says(
		dated("before", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
		dated("changed", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"),
		dated("created", "2026-02-01T00:00:00Z", "2026-04-02T00:00:00Z"),
		dated("beyond", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
		item("undated"),
	))
	february := sources.Request{Backfill: true,
		Since: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	if got := s.pull(t, february).String(); got != "changed created undated" {
		t.Error(got)
	}
	if got := s.pull(t, sources.Request{}).String(); got != "before changed created beyond undated" {
		t.Error(got)
	}
}

func TestBatchesEndAtTheirLimits(t *testing.T) {
	t.Parallel()
	big := `{"interaction":{"networkItemId":"item-'$1'","message":"` + strings.Repeat("x", 400<<10) + `"}}`
	for script, want := range map[string][]int{
		`for n in $(seq 1001); do echo '` + strings.ReplaceAll(item("item-N"), "N", `'$n'`) + `'; done`: {500, 500, 1},
		"big() { echo '" + big + "'; }; for n in 1 2 3 4 5; do big $n; done":                            {2, 2, 1},
	} {
		var got []int
		r := shell(t, script).pull(t, sources.Request{})
		for _, b := range r.all {
			got = append(got, len(b.Items))
		}
		if diff := cmp.Diff(want, got); diff != "" || r.err != nil {
			t.Error(diff, r.err)
		}
	}
}

// Items and the cursor after them are handed out while the program waits, though the batch is not full.
func TestWhatIsCompleteIsNotHeldBack(t *testing.T) {
	t.Parallel()
	s := shell(t, says(item("item-1"), `{"cursor":"c1"}`)+"mkfifo wait; read x <wait\n"+says(`{"cursor":"c2"}`))
	var got []string
	for batch, err := range s.Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, fmt.Sprint(len(batch.Items), batch.Cursor)); len(got) == 1 {
			release(t, s.dir)
		}
	}
	if diff := cmp.Diff([]string{"1c1", "0c2"}, got); diff != "" {
		t.Error(diff)
	}
}

// A cursor after each item must not make a batch of each.
func TestCursorsOfABusyProgramAreGathered(t *testing.T) {
	t.Parallel()
	var lines []string
	for n := range 400 {
		lines = append(lines, item(fmt.Sprintf("item-%d", n)), fmt.Sprintf(`{"cursor":"c%d"}`, n))
	}
	r := shell(t, says(lines...)).pull(t, sources.Request{})
	if len(r.ids) != 400 || r.cursor != "c399" || r.err != nil || len(r.all) > 20 {
		t.Errorf("%d items in %d batches, cursor %s, %v", len(r.ids), len(r.all), r.cursor, r.err)
	}
}

// TestACursorNeverPassesItems stops after each batch and wants all items before its cursor to have been seen.
func TestACursorNeverPassesItems(t *testing.T) {
	t.Parallel()
	var lines []string
	for n := range 2000 {
		lines = append(lines, item(fmt.Sprintf("item-%d", n)))
		if n%7 == 0 {
			lines = append(lines, fmt.Sprintf(`{"cursor":"%d"}`, n+1))
		}
	}
	seen := 0
	for batch, err := range shell(t, says(lines...)).Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen += len(batch.Items)
		var covered int
		if _, err := fmt.Sscan(batch.Cursor, &covered); err == nil && covered > seen {
			t.Errorf("the cursor says %d, %d were handed out", covered, seen)
		}
	}
	if seen != 2000 {
		t.Error(seen)
	}
}

func TestALineMayHave16MiB(t *testing.T) {
	t.Parallel()
	long := func(id string, size int) string {
		const frame = len(`{"interaction":{"networkItemId":"item-1","message":""}}`)
		return fmt.Sprintf(`{"interaction":{"networkItemId":"%s","message":"%s"}}`, id, strings.Repeat("x", size-frame))
	}
	for name, test := range map[string]struct{ line, want string }{
		"just short enough": {long("item-1", maxLine), "item-1 item-2"},
		"one byte too long": {long("item-1", maxLine+1), "item-2 fault(output:#"},
		"blank at first":    {strings.Repeat(" ", maxLine) + item("item-1"), "item-2 fault(output:#"},
	} {
		dir := t.TempDir()
		writeFile(t, dir, "output", test.line+"\n"+item("item-2")+"\n")
		got := openIn(t, dir, "command: [cat, output]").pull(t, sources.Request{}).String()
		if got != test.want && !(strings.HasPrefix(got, test.want) && strings.HasSuffix(got, "line 1 of the output: longer than 16 MiB; make it shorter)")) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// endless is a line without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

func TestALongLineIsNotKeptWhole(t *testing.T) {
	t.Parallel()
	lines := newLineReader(io.MultiReader(io.LimitReader(endless{}, 5*maxLine), strings.NewReader("\n"+item("item-1")+"\n")))
	first, err := lines.next()
	if err != nil || !first.long || cap(lines.long) > 2*maxLine {
		t.Errorf("%d bytes are held, %v", cap(lines.long), err)
	}
	if second, err := lines.next(); err != nil || string(second.text) != item("item-1") {
		t.Errorf("then came %.100q, %v", second.text, err)
	}
}

func TestFaultsHaveAStablePlaceAndAreForgottenWhenEverythingIsReadAgain(t *testing.T) {
	t.Parallel()
	bad := []string{`{"interaction":{"networkItemId":"bad"}}`, `{"interaction":{"message":"a"}}`, `{"interaction":{"message":"b"}}`}
	first := shell(t, says(bad...)).pull(t, sources.Request{})
	second := shell(t, says(bad[1], bad[2], bad[0])).pull(t, sources.Request{Cursor: "c"})
	places := map[string]int{}
	for _, f := range append(first.faults, second.faults...) {
		places[f.Place]++
		if !strings.HasPrefix(f.Place, placePrefix) {
			t.Error(f.Place)
		}
	}
	if len(places) != 3 || len(first.faults) != 3 || len(second.faults) != 3 {
		t.Errorf("places %v", places)
	}
	if got := first.all[0].Rereads; got != placePrefix {
		t.Errorf("a run without a cursor rereads %q", got)
	}
	if got := second.all[0].Rereads; got != "" {
		t.Errorf("a run with a cursor rereads %q", got)
	}
	if r := shell(t, "").pull(t, sources.Request{}); len(r.all) != 1 || r.all[0].Rereads != placePrefix {
		t.Errorf("a program without items: %+v", r.all)
	}
	if r := shell(t, "exit 1").pull(t, sources.Request{}); len(r.all) != 0 {
		t.Errorf("a failing program: %+v", r.all)
	}
	if r := shell(t, says(bad...)).pull(t, sources.Request{Backfill: true}); r.all[0].Rereads != "" {
		t.Error("a backfill forgets the faults of the polls")
	}
}

func TestAPullWhoseContextIsDoneStartsNothing(t *testing.T) {
	t.Parallel()
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	s := shell(t, "echo >ran")
	for _, err := range s.Pull(ctx, sources.Request{}) {
		if !errors.Is(err, reason) {
			t.Error(err)
		}
	}
	if exists(s.dir, "ran") {
		t.Error("the program ran")
	}
}
