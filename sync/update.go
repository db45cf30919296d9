package sync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialhub-sync/store"
	"socialhub-sync/sync/manifest"
)

// Update is what [Engine.Update] puts in the place of the same fields of [Options].
type Update struct {
	Channels  []Channel
	Sources   []Source
	Manifests map[string]manifest.Desired
	Retention store.Retention
}

var (
	// ErrUnfinished says of an update that it is in force, but that something of what it replaced is still under way.
	ErrUnfinished = errors.New("the update is in force, but what it replaced is still under way")
	// ErrNotRunning says that there is nothing to update: the engine is told to stop, or has.
	ErrNotRunning = errors.New("the engine does not run any more")
)

// Update makes these the engine's channels and sources while [Engine.Run] runs. Channels are told apart by their ID, sources
// by their name, and what has the version it had goes on untouched: nothing else of such an entry is looked at. Of a
// channel, its manifest counts, too.
//
// A channel that is changed or gone takes no more work, finishes what is under way, and gives its lease back; only then its
// successor begins. A poll under way of a source that is changed or gone goes on to its end as it began. A source that is
// changed or new is due at once then, also if it had stopped.
//
// It waits for Run to begin and for a database that does not answer. It returns when what was replaced has finished, and the
// clients of the channels that were may be closed. If ctx ends before the update is in force, nothing is changed, and the
// error says so; if after that, the error is [ErrUnfinished], and the rest comes about without the caller. Calls wait
// for each other.
func (e *Engine) Update(ctx context.Context, u Update) error {
	w, err := e.life.working(ctx)
	if err != nil {
		return fmt.Errorf("nothing is changed: %w", err)
	}
	trying, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(w.soft, func() { cancel(ErrNotRunning) })()
	if !e.updating.take(trying) {
		return fmt.Errorf("nothing is changed, as another update is under way: %w", context.Cause(trying))
	}
	defer e.updating.give()
	before := e.current()
	next := e.arrange(&u, before)
	if err := e.install(trying, w, before, next); err != nil {
		return fmt.Errorf("nothing is changed: %w", err)
	}
	return e.await(ctx, next)
}

// install makes the database and then the engine know the setup, both or neither.
func (e *Engine) install(ctx context.Context, w *work, before, next *setup) error {
	channels, streams := e.news(before, next)
	running := true
	err := e.persist(ctx, func() error {
		if !e.turn.take(ctx) {
			return context.Cause(ctx)
		}
		defer e.turn.give()
		err := e.Store.Register(ctx, channels, streams)
		if err == nil {
			running = e.replace(w, before, next)
		}
		return err
	})
	switch {
	case err == nil && !running:
		return ErrNotRunning
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%w; the last try: %w", context.Cause(ctx), err)
	}
	return err
}

// news are the channels and streams that the database is to be told of.
func (e *Engine) news(before, next *setup) (channels map[string]string, streams []store.Stream) {
	channels = make(map[string]string)
	for id, d := range next.deliverers {
		channels[id] = d.channel.Name
	}
	now := time.Now()
	for _, src := range next.sources {
		if !before.has(src) {
			stream := e.stream(src, now)
			stream.Anew = true
			streams = append(streams, stream)
		}
	}
	return channels, streams
}

// replace puts the setup in place, ends the deliverers that are not in it, and begins the new ones. It is false, and does
// nothing, if the engine is told to stop.
func (e *Engine) replace(w *work, before, next *setup) bool {
	e.life.mu.Lock()
	defer e.life.mu.Unlock()
	if e.life.work == nil || w.soft.Err() != nil {
		return false
	}
	e.mu.Lock()
	e.setup.Store(next)
	for id, d := range before.deliverers {
		if next.deliverers[id] != d {
			e.leaving[d] = true
			d.stop()
		}
	}
	e.mu.Unlock()
	for id, d := range next.deliverers {
		if before.deliverers[id] != d {
			e.startSuccessor(w, d)
		} else {
			d.actions.Wake() // it may have sources open that are others now
		}
	}
	return true
}

// startSuccessor runs a deliverer once those of its channel that were replaced have finished. Like at the start of the
// engine it knows the pauses before anything is sent.
func (e *Engine) startSuccessor(w *work, d *deliverer) {
	before := e.predecessors(d.channel.ID)
	e.startDeliverer(w, d, func(soft context.Context) bool {
		for _, b := range before {
			<-b.done
		}
		return e.try(soft, reading, func() error { _, err := e.look(soft); return err }) == nil
	})
}

// predecessors are the deliverers of a channel that were replaced and have not finished yet.
func (e *Engine) predecessors(channelID string) (all []*deliverer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for d := range e.leaving {
		if d.channel.ID == channelID {
			all = append(all, d)
		}
	}
	return all
}

// startDeliverer runs a deliverer in a goroutine of its own, unless ready returns false.
func (e *Engine) startDeliverer(w *work, d *deliverer, ready func(soft context.Context) bool) {
	soft, stop := context.WithCancel(w.soft)
	d.stop = stop
	w.group.Go(func() {
		defer e.left(d)
		if ready(soft) {
			d.run(w, soft)
		}
	})
}

// left notes that a deliverer has finished.
func (e *Engine) left(d *deliverer) {
	d.stop()
	e.mu.Lock()
	delete(e.leaving, d)
	e.mu.Unlock()
	close(d.done)
}

// await waits until what is not in the setup has finished: deliverers and polls.
func (e *Engine) await(ctx context.Context, s *setup) error {
	var all []underway
	e.mu.Lock()
	for d := range e.leaving {
		all = append(all, underway{"channel " + d.channel.Name, d.done})
	}
	for _, p := range e.running {
		if !s.has(p.source) {
			all = append(all, underway{"source " + p.source.Name, p.done})
		}
	}
	e.mu.Unlock()
	for _, u := range all {
		select {
		case <-u.done:
		case <-e.life.over:
			return nil // what was cut off then is not under way either
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: %w", ErrUnfinished, strings.Join(unfinished(all), ", "), context.Cause(ctx))
		}
	}
	return nil
}

// underway is something that an update has replaced.
type underway struct {
	name string
	done <-chan struct{}
}

// unfinished are the names of what is not done, in order.
func unfinished(all []underway) (names []string) {
	for _, u := range all {
		select {
		case <-u.done:
		default:
			names = append(names, u.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
