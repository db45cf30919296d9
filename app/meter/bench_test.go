package meter_test

import (
	"testing"
	"time"

	"socialhub-sync/app/meter"
	"socialhub-sync/socialhub"
	"socialhub-sync/sync"
)

// BenchmarkDelivery is what the meter adds to one delivery: the request and the ticket.
func BenchmarkDelivery(b *testing.B) {
	m, now := meter.New(), time.Now()
	observe := m.Exchange("support")
	limit := socialhub.RateLimit{Known: true, Limit: 1000, Remaining: 999}
	b.ReportAllocs()
	for b.Loop() {
		observe(socialhub.Exchange{Operation: socialhub.OpCreate, Outcome: socialhub.Done, Took: time.Second, Limit: limit})
		m.Delivered(sync.Delivery{
			Channel: "support", Operation: sync.Create, Sent: true, Outcome: socialhub.Done, Answered: now, Stored: now, Updated: now,
		})
	}
}
