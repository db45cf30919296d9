package sourcetest

import (
	"time"

	"socialhub-sync/sources"
)

// What a check says that has nothing to check.
const (
	notPromised = "nothing to check: the suite does not promise it"
	notAble     = "nothing to check: the world can't do it"
)

func handsOutEverything(c *checker) {
	cursor := c.poll("")
	c.expectAll("after the first poll")
	if c.suite.Undated {
		return
	}
	for id, got := range c.ids.seen {
		want := c.want[id]
		if !got.created.IsZero() && !got.created.Equal(want.Created) {
			c.Errorf("CreatedTime is %s; want %s", got.created, want.Created)
			break
		}
		if !got.updated.IsZero() && !got.updated.Equal(want.Updated) {
			c.Errorf("UpdatedTime is %s; want %s", got.updated, want.Updated)
			break
		}
	}
	if cursor == "" {
		return
	}
	// What is new must be found by a poll that begins there.
	c.forget()
	item := c.add()
	c.poll(cursor)
	c.expect("by the second poll", func(i Item) bool { return i.ID == item.ID })
}

func goesOnAfterEachBatch(c *checker) { walk(c, sources.Request{}) }

func backfillGoesOn(c *checker) { walk(c, sources.Request{Backfill: true}) }

// walk stops after each batch, opens the source again and goes on with its cursor. As long as the cursor does not
// move, one batch more is taken.
func walk(c *checker, req sources.Request) {
	want := req
	whole := c.open()
	batches, err := whole.pull(c.context(), req, nil)
	whole.close()
	if err != nil {
		c.Fatalf("pull in one go: %v", err)
	}
	c.expectAll("in one go")
	c.forget()
	most := 10 * (len(batches) + 2) * (len(batches) + 2)
	taken := 1
	for steps := 0; ; steps++ {
		if steps > most {
			c.Fatalf("stopped after each batch, the source does not get to its end: %d stops for %d batches", steps, len(batches))
		}
		s := c.open()
		got, err := s.pull(c.context(), want, func(n int) bool { return n < taken })
		s.close()
		if err != nil {
			c.Fatalf("go on after a batch: %v", err)
		}
		if len(got) < taken {
			break
		}
		taken++
		if cursor := after(want.Cursor, got); cursor != want.Cursor {
			want.Cursor, taken = cursor, 1
		}
	}
	c.expectAll("stopped after each batch")
}

// during calls act in the middle of a pull, at most most times: after batches and, if the world tells, at requests.
func during(c *checker, most int, act func()) string {
	acts := 0
	once := func() {
		c.mu.Lock()
		acts++
		n := acts
		c.mu.Unlock()
		if n <= most {
			act()
		}
	}
	if w, ok := c.world.(Watcher); ok {
		w.OnRequest(func(int) { once() })
		defer w.OnRequest(nil)
	}
	s := c.open()
	defer s.close()
	batches, err := s.pull(c.context(), sources.Request{}, func(int) bool { once(); return true })
	if err != nil {
		c.Fatalf("pull: %v", err)
	}
	return after("", batches)
}

func losesNothingWhileItemsCome(c *checker) {
	cursor := during(c, 20, func() {
		c.add()
		if id := c.editable(); id != 0 {
			c.edit(id)
			c.edit(c.suite.Items)
		}
	})
	// Two polls, because the last change may come after the last request.
	cursor = c.poll(cursor)
	c.poll(cursor)
	c.expectAll("after items came while others were read")
}

func losesNothingWhileItemsGo(c *checker) {
	if _, ok := c.world.(Remover); !ok {
		c.Log(notAble)
		return
	}
	// First the oldest, then the newest: pages may be counted from either end.
	old, young := 1, c.suite.Items
	cursor := during(c, 10, func() {
		c.mu.Lock()
		ids := []int{old, old + 1, young, young - 1}
		old, young = old+2, young-2
		c.mu.Unlock()
		if ids[0] < ids[3] {
			c.remove(ids...)
		}
	})
	cursor = c.poll(cursor)
	c.poll(cursor)
	c.expectAll("after items went while others were read")
}

