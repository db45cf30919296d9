package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"socialhub-sync/sources"
)

// verdict tells what is wrong with the error of a pull in trouble; empty if nothing.
type verdict func(error) string

var verdicts = map[Trouble]verdict{
	Unauthorized: wantStop,
	Throttled:    wantRetryAfter,
	Unavailable:  wantRetryAfter,
	Failing:      wantPlain,
	Dropped:      wantPlain,
	CutOff:       wantPlain,
	LoginPage:    wantPlain,
	Garbage:      wantPlain,
	TooLarge:     wantPlain,
}

// troubles are the keys of verdicts in the order in which they are tried.
var troubles = []Trouble{Unauthorized, Throttled, Unavailable, Failing, Dropped, CutOff, LoginPage, Garbage, TooLarge}

func wantStop(err error) string {
	if _, ok := errors.AsType[*sources.StopError](err); !ok {
		return "want a *sources.StopError: a person must mend it"
	}
	if setting, ok := errors.AsType[*sources.SettingError](err); !ok || setting.Key == "" {
		return "want a *sources.SettingError in it, which names the setting to mend"
	}
	return ""
}

func wantRetryAfter(err error) string {
	retry, ok := errors.AsType[*sources.RetryAfterError](err)
	if !ok {
		return "want a *sources.RetryAfterError"
	}
	if retry.After <= 0 || retry.After > RetryAfter {
		return fmt.Sprintf("want to come back after %s, not %s", RetryAfter, retry.After)
	}
	return ""
}

func wantPlain(err error) string {
	_, stop := errors.AsType[*sources.StopError](err)
	_, retry := errors.AsType[*sources.RetryAfterError](err)
	if stop || retry {
		return "want neither a *sources.StopError nor a *sources.RetryAfterError: it may heal by itself"
	}
	return ""
}

// saysWhatToDo begins each trouble before a pull, which must move nothing.
func saysWhatToDo(c *checker) {
	breaker, ok := c.world.(Breaker)
	if !ok {
		c.Log(notAble)
		return
	}
	cursor := c.poll("")
	c.add() // so that there is something to ask for
	for _, trouble := range troubles {
		if breaker.Break(trouble) {
			inTrouble(c, trouble, c.settings, cursor, verdicts[trouble])
		}
		breaker.Break(Fine)
	}
	if c.suite.Timeout != "" && breaker.Break(Hanging) {
		inTrouble(c, Hanging, c.settings+"\n"+c.suite.Timeout+"\n", cursor, wantPlain)
		breaker.Break(Fine)
	}
	c.poll(cursor)
	c.expectAll("after all troubles")
}

func inTrouble(c *checker, trouble Trouble, settings, cursor string, wrong verdict) {
	for _, from := range []string{"", cursor} {
		s := c.openWith(settings)
		batches, err := s.pull(c.context(), sources.Request{Cursor: from}, nil)
		s.close()
		if err == nil {
			c.Errorf("%s: no error", trouble)
			continue
		}
		if problem := wrong(err); problem != "" {
			c.Errorf("%s: %v: %s", trouble, err, problem)
		}
		if next := after(from, batches); next != from {
			c.Errorf("%s: the cursor moves from %q to %q", trouble, from, next)
		}
		if n := count(batches); n > 0 {
			c.Errorf("%s: %d items come from nowhere", trouble, n)
		}
		if strings.Contains(err.Error(), "<form") {
			c.Errorf("%s: the error shows what the server sent", trouble)
		}
	}
}

// survivesTrouble begins each trouble in the middle of a pull.
func survivesTrouble(c *checker) {
	breaker, ok := c.world.(Breaker)
	if !ok {
		c.Log(notAble)
		return
	}
	for _, trouble := range troubles {
		if !breaker.Break(trouble) {
			continue
		}
		breaker.Break(Fine)
		c.forget()
		cursor, came := breakInTheMiddle(c, breaker, trouble)
		breaker.Break(Fine)
		if !came {
			c.Log("nothing to check: a pull is one request")
			return
		}
		c.poll(cursor)
		c.expectAll(fmt.Sprintf("after the trouble %q in the middle of a pull", trouble))
	}
}

