package jsonl

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

// TestRepeatsAreFoundHoweverSmallTheTable compares with a map of all ids.
func TestRepeatsAreFoundHoweverSmallTheTable(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var file strings.Builder
	first, last := map[int]int64{}, map[int]int64{}
	valid := map[int64]bool{}
	const lines = 4000
	for number := int64(1); number <= lines; number++ {
		id := random.IntN(2500)
		valid[number] = random.IntN(10) > 0
		if valid[number] {
			file.WriteString(itemLine(id, fmt.Sprint(number)))
		} else {
			fmt.Fprintf(&file, `{"networkItemId":"review-%d","mesage":""}`+"\n", id)
		}
		if first[id] == 0 {
			first[id] = number
		} else if valid[number] {
			last[id] = number
		}
	}
	in := strings.NewReader(file.String())
	small := newTable(0)
	if len(small.slots) > 300 {
		t.Fatalf("the table has %d slots", len(small.slots))
	}
	for name, table := range map[string]*table{"small": small, "large": newTable(in.Size())} {
		found, err := findRepeatsWith(t.Context(), in, in.Size(), table)
		if err != nil {
			t.Fatal(err)
		}
		defer found.close()
		var d decoder
		replaced := 0
		for id, number := range first {
			if found.replaced.has(number) != (last[id] > 0) {
				t.Errorf("%s table: id %d, line %d", name, id, number)
				continue
			}
			if last[id] == 0 {
				continue
			}
			replaced++
			l, err := found.last(number, in)
			if err != nil {
				t.Fatal(err)
			}
			item, err := d.decode(l)
			if err != nil || item.Interaction.Message != fmt.Sprint(last[id]) {
				t.Errorf("%s table: id %d: got %q, %v, want line %d", name, id, item.Interaction.Message, err, last[id])
			}
		}
		if replaced == 0 {
			t.Error("nothing was replaced")
		}
		replacing := 0
		for number := int64(1); number <= lines; number++ {
			if found.replacing.has(number) {
				replacing++
				if !valid[number] {
					t.Errorf("%s table: broken line %d replaces another", name, number)
				}
			}
		}
		if want := countValidRepeats(first, valid, file.String()); replacing != want {
			t.Errorf("%s table: %d lines replace others, want %d", name, replacing, want)
		}
	}
}

func countValidRepeats(first map[int]int64, valid map[int64]bool, file string) int {
	isFirst := map[int64]bool{}
	for _, number := range first {
		isFirst[number] = true
	}
	n := 0
	for i := range strings.Count(file, "\n") {
		if number := int64(i) + 1; valid[number] && !isFirst[number] {
			n++
		}
	}
	return n
}

func TestARootThatIsEditedLaterStillComesBeforeItsReplies(t *testing.T) {
	t.Parallel()
	text := itemLine(1, "root") +
		`{"networkItemId":"review-2","message":"reply","root":{"rootId":"review-1"}}` + "\n" +
		itemLine(1, "root, edited")
	if diff := cmp.Diff([]string{"review-1=root, edited", "review-2=reply"}, told(readBytes(t, []byte(text)))); diff != "" {
		t.Error(diff)
	}
}

// readBytes reads a file that is only in memory.
func readBytes(t *testing.T, text []byte) []sources.Batch {
	t.Helper()
	var batches []sources.Batch
	p := &pull{
		source: &source{env: sources.Env{Logger: slog.New(slog.DiscardHandler)}},
		ctx:    t.Context(), req: &sources.Request{},
		yield: func(b sources.Batch, _ error) bool { batches = append(batches, b); return true },
	}
	r := &reading{pull: p, name: "a.jsonl", in: bytes.NewReader(text), size: int64(len(text)), settled: true}
	whole, err := r.run()
	if err != nil || !whole {
		t.Fatalf("whole %t, error %v", whole, err)
	}
	if err := r.flush(""); err != nil {
		t.Fatal(err)
	}
	return batches
}

// FuzzLine reads any bytes as a file.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{
		itemLine(1, "a"), itemLine(1, "a") + itemLine(1, "b"), `{"networkItemId":"review-1"`, "\xEF\xBB\xBF{}\r\n\r\n",
		`{"ref":{"networkItemId":"x"},"networkItemId":"review-1"}`, `{"networkItemId" : "review\u002d1"}` + "\n" + itemLine(1, "b"),
		`{"\"networkItemId":"review-1"}`, `{"message":"\"networkItemId\":\"x\"","networkItemId":"review-1"}`, "null\n[]\n\"\"\n0",
		`{"networkItemId":`, `{"networkItemId":"`, `{"networkItemId":"review-1","rating":{"value":1e999,"scale":5}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		first := readBytes(t, text)
		seen := map[string]bool{}
		for _, b := range first {
			for _, item := range b.Items {
				key := item.Interaction.NetworkItemID
				if item.Fault != nil {
					key = item.Fault.Place
				}
				if key == "" || seen[key] {
					t.Errorf("%q comes twice or has no name", key)
				}
				seen[key] = true
			}
		}
		if diff := cmp.Diff(first, readBytes(t, text)); diff != "" {
			t.Errorf("another reading differs: %s", diff)
		}
		var d decoder
		for part := range bytes.SplitSeq(text, []byte("\n")) {
			item, err := d.decode(line{text: part})
			if id := item.Interaction.NetworkItemID; err == nil && string(d.idOf(line{text: part})) != id {
				t.Errorf("%q: the id is %q", part, id)
			}
		}
	})
}
