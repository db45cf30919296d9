package httpapi

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"socialhub-sync/sources"
)

// archive has many reviews in pages of 100.
func archive(t testing.TB, reviews int) *api {
	const size = 100
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		var b strings.Builder
		b.WriteString(`{"reviews":[`)
		for n := from; n < min(from+size, reviews); n++ {
			if n > from {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"id":%d,"body":"The app is fine, but since the last update it needs ages to start on my phone.","stars":%d,`+
				`"author":{"id":%d,"name":"Person %d","avatar":null},"created_at":"2026-01-31T12:00:%02dZ","updated_at":"2026-01-31T12:00:%02dZ","tags":["a","b"]}`,
				n, n%5+1, n%1000, n%1000, n%60, n%60)
		}
		b.WriteString(`]}`)
		_, _ = w.Write([]byte(b.String()))
	})
}

const reviews = `
query: {offset: \($page.offset)}
paging: {kind: offset}
items: .reviews[]
cursor: {value: .updated_at}
map: |
  {networkItemId: item_id($prefix; .id), message: .body, rating: {value: .stars, scale: 5}, createdTime: .created_at, updatedTime: .updated_at,
   interactor: {interactorId: item_id($prefix; .author.id), name: .author.name, picture: .author.avatar}}`

// BenchmarkPull reads 20,000 reviews in pages of 100, the server's work included.
func BenchmarkPull(b *testing.B) {
	const items = 20_000
	a := archive(b, items)
	s := open(b, "url: "+a.URL+reviews)
	b.ReportAllocs()
	for b.Loop() {
		a.asked()
		n := 0
		for batch, err := range s.Pull(b.Context(), sources.Request{}) {
			if err != nil {
				b.Fatal(err)
			}
			n += len(batch.Items)
		}
		if n != items {
			b.Fatal(n, "items")
		}
	}
	b.ReportMetric(float64(items)*float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

// TestMemoryStaysFlat reads 20,000 items, of which at any time no more than some pages may be alive.
func TestMemoryStaysFlat(t *testing.T) {
	const items, most = 20_000, 4 << 20
	a := archive(t, items)
	s := open(t, "url: "+a.URL+reviews)
	alive := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var begin, peak int64
	n, batches := 0, 0
	for batch, err := range s.Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(batch.Items)
		if batches++; batches%20 == 1 {
			a.asked() // the double remembers
			now := alive()
			if begin == 0 {
				begin = now
			}
			peak = max(peak, now-begin)
		}
	}
	if n != items || peak > most {
		t.Errorf("%d items, %d KiB more alive than at the first page", n, peak>>10)
	}
	t.Logf("%d batches, %d KiB more alive than at the first page", batches, peak>>10)
}
