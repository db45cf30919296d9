package sqlsource

import (
	"testing"

	"socialhub-sync/sources"
)

// BenchmarkPull reads 100,000 rows as the first poll does.
func BenchmarkPull(b *testing.B) {
	const rows = 100_000
	for _, e := range testEngines {
		b.Run(e.name, func(b *testing.B) {
			address := e.create(b)
			src := reviews(b, e, address, rows, func(n int) string { return quoted(n / 7) }).open(b)
			b.ReportAllocs()
			for b.Loop() {
				items := 0
				for batch, err := range src.Pull(b.Context(), sources.Request{}) {
					if err != nil {
						b.Fatal(err)
					}
					items += len(batch.Items)
				}
				if items != rows {
					b.Fatalf("%d rows", items)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
