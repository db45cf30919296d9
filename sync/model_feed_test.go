package sync

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"time"

	"socialhub-sync/sources"
)

// feed is a source. A journal is read on from its cursor, of a gallery the present state is read each time. The
// cursor of every batch is its own, so that the chain of cursors tells which batches were committed.
type feed struct {
	snapshot bool
	trap     func(*replica) bool

	mu      gosync.Mutex
	journal []entry
	gallery [len(items)]*entry
	pulls   []*pulled
	number  int
	// What the next pulls meet: a wait before the first batch, an error after it.
	stall time.Duration
	fail  error
	// hold, if set, holds the next pull until it is closed; holding is who pulled.
	hold    chan struct{}
	holding *replica
}

// entry is an edition of an item.
type entry struct {
	item, variant int
	deleted       bool
	updated       time.Time
}

// pulled is what one pull handed out.
type pulled struct {
	from    string
	batches []handed
}

// handed is one batch.
type handed struct {
	cursor  string
	entries []entry
}

// put shows an edition.
func (f *feed) put(e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.journal = append(f.journal, e)
	f.gallery[e.item] = &e
}

// edit shows another edition of everything that is there.
func (f *feed) edit(variant int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for item, e := range f.gallery {
		if e != nil && !e.deleted {
			next := entry{item: item, variant: (e.variant + 1 + variant) % variants, updated: time.Now().UTC()}
			f.journal = append(f.journal, next)
			f.gallery[item] = &next
		}
	}
}

// vanish takes an item out of a gallery.
func (f *feed) vanish(item int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gallery[item] = nil
}

// latest is the last edition of an item, nil if it has none.
func (f *feed) latest(item int) *entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range slices.Backward(f.journal) {
		if e.item == item {
			return &e
		}
	}
	return nil
}

// current is what the source says of an item now; nil if it shows nothing of it.
func (f *feed) current(item int) *entry {
	if !f.snapshot {
		return f.latest(item)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gallery[item]
}

// opened is a feed as one replica reads it.
type opened struct {
	*feed
	by *replica
}

func (o *opened) Close() error { return nil }

func (o *opened) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		position, _, _ := strings.Cut(req.Cursor, "/")
		from, _ := strconv.Atoi(position)
		this, entries, stall, fail := o.begin(req.Cursor, from)
		if stall > 0 && !pause(ctx, stall) || !o.held(ctx) {
			return
		}
		for rest := range slices.Chunk(entries, 2) {
			from += len(rest)
			batch := o.hand(this, from, rest)
			if o.trap(o.by) || !yield(batch, nil) {
				return
			}
			if fail != nil {
				break
			}
		}
		if fail != nil {
			yield(sources.Batch{}, fail)
		}
	}
}

// held waits as long as the feed holds its pulls, which is for one of them; false means that the poll was stopped.
func (o *opened) held(ctx context.Context) bool {
	o.mu.Lock()
	hold := o.hold
	if o.hold = nil; hold != nil {
		o.holding = o.by
	}
	o.mu.Unlock()
	if hold == nil {
		return true
	}
	select {
	case <-hold:
		return true
	case <-ctx.Done():
		return false
	}
}

// begin notes a pull and reads what it will hand out.
func (f *feed) begin(cursor string, from int) (this *pulled, entries []entry, stall time.Duration, fail error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	this = &pulled{from: cursor}
	f.pulls = append(f.pulls, this)
	if stall, fail = f.stall, f.fail; fail != nil || stall > 0 {
		f.stall, f.fail = 0, nil
	}
	if !f.snapshot {
		return this, slices.Clone(f.journal[min(from, len(f.journal)):]), stall, fail
	}
	for _, e := range slices.Backward(f.gallery[:]) { // replies before their roots
		if e != nil {
			entries = append(entries, *e)
		}
	}
	return this, entries, stall, fail
}

// hand makes a batch and notes it.
func (f *feed) hand(this *pulled, position int, entries []entry) sources.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number++
	b := sources.Batch{Cursor: fmt.Sprintf("%d/%d", position, f.number)}
	for _, e := range entries {
		b.Items = append(b.Items, e.asItem())
	}
	this.batches = append(this.batches, handed{b.Cursor, entries})
	return b
}

// committed are the batches that led to a cursor: every commit leaves a cursor of its own, so a batch that is not on
// the way to the last one was not committed.
func (f *feed) committed(cursor string) (batches [][]entry, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for cursor != "" {
		at := -1
		i := slices.IndexFunc(f.pulls, func(p *pulled) bool {
			at = slices.IndexFunc(p.batches, func(h handed) bool { return h.cursor == cursor })
			return at >= 0
		})
		if i < 0 {
			return nil, fmt.Errorf("nobody handed out the cursor %q", cursor)
		}
		for n := at; n >= 0; n-- {
			batches = append(batches, f.pulls[i].batches[n].entries)
		}
		cursor = f.pulls[i].from
	}
	slices.Reverse(batches)
	return batches, nil
}

// meet makes trouble for the next pull.
func (f *feed) meet(s step, realTime bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if realTime {
		s.Wait /= 1000
	}
	switch {
	case s.Act == "stall":
		f.stall = s.Wait
	case s.Variant == 0:
		f.fail = &sources.StopError{Err: errors.New("the door is locked")}
	case s.Variant == 1:
		f.fail = &sources.RetryAfterError{After: s.Wait, Err: errors.New("not now")}
	default:
		f.fail = errors.New("no answer")
	}
}
