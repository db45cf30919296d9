package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// Counts is what a poll found.
type Counts struct{ Read, New, Changed, Unchanged, Rejected, Mended int }

// startPoll polls one stream under its lease, in a goroutine of its own.
func (e *Engine) startPoll(w *work, lease store.PollLease) {
	ctx, cancel := context.WithCancelCause(w.soft)
	mine := &runningPoll{e.current().sources[lease.Source], lease.Epoch, cancel, make(chan struct{})}
	e.mu.Lock()
	e.running[lease.PollKey] = mine
	e.mu.Unlock()
	w.group.Go(func() {
		defer close(mine.done)
		defer e.forget(lease.PollKey, mine)
		defer cancel(nil)
		e.runPoll(ctx, w, mine.source, lease)
	})
}

// runPoll polls one stream under its lease and stores how it went. An update leaves src to it.
func (e *Engine) runPoll(ctx context.Context, w *work, src *Source, lease store.PollLease) {
	began := time.Now()
	found, notBefore, err := e.poll(ctx, src, lease, e.ingest)
	if ctx.Err() != nil {
		// Told to stop or taken over: what was read is stored, the rest is read again.
		e.release(w.hard, func(ctx context.Context) error { return e.Store.ReleasePoll(ctx, lease) })
		e.observers.Polled(e.ended(src, PollCut, whyCut(w, ctx), time.Since(began)))
		return
	}
	result := pollResult(src, found, err, lease.Failures, notBefore, time.Now())
	if !e.current().has(src) {
		result.Pause = "" // it is not this source that would be stopped
	}
	result.Finished = lease.Backfill != "" && err == nil && !e.room.full()
	result.Took, result.Seen = time.Since(began), src.keep > 0 && err == nil && found.Read > 0
	e.logPoll(src, result, found, result.Took, err)
	e.observers.Polled(e.ended(src, pollOutcome(result, found, err), err, result.Took))
	if e.judgeHeld(w, src, lease) != nil {
		return // taken over, or stopped: the changes are judged by the next poll
	}
	_ = e.persist(w.hard, func() error { return e.Store.FinishPoll(w.hard, lease, result) })
}

// judgeHeld decides, at the end of a scheduled poll, on the changes of delivered tickets that it held.
func (e *Engine) judgeHeld(w *work, src *Source, lease store.PollLease) error {
	if lease.Backfill != "" {
		return nil
	}
	var held, released int
	err := e.persist(w.hard, func() (err error) {
		held, released, err = e.Store.JudgeHeld(w.hard, lease, src.MassChangeLimit)
		return err
	})
	if err != nil {
		return err
	}
	if held > e.tally.held(src.Name, held) {
		e.Logger.Error("mass change held, it waits for `resume`", slog.String("source", src.Name),
			slog.Int("held", held), slog.Int("mass_change_limit", src.MassChangeLimit))
	}
	if d := e.deliverer(src.ChannelID); d != nil && released > 0 {
		d.wake()
	}
	return nil
}

// forget takes a poll that has ended out of those under way. One that lingered after its lease was lost leaves a newer
// poll of the same stream there.
func (e *Engine) forget(k store.PollKey, mine *runningPoll) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[k] == mine {
		delete(e.running, k)
	}
}

func (e *Engine) ended(src *Source, o PollOutcome, err error, took time.Duration) Poll {
	return Poll{Source: src.Name, Channel: e.channelName(src), Outcome: o, Err: err, Took: took}
}

// pollOutcome tells how a poll ended that was not cut.
func pollOutcome(r store.PollResult, found Counts, err error) PollOutcome {
	switch {
	case r.Pause != "":
		return PollStopped
	case err != nil:
		return PollFailed
	case found.New+found.Changed+found.Rejected > 0:
		return PollFound
	}
	return PollUnchanged
}

var errCut = errors.New("stopped before its end; the next run goes on")

// whyCut is why a poll did not come to its end.
func whyCut(w *work, ctx context.Context) error {
	if cause := context.Cause(ctx); w.soft.Err() == nil || errors.Is(cause, store.ErrLeaseLost) {
		return cause
	}
	return errCut
}

