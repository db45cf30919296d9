package execsource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

// The tap keeps what it gets in its folder.
const keepArguments = `
echo "$@" >arguments
while [ $# -gt 0 ]; do
	case $1 in --config | --state | --catalog)
		cp "$2" got${1#-}
		ls -l "$2" | cut -c 1-10 >mode${1#-}
		shift ;;
	esac
	shift
done
cat >stdin
`

func tap(t testing.TB, script, settings string) *opened {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "tap.sh", script)
	if !strings.Contains(settings, "mapping:") {
		settings += "mapping: '{networkItemId: item_id($prefix; .id), message: .text, updatedTime: .at}'\n"
	}
	return openIn(t, dir, "command: [sh, tap.sh]\nformat: singer\n"+settings)
}

func TestWhatTheTapWritesDecides(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"SCHEMA","stream":"posts","schema":{},"key_properties":["id"]}`
	record := func(id string) string {
		return `{"type":"RECORD","stream":"posts","record":{"id":` + id + `,"text":"hello"},"time_extracted":"2026-01-31T12:00:00Z"}`
	}
	state := `{"type": "STATE", "value": {"bookmarks": {"posts": 7}, "z": 12345678901234567890}}`
	for name, test := range map[string]struct{ script, settings, want string }{
		"records and a state": {says(schema, record("10001"), state, record("10002")), "",
			`test-10001 test-10002 cursor({"bookmarks":{"posts":7},"z":12345678901234567890})`},
		"the last state counts": {says(state, `{"type":"STATE","value":{"a":1}}`), "", `cursor({"a":1})`},
		"a prefix":              {says(record("10001")), "prefix: forum\n", "forum-10001"},
		"a version to activate": {says(`{"type":"ACTIVATE_VERSION","stream":"posts","version":1}`, record("10001")), "", "test-10001"},
		"the stream": {says(record("10001"), strings.Replace(record("10002"), "posts", "users", 1)),
			"mapping: 'select($stream == \"posts\") | {networkItemId: item_id($stream; .id), message: .text}'\n", "posts-10001"},
		"several items of a record": {says(record("10001")),
			"mapping: '{networkItemId: \"item-a\", message: .text}, {networkItemId: \"item-b\", message: .text}'\n", "item-a item-b"},
		"a record that the mapping can't take": {says(schema, record("[]"), record("10002")), "",
			"test-10002 fault(output:posts:[]: the mapping fails: item_id wants"},
		"a record without a key that it can't take": {says(record("[]")), "",
			"fault(output:#"},
		"an output that is no interaction": {says(record("10001")), "mapping: '{networkItemId: \"item-a\", text: .text}'\n",
			`fault(output:item-a: unknown field "text"; an item has`},
		"a record that is missing":  {says(`{"type":"RECORD","stream":"posts"}`), "", "fault(output:#"},
		"a state that is no object": {says(`{"type":"STATE","value":[]}`), "", "error(command: line 1 of the program's output: the value of a STATE message must be an object)"},
		"a state of broken text":    {`printf '{"type":"STATE","value":{"a":"\377"}}\n'`, "", "error(command: line 1 of the program's output: the cursor is not valid UTF-8, so it can't be stored)"},
		"a batch":                   {says(record("10001"), `{"type":"BATCH","stream":"posts"}`), "", `test-10001 error(command: line 2 of the program's output: a message of the type "BATCH" is not supported; want`},
		"our own format":            {says(item("item-1")), "", `error(command: line 1 of the program's output: a message of the type "" is not supported`},
		"a text":                    {says("INFO hello"), "", "error(command: line 1 of the program's output: not valid JSON at byte 1; is this a Singer tap?)"},
		"a list":                    {says("[]"), "", "error(command: line 1 of the program's output: not a Singer message; is this a Singer tap?)"},
		"a failing tap":             {says(record("10001")) + "echo 'CRITICAL 401' >&2; exit 1", "", "test-10001 error(command: the program ended with exit code 1; it last said: CRITICAL 401)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tap(t, test.script, test.settings).pull(t, sources.Request{}).String()
			if got != test.want && (!strings.HasPrefix(got, test.want) || strings.HasSuffix(test.want, ")")) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestTheTapGetsItsFiles(t *testing.T) {
	t.Parallel()
	s := tap(t, keepArguments, "config: '{\"token\": \"s3cret\"}'\ncatalog: streams/catalog.json\n")
	if err := os.Mkdir(filepath.Join(s.dir, "streams"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.dir, "streams/catalog.json", `{"streams":[]}`)
	if r := s.pull(t, sources.Request{Cursor: `{"bookmarks":{}}`}); r.err != nil {
		t.Fatal(r.err)
	}
	for file, want := range map[string]string{
		"got-config": `{"token": "s3cret"}`, "got-state": `{"bookmarks":{}}`, "got-catalog": `{"streams":[]}`,
		"mode-config": "-rw-------\n", "mode-state": "-rw-------\n", "stdin": "",
	} {
		if diff := cmp.Diff(want, readFile(t, s.dir, file)); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	arguments := strings.Fields(readFile(t, s.dir, "arguments"))
	if exists("", arguments[1]) || exists("", filepath.Dir(arguments[1])) {
		t.Errorf("the config is left behind: %s", arguments)
	}
}

func TestTheFilesOfATapAreRemovedWhenItIsEnded(t *testing.T) {
	t.Parallel()
	s := tap(t, keepArguments+says(`{"type":"STATE","value":{}}`)+"mkfifo wait; read x <wait", "config: '{\"a\":\"b\"}'\n")
	for range s.Pull(t.Context(), sources.Request{}) {
		break
	}
	if arguments := strings.Fields(readFile(t, s.dir, "arguments")); exists("", arguments[1]) {
		t.Errorf("the config is left behind: %s", arguments)
	}
}

func TestATapWithoutAStateStartsFromTheBeginning(t *testing.T) {
	t.Parallel()
	for _, cursor := range []string{"", "nonsense", "[]", "null", "7", `"x"`} {
		s := tap(t, keepArguments, "")
		if r := s.pull(t, sources.Request{Cursor: cursor}); r.err != nil {
			t.Fatal(r.err)
		}
		if got := readFile(t, s.dir, "arguments"); got != "\n" {
			t.Errorf("with the cursor %q: %s", cursor, got)
		}
		if warned := strings.Contains(s.log.String(), "not a Singer state"); warned != (cursor != "") {
			t.Errorf("with the cursor %q: %s", cursor, s.log)
		}
	}
}

func TestABackfillOfATapTakesWhatItAskedForOnly(t *testing.T) {
	t.Parallel()
	s := tap(t, says(
		`{"type":"RECORD","stream":"posts","record":{"id":10001,"text":"x","at":"2026-01-01T00:00:00Z"}}`,
		`{"type":"RECORD","stream":"posts","record":{"id":10002,"text":"x","at":"2026-02-01T00:00:00Z"}}`), "")
	r := s.pull(t, sources.Request{Backfill: true, Since: time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)})
	if r.String() != "test-10002" {
		t.Error(r)
	}
}

func TestTheConfigOfATapIsNotShown(t *testing.T) {
	t.Parallel()
	s := tap(t, `echo 'INFO using hunter2-token and "s3cret-key"' >&2; exit 1`, "config: '{\"auth\": {\"token\": \"hunter2-token\", \"keys\": [\"s3cret-key\"]}}'\n")
	r := s.pull(t, sources.Request{})
	if said := s.log.String() + r.String(); strings.Contains(said, "hunter2") || strings.Contains(said, "s3cret") || !strings.Contains(said, redacted) {
		t.Error(said)
	}
	if !strings.Contains(s.log.String(), "level=DEBUG") || strings.Contains(s.log.String(), "level=INFO") {
		t.Errorf("a tap's lines are for debugging only: %s", s.log)
	}
}
