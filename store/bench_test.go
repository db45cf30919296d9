package store_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"socialhub-sync/store"
)

// benchRows is how many tickets the tables hold before a benchmark begins; STORE_BENCH_ROWS sets another number.
func benchRows(b *testing.B) int {
	text := os.Getenv("STORE_BENCH_ROWS")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("STORE_BENCH_ROWS: %v", err)
	}
	return n
}

const benchBatch = 500

var benchKey = store.PollKey{ChannelID: "5f0c1d2e3f4a5b6c7d8e9f00", Source: "reviews"}

func benchItem(i int) store.Seen {
	return store.Seen{NetworkItemID: fmt.Sprintf("rss-item-%012d", i), Hash: fmt.Sprintf("1%039x", i*2_654_435_761)}
}

// benchIntake stores items from..from+n as a poll does.
func benchIntake(from, n int, state store.State) store.Intake {
	in := store.Intake{Cursor: strconv.Itoa(from)}
	for i := range n {
		in.IDs = append(in.IDs, benchItem(from+i).NetworkItemID)
	}
	in.Decide = func(i int, _ *store.Ticket) *store.Ticket {
		item := benchItem(from + i)
		t := &store.Ticket{NetworkItemID: item.NetworkItemID, Source: benchKey.Source, WantedHash: item.Hash, State: state}
		if state == store.Pending {
			t.Payload = `{"interaction":{"message":"` + item.Hash + item.Hash + item.Hash + item.Hash + `"}}`
		} else {
			t.TicketID, t.DeliveredHash, t.Delivered = item.Hash[:24], item.Hash, true
		}
		return t
	}
	return in
}

// benchStore is a store with rows synced tickets.
func benchStore(b *testing.B, open func(testing.TB) *store.Store, rows int) (*store.Store, store.PollLease) {
	b.Helper()
	ctx, s := context.Background(), open(b)
	if _, err := s.Migrate(ctx); err != nil {
		b.Fatal(err)
	}
	if err := s.Register(ctx, map[string]string{benchKey.ChannelID: "support"}, []store.Stream{{PollKey: benchKey}}); err != nil {
		b.Fatal(err)
	}
	leases, err := s.ClaimPolls(ctx, "bench", []store.PollKey{benchKey}, time.Hour, true)
	if err != nil || len(leases) != 1 {
		b.Fatal(leases, err)
	}
	for from := 0; from < rows; from += 5000 {
		if err := s.Ingest(ctx, leases[0], benchIntake(from, min(5000, rows-from), store.Synced)); err != nil {
			b.Fatal(err)
		}
	}
	return s, leases[0]
}

// Requests to the webhook come one by one, at once.
func BenchmarkReceive(b *testing.B) {
	onBothEngines(b, func(b *testing.B, open func(testing.TB) *store.Store) {
		rows := benchRows(b)
		s, _ := benchStore(b, open, rows)
		var n atomic.Int64
		b.SetParallelism(max(1, 32/runtime.GOMAXPROCS(0)))
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				i := int(n.Add(1))
				item := benchItem(i % rows)
				a := store.NewAction{
					Key: item.Hash, UUID: fmt.Sprint(i), Type: "reply", ActionID: "answer", NetworkItemID: item.NetworkItemID,
					TicketID: item.Hash[:24], Payload: `{"followupId":"` + item.Hash + `","text":"` + item.Hash + item.Hash + `"}`, Time: time.Now(),
				}
				if _, err := s.Receive(context.Background(), benchKey.ChannelID, store.Receipt{Actions: []store.NewAction{a}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
		perSecond(b, 1)
	})
}

func perSecond(b *testing.B, each int) {
	b.ReportMetric(float64(b.N*each)/b.Elapsed().Seconds(), "items/s")
}

func BenchmarkDifferingOfUnchangedItems(b *testing.B) {
	onBothEngines(b, func(b *testing.B, open func(testing.TB) *store.Store) {
		rows := benchRows(b)
		s, _ := benchStore(b, open, rows)
		batches := make([][]store.Seen, max(1, rows/benchBatch))
		for i := range batches {
			for k := range benchBatch {
				batches[i] = append(batches[i], benchItem((i*benchBatch+k)%rows))
			}
		}
		i := 0
		for b.Loop() {
			got, err := s.Differing(context.Background(), benchKey.ChannelID, benchKey.Source, batches[i%len(batches)])
			if err != nil || len(got) != 0 {
				b.Fatal(len(got), err)
			}
			i++
		}
		perSecond(b, benchBatch)
	})
}

func BenchmarkIngestOfNewItems(b *testing.B) {
	onBothEngines(b, func(b *testing.B, open func(testing.TB) *store.Store) {
		from := benchRows(b)
		s, lease := benchStore(b, open, from)
		for b.Loop() {
			if err := s.Ingest(context.Background(), lease, benchIntake(from, benchBatch, store.Pending)); err != nil {
				b.Fatal(err)
			}
			from += benchBatch
		}
		perSecond(b, benchBatch)
	})
}

func BenchmarkSettle(b *testing.B) {
	for _, batch := range []int{1, 50, 500} {
		b.Run(fmt.Sprintf("of %d", batch), func(b *testing.B) {
			onBothEngines(b, func(b *testing.B, open func(testing.TB) *store.Store) { benchSettle(b, open, batch) })
		})
	}
}

func benchSettle(b *testing.B, open func(testing.TB) *store.Store, batch int) {
	ctx, rows := context.Background(), benchRows(b)
	s, _ := benchStore(b, open, rows)
	lease, ok, err := s.ClaimChannel(ctx, "bench", benchKey.ChannelID, time.Hour)
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	from := 0
	for b.Loop() {
		settlements := make([]store.Settlement, batch)
		for i := range settlements {
			item := benchItem((from + i) % rows)
			settlements[i] = store.Settlement{
				NetworkItemID: item.NetworkItemID, Sent: item.Hash, TicketID: item.Hash[:24], Delivered: &item.Hash,
				Same: store.Standing{State: store.Synced}, Changed: store.Standing{State: store.Pending},
			}
		}
		if err := s.Settle(ctx, lease, settlements); err != nil {
			b.Fatal(err)
		}
		from += batch
	}
	perSecond(b, batch)
}
