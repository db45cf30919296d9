package execsource

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// FuzzOutput feeds both formats with what a broken program may write.
func FuzzOutput(f *testing.F) {
	f.Add([]byte(item("item-1")+"\n"+`{"cursor":"c1"}`+"\n"+`{"log":"x","level":"warn"}`+"\n"+`{"error":"x","retry_after":1e9}`), false)
	f.Add([]byte("\xEF\xBB\xBF"+`{"interaction":{"networkItemId":"item-1","message":"\ud800","ref":[1]}}`+"\r\n\r\n{}"), false)
	f.Add([]byte(`{"type":"SCHEMA","stream":"a","key_properties":["id"]}`+"\n"+`{"type":"RECORD","stream":"a","record":{"id":"item-1"}}`), true)
	f.Add([]byte(`{"type":"RECORD","stream":"a","record":[]}`+"\n"+`{"type":"STATE","value":{"a":"\u0000"}}`), true)
	f.Add([]byte(`{"type":"STATE","value":{"a":"`+"\xff"+`"}}`), true)
	mapping := jq.MustParse(`.items[]?, {networkItemId: .id, message: .text}`)
	f.Fuzz(func(t *testing.T, output []byte, isTap bool) {
		s := &source{env: sources.Env{Name: "test", Logger: slog.New(slog.DiscardHandler)}, secrets: newRedactor([]string{"s3cret"})}
		if isTap {
			s.singer = &singer{mapping: mapping, prefix: "test"}
		}
		p := newPull(s, &sources.Request{}, func(b sources.Batch, err error) bool {
			checkBatch(t, b)
			return true
		})
		p.lines = newLineReader(bytes.NewReader(output))
		last, err := p.readLines(t.Context())
		if err == nil && last.text != nil {
			err = p.takeLine(t.Context(), last)
		}
		if err != nil && (!utf8.ValidString(err.Error()) || len(err.Error()) > 1000) {
			t.Errorf("the error %q", err)
		}
		_ = p.flush()
	})
}

func checkBatch(t *testing.T, b sources.Batch) {
	if len(b.Items) > sources.MaxBatch || !utf8.ValidString(b.Cursor) || strings.Contains(b.Cursor, "\x00") {
		t.Errorf("%d items, the cursor %q", len(b.Items), b.Cursor)
	}
	for _, i := range b.Items {
		switch {
		case i.Fault == nil && !socialhub.ValidItemID(i.Interaction.NetworkItemID):
			t.Errorf("the id %q", i.Interaction.NetworkItemID)
		case i.Fault != nil && (!strings.HasPrefix(i.Fault.Place, placePrefix) || i.Fault.Reason == ""):
			t.Errorf("%+v", i.Fault)
		}
	}
}