// maxWish is the longest wait that a source may ask for: a longer one is likelier a wrong clock.
const maxWish = 31 * 24 * time.Hour

// pollResult decides when to poll again.
func pollResult(src *Source, found Counts, err error, failures int, notBefore, now time.Time) store.PollResult {
	r := store.PollResult{
		New: found.New, Changed: found.Changed, Unchanged: found.Unchanged, Rejected: found.Rejected, Mended: found.Mended,
	}
	if err == nil {
		r.Next = max(untilNext(src, now), min(maxWish, notBefore.Sub(now)))
		return r
	}
	r.Error, r.Next = err.Error(), backoff(failures+1)
	if later, ok := errors.AsType[*sources.RetryAfterError](err); ok {
		r.Next = max(r.Next, min(maxWish, later.After))
	}
	if stop, ok := errors.AsType[*sources.StopError](err); ok {
		r.Pause = stop.Error()
	}
	return r
}

func (e *Engine) logPoll(src *Source, r store.PollResult, found Counts, took time.Duration, err error) {
	log := e.Logger.With(slog.String("source", src.Name))
	tallied := []any{
		slog.Int("new", found.New), slog.Int("changed", found.Changed), slog.Int("unchanged", found.Unchanged),
		slog.Int("rejected", found.Rejected), slog.Int("mended", found.Mended), slog.Duration("took", took.Round(time.Millisecond)),
	}
	switch {
	case r.Pause != "":
		log.Error("source stopped, it waits for `resume`", slog.Any("error", err))
	case err != nil:
		log.Warn("poll", slog.Any("error", err), slog.Duration("retry_in", r.Next.Round(time.Millisecond)))
	case found.New+found.Changed+found.Rejected > 0:
		log.Info("poll", tallied...)
	default:
		log.Debug("poll", tallied...)
	}
}

// intake takes one prepared batch.
type intake func(ctx context.Context, src *Source, lease store.PollLease, b *batch) (Counts, error)

// batch is a batch of an adapter, prepared.
type batch struct {
	items           []item
	cursor, rereads string
	notBefore       time.Time
}

// poll pulls everything that is new and hands each batch to take. The adapter reads the next batch
// while one is being stored.
func (e *Engine) poll(ctx context.Context, src *Source, lease store.PollLease, take intake) (total Counts, notBefore time.Time, err error) {
	var opened sources.Source
	if err := e.guard(src, func() (err error) { opened, err = src.Open(ctx); return err }); err != nil {
		return total, notBefore, fmt.Errorf("open the source: %w", err)
	}
	defer func() { _ = e.guard(src, func() error { return opened.Close() }) }()
	request := sources.Request{Cursor: lease.Cursor}
	if e.Backfill != nil {
		request.Backfill, request.Since, request.Until = true, e.Backfill.Since, e.Backfill.Until
	}
	ctx, cancel := context.WithCancel(ctx)
	batches := make(chan *batch, 1)
	done := make(chan struct{})
	var pullErr error
	go func() {
		defer close(done)
		defer close(batches)
		pullErr = e.guard(src, func() error { return pull(ctx, src, opened, request, batches) })
	}()
	defer func() { <-done }() // before the source is closed
	defer cancel()
	for b := range batches {
		found, err := take(ctx, src, lease, b)
		total.add(found)
		e.observers.Read(Batch{src.Name, e.channelName(src), found})
		if err != nil {
			return total, notBefore, err
		}
		if b.cursor != "" {
			lease.Cursor = b.cursor
		}
		if b.notBefore.After(notBefore) {
			notBefore = b.notBefore
		}
		if e.room.full() {
			return total, notBefore, nil
		}
	}
	return total, notBefore, pullErr
}

// guard calls an adapter's code: a panic there fails the poll, not the process. The value of the panic may hold
// content or a secret, the stack does not: it has addresses for arguments.
func (e *Engine) guard(src *Source, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.Logger.Error("adapter broke down, please report this", slog.String("source", src.Name), slog.String("adapter", src.Adapter),
				slog.String("panic", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("the adapter %s broke down; please report this: %T", src.Adapter, p)
		}
	}()
	return f()
}

