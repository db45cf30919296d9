package web

import (
	"context"
	"slices"
	"sync"

	"socialhub-sync/store"
)

// What is stored together at most.
const (
	maxJoined      = 100
	maxJoinedBytes = 4 << 20
)

// joiner stores what arrives while the store is busy together afterwards, as each commit waits for the disk. Nothing waits
// for more to come: a request that finds the store idle is stored at once.
type joiner struct {
	inbox Inbox
	mu    sync.Mutex
	// queues has those of the channels for which something is being stored.
	queues map[string]*queue
}

// queue is what waits while one request stores, for itself and others. That one then lets the next one do the same.
type queue struct{ waiting []*arrival }

// arrival is the receipt of one request. Both channels have room for their one message.
type arrival struct {
	receipt store.Receipt
	// ctx is done when the request is not to wait any longer.
	ctx  context.Context
	turn chan struct{}
	done chan error
}

func newJoiner(inbox Inbox) *joiner { return &joiner{inbox: inbox, queues: make(map[string]*queue)} }

// receive returns when the receipt is stored, or why it is not. After ctx is done it may be stored nevertheless.
func (j *joiner) receive(ctx context.Context, channelID string, r store.Receipt) error {
	a := &arrival{receipt: r, ctx: ctx, turn: make(chan struct{}, 1), done: make(chan error, 1)}
	j.mu.Lock()
	q, busy := j.queues[channelID]
	if !busy {
		q = &queue{}
		j.queues[channelID] = q
	}
	q.waiting = append(q.waiting, a)
	j.mu.Unlock()
	if busy {
		select {
		case err := <-a.done:
			return err
		case <-a.turn:
		case <-ctx.Done():
			j.leave(channelID, q, a)
			return ctx.Err()
		}
	}
	j.lead(channelID, q)
	return <-a.done
}

// lead stores what waits, which begins with the one whose turn it is, and lets the next one go on, whatever happens.
func (j *joiner) lead(channelID string, q *queue) {
	j.mu.Lock()
	batch := q.take()
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.next(channelID, q)
	}()
	j.store(channelID, batch)
}

// leave takes an arrival out that gave up. Was it its turn, it is the next one's.
func (j *joiner) leave(channelID string, q *queue, a *arrival) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if at := slices.Index(q.waiting, a); at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	select {
	case <-a.turn:
		j.next(channelID, q)
	default:
	}
}

// next lets the first one that waits store; mu is held.
func (j *joiner) next(channelID string, q *queue) {
	if len(q.waiting) == 0 {
		delete(j.queues, channelID)
		return
	}
	q.waiting[0].turn <- struct{}{}
}

// take returns the first arrivals, out of the queue; mu is held. Two events of one action are not stored together: the
// store keeps the first one only.
func (q *queue) take() []*arrival {
	keys := make(map[string]bool)
	size, n := 0, 0
	for ; n < min(len(q.waiting), maxJoined); n++ {
		known := false
		for _, a := range q.waiting[n].receipt.Actions {
			known = known || keys[a.Key]
			size += len(a.Payload)
		}
		if n > 0 && (known || size > maxJoinedBytes) {
			break
		}
		for _, a := range q.waiting[n].receipt.Actions {
			keys[a.Key] = true
		}
	}
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

// store stores the arrivals together and tells each. If that fails, each is tried alone, so that none suffers for another.
func (j *joiner) store(channelID string, batch []*arrival) {
	if len(batch) > 1 {
		var all store.Receipt
		for _, a := range batch {
			all.Actions, all.Fingerprint = append(all.Actions, a.receipt.Actions...), a.receipt.Fingerprint
			if a.receipt.Disabled.After(all.Disabled) {
				all.Disabled = a.receipt.Disabled
			}
		}
		// The last one came last, so it waits the longest.
		if _, err := j.inbox.Receive(batch[len(batch)-1].ctx, channelID, all); err == nil {
			for _, a := range batch {
				a.done <- nil
			}
			return
		}
	}
	for _, a := range batch {
		err := a.ctx.Err()
		if err == nil {
			_, err = j.inbox.Receive(a.ctx, channelID, a.receipt)
		}
		a.done <- err
	}
}
