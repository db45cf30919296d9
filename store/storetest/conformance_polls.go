package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"socialhub-sync/store"
)

// ended is the time to live of a lease that is over as soon as it is given.
const ended = -time.Second

var pollChecks = []check{
	{"a stream that was never polled is due at once", func(t *testing.T, f *fixture) {
		f.must(f.store.Register(f.ctx, nil, []store.Stream{stream("new")}))
		f.same(f.duePolls(), []store.PollKey{key("new")})
	}},
	{"registering the same again changes neither plan nor cursor nor lease", func(t *testing.T, f *fixture) {
		f.must(f.ingest(f.polls[sourceA], "here"))
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceB], store.PollResult{Next: 2 * time.Hour}))
		before := f.sources()
		for range 2 {
			f.must(f.store.Register(f.ctx, map[string]string{channel: "support"}, []store.Stream{stream(sourceB), stream(sourceA)}))
		}
		f.same(f.sources(), before)
		f.same(f.cursor(sourceA), "here")
		f.must(f.ingest(f.polls[sourceA], "there"))
	}},
	{"a channel can be renamed", func(t *testing.T, f *fixture) {
		f.must(f.store.Register(f.ctx, map[string]string{channel: "sales"}, nil))
		channels, err := f.store.ChannelStatuses(f.ctx)
		f.must(err)
		if len(channels) != 1 || channels[0].Name != "sales" {
			t.Errorf("got %v", channels)
		}
	}},
	{"another schedule plans the next poll anew", func(t *testing.T, f *fixture) {
		for _, planned := range []time.Duration{time.Minute, 24 * time.Hour} {
			again := stream(sourceA)
			again.Schedule = "planned for " + planned.String()
			f.must(f.store.FinishPoll(f.ctx, f.claimed(sourceA), store.PollResult{Next: planned}))
			f.must(f.store.Register(f.ctx, nil, []store.Stream{again}))
			next := f.source(sourceA).NextPoll
			if in := time.Until(next); in < 50*time.Minute || in > 70*time.Minute {
				t.Errorf("planned in %v before, in %v now; want an hour", planned, in)
			}
		}
	}},
	{"a poll that is late stays due under another schedule", func(t *testing.T, f *fixture) {
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{Next: ended}))
		again := stream(sourceA)
		again.Schedule = "@daily"
		f.must(f.store.Register(f.ctx, nil, []store.Stream{again}))
		f.same(f.duePolls(), []store.PollKey{key(sourceA)})
	}},
	{"registering releases a source that waited for a person", func(t *testing.T, f *fixture) {
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{Error: "no", Pause: "wrong password", Next: time.Hour}))
		f.same(f.source(sourceA).Pause, "wrong password")
		f.must(f.store.Register(f.ctx, nil, []store.Stream{stream(sourceA)}))
		f.same(f.source(sourceA).Pause, "")
		f.same(f.duePolls(), []store.PollKey{key(sourceA)})
	}},
	{"what is registered anew is due at once, with or without a pause, and what is not stays as it is", func(t *testing.T, f *fixture) {
		anew := stream(sourceA)
		anew.Anew = true
		for _, stopped := range []string{"", "wrong password"} {
			for _, source := range []string{sourceA, sourceB} {
				f.must(f.store.FinishPoll(f.ctx, f.claimed(source), store.PollResult{Error: "no", Pause: stopped, Next: time.Hour}))
			}
			f.must(f.store.Register(f.ctx, nil, []store.Stream{anew}))
			f.same(f.duePolls(), []store.PollKey{key(sourceA)})
			f.same([]string{f.source(sourceA).Pause, f.source(sourceB).Pause}, []string{"", stopped})
		}
	}},
	{"a poll under way of what is registered anew is finished, and neither plans the next one nor stops the source", func(t *testing.T, f *fixture) {
		anew := stream(sourceA)
		anew.Anew = true
		for _, result := range []store.PollResult{{Next: time.Hour, New: 3}, {Error: "no", Pause: "wrong password", Next: time.Hour, New: 3}} {
			lease := f.claimed(sourceA)
			f.must(f.store.Register(f.ctx, nil, []store.Stream{anew, stream(sourceB)}))
			f.same(f.duePolls(), []store.PollKey(nil))
			f.must(f.ingest(lease, "here"))
			f.must(f.store.FinishPoll(f.ctx, lease, result))
			f.same(f.duePolls(), []store.PollKey{key(sourceA)})
			if got := f.source(sourceA); got.New != 3 || got.LastError != result.Error || got.Pause != "" || got.LastPoll.IsZero() {
				t.Errorf("got %+v", got)
			}
			f.must(f.store.FinishPoll(f.ctx, f.claimed(sourceA), store.PollResult{Next: time.Hour}))
			f.same(f.duePolls(), []store.PollKey(nil))
		}
	}},
	{"a paused source is neither due nor claimed, until it is resumed", func(t *testing.T, f *fixture) {
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{Error: "no", Pause: "wrong password", Next: ended}))
		f.same(f.duePolls(), []store.PollKey(nil))
		f.same(len(f.claimPolls("other", time.Hour, key(sourceA))), 0)
		for _, want := range []bool{true, false} {
			waited, err := f.store.ResumeSource(f.ctx, channel, sourceA)
			f.must(err)
			f.same(waited, want)
		}
		f.same(f.duePolls(), []store.PollKey{key(sourceA)})
	}},
	{"only an early claim takes a stream whose time has not come", func(t *testing.T, f *fixture) {
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{Next: time.Hour}))
		f.same(f.duePolls(), []store.PollKey(nil))
		leases, err := f.store.ClaimPolls(f.ctx, "other", []store.PollKey{key(sourceA)}, time.Hour, false)
		f.must(err)
		f.same(len(leases), 0)
		f.same(len(f.claimPolls("other", time.Hour, key(sourceA))), 1)
	}},
	{"one of many that claim the same streams wins each of them", claimTogether},
	{"many that register the same at once do not hinder each other", func(t *testing.T, f *fixture) {
		channels := make(map[string]string)
		var streams []store.Stream
		for i := range 20 {
			channels[fmt.Sprint("c", i)] = "x"
			streams = append(streams, stream(fmt.Sprint("s", i)))
		}
		parallel(t, 8, func(int) error { return f.store.Register(f.ctx, channels, streams) })
	}},
	{"a lease is not taken before it ends, and then under a higher epoch", func(t *testing.T, f *fixture) {
		f.same(len(f.claimPolls("other", time.Hour, key(sourceA))), 0)
		f.must(f.ingest(f.polls[sourceA], "here"))
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceA]))
		first := f.claimPolls("first", ended, key(sourceA))[0]
		second := f.claimPolls("second", time.Hour, key(sourceA))[0]
		if second.Epoch <= first.Epoch || first.Epoch <= f.polls[sourceA].Epoch || second.Cursor != "here" {
			t.Errorf("%+v after %+v", second, first)
		}
	}},
	{"who lost a poll can store nothing: neither items nor cursor nor result", func(t *testing.T, f *fixture) {
		lost := f.polls[sourceA]
		f.must(f.ingest(lost, "mine"))
		f.must(f.store.ReleasePoll(f.ctx, lost))
		now := f.claimPolls("other", time.Hour, key(sourceA))[0]
		before := f.sources()
		f.lost(f.ingest(lost, "stale", wanted("item")))
		f.lost(f.store.FinishPoll(f.ctx, lost, store.PollResult{New: 7}))
		stranger := now
		stranger.Owner = "stranger"
		f.lost(f.ingest(stranger, "stale", wanted("item")))
		f.lost(f.store.FinishPoll(f.ctx, stranger, store.PollResult{New: 7}))
		f.must(f.store.ReleasePoll(f.ctx, lost))
		f.absent("item")
		f.same(f.cursor(sourceA), "mine")
		f.same(f.sources(), before)
		f.must(f.ingest(now, "next", wanted("item")))
	}},
	{"a result is kept and gives the lease back", func(t *testing.T, f *fixture) {
		result := store.PollResult{Next: ended, New: 1, Changed: 2, Unchanged: 3, Rejected: 4, Mended: 5}
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], result))
		got := f.source(sourceA)
		if got.LastPoll.IsZero() || !got.LastSuccess.Equal(got.LastPoll) || got.Polling || got.LastError != "" {
			t.Errorf("got %+v", got)
		}
		f.same([]int{got.New, got.Changed, got.Unchanged, got.Rejected, got.Mended}, []int{1, 2, 3, 4, 5})
		f.same(f.duePolls(), []store.PollKey{key(sourceA)})
	}},
	{"failures are counted until a poll succeeds, the last success stays", func(t *testing.T, f *fixture) {
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{}))
		success := f.source(sourceA).LastSuccess
		for i := range 3 {
			lease := f.claimed(sourceA)
			f.same(lease.Failures, i)
			f.must(f.store.FinishPoll(f.ctx, lease, store.PollResult{Error: "bad\x00 \xff gateway"}))
			f.same(f.source(sourceA).LastError, "bad\uFFFD \uFFFD gateway")
			f.same(f.source(sourceA).LastSuccess, success)
		}
		f.must(f.store.FinishPoll(f.ctx, f.claimed(sourceA), store.PollResult{}))
		f.same(f.claimed(sourceA).Failures, 0)
		f.same(f.source(sourceA).LastError, "")
	}},
	{"a released poll is due as before", func(t *testing.T, f *fixture) {
		f.same(f.duePolls(), []store.PollKey(nil))
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceA]))
		f.same(f.duePolls(), []store.PollKey{key(sourceA)})
	}},
	{"a backfill has its own cursor and end, and is never due", func(t *testing.T, f *fixture) {
		backfill := stream(sourceA)
		backfill.Backfill = "2020..2021"
		f.progress(backfill.PollKey, "", false)
		f.must(f.store.Register(f.ctx, nil, []store.Stream{backfill}))
		f.same(f.duePolls(), []store.PollKey(nil))
		lease := f.claimPolls("backfiller", time.Hour, backfill.PollKey)[0]
		f.must(f.ingest(lease, "page 1", wanted("old")))
		f.progress(backfill.PollKey, "page 1", false)
		f.same(f.cursor(sourceA), "")
		f.must(f.store.RestartBackfill(f.ctx, backfill.PollKey))
		f.progress(backfill.PollKey, "page 1", false)
		f.must(f.store.FinishPoll(f.ctx, lease, store.PollResult{Finished: true}))
		f.progress(backfill.PollKey, "page 1", true)
		f.must(f.store.RestartBackfill(f.ctx, backfill.PollKey))
		f.progress(backfill.PollKey, "", false)
	}},
	{"renewing prolongs what the owner holds and names it", func(t *testing.T, f *fixture) {
		deliveries, polls := f.deliverer(), f.leasesOf(sourceA, sourceB)
		mine := store.Leases{Channels: map[string]int64{channel: deliveries.Epoch}}
		both := store.Leases{Channels: mine.Channels, Polls: polls.Polls}
		f.same(f.renewed("poller", time.Hour, both), polls)
		f.same(f.renewed("deliverer", ended, both), mine)
		next, ok, err := f.store.ClaimChannel(f.ctx, "next", channel, time.Hour)
		if err != nil || !ok || next.Epoch <= deliveries.Epoch {
			t.Errorf("%+v, %v, %v: want the lease that was renewed until a second ago", next, ok, err)
		}
		f.same(f.renewed("deliverer", time.Hour, mine), store.Leases{})
	}},
	{"renewing leaves the owner's other leases to their time", func(t *testing.T, f *fixture) {
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceA]))
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceB]))
		unknown, known := f.claimPolls("me", ended, key(sourceA))[0], f.claimPolls("me", ended, key(sourceB))[0]
		lease, _, err := f.store.ClaimChannel(f.ctx, "me", channel, ended)
		f.must(err)
		want := store.Leases{Polls: map[store.PollKey]int64{key(sourceB): known.Epoch}}
		f.same(f.renewed("me", time.Hour, store.Leases{
			Channels: map[string]int64{channel: lease.Epoch - 1},
			Polls:    map[store.PollKey]int64{key(sourceA): unknown.Epoch - 1, key(sourceB): known.Epoch},
		}), want)
		f.same(len(f.claimPolls("other", time.Hour, key(sourceA), key(sourceB))), 1)
		if _, ok, err := f.store.ClaimChannel(f.ctx, "other", channel, time.Hour); err != nil || !ok {
			t.Errorf("the channel is held still: %v", err)
		}
	}},
	{"a claim that got no answer can be made again", func(t *testing.T, f *fixture) {
		f.same(len(f.claimPolls("other", time.Hour, key(sourceA))), 0)
		if again := f.claimPolls("poller", time.Hour, key(sourceA)); len(again) != 1 || again[0].Epoch <= f.polls[sourceA].Epoch {
			t.Errorf("%+v: want a lease of its own", again)
		}
		leases, err := f.store.ClaimPolls(f.ctx, "poller", []store.PollKey{key(sourceB)}, time.Hour, false)
		f.must(err)
		f.same(len(leases), 0)
	}},
	{"a lease that ended is still renewed while nobody took it", func(t *testing.T, f *fixture) {
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceA]))
		lease := f.claimPolls("slow", ended, key(sourceA))[0]
		mine := store.Leases{Polls: map[store.PollKey]int64{key(sourceA): lease.Epoch}}
		f.same(f.renewed("slow", time.Hour, mine), mine)
		f.same(len(f.claimPolls("other", time.Hour, key(sourceA))), 0)
	}},
}

