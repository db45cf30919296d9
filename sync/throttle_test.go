package sync

import (
	"fmt"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
)

func TestAChannelInTroubleComesDownToOneRequestAtATime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	run := func(th *throttle, id string, o outcome) { th.start(); th.done(id, o, now) }
	free := func(th *throttle, at time.Time) bool { ok, _ := th.ready(at); return ok }

	t.Run("three tickets that fail in a row are trouble, however many succeeded before", func(t *testing.T) {
		t.Parallel()
		th := newThrottle()
		run(&th, "ok", succeeded)
		for n := range 2 {
			run(&th, fmt.Sprint(n), failed)
		}
		if !free(&th, now) {
			t.Error("throttled after two")
		}
		run(&th, "3", failed)
		ok, wait := th.ready(now)
		if ok || wait <= 0 || wait > maxPace {
			t.Errorf("after three: ready %v, wait %v", ok, wait)
		}
	})
	t.Run("one ticket that always fails is no trouble", func(t *testing.T) {
		t.Parallel()
		th := newThrottle()
		for range 100 {
			run(&th, "the same", failed)
		}
		if !free(&th, now) {
			t.Error("throttled")
		}
	})
	t.Run("a success in between says that SocialHub works", func(t *testing.T) {
		t.Parallel()
		th := newThrottle()
		for n := range 100 {
			run(&th, fmt.Sprint(n), failed)
			run(&th, fmt.Sprint("other", n), failed)
			run(&th, "ok", succeeded)
		}
		if !free(&th, now) {
			t.Error("throttled")
		}
	})
	t.Run("an answer that says neither changes nothing", func(t *testing.T) {
		t.Parallel()
		th := newThrottle()
		for n := range 3 {
			run(&th, fmt.Sprint(n), failed)
			run(&th, "x", neutral)
		}
		if free(&th, now) {
			t.Error("not throttled")
		}
	})
	t.Run("in trouble, one at a time, ten seconds apart at most, until one succeeds", func(t *testing.T) {
		t.Parallel()
		th := newThrottle()
		for n := range 50 {
			run(&th, fmt.Sprint(n), failed)
		}
		later := now.Add(maxPace)
		if !free(&th, later) {
			t.Fatal("not ready after the longest wait")
		}
		th.start()
		if ok, wait := th.ready(later); ok || wait != 0 {
			t.Errorf("a second one at the same time: ready %v, wait %v", ok, wait)
		}
		th.done("51", succeeded, later)
		th.start()
		if !free(&th, later) {
			t.Error("still throttled after a success")
		}
	})
}

func TestWhatLayReadyWhenTroubleBeganIsNotSent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: time.Second, Faults: onRoute(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.InternalError})}, sandbox.ChannelOptions{})
		w.options.Channels[0].Concurrency = 16
		w.shelf.fill("item", 100)
		defer w.start()()
		w.until("the first requests have their answers", func() bool { return w.requests(sandbox.RoutePost) >= 16 })
		pass(1100 * time.Millisecond) // what was sent at once after them has its answer, too
		if n := w.requests(sandbox.RoutePost); n > 16+throttleAfter {
			t.Errorf("%d requests in two seconds, the first 16 of which failed", n)
		}
	})
}
