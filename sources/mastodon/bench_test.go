package mastodon

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
)

// crowd is a hashtag with so many posts that they are written when they are asked for, numbered from 1. Every 40th
// is a reply.
func crowd(posts int) http.Handler {
	begin := time.Now().Add(-48 * time.Hour).UTC().Truncate(time.Second)
	const content = `<p>Post %d says that the coffee is <a href="https://far.example/tags/tea" class="mention hashtag" rel="tag">#<span>tea</span></a>, see <a href="https://shop.example/%d">https://shop.example/%d</a></p>`
	model, err := json.Marshal(post{ID: "%d", Visibility: "public", Account: anna, Content: strings.ReplaceAll(content, "%d", "{n}")})
	if err != nil {
		panic(err)
	}
	write := func(w io.Writer, n int) {
		parent := "null"
		if n%40 == 0 {
			parent = strconv.Quote(strconv.Itoa(n + 1_000_000_000))
		}
		_, _ = strings.NewReplacer("%d", strconv.Itoa(n), "{n}", strconv.Itoa(n), `"in_reply_to_id":null`, `"in_reply_to_id":`+parent,
			"0001-01-01T00:00:00Z", begin.Add(time.Duration(n)*time.Second).Format(time.RFC3339)).WriteString(w, string(model))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/verify_credentials"):
			say(w, http.StatusOK, me)
			return
		case strings.HasSuffix(r.URL.Path, "/context"):
			_, _ = io.WriteString(w, `{"ancestors":[],"descendants":[]}`)
			return
		}
		top, err := strconv.Atoi(r.FormValue("max_id"))
		if err != nil {
			top = posts + 1
		}
		before := "["
		for n := top - 1; n > 0 && n >= top-statusesPerPage && r.FormValue("min_id") == ""; n-- {
			_, _ = io.WriteString(w, before)
			write(w, n)
			before = ","
		}
		if before == "[" {
			_, _ = io.WriteString(w, before)
		}
		_, _ = io.WriteString(w, "]")
	})
}

const crowded = "mentions: false\nthreads: false\nhashtags: [tea]\nhistory: 8784h"

// TestMemoryStaysFlatOver20000Posts runs alone, before those that run in parallel. 70 bytes kept of each post would fail it.
func TestMemoryStaysFlatOver20000Posts(t *testing.T) { //nolint:paralleltest // it measures the heap
	const posts = 20_000
	server := httptest.NewServer(crowd(posts))
	defer server.Close()
	source := open(t, server.URL, crowded, slog.New(slog.DiscardHandler)).(*source)
	source.maxRoots = posts / 10
	defer func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}()
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var early int64
	read := 0
	for batch, err := range source.Pull(t.Context(), sources.Request{Backfill: true}) {
		if err != nil {
			t.Fatal(err)
		}
		before := read
		read += len(batch.Items)
		if before < 4_000 && read >= 4_000 {
			early = heap()
		}
		if before < 19_500 && read >= 19_500 {
			if late := heap(); late > early+1<<20 {
				t.Errorf("the heap grows from %d to %d bytes", early, late)
			}
		}
	}
	if read != posts {
		t.Errorf("%d posts", read)
	}
}

// BenchmarkPull reads a hashtag of 10,000 posts from a server on this machine, which shares the processor.
func BenchmarkPull(b *testing.B) {
	const posts = 10_000
	server := httptest.NewServer(crowd(posts))
	defer server.Close()
	source := open(b, server.URL, crowded, slog.New(slog.DiscardHandler))
	defer func() {
		if err := source.Close(); err != nil {
			b.Error(err)
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		read := 0
		for batch, err := range source.Pull(b.Context(), sources.Request{}) {
			if err != nil {
				b.Fatal(err)
			}
			read += len(batch.Items)
		}
		if read != posts {
			b.Fatalf("%d posts", read)
		}
	}
	b.ReportMetric(float64(posts)*float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}
