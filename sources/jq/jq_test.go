package jq

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var someVars = Vars{
	Prefix: "shop", Cursor: "c1", Stream: "posts", Status: 200,
	Since: time.Date(2026, 1, 31, 13, 0, 0, 999, time.FixedZone("", 3600)),
	Page:  map[string]any{"number": 3}, Item: map[string]any{"id": 7},
	Headers: map[string]any{"x-total": "9"},
}

// run returns what a program makes of JSON, as JSON.
func run(t *testing.T, program, input string) (outputs []string, err error) {
	t.Helper()
	value, err := Decode([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	for out, err := range MustParse(program).Run(t.Context(), value, someVars) {
		if err != nil {
			return outputs, err
		}
		text, err := Encode(out)
		if err != nil {
			return outputs, err
		}
		outputs = append(outputs, string(text))
	}
	return outputs, nil
}

func TestProgramsMakeOfValuesWhatTheyShould(t *testing.T) {
	t.Parallel()
	for program, test := range map[string]struct{ input, want string }{
		`.[] | {id}`:                            {`[{"id":1,"x":2},{"id":"a"}]`, `{"id":1} {"id":"a"}`},
		`empty`:                                 {`1`, ``},
		`1, halt, 2`:                            {`1`, `1`},
		`.id, (.id|tostring)`:                   {`{"id":12345678901234567890123}`, `12345678901234567890123 "12345678901234567890123"`},
		`[$prefix,$cursor]`:                     {`0`, `["shop","c1"]`},
		`[$since,$until,$now]`:                  {`0`, `["2026-01-31T12:00:00Z",null,null]`},
		`[$page.number,$item.id]`:               {`0`, `[3,7]`},
		`[$stream,$status,$headers["x-total"]]`: {`0`, `["posts",200,"9"]`},
		`$ENV, env`:                             {`0`, `{} {}`},
		`html_text`:                             {`"<p>a &amp; <b>b</b></p>"`, `"a & b"`},
		`.x | html_text`:                        {`{}`, `null`},
		`images`:                                {`"<img src='https://x.example/a.png'><img src='/b.png'>"`, `["https://x.example/a.png"]`},
		`images("https://y.example/z")`:         {`"<img src='/b.png'>"`, `["https://y.example/b.png"]`},
		`.x|images`:                             {`{}`, `[]`},
		`absolute_url("https://y.example/a/")`:  {`"b"`, `"https://y.example/a/b"`},
		`absolute_url("")`:                      {`"b"`, `null`},
		`.x|absolute_url("https://y.example")`:  {`{}`, `null`},
		`item_id($prefix; .id)`:                 {`{"id":17}`, `"shop-17"`},
		`item_id("r"; .id)`:                     {`{"id":"a b"}`, `"r-yckqtbb4gs6hprvc5aqjfg4qphikaq3k"`},
	} {
		outputs, err := run(t, program, test.input)
		got := strings.Join(outputs, " ")
		if program == `item_id("r"; .id)` { // a hash
			got, test.want = got[:3], `"r-`
		}
		if err != nil || got != test.want {
			t.Errorf("%s of %s: %s, %v; want %s", program, test.input, got, err, test.want)
		}
	}
}

func TestTimeReadsWhatSourcesWrite(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		`"2026-01-31T13:00:00+01:00"`:       `"2026-01-31T12:00:00Z"`,
		`"2026-01-31T12:00:00.125Z"`:        `"2026-01-31T12:00:00.125Z"`,
		`"2026-01-31T12:00:00.000+0000"`:    `"2026-01-31T12:00:00Z"`,
		`"2026-01-31T12:00:00"`:             `"2026-01-31T12:00:00Z"`,
		`"2026-01-31 12:00:00"`:             `"2026-01-31T12:00:00Z"`,
		`"2026-01-31 12:00:00 UTC"`:         `"2026-01-31T12:00:00Z"`,
		`"2026-01-31 13:00:00 +0100"`:       `"2026-01-31T12:00:00Z"`,
		`"2026-01-31"`:                      `"2026-01-31T00:00:00Z"`,
		`"Sat, 31 Jan 2026 12:00:00 +0000"`: `"2026-01-31T12:00:00Z"`,
		`"31 Jan 26 12:00 GMT"`:             `"2026-01-31T12:00:00Z"`,
		`1769860800`:                        `"2026-01-31T12:00:00Z"`,
		`1769860800.5`:                      `"2026-01-31T12:00:00.5Z"`,
		`"1769860800"`:                      `"2026-01-31T12:00:00Z"`,
		`1769860800125`:                     `"2026-01-31T12:00:00.125Z"`,
		`1769860800000125`:                  `"2026-01-31T12:00:00.000125Z"`,
		`0`:                                 `"1970-01-01T00:00:00Z"`,
		`null`:                              `null`,
		`" "`:                               `null`,
	} {
		outputs, err := run(t, "time", input)
		if err != nil || strings.Join(outputs, " ") != want {
			t.Errorf("%s: %s, %v; want %s", input, outputs, err, want)
		}
	}
	for _, input := range []string{`"soon"`, `[]`, `1e300`, `"NaN"`, `12345678901234567890123456789`, `true`} {
		if outputs, err := run(t, "time", input); err == nil || !strings.HasPrefix(err.Error(), "time wants a time") {
			t.Errorf("%s: %s, %v", input, outputs, err)
		}
	}
}

// Every error that gojq has for a value must show its type at most.
func TestErrorsShowNothingOfTheValues(t *testing.T) {
	t.Parallel()
	const input = `{"a":"s3cret (x) \"y","n":424242,"l":["s3cret"],"o":{"s3cret":"s3cret"}}`
	for program, want := range map[string]string{
		`.a[]`:                       "cannot iterate over: string",
		`.a.b`:                       "expected an object but got: string",
		`.l.b`:                       "expected an object but got: array",
		`.a + .n`:                    "cannot add: string",
		`.l - .o`:                    "cannot subtract: array",
		`.a | fromjson`:              "fromjson cannot be applied to",
		`.a | tonumber`:              "tonumber cannot be applied to",
		`.a | strptime("%Y")`:        "strptime",
		`.a | test("(")`:             "invalid regular expression",
		`.o | implode`:               "implode cannot be applied to: object",
		`.n / 0`:                     "cannot divide number",
		`.l | .[9999999999999999]=1`: "setpath",
		`{(.o):1}`:                   "expected a string for object key but got: object",
		`[.o] | @csv`:                "@csv cannot format an array including: object",
		`error`:                      "the jq program called error",
		`error(.a)`:                  "the jq program called error",
		`.a | halt_error`:            "the jq program called error",
		`.o | html_text`:             "html_text wants a text, not object",
		`.a | time`:                  "time wants a time such as 2026-01-31T12:00:00Z, Sat, 31 Jan 2026 12:00:00 +0000 or 1769860800, not string",
		`item_id("p"; .o)`:           "item_id wants a text that is not empty or a number as native id, not object",
		`item_id("p"; null)`:         "item_id wants a text that is not empty or a number as native id, not null",
		`item_id(null; .n)`:          "item_id wants a text as prefix, not null",
		`.a | images([])|images`:     "images wants a text, not array",
		`.l | absolute_url("")`:      "absolute_url wants a text, not array",
		`limit(-1; .a)`:              "",
		`.l | flatten(-42)`:          "flatten depth should not be negative",
		`.a | .[.o]`:                 "",
		`.a | @base64d | .[]`:        "",
		`getpath(["a","b"])`:         "",
		`.a * 1e18`:                  "",
	} {
		_, err := run(t, program, input)
		if err == nil {
			t.Errorf("%s: no error", program)
			continue
		}
		if strings.Contains(err.Error(), "cret") || strings.Contains(err.Error(), "4242") || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v; want %s…", program, err, want)
		}
	}
}

