package execsource

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"socialhub-sync/sources"
)

// writeOutput writes what a program says of many reviews, of about 300 bytes each, with a cursor now and then.
func writeOutput(tb testing.TB, dir string, items int, line, cursor string) {
	tb.Helper()
	file, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		tb.Fatal(err)
	}
	out := bufio.NewWriter(file)
	for n := range items {
		fmt.Fprintf(out, line, n, "The app is fine, but since the last update it needs ages to start on my phone.",
			n%60, n%5+1, n%1000, n%1000)
		if n%100 == 0 {
			fmt.Fprintf(out, cursor, n)
		}
	}
	if err := out.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
}

const (
	reviewLine = `{"interaction":{"networkItemId":"review-%d","message":"%s","createdTime":"2026-01-31T12:00:%02dZ",` +
		`"rating":{"value":%d,"scale":5},"interactor":{"interactorId":"user-%d","name":"Person %d"}}}` + "\n"
	cursorLine = `{"cursor":"%d"}` + "\n"
	recordLine = `{"type":"RECORD","stream":"reviews","record":{"id":"review-%d","text":"%s","created":"2026-01-31T12:00:%02dZ",` +
		`"stars":%d,"user":{"id":"user-%d","name":"Person %d"}}}` + "\n"
	stateLine = `{"type":"STATE","value":{"bookmarks":{"reviews":%d}}}` + "\n"
)

// countItems pulls everything and calls each after each batch.
func countItems(tb testing.TB, s sources.Source, each func()) (items int) {
	tb.Helper()
	for batch, err := range s.Pull(tb.Context(), sources.Request{}) {
		if err != nil {
			tb.Fatal(err)
		}
		items += len(batch.Items)
		each()
	}
	return items
}

func BenchmarkPull(b *testing.B) {
	const items = 100_000
	dir := b.TempDir()
	writeOutput(b, dir, items, reviewLine, cursorLine)
	s := openIn(b, dir, "command: [cat, output]")
	b.ReportAllocs()
	for b.Loop() {
		if n := countItems(b, s, func() {}); n != items {
			b.Fatal(n)
		}
	}
	b.ReportMetric(items*float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

func BenchmarkSinger(b *testing.B) {
	const items = 20_000
	dir := b.TempDir()
	writeOutput(b, dir, items, recordLine, stateLine)
	s := openIn(b, dir, "command: [sh, -c, cat output]\nformat: singer\n"+
		"mapping: '{networkItemId: item_id($prefix; .id), message: .text, createdTime: .created|time, rating: {value: .stars, scale: 5}, interactor: {interactorId: .user.id, name: .user.name}}'")
	b.ReportAllocs()
	for b.Loop() {
		if n := countItems(b, s, func() {}); n != items {
			b.Fatal(n)
		}
	}
	b.ReportMetric(items*float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

// Not parallel: it measures the memory of the whole process.
func TestMemoryDoesNotGrowWithTheItems(t *testing.T) {
	const items = 100_000
	dir := t.TempDir()
	writeOutput(t, dir, items, reviewLine, cursorLine)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	batches, most := 0, uint64(0)
	n := countItems(t, openIn(t, dir, "command: [cat, output]"), func() {
		if batches++; batches%20 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	})
	if n != items {
		t.Errorf("%d items", n)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d KiB more are in use while %d items are read", grown>>10, items)
	} else {
		t.Logf("at most %d KiB more in use", grown>>10)
	}
}
