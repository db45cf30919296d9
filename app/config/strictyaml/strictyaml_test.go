package strictyaml

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

type embedded struct {
	Host string `yaml:"host"`
	Port uint16
}

type nested struct {
	Name string         `yaml:"name"`
	Key  sources.Secret `yaml:"key"`
}

// everything has a field of each type that Decode takes.
type everything struct {
	embedded `yaml:",inline"`
	Text     string `yaml:"text"`
	Named    kindOf `yaml:"named"`
	Bool     bool   `yaml:"bool"`
	Int      int    `yaml:"int"`
	Small    int8   `yaml:"small"`
	Uint     uint
	Float    float64           `yaml:"float"`
	Duration time.Duration     `yaml:"duration"`
	Time     time.Time         `yaml:"time"`
	Secret   sources.Secret    `yaml:"secret"`
	Pointer  *int              `yaml:"pointer"`
	Struct   nested            `yaml:"struct"`
	Deep     *nested           `yaml:"deep"`
	List     []string          `yaml:"list"`
	Structs  []nested          `yaml:"structs"`
	Map      map[string]int    `yaml:"map"`
	Maps     map[kindOf]nested `yaml:"maps"`
	Ignored  string            `yaml:"-"`
	Channel  chan int          `yaml:"channel"`
	Numbers  map[int]string    `yaml:"numbers"`
	hidden   string
}

type kindOf string

func environment(name string) (string, bool) {
	value, ok := map[string]string{"PASSWORD": "hunter2\"\n", "SHORT": "abc", "N": "5", "LONG": "hunter2-and-more", "PART": "hunter2-and"}[name]
	return value, ok
}

// read decodes the text into v and returns the faults.
func read(t *testing.T, text string, v any) error {
	t.Helper()
	f := New("f.yaml", t.TempDir(), environment)
	if n := f.Parse([]byte(text)); n != nil {
		f.Decode(n, v)
	}
	return f.Err()
}