func TestAProgramThatIsWrongIsToldWhenItIsRead(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		".a |\n  .b }":       `not a jq program: unexpected token "}", at line 2, column 6 of it`,
		".a |":               "not a jq program: unexpected EOF, at line 1, column 5 of it",
		"$sinse":             "not a jq program: variable not defined: $sinse; there are $prefix $cursor $since $until $now $page $item $stream $action $ref $root $status $headers",
		"nothere(1)":         "not a jq program: function not defined: nothere/1",
		"input":              "not a jq program: input and inputs can't be used; the program runs once for each value",
		"inputs":             "not a jq program: input and inputs can't be used; the program runs once for each value",
		`import "x" as x; .`: "",
		`"a`:                 "",
	} {
		var p Program
		err := p.UnmarshalText([]byte(program))
		if err == nil || want != "" && err.Error() != want || !p.IsZero() {
			t.Errorf("%q: %v; want %s", program, err, want)
		}
	}
	p := MustParse(".a")
	if err := p.UnmarshalText([]byte(" ")); err != nil || !p.IsZero() {
		t.Errorf("blank: %v %v", p, err)
	}
}

func TestARunIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range MustParse("range(200000)").Run(t.Context(), nil, Vars{}) {
			break // ends early without a leak
		}
	})
	var n int
	var last error
	for _, err := range MustParse("range(200000)").Run(t.Context(), nil, Vars{}) {
		n, last = n+1, err
	}
	if n != MaxOutputs+1 || last == nil || last.Error() != "the jq program gives more than 100000 outputs" {
		t.Error(n, last)
	}
	if _, err := Encode(strings.Repeat("x", MaxOutput)); err == nil {
		t.Error("a large output is fine")
	}
	limited, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if _, err := MustParse("[limit(1e9; repeat(0))]").One(limited, nil, Vars{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	stop := errors.New("stopped")
	stopped, cause := context.WithCancelCause(t.Context())
	cause(stop)
	if _, err := MustParse("last(repeat(0))").One(stopped, nil, Vars{}); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestOneWantsOneOutput(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]any{"empty": nil, "null": nil, "1": 1} {
		if got, err := MustParse(program).One(t.Context(), nil, Vars{}); got != want || err != nil {
			t.Errorf("%s: %v, %v", program, got, err)
		}
	}
	if _, err := MustParse("1,2").One(t.Context(), nil, Vars{}); err == nil {
		t.Error("two are fine")
	}
	for program, want := range map[string]bool{"empty": false, "null": false, "false": false, "0": true, `""`: true} {
		if got, err := MustParse(program).Is(t.Context(), nil, Vars{}); got != want || err != nil {
			t.Errorf("%s: %v, %v", program, got, err)
		}
	}
}

func TestBrokenJSONIsToldByItsPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"secret`:     "not valid JSON: it ends too early",
		``:             "not valid JSON: it ends too early",
		`{"a":secret}`: "not valid JSON at byte 6",
		`{} secret`:    "not valid JSON: something follows the value, after byte 2",
	} {
		if _, err := Decode([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

func TestTemplatesAreFilledIn(t *testing.T) {
	t.Parallel()
	type filled struct {
		Text    string
		Present bool
	}
	vars := Vars{Since: time.Unix(0, 0), Page: map[string]any{"token": "a/b c&d", "number": 2}}
	for template, want := range map[string][2]filled{
		``:                 {{"", true}, {"", true}},
		`100`:              {{"100", true}, {"100", true}},
		`a"b\n`:            {{`a"b\n`, true}, {`a"b\n`, true}},
		`\($until)`:        {{"", false}, {"", false}},
		`\(empty)`:         {{"", false}, {"", false}},
		`\($page.token)`:   {{"a/b c&d", true}, {"a/b c&d", true}},
		`p/\($page.token)`: {{"p/a/b c&d", true}, {"p/a%2Fb%20c%26d", true}},
		`\($page.number)-\($page.number + (1|.))!`: {{"2-3!", true}, {"2-3!", true}},
		`x\($until // "")`:                         {{"x", true}, {"x", true}},
		`\("a)b" | test("\\)"))`:                   {{"true", true}, {"true", true}},
		`\("(\(1 + (2)))")`:                        {{"(3)", true}, {"(3)", true}},
		`\([1,{a:"ü"}])`:                           {{`[1,{"a":"ü"}]`, true}, {`[1,{"a":"ü"}]`, true}},
		`>=\($since)`:                              {{">=1970-01-01T00:00:00Z", true}, {">=1970-01-01T00%3A00%3A00Z", true}},
	} {
		parsed, err := ParseTemplate(template)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		var got [2]filled
		var err1, err2 error
		got[0].Text, got[0].Present, err1 = parsed.Text(t.Context(), nil, vars)
		got[1].Text, got[1].Present, err2 = parsed.URL(t.Context(), nil, vars)
		if diff := cmp.Diff(want, got); diff != "" || err1 != nil || err2 != nil {
			t.Errorf("%s: %s %v %v", template, diff, err1, err2)
		}
	}
}

func TestATemplateThatIsWrongIsToldWhenItIsRead(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		`a\(`:         `an expression that begins with \( is empty or has no ) at its end`,
		`a\()`:        `an expression that begins with \( is empty or has no ) at its end`,
		`a\( . | )b)`: `not a jq program: unexpected EOF, at line 1, column 6 of it`,
		`\($sinse)`:   "not a jq program: variable not defined: $sinse",
	} {
		var parsed Template
		if err := parsed.UnmarshalText([]byte(template)); err == nil || !strings.HasPrefix(err.Error(), want) || !parsed.IsZero() {
			t.Errorf("%s: %v; want %s", template, err, want)
		}
	}
	for _, template := range []string{`a\($until)`, `\(.x.y, 1)`, `a\([]|.x)`} {
		if text, _, err := MustParseTemplate(template).Text(t.Context(), nil, Vars{}); err == nil {
			t.Errorf("%s: %s", template, text)
		}
	}
}

func TestATemplateTellsItsLiteralBeginning(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{``: "", `ab`: "ab", `ab\(1)c`: "ab", `\(1)c`: ""} {
		got, whole := MustParseTemplate(template).Literal()
		if got != want || whole != !strings.Contains(template, "(") {
			t.Errorf("%s: %s %v", template, got, whole)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(`a\("(\(1 + (2)))")b\(.x)`, `{"x":"y"}`)
	f.Add(`\(`, `1`)
	f.Fuzz(func(t *testing.T, template, input string) {
		value, err := Decode([]byte(input))
		if err != nil {
			return
		}
		parsed, err := ParseTemplate(template)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, _, _ = parsed.URL(ctx, value, Vars{})
	})
}