// leasesOf are the leases of the polls that the fixture began with.
func (f *fixture) leasesOf(sources ...string) store.Leases {
	mine := store.Leases{Polls: make(map[store.PollKey]int64)}
	for _, source := range sources {
		mine.Polls[key(source)] = f.polls[source].Epoch
	}
	return mine
}

// renewed renews leases, and returns those that are held without empty maps.
func (f *fixture) renewed(owner string, ttl time.Duration, mine store.Leases) store.Leases {
	f.t.Helper()
	held, err := f.store.RenewLeases(f.ctx, owner, mine, ttl)
	f.must(err)
	if len(held.Channels) == 0 {
		held.Channels = nil
	}
	if len(held.Polls) == 0 {
		held.Polls = nil
	}
	return held
}

func claimTogether(t *testing.T, f *fixture) {
	keys, claimers := make([]store.PollKey, 300), 8
	streams := make([]store.Stream, len(keys))
	for i := range keys {
		streams[i] = stream(fmt.Sprint("s", i))
		keys[i] = streams[i].PollKey
	}
	f.must(f.store.Register(f.ctx, nil, streams))
	var mu sync.Mutex
	winners := make(map[store.PollKey]int)
	parallel(t, claimers, func(n int) error {
		mine := slices.Clone(keys)
		if n%2 == 1 {
			slices.Reverse(mine)
		}
		leases, err := f.store.ClaimPolls(f.ctx, fmt.Sprint("claimer ", n), mine, time.Hour, false)
		mu.Lock()
		defer mu.Unlock()
		for _, l := range leases {
			winners[l.PollKey]++
		}
		return err
	})
	for _, k := range keys {
		if winners[k] != 1 {
			t.Errorf("%s has %d owners", k.Source, winners[k])
		}
	}
}

