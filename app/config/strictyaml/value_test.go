package strictyaml

import (
	"encoding/json"
	"testing"
)

func TestAValueIsWhatJSONWouldSay(t *testing.T) {
	t.Parallel()
	f := New("test.yaml", ".", func(string) (string, bool) { return "12", true })
	root := f.Parse([]byte(`
text: hello
quoted: "12"
number: 1.50
large: 12345678901234567890
variable: ${NUMBER}
zeros: 007
"yes": true
"no": false
nothing:
list: [a, 2, {b: [c]}, []]
mapping: {minLength: 1, enum: ["null", "true"], empty: {}}
`))
	if err := f.Err(); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(root.Value())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"large":12345678901234567890,"list":["a",2,{"b":["c"]},[]],"mapping":{"empty":{},"enum":["null","true"],"minLength":1},` +
		`"no":false,"nothing":null,"number":1.50,"quoted":"12","text":"hello","variable":12,"yes":true,"zeros":"007"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
