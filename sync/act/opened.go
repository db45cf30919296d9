package act

import (
	"context"
	"fmt"
	gosync "sync"

	"socialhub-sync/sources"
)

// Opener is how a source is opened.
type Opener struct {
	// Version is another one when the source has other settings.
	Version string
	Open    func(context.Context) (sources.Source, error)
}

// opened are the sources that are open for acting: each is opened when it is first needed, and closed at the end, or
// when the config has it no more like that and nobody uses it.
type opened struct {
	channel Channel
	mu      gosync.Mutex
	by      map[opening]*door
}

// opening tells apart what is open.
type opening struct{ name, version string }

// door is one source; its mutex keeps the others free while it opens.
type door struct {
	opening
	// users are those between get and leave; the mutex of opened guards it.
	users  int
	mu     gosync.Mutex
	source sources.Source
}

func (o *opened) init(c Channel) { o.channel, o.by = c, make(map[opening]*door) }

// get returns a source, to be used until leave is called, also after an error. A [*sources.RefusedError] says that there
// is none, in words for the team.
func (o *opened) get(ctx context.Context, name string) (source sources.Source, leave func(), err error) {
	leave = func() {}
	from, ok := o.channel.Source(name)
	switch {
	case name == "":
		return nil, leave, &sources.RefusedError{Reason: "nobody knows from which source this item is"}
	case !ok:
		return nil, leave, &sources.RefusedError{Reason: fmt.Sprintf("the source %s is not in the config any more", name)}
	}
	d := o.enter(opening{name, from.Version})
	d.mu.Lock()
	defer d.mu.Unlock()
	leave = func() { o.leave(d) }
	if d.source != nil {
		return d.source, leave, nil
	}
	err = o.channel.Guard(name, func() (err error) { source, err = from.Open(ctx); return err })
	if err != nil {
		return nil, leave, fmt.Errorf("open the source: %w", err)
	}
	d.source = source
	return source, leave, nil
}

func (o *opened) enter(k opening) *door {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.by[k]
	if d == nil {
		d = &door{opening: k}
		o.by[k] = d
	}
	d.users++
	return d
}

func (o *opened) leave(d *door) {
	o.mu.Lock()
	d.users--
	o.mu.Unlock()
}

// stale takes out what the config has no more like that and nobody uses; the caller shuts it.
func (o *opened) stale() (all []*door) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, d := range o.by {
		if now, ok := o.channel.Source(k.name); d.users == 0 && (!ok || now.Version != k.version) {
			delete(o.by, k)
			all = append(all, d)
		}
	}
	return all
}

func (o *opened) shut(d *door) {
	if d.source != nil {
		_ = o.channel.Guard(d.name, func() error { return d.source.Close() })
	}
}

// close closes what was opened; nothing is under way any more.
func (o *opened) close() {
	for _, d := range o.by {
		o.shut(d)
	}
}