// parallel runs f n times at once and fails the test for every error.
func parallel(t *testing.T, n int, f func(n int) error) {
	t.Helper()
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
}

// lost says that the error tells of a lost lease.
func (f *fixture) lost(err error) {
	f.t.Helper()
	if !errors.Is(err, store.ErrLeaseLost) {
		f.t.Errorf("got %v, want a lost lease", err)
	}
}

// claimed leases a source's polls, whether or not this process has them.
func (f *fixture) claimed(source string) store.PollLease {
	f.t.Helper()
	for _, s := range f.sources() {
		if s.Source == source && s.Polling {
			lease := f.polls[source]
			return lease
		}
	}
	f.polls[source] = f.claimPolls("poller", time.Hour, key(source))[0]
	return f.polls[source]
}

func (f *fixture) duePolls() []store.PollKey {
	f.t.Helper()
	_, due, err := f.store.Look(f.ctx)
	f.must(err)
	return due
}

func (f *fixture) sources() []store.SourceStatus {
	f.t.Helper()
	sources, err := f.store.SourceStatuses(f.ctx)
	f.must(err)
	return sources
}

func (f *fixture) source(name string) store.SourceStatus {
	f.t.Helper()
	for _, s := range f.sources() {
		if s.Source == name {
			return s
		}
	}
	f.t.Fatalf("no source %s", name)
	return store.SourceStatus{}
}

func (f *fixture) progress(k store.PollKey, cursor string, finished bool) {
	f.t.Helper()
	gotCursor, gotFinished, err := f.store.Progress(f.ctx, k)
	f.must(err)
	if gotCursor != cursor || gotFinished != finished {
		f.t.Errorf("progress %q, %v; want %q, %v", gotCursor, gotFinished, cursor, finished)
	}
}
