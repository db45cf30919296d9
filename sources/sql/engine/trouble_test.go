package engine

import (
	"strings"
	"testing"
)

func TestAMessageThatRepeatsTheAddressIsRedacted(t *testing.T) {
	t.Parallel()
	address := "postgres://reader:s3cret%2Fpa%20ss@db.example/shop?application_name=hush-hush"
	parsed, err := Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{secrets: parsed.secrets}
	for _, secret := range []string{"s3cret/pa ss", "s3cret%2Fpa%20ss", "s3cret%2Fpa+ss", "hush-hush"} {
		if got := e.redact("near " + secret + " it is wrong"); got != "near [redacted] it is wrong" {
			t.Error(got)
		}
	}
	if got := e.redact(strings.Repeat("ü", 1000)); len(got) > 610 || !strings.HasSuffix(got, "…") {
		t.Error(got)
	}
}