// breakInTheMiddle pulls from a source that gets into trouble before the second request or, if the world does not
// tell of requests, after the first batch. It returns the cursor, and whether there was a middle.
func breakInTheMiddle(c *checker, breaker Breaker, trouble Trouble) (cursor string, came bool) {
	var begun atomic.Bool
	begin := func() {
		begun.Store(true)
		breaker.Break(trouble)
	}
	w, watched := c.world.(Watcher)
	if watched {
		w.OnRequest(func(n int) {
			if n == 2 {
				begin()
			}
		})
		defer w.OnRequest(nil)
	}
	s := c.open()
	defer s.close()
	batches, err := s.pull(c.context(), sources.Request{}, func(int) bool {
		if !watched {
			begin()
		}
		return true
	})
	if err != nil {
		if problem := verdicts[trouble](err); problem != "" {
			c.Errorf("%s in the middle of a pull: %v: %s", trouble, err, problem)
		}
	}
	return after("", batches), begun.Load()
}

// pagesNotForEver wants an end to pages that all have the same next page.
func pagesNotForEver(c *checker) {
	breaker, ok := c.world.(Breaker)
	if !ok || !breaker.Break(Repeating) {
		c.Log(notAble)
		return
	}
	breaker.Break(Fine)
	normal, _, _ := limited(c, "")
	breaker.Break(Repeating)
	requests, cursor, err := limited(c, "")
	breaker.Break(Fine)
	switch {
	case requests > MaxRequests:
		c.Errorf("a server that repeats its page is asked more than %d times", MaxRequests)
	case err == nil && normal > 1:
		c.Errorf("a server that repeats its page is no error (%d requests)", requests)
	}
	c.poll(cursor)
	c.expectAll("after a server repeated its page")
}

// limited pulls with no more than [MaxRequests] requests, and tells how many there were.
func limited(c *checker, cursor string) (requests int, next string, err error) {
	ctx, cancel := context.WithCancelCause(c.context())
	defer cancel(nil)
	var mu sync.Mutex
	if w, ok := c.world.(Watcher); ok {
		w.OnRequest(func(n int) {
			mu.Lock()
			defer mu.Unlock()
			if requests = n; n > MaxRequests {
				cancel(errors.New("sourcetest: too many requests"))
			}
		})
		defer w.OnRequest(nil)
	}
	s := c.open()
	defer s.close()
	batches, err := s.pull(ctx, sources.Request{Cursor: cursor}, nil)
	mu.Lock()
	defer mu.Unlock()
	return requests, after(cursor, batches), err
}

// stopsWithItsContext cancels before a pull, between its batches and while the world does not answer.
func stopsWithItsContext(c *checker) {
	reason := errors.New("sourcetest: shutting down")
	ctx, cancel := context.WithCancelCause(c.context())
	cancel(reason)
	s := c.open()
	if _, err := s.pull(ctx, sources.Request{}, nil); !errors.Is(err, reason) {
		c.Errorf("with a context that is done: got the error %v; want its cause", err)
	}
	s.close()
	stopsBetweenBatches(c, reason)
	if breaker, ok := c.world.(Breaker); ok && breaker.Break(Hanging) {
		stopsWhileWaiting(c, reason)
		breaker.Break(Fine)
	}
}

func stopsBetweenBatches(c *checker, reason error) {
	ctx, cancel := context.WithCancelCause(c.context())
	defer cancel(nil)
	s := c.open()
	defer s.close()
	got := 0
	batches, err := s.pull(ctx, sources.Request{}, func(n int) bool {
		cancel(reason)
		got = n
		return true
	})
	switch {
	case got > 2:
		c.Errorf("%d batches come after the context is done; want at most one", got-1)
	case err == nil && count(batches) < c.suite.Items:
		c.Errorf("a pull whose context is done ends in its middle without an error")
	case err != nil && !errors.Is(err, reason):
		c.Errorf("cancelled between batches: got the error %v; want the context's cause", err)
	}
}

func stopsWhileWaiting(c *checker, reason error) {
	ctx, cancel := context.WithCancelCause(c.context())
	defer cancel(nil)
	if w, ok := c.world.(Watcher); ok {
		w.OnRequest(func(int) { cancel(reason) })
		defer w.OnRequest(nil)
	} else {
		defer time.AfterFunc(100*time.Millisecond, func() { cancel(reason) }).Stop()
	}
	s := c.open()
	done := make(chan error, 1)
	go func() {
		_, err := s.pull(ctx, sources.Request{}, nil)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, reason) {
			c.Errorf("cancelled while the world does not answer: got the error %v; want the context's cause", err)
		}
		s.close()
	case <-time.After(c.patience):
		s.closed = true // Close must not be called while a pull runs
		c.Errorf("a pull does not stop with its context while the world does not answer")
	}
}

func closesEarly(c *checker) {
	for most := range 3 {
		s := c.open()
		if _, err := s.pull(c.context(), sources.Request{}, func(n int) bool { return n <= most }); err != nil {
			c.Errorf("pull: %v", err)
		}
		s.close()
	}
	c.open().close() // no pull at all
}
