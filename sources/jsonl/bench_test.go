package jsonl

import (
	"bufio"
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// benchLine is about 300 bytes long, like a review.
func benchLine(n int) string {
	return fmt.Sprintf(`{"networkItemId":"review-%d","message":"%s","createdTime":"2026-01-31T12:00:%02dZ",`+
		`"url":"https://reviews.example/item/%d","rating":{"value":%d,"scale":5},`+
		`"interactor":{"interactorId":"user-%d","name":"Person %d"}}`,
		n, "The app is fine, but since the last update it needs ages to start on my phone.", n%60, n, n%5+1, n%1000, n%1000)
}

func benchFile(b *testing.B, lines int) (dir string) {
	b.Helper()
	dir = b.TempDir()
	file, err := os.Create(filepath.Join(dir, "bench.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	out := bufio.NewWriter(file)
	for n := range lines {
		fmt.Fprintln(out, benchLine(n))
	}
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkPull reads a file of a million lines as a poll does.
func BenchmarkPull(b *testing.B) {
	const lines = 1_000_000
	env := sources.Env{Dir: benchFile(b, lines), Logger: slog.New(slog.DiscardHandler)}
	settings := Settings{Path: "bench.jsonl"}
	source, err := settings.Open(b.Context(), env)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		items := 0
		for batch, err := range source.Pull(b.Context(), sources.Request{}) {
			if err != nil {
				b.Fatal(err)
			}
			items += len(batch.Items)
		}
		if items != lines {
			b.Fatalf("%d items", items)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkFindRepeats is the first of the two readings.
func BenchmarkFindRepeats(b *testing.B) {
	const lines = 1_000_000
	file, err := os.Open(filepath.Join(benchFile(b, lines), "bench.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		found, err := findRepeats(b.Context(), file, info.Size())
		if err != nil {
			b.Fatal(err)
		}
		found.close()
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(benchLine(17))
	b.Run("chosen", func(b *testing.B) {
		var d decoder
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.decode(line{text: text}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	})
	b.Run("encoding_json", func(b *testing.B) {
		var r struct {
			socialhub.Interaction
			UpdatedTime time.Time          `json:"updatedTime"`
			Own         bool               `json:"own"`
			Deleted     bool               `json:"deleted"`
			Ref         stdjson.RawMessage `json:"ref"`
		}
		b.ReportAllocs()
		for b.Loop() {
			d := stdjson.NewDecoder(bytes.NewReader(text))
			d.DisallowUnknownFields()
			if err := d.Decode(&r); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	})
}
