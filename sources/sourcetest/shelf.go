package sourcetest

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// Shelf holds the items of a [World]; embed it. The zero value is empty. It is safe for use by several goroutines.
type Shelf struct {
	mu    sync.Mutex
	items map[int]Item
}

// Put implements [World].
func (s *Shelf) Put(items ...Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items == nil {
		s.items = map[int]Item{}
	}
	for _, item := range items {
		s.items[item.ID] = item
	}
}

// Remove implements [Remover].
func (s *Shelf) Remove(ids ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.items, id)
	}
}

// Items returns what is there, the item that changed first first; of one second in the order of their ids.
func (s *Shelf) Items() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.items), func(a, b Item) int {
		return cmp.Or(a.Updated.Compare(b.Updated), cmp.Compare(a.ID, b.ID))
	})
}
