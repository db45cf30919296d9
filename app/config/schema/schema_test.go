package schema

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/sources"
)

type login struct {
	User     string         `yaml:"user" doc:"Needed. Who."`
	Password sources.Secret `yaml:"password" doc:"Needed. The | password."`
}

type settings struct {
	Common   `yaml:",inline"`
	Login    login             `yaml:"login" doc:"Who we are."`
	Parts    []login           `yaml:"parts" doc:"More."`
	Headers  map[string]string `yaml:"headers" doc:"By name."`
	Count    *int              `yaml:"count" doc:"How many."`
	Share    float64           `yaml:"share" doc:"How much."`
	Size     uint              `yaml:"size" doc:"How large."`
	On       bool              `yaml:"on" doc:"Whether."`
	At       time.Time         `yaml:"at" doc:"When."`
	Raw      *strictyaml.Node  `yaml:"raw" doc:"Any."`
	Unnamed  string
	Left     string `yaml:"-"`
	internal string
}

// Common are keys that several structs have.
type Common struct {
	Timeout time.Duration `yaml:"timeout" doc:"How long."`
}

func usual() *settings {
	return &settings{Common: Common{Timeout: 90 * time.Minute}, Headers: map[string]string{"a": "b"}, internal: "x", Left: "x"}
}

func TestAStructIsDescribedAsTheConfigDecodesIt(t *testing.T) {
	t.Parallel()
	inside := Keys{{Name: "user", Type: Text, Doc: "Who.", Needed: true, Empty: true}, {Name: "password", Type: Secret, Doc: "The | password.", Needed: true}}
	want := Keys{
		{Name: "timeout", Type: Duration, Doc: "How long.", Default: "1h30m"},
		{Name: "login", Type: Object, Doc: "Who we are.", Empty: true, Keys: inside},
		{Name: "parts", Type: List, Doc: "More.", Empty: true, Item: &Key{Type: Object, Empty: true, Keys: inside}},
		{Name: "headers", Type: Map, Doc: "By name.", Empty: true, Default: map[string]string{"a": "b"}, Item: &Key{Type: Text, Empty: true}},
		{Name: "count", Type: Whole, Doc: "How many."},
		{Name: "share", Type: Number, Doc: "How much."},
		{Name: "size", Type: Whole, Doc: "How large.", Min: new(0.0)},
		{Name: "on", Type: Bool, Doc: "Whether.", Default: false},
		{Name: "at", Type: Text, Doc: "When."},
		{Name: "raw", Doc: "Any."},
		{Name: "unnamed", Type: Text, Empty: true},
	}
	if diff := cmp.Diff(want, Of(usual())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestASecretIsNeverADefault(t *testing.T) {
	t.Parallel()
	s := usual()
	s.Login.Password = sources.NewSecret("hunter2")
	text, err := JSON(&Key{Type: Object, Keys: Of(s)})
	if err != nil || strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "redacted") {
		t.Errorf("got %v, %s", err, text)
	}
}

func TestSpansHaveNoZerosAtTheirEnd(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 30 * time.Second: "30s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 72 * time.Hour: "72h",
		time.Hour + time.Second: "1h0m1s", 1500 * time.Millisecond: "1.5s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
		if parsed, err := time.ParseDuration(Span(d)); err != nil || parsed != d {
			t.Errorf("%v: is read as %v, %v", d, parsed, err)
		}
	}
}

// kinds is a file whose key `kind` says what its `settings` are.
func kinds() *Key {
	return &Key{Name: "A file", Type: Object, By: "kind", Keys: Keys{
		{Name: "kind", Type: Text, Needed: true, Doc: "Which.", Enum: []string{"a", "b"}},
		{Name: "settings", Type: Object, Doc: "What it needs."},
		{Name: "extra", Type: Whole, Doc: "More.", Min: new(1.0), Max: new(9.0)},
	}, Variants: []Variant{
		{Is: "a", Doc: "the first | kind", Keys: Keys{{Name: "settings", Type: Object, Keys: Of(usual())[1:2], Needed: true}}},
		{Is: "b", Doc: "the second", Without: []string{"extra"}},
	}}
}

func TestAVariantHoldsForItsKindOnly(t *testing.T) {
	t.Parallel()
	text, err := JSON(kinds())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Schema string         `json:"$schema"`
		Defs   map[string]any `json:"$defs"`
		AllOf  []any          `json:"allOf"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	is := func(kind string) map[string]any {
		return object{"properties": object{"kind": object{"const": kind}}, "required": []any{"kind"}}
	}
	want := []any{
		object{"if": is("a"), "then": object{"properties": object{"settings": object{"$ref": "#/$defs/settings-a"}}, "required": []any{"settings"}}},
		object{"if": is("b"), "then": object{"properties": object{"extra": false}}},
	}
	if diff := cmp.Diff(want, got.AllOf); diff != "" || got.Schema != Dialect || got.Defs["settings-a"] == nil {
		t.Errorf("%s: -want +got:\n%s", got.Schema, diff)
	}
}

func TestTheReferenceHasATableForEachObject(t *testing.T) {
	t.Parallel()
	const want = `
## The top level

| key | type | default | limits | meaning |
|---|---|---|---|---|
| ` + "`kind`" + ` | text |  | ` + "`a`, `b`" + ` | Needed. Which. |
| ` + "`settings`" + ` | object |  |  | What it needs. |
| ` + "`extra`" + ` | whole number |  | 1 to 9 | More. |
| ` + "`login`" + ` | object |  |  | Who we are. See [` + "`login`](#login)" + `. |
| ` + "`parts`" + ` | list of object |  |  | More. See [` + "`parts[]`](#parts)" + `. |

| ` + "`kind`" + ` | what it reads | needed settings |
|---|---|---|
| [` + "`a`](#of-a)" + ` | the first \| kind |  |

## ` + "`login`" + `

| key | type | default | limits | meaning |
|---|---|---|---|---|
| ` + "`user`" + ` | text |  |  | Needed. Who. |
| ` + "`password`, `password_file`" + ` | secret text |  |  | Needed. The \| password. |

## ` + "`parts[]`" + `

| key | type | default | limits | meaning |
|---|---|---|---|---|
| ` + "`user`" + ` | text |  |  | Needed. Who. |
| ` + "`password`, `password_file`" + ` | secret text |  |  | Needed. The \| password. |
`
	file := kinds()
	file.Variants = file.Variants[:1]
	file.Keys = append(file.Keys, Of(usual())[1:3]...)
	got := Markdown(file, func(is string) string { return "#of-" + is })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
