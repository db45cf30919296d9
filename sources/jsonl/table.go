package jsonl

import (
	"hash/maphash"
	"math/bits"
)

// table is a hash table of fixed size from ids to the number of the first line that has one. Ids are compared by a
// hash of 64 bits that differs from reading to reading.
type table struct {
	seed  maphash.Seed
	slots []slot
	used  int
	hash  uint64 // of the last find
}

type slot struct {
	hash  uint64
	first int64 // 0: empty
}

const (
	maxSlots = 1 << 18
	minSlots = 1 << 8
	// leastLine is about the fewest bytes that a valid line has.
	leastLine = 24
)

// newTable returns a table that is large enough for a file of size bytes, or the largest one.
func newTable(size int64) *table {
	lines := uint64(min(size/leastLine, maxSlots))
	slots := min(max(minSlots, 1<<bits.Len64(lines+lines/2)), maxSlots)
	return &table{seed: maphash.MakeSeed(), slots: make([]slot, slots)}
}

func (t *table) clear() {
	clear(t.slots)
	t.used = 0
}

// full keeps a quarter of the slots free, so that searches stay short.
func (t *table) full() bool { return t.used >= len(t.slots)/4*3 }

// find returns the slot of an id, or the empty slot where it belongs.
func (t *table) find(id []byte) (int, bool) {
	t.hash = maphash.Bytes(t.seed, id)
	mask := len(t.slots) - 1
	for i := int(t.hash) & mask; ; i = (i + 1) & mask {
		switch s := t.slots[i]; {
		case s.first == 0:
			return i, false
		case s.hash == t.hash:
			return i, true
		}
	}
}

// put fills the empty slot that find returned.
func (t *table) put(i int, first int64) {
	t.slots[i] = slot{t.hash, first}
	t.used++
}