func findsEdits(c *checker) {
	if c.suite.Edits == 0 {
		c.Log(notPromised)
		return
	}
	cursor := c.poll("")
	c.expectAll("after the first poll")
	oldest := c.editable()
	for _, id := range []int{oldest, (oldest + c.suite.Items) / 2, c.suite.Items} {
		c.edit(id)
	}
	cursor = c.poll(cursor)
	c.expectAll("after edits")
	c.edit(oldest)
	c.poll(cursor)
	c.expectAll("after an edit of an item that was edited before")
}

func findsWhatComesLate(c *checker) {
	if c.suite.Late == 0 {
		c.Log(notPromised)
		return
	}
	cursor := c.poll("")
	for n, back := range []time.Duration{0, time.Second, c.suite.Late - time.Second} {
		at := c.newest.Add(-max(0, min(back, 30*24*time.Hour)))
		c.world.Put(c.item(c.suite.Items+1+n, at, at))
	}
	c.poll(cursor)
	c.expectAll("after items came late")
}

func tellsWhatWasRemoved(c *checker) {
	if !c.suite.Deletes {
		c.Log(notPromised)
		return
	}
	cursor := c.poll("")
	id := c.suite.Items
	c.remove(id)
	c.poll(cursor)
	if got := c.ids.seen[id]; !got.deleted {
		c.Errorf("an item that was removed is not handed out as deleted")
	}
	c.expectAll("after one was removed")
}

func handsOutLittleAgain(c *checker) {
	if !c.suite.Incremental {
		c.Log(notPromised)
		return
	}
	cursor := c.poll("")
	for range 3 {
		s := c.open()
		batches, err := s.pull(c.context(), sources.Request{Cursor: cursor}, nil)
		s.close()
		if err != nil {
			c.Fatalf("pull: %v", err)
		}
		if n := count(batches); n >= c.suite.Items {
			c.Fatalf("a poll when nothing changed hands out %d of %d items again", n, c.suite.Items)
		}
		cursor = after(cursor, batches)
	}
}

// survivesTheFuture puts an item from the future among the others: one false clock must not hide what comes next.
func survivesTheFuture(c *checker) {
	if c.suite.Undated {
		return
	}
	at := c.newest.AddDate(5, 0, 0)
	c.world.Put(c.item(c.suite.Items+1, at, at))
	cursor := c.poll("")
	c.expectAll("with an item from the future")
	for range 2 {
		c.add()
		cursor = c.poll(cursor)
		c.expectAll("after an item from the future")
	}
}

func backfillsWhatWasAskedFor(c *checker) {
	if c.suite.Undated {
		return
	}
	n := c.suite.Items
	since, until := c.known(1+n/3).Created, c.known(1+2*n/3).Created
	if id := c.editable(); id != 0 {
		c.edit(id)
	}
	c.poll("")
	knowsUpdates := !c.ids.seen[n].updated.IsZero()
	for _, req := range []sources.Request{
		{Backfill: true},
		{Backfill: true, Since: since},
		{Backfill: true, Until: until},
		{Backfill: true, Since: since, Until: until},
		{Backfill: true, Since: c.newest.Add(time.Hour)},
	} {
		c.forget()
		c.pull(req)
		c.expect("by a backfill of "+span(req), func(i Item) bool {
			if !knowsUpdates {
				i.Updated = i.Created
			}
			return req.Wants(i.Created, i.Updated)
		})
		for id, got := range c.ids.seen {
			if !req.Wants(got.created, got.updated) {
				c.Errorf("a backfill of %s hands out item %d of %s, changed %s", span(req), id, got.created, got.updated)
				break
			}
		}
	}
}

// span writes the bounds of a backfill.
func span(req sources.Request) string {
	end := func(t time.Time, none string) string {
		if t.IsZero() {
			return none
		}
		return t.Format(time.RFC3339)
	}
	return end(req.Since, "the beginning") + " to " + end(req.Until, "the end")
}