func TestDecodeTakesEveryType(t *testing.T) {
	t.Parallel()
	got := everything{Text: "replaced", Int: 7, Float: 1.5, List: []string{"replaced"}, Map: map[string]int{"replaced": 1}, Deep: &nested{Name: "kept"}, hidden: "kept"}
	err := read(t, `
host: h
port: 65535
text: 007
named: n
bool: true
small: -128
uint: ${N}
duration: 1m30s
time: 2026-07-01T12:00:00+02:00
secret: 1.10
pointer: 3
struct: {name: a, key: b}
deep:
  key: c
list:
  - 1
  - |
    two
    lines
structs: [{name: x}, {name: y}]
map: {a: 1, 2: 2}
maps: {m: {name: z}}
`, &got)
	if err != nil {
		t.Fatal(err)
	}
	three := 3
	want := everything{
		embedded: embedded{Host: "h", Port: 65535},
		Text:     "007", Named: "n", Bool: true, Int: 7, Small: -128, Uint: 5, Float: 1.5, Duration: 90 * time.Second,
		Time: time.Date(2026, 7, 1, 12, 0, 0, 0, time.FixedZone("", 2*60*60)), Secret: sources.NewSecret("1.10"), Pointer: &three,
		Struct: nested{Name: "a", Key: sources.NewSecret("b")}, Deep: &nested{Name: "kept", Key: sources.NewSecret("c")},
		List: []string{"1", "two\nlines\n"}, Structs: []nested{{Name: "x"}, {Name: "y"}},
		Map: map[string]int{"a": 1, "2": 2}, Maps: map[kindOf]nested{"m": {Name: "z"}}, hidden: "kept",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(everything{}), cmp.Comparer(func(a, b sources.Secret) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNothingEmptiesTextsListsAndMaps(t *testing.T) {
	t.Parallel()
	got := everything{Text: "x", List: []string{"x"}, Map: map[string]int{"x": 1}, Struct: nested{Name: "kept"}}
	if err := read(t, "text:\nlist: ~\nmap: null\nstruct:\n", &got); err != nil {
		t.Fatal(err)
	}
	if got.Text != "" || got.List != nil || got.Map != nil || got.Struct.Name != "kept" {
		t.Errorf("got %+v", got)
	}
}

func TestWrongValuesAreFaultsAndChangeNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"port: 65536":            "1:1: port: must be a whole number, 0 or more",
		"uint: -1":               "1:1: uint: must be a whole number, 0 or more",
		"small: 128":             "1:1: small: must be a whole number",
		"int: 1.0":               "1:1: int: must be a whole number",
		"int: 1_000":             "1:1: int: must be a whole number",
		"int: 0x10":              "1:1: int: must be a whole number",
		"int: '5'":               "1:1: int: must be a whole number, written without quotes",
		"int: \"${N}\"":          "1:1: int: must be a whole number, written without quotes",
		"int: |\n  5":            "1:1: int: must be a whole number, written without quotes",
		"int:":                   "1:1: int: must be a whole number, not nothing",
		"float: .nan":            "1:1: float: must be a number",
		"float: .inf":            "1:1: float: must be a number",
		"float: inf":             "1:1: float: must be a number",
		"bool: on":               "1:1: bool: must be true or false",
		"bool: TRUE":             "1:1: bool: must be true or false",
		"duration: 5":            "1:1: duration: must be a duration with its unit, such as 30s, 5m or 1h30m",
		"duration: [5s]":         "1:1: duration: must be a duration, not a list",
		"time: []":               "1:1: time: must be a text, not a list",
		"time: yesterday":        `1:1: time: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`,
		"text: {a: b}":           "1:1: text: must be a text, not a mapping",
		"secret: ''":             "1:1: secret: is empty; give it a value, or leave the key out if it isn't needed",
		"pointer: x":             "1:1: pointer: must be a whole number",
		"maps: {a: b}":           "1:8: maps.a: must be a mapping (key: value), not a single value",
		"structs: [{}, {nam: }]": `1:16: structs[1].nam: unknown key "nam" (did you mean name?); known: name, key, key_file`,
		"channel: 1":             "1:1: channel: can't be set: the adapter declares it as chan int; use another adapter or mend this one",
		"numbers: {1: a}":        "1:1: numbers: can't be set: the adapter declares it as map[int]string; use another adapter or mend this one",
	} {
		got := everything{Int: 7, Text: "kept"}
		err := read(t, text, &got)
		if err == nil || err.Error() != "f.yaml:"+want {
			t.Errorf("%q: got %v\nwant %s", text, err, want)
		}
		if got.Int != 7 || got.Text != "kept" {
			t.Errorf("%q changes %+v", text, got)
		}
	}
}

func TestFieldsWithoutAKeyAreUnknown(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"ignored", "hidden", "-", "embedded", "Text", "key"} {
		if err := read(t, key+": x", new(everything)); err == nil || !strings.Contains(err.Error(), "unknown key") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for content, want := range map[string]string{"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a ": " a ", strings.Repeat("x", maxSecret): strings.Repeat("x", maxSecret)} {
		if err := os.WriteFile(filepath.Join(dir, "key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"key", filepath.Join(dir, "key")} {
			f := New("f.yaml", dir, environment)
			var got struct{ List []nested }
			f.Decode(f.Parse([]byte("list: [{key_file: "+path+"}]")), &got)
			if err := f.Err(); err != nil || got.List[0].Key.Reveal() != want {
				t.Errorf("%q by %s: got %q, %v", content, path, got.List[0].Key.Reveal(), err)
			}
		}
	}
}

func TestMaskHidesSecretsAndVariables(t *testing.T) {
	t.Parallel()
	f := New("f.yaml", t.TempDir(), environment)
	var v everything
	f.Decode(f.Parse([]byte("secret: geheim\ntext: ${PASSWORD}${SHORT}\nlist: [\"${PART}\", \"${LONG}\"]\n")), &v)
	for text, want := range map[string]string{
		"nothing to see":        "nothing to see",
		"the key geheim":        "the key [redacted]",
		"a hunter2\"\n b":       "a ${PASSWORD} b",
		`parse "hunter2\"\n"`:   `parse "${PASSWORD}"`,
		"trimmed hunter2\" too": "trimmed ${PASSWORD} too",
		"abc":                   "abc",
		"x hunter2-and-more x":  "x ${LONG} x",
		"hunter2-and":           "${PART}",
	} {
		if got := f.Mask(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestAtFindsWhatComesNearest(t *testing.T) {
	t.Parallel()
	f := New("f.yaml", ".", environment)
	n := f.Parse([]byte("a:\n  b:\n    - c: 1\n    - x_file: 2\n")).Get("a")
	for path, want := range map[string]Place{
		"":         {"a", 1, 1},
		"b":        {"a.b", 2, 3},
		"b[0].c":   {"a.b[0].c", 3, 7},
		"b[1].x":   {"a.b[1].x", 4, 7},
		"b[1].y.z": {"a.b[1].y.z", 4, 7},
		"b[2]":     {"a.b[2]", 2, 3},
		"q.r":      {"a.q.r", 1, 1},
	} {
		if got := n.At(path); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	}
}

func TestCheckTellsNothingThatFollowsFromAnotherFault(t *testing.T) {
	t.Parallel()
	f := New("f.yaml", ".", environment)
	n := f.Parse([]byte("a: {b: [1]}\nc: ${UNSET}\nd: 1\ne_file: ${UNSET}\n"))
	f.Fault(n.At("a.b[0]"), "first")
	for _, path := range []string{"a.b", "a", "c", "d.x", "e", "ok", "d", "d"} {
		f.Check(n, path, errors.New("second"))
	}
	f.Check(n, "other", nil)
	var got []string
	for line := range strings.Lines(f.Err().Error()) {
		if strings.Contains(line, "second") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if diff := cmp.Diff([]string{"f.yaml:1:1: ok: second", "f.yaml:3:1: d: second"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUnknownSuggestsTheNearest(t *testing.T) {
	t.Parallel()
	known := []string{"schedule", "channel", "url"}
	for got, near := range map[string]string{
		"scheduel": "schedule", "Schedule": "schedule", "chanel": "channel", "ulr": "url", "hcannel": "channel", "ur": "url", "uri": "url", "u": "", "": "", "something": "", "channels": "channel",
		strings.Repeat("channel", 9): "",
	} {
		text := Unknown("key", got, known)
		if strings.Contains(text, "did you mean") != (near != "") || !strings.Contains(text, near) || !strings.HasSuffix(text, "; known: schedule, channel, url") {
			t.Errorf("%q: %s", got, text)
		}
	}
	if got := Unknown("key", "x", nil); got != `unknown key "x"; there is none yet` {
		t.Error(got)
	}
}