// pull hands on what the adapter yields, prepared.
func pull(ctx context.Context, src *Source, from sources.Source, request sources.Request, out chan<- *batch) error {
	for in, err := range from.Pull(ctx, request) {
		if err != nil {
			return err
		}
		b := &batch{
			items: prepareAll(src, in.Items, time.Now()), cursor: in.Cursor,
			notBefore: in.NotBefore,
		}
		if in.Rereads != "" {
			b.rereads = placeKey(in.Rereads)
		}
		select {
		case out <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// ingest stores a batch: one look-up, and nothing else if nothing is new.
func (e *Engine) ingest(ctx context.Context, src *Source, lease store.PollLease, b *batch) (found Counts, err error) {
	differing, err := e.differing(ctx, src, b)
	if err != nil {
		return found, err
	}
	if differing, err = e.fit(ctx, src, lease, b, differing); err != nil {
		return found, err
	}
	if err := e.saw(ctx, src, b); err != nil {
		return found, err
	}
	if err := e.renewRefs(ctx, lease, b, differing); err != nil {
		return found, err
	}
	if len(differing) == 0 && b.rereads == "" && (b.cursor == "" || b.cursor == lease.Cursor) {
		return Counts{Read: len(b.items), Unchanged: len(b.items)}, nil
	}
	in := store.Intake{Cursor: b.cursor, Rereads: b.rereads}
	for _, n := range differing {
		in.IDs = append(in.IDs, b.items[n].key)
	}
	in.Decide = func(i int, current *store.Ticket) *store.Ticket {
		if i == 0 {
			found = Counts{Read: len(b.items), Unchanged: len(b.items) - len(differing)}
		}
		it := &b.items[differing[i]]
		next, verdict := decide(src, current, it, lease.Backfill != "", e.isSource)
		found.count(verdict, it.mended)
		return next
	}
	found = Counts{Read: len(b.items), Unchanged: len(b.items)}
	if err := e.reach(ctx, writing, func() error { return e.Store.Ingest(ctx, lease, in) }); err != nil {
		return Counts{}, err
	}
	if d := e.deliverer(src.ChannelID); d != nil && len(differing) > 0 {
		d.wake()
	}
	return found, nil
}

// differing finds the items of a batch that the store does not have like that.
func (e *Engine) differing(ctx context.Context, src *Source, b *batch) (positions []int, err error) {
	if len(b.items) == 0 {
		return nil, nil
	}
	seen := make([]store.Seen, len(b.items))
	for n := range b.items {
		seen[n] = store.Seen{NetworkItemID: b.items[n].key, Hash: b.items[n].hash}
	}
	err = e.reach(ctx, reading, func() (err error) {
		positions, err = e.Store.Differing(ctx, src.ChannelID, src.Name, seen)
		return err
	})
	if err != nil || b.rereads == "" {
		return positions, err
	}
	return withFaults(b, positions), nil
}

// withFaults adds the unreadable items of a place that is read anew: the store forgets the ones it has.
func withFaults(b *batch, positions []int) []int {
	differs := make(map[int]bool)
	for _, n := range positions {
		differs[n] = true
	}
	for n := range b.items {
		if b.items[n].hash == "" && !differs[n] {
			positions = append(positions, n)
		}
	}
	slices.Sort(positions)
	return positions
}

// isSource tells whether a source of that name is in the config.
func (e *Engine) isSource(name string) bool { return e.current().sources[name] != nil }

func (c *Counts) count(v verdict, mended bool) {
	switch v {
	case created:
		c.New++
	case changed:
		c.Changed++
	case rejected:
		c.Rejected++
	default:
		c.Unchanged++
		return
	}
	if mended {
		c.Mended++
	}
}

func (c *Counts) add(o Counts) {
	c.Read += o.Read
	c.New += o.New
	c.Changed += o.Changed
	c.Unchanged += o.Unchanged
	c.Rejected += o.Rejected
	c.Mended += o.Mended
}
