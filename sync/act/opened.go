package act

import (
	"context"
	"fmt"
	gosync "sync"

	"socialhub-sync/sources"
)

// opened are the sources that are open for acting: each is opened when it is first needed and closed at the end.
type opened struct {
	channel Channel
	mu      gosync.Mutex
	by      map[string]*door
}

// door is one source; its mutex keeps the others free while it opens.
type door struct {
	mu     gosync.Mutex
	source sources.Source
}

func (o *opened) init(c Channel) { o.channel, o.by = c, make(map[string]*door) }

// get returns a source. A [*sources.RefusedError] says that there is none, in words for the team.
func (o *opened) get(ctx context.Context, name string) (sources.Source, error) {
	open, ok := o.channel.Source(name)
	switch {
	case name == "":
		return nil, &sources.RefusedError{Reason: "nobody knows from which source this item is"}
	case !ok:
		return nil, &sources.RefusedError{Reason: fmt.Sprintf("the source %s is not in the config any more", name)}
	}
	o.mu.Lock()
	d := o.by[name]
	if d == nil {
		d = new(door)
		o.by[name] = d
	}
	o.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.source != nil {
		return d.source, nil
	}
	var source sources.Source
	err := o.channel.Guard(name, func() (err error) { source, err = open(ctx); return err })
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	d.source = source
	return source, nil
}

// close closes what was opened; nothing is under way any more.
func (o *opened) close() {
	for name, d := range o.by {
		if d.source != nil {
			_ = o.channel.Guard(name, func() error { return d.source.Close() })
		}
	}
}
