package sourcetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/sources"
)

// check is one part of the contract.
type check struct {
	name string
	run  func(*checker)
}

// suite is what a check works with: it acts in a small world.
func (k check) suite(s Suite) Suite {
	if slices.ContainsFunc(actionChecks(), func(other check) bool { return other.name == k.name }) {
		s.Items = actItems
	}
	return s
}

func checks() []check {
	return []check{
		{"hands out everything", handsOutEverything},
		{"goes on after each batch", goesOnAfterEachBatch},
		{"goes on after each batch of a backfill", backfillGoesOn},
		{"loses nothing while items come and change", losesNothingWhileItemsCome},
		{"loses nothing while items go", losesNothingWhileItemsGo},
		{"finds edits", findsEdits},
		{"finds what comes late", findsWhatComesLate},
		{"tells what was removed", tellsWhatWasRemoved},
		{"does not hand out everything again", handsOutLittleAgain},
		{"is not blinded by an item from the future", survivesTheFuture},
		{"takes cursors that it did not make", takesStrangeCursors},
		{"backfills what was asked for", backfillsWhatWasAskedFor},
		{"stops with its context", stopsWithItsContext},
		{"closes after a pull that was ended early", closesEarly},
		{"says what to do in trouble", saysWhatToDo},
		{"loses nothing by trouble in the middle", survivesTrouble},
		{"does not page for ever", pagesNotForEver},
		{"asks for its settings", asksForItsSettings},
	}
}

// checker is what one check works with: a world that is filled, and what it holds.
type checker struct {
	testing.TB
	suite    Suite
	world    World
	settings string
	ids      *ids
	patience time.Duration

	mu       sync.Mutex // what follows is also used while a request is answered
	want     map[int]Item
	versions map[int]int
	newest   time.Time
	tasks    int // of the team, so far
}

// age is how long ago the newest item of a new world changed.
const age = 5 * time.Minute

func newChecker(t testing.TB, suite Suite) *checker {
	if suite.Items == 0 {
		suite.Items = DefaultItems
	}
	c := &checker{
		TB: t, suite: suite, patience: patience, world: suite.World(t), ids: newIDs(),
		want: map[int]Item{}, versions: map[int]int{},
	}
	c.settings = c.world.Settings()
	groups := (suite.Items - 1) / sameSecond
	step := suite.step(groups)
	c.newest = time.Now().UTC().Truncate(time.Second).Add(-age)
	first := c.newest.Add(-time.Duration(groups) * step)
	var items []Item
	for n := range suite.Items {
		at := first.Add(time.Duration(n/sameSecond) * step)
		items = append(items, c.item(n+1, at, at))
	}
	c.world.Put(items...)
	return c
}

// step is the time between two groups of items: all of them take four times as long as the adapter looks back.
func (s *Suite) step(groups int) time.Duration {
	var longest time.Duration
	for _, span := range []time.Duration{s.Edits, s.Late} {
		if span != Always {
			longest = max(longest, span)
		}
	}
	if groups == 0 {
		return time.Second
	}
	return max(time.Second, (4 * longest / time.Duration(groups)).Round(time.Second))
}

// sameSecond is how many items share their times.
const sameSecond = 3

// item notes that the world will have this item, in its next version.
func (c *checker) item(id int, created, updated time.Time) Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions[id]++
	item := Item{ID: id, Text: textOf(id, c.versions[id]), Created: created, Updated: updated}
	c.want[id] = item
	return item
}

// tick returns a time after all others.
func (c *checker) tick() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest = c.newest.Add(time.Second)
	return c.newest
}

// known returns what the world holds of an item.
func (c *checker) known(id int) Item {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.want[id]
}

// add puts a new item into the world, edit changes one now.
func (c *checker) add() Item {
	at := c.tick()
	c.mu.Lock()
	id := len(c.versions) + 1
	c.mu.Unlock()
	item := c.item(id, at, at)
	c.world.Put(item)
	return item
}

func (c *checker) edit(id int) {
	c.world.Put(c.item(id, c.known(id).Created, c.tick()))
}

// remove takes items out of the world; nobody waits for them any more.
func (c *checker) remove(ids ...int) {
	c.mu.Lock()
	for _, id := range ids {
		delete(c.want, id)
	}
	c.mu.Unlock()
	c.world.(Remover).Remove(ids...)
}

// editable is the oldest item whose edit must be found, 0 if there is none.
func (c *checker) editable() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(c.want)) {
		if c.newest.Sub(c.want[id].Created) <= c.suite.Edits-time.Second {
			return id
		}
	}
	return 0
}

func (c *checker) open() *session {
	c.Helper()
	return c.openWith(c.settings)
}

func (c *checker) openWith(settings string) *session {
	c.Helper()
	s := openSession(c.TB, c.suite.Adapter, c.TempDir(), settings, c.suite.Secrets)
	s.ids, s.most = c.ids, c.suite.Items+MaxRequests // no batch without an item, apart from some
	c.Cleanup(s.close)
	return s
}

// context ends a pull that would not end.
func (c *checker) context() context.Context {
	ctx, cancel := context.WithTimeoutCause(c.Context(), 2*time.Minute, fmt.Errorf("sourcetest: a pull takes too long"))
	c.Cleanup(cancel)
	return ctx
}

// poll opens the source, pulls from it to the end and closes it. It returns the cursor to go on with.
func (c *checker) poll(cursor string) string {
	c.Helper()
	return c.pull(sources.Request{Cursor: cursor})
}

func (c *checker) pull(req sources.Request) string {
	c.Helper()
	s := c.open()
	defer s.close()
	batches, err := s.pull(c.context(), req, nil)
	if err != nil {
		c.Fatalf("pull: %v", err)
	}
	return after(req.Cursor, batches)
}

// after is the stored cursor when batches are stored.
func after(cursor string, batches []sources.Batch) string {
	for _, b := range batches {
		if b.Cursor != "" {
			cursor = b.Cursor
		}
	}
	return cursor
}

// count is how many items batches hold.
func count(batches []sources.Batch) (n int) {
	for _, b := range batches {
		n += len(b.Items)
	}
	return n
}

// forget makes that everything must be seen again.
func (c *checker) forget() { clear(c.ids.seen) }

// expectAll wants everything in the world to have been seen as it is now.
func (c *checker) expectAll(when string) {
	c.Helper()
	c.expect(when, func(Item) bool { return true })
}

// expect wants what is wanted to have been seen as it is now.
func (c *checker) expect(when string, wanted func(Item) bool) {
	c.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing, old []int
	for _, id := range slices.Sorted(maps.Keys(c.want)) {
		got, ok := c.ids.seen[id]
		switch {
		case !wanted(c.want[id]):
		case !ok:
			missing = append(missing, id)
		case got.text != c.want[id].Text:
			old = append(old, id)
		}
	}
	if len(missing) > 0 {
		c.Errorf("%s, %d of %d items are missing: %s", when, len(missing), len(c.want), list(missing))
	}
	if len(old) > 0 {
		c.Errorf("%s, %d of %d items are not seen as they are now: %s", when, len(old), len(c.want), list(old))
	}
}

// list writes the first numbers.
func list(ids []int) string {
	const most = 10
	var texts []string
	for _, id := range ids[:min(most, len(ids))] {
		texts = append(texts, fmt.Sprint(id))
	}
	if len(ids) > most {
		texts = append(texts, "…")
	}
	return strings.Join(texts, ", ")
}
