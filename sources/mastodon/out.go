package mastodon

import (
	"context"
	"errors"

	"socialhub-sync/sources"
)

// errEnough ends a pull whose caller wants no more.
var errEnough = errors.New("no more is wanted")

// out collects items into batches, in which no id is twice.
type out struct {
	ctx   context.Context
	yield func(sources.Batch, error) bool
	items []sources.Item
	bytes int
	at    map[string]int
}

// add puts an item into the batch and hands out what is full.
func (o *out) add(item sources.Item) error {
	size := len(item.Interaction.Message)
	id := item.Interaction.NetworkItemID
	if item.Fault != nil {
		id = "\x00" + item.Fault.Place
	}
	if n, known := o.at[id]; known && o.bytes+size <= sources.BatchBytes {
		o.bytes += size
		o.items[n] = item // as the server says now
		return nil
	}
	if len(o.items) == sources.MaxBatch || len(o.items) > 0 && o.bytes+size > sources.BatchBytes {
		if err := o.flush(nil); err != nil {
			return err
		}
	}
	if o.at == nil {
		o.at = make(map[string]int)
	}
	o.at[id] = len(o.items)
	o.items = append(o.items, item)
	o.bytes += size
	return nil
}

// flush hands out what there is, with the cursor after it; nil if that is not reached yet. Nothing
// is handed out when the context is done.
func (o *out) flush(c *cursor) error {
	batch := sources.Batch{Items: o.items}
	if c != nil {
		batch.Cursor = c.String()
	}
	o.items, o.bytes, o.at = nil, 0, nil
	if len(batch.Items) == 0 && batch.Cursor == "" {
		return nil
	}
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	if !o.yield(batch, nil) {
		return errEnough
	}
	return nil
}
