package meter_test

import (
	"fmt"
	"runtime"
	"testing"

	"socialhub-sync/app/meter"
	"socialhub-sync/sync"
)

// It is not parallel: it measures the process.
func TestAThousandSourcesTakeLittleMemory(t *testing.T) {
	const sources, limit = 1000, 1000
	m := meter.New()
	before := inUse()
	for i := range sources {
		name := fmt.Sprint("source-", i)
		m.Read(sync.Batch{Source: name, Channel: "support", Counts: sync.Counts{New: 1}})
		m.Polled(sync.Poll{Source: name, Channel: "support", Outcome: sync.PollFound})
	}
	each := (inUse() - before) / sources
	runtime.KeepAlive(m)
	t.Logf("figures: %d bytes for each source", each)
	if each > limit {
		t.Errorf("%d bytes for each source, want at most %d", each, limit)
	}
}

// inUse is how many bytes of the heap are in use.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what the first one has only taken out of pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
