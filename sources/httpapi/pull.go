package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// errEnded ends a pull whose consumer has enough.
var errEnded = errors.New("ended")

// pull is one run of [source.Pull].
type pull struct {
	*source
	ctx    context.Context
	req    sources.Request
	yield  func(sources.Batch, error) bool
	list   *list
	cursor cursor
	walk   walk
	// resume: no page has come yet since the walk was read from the cursor.
	resume bool
	// mixed: items that should come oldest first do not, so the cursor must wait for the last page.
	mixed bool
	last  mark // the value of the item before
	start mark // the cursor's mark when the walk began

	batch  sources.Batch
	size   int  // of the batch's content, in bytes
	faulty bool // something of the item at hand could not be read
}

// Pull implements [sources.Source].
func (s *source) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		p := &pull{source: s, ctx: ctx, req: req, yield: yield, list: s.settings.list()}
		if err := p.run(); err != nil && !errors.Is(err, errEnded) {
			yield(sources.Batch{}, err)
		}
	}
}

// list is the source's own list.
func (s *Settings) list() *list {
	return &list{request: &s.Request, paging: &s.Paging, items: s.Items, mapping: s.Map, origin: s.origin()}
}

func (p *pull) run() error {
	now := time.Now().UTC()
	p.cursor = p.readCursor(p.req.Cursor, now)
	p.start = p.cursor.Mark
	if p.cursor.Walk != nil {
		p.walk, p.resume = *p.cursor.Walk, true
		p.mixed = true // else the walk would not have been stored
		p.walk.At = p.settings.Paging.overlapping(p.walk.At, p.walk.Size)
		err := p.pages()
		if !p.outdated(err) {
			return err
		}
		p.logger.Warn("reading does not go on where it ended, it begins anew")
	}
	p.batch, p.size = sources.Batch{}, 0
	p.resume, p.mixed, p.last = false, false, mark{}
	p.walk = walk{Of: p.walkIdentity(), Began: now, Since: p.since(now), At: p.settings.Paging.first()}
	return p.pages()
}

// outdated tells whether an error may be due to a position that is not valid any more.
func (p *pull) outdated(err error) bool {
	if err == nil || !p.resume || p.ctx.Err() != nil {
		return false
	}
	if _, later := errors.AsType[*sources.RetryAfterError](err); later {
		return false
	}
	switch status, _, _ := failedAnswer(err); status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	_, answered := errors.AsType[*sources.SettingError](err)
	return answered
}

// since is what a new walk asks for.
func (p *pull) since(now time.Time) time.Time {
	mark := p.cursor.Mark
	switch rescan := p.settings.Rescan; {
	case p.req.Backfill:
		return p.req.Since
	case mark.IsZero():
		return time.Time{}
	case mark.id == nil:
		since := mark.time.Add(-p.settings.Cursor.Lookback)
		if back := now.Add(-rescan); rescan > 0 && back.Before(since) {
			return back
		}
		return since
	case rescan > 0:
		return now.Add(-rescan)
	}
	return time.Time{}
}

// floor is the smallest value that is of interest, where items come newest first.
func (p *pull) floor() mark {
	switch {
	case p.settings.Cursor.Order != orderNewest:
		return mark{}
	case !p.walk.Since.IsZero():
		return mark{time: p.walk.Since}
	case p.req.Backfill:
		return mark{}
	}
	return p.cursor.Mark
}

func (p *pull) vars(at position) jq.Vars {
	v := jq.Vars{Prefix: p.prefix, Since: p.walk.Since, Now: p.walk.Began, Page: at.vars()}
	if p.req.Backfill {
		v.Until = p.req.Until
	} else {
		v.Cursor = p.cursor.Mark.value()
	}
	return v
}

// everything tells whether this walk sees all items, so that faults of before can be forgotten.
func (p *pull) everything() bool {
	return !p.resume && !p.req.Backfill && (p.cursor.Mark.IsZero() || !p.settings.incremental())
}

// incremental tells whether what is read depends on what was read before.
func (s *Settings) incremental() bool {
	if s.Cursor.Order == orderNewest {
		return true
	}
	all := fmt.Sprint(s.Request, s.Paging, s.Items, s.Map, s.Details)
	return strings.Contains(all, "$since") || strings.Contains(all, "$cursor")
}

// pages walks through the pages from where the walk stands. If the API makes us wait before the last one, the walk goes on
// there: else one that takes more requests than a quota has would never end.
func (p *pull) pages() error {
	err := p.walkOn()
	if _, later := errors.AsType[*sources.RetryAfterError](err); later && p.walk.Pages > 0 && !p.resume && !p.byPage() {
		p.cursor.Walk = new(p.walk)
		p.batch.Cursor = p.cursor.text()
		return cmp.Or(p.flush(), err)
	}
	return err
}

func (p *pull) walkOn() error {
	pages := p.source.pages(p.list.paging, "paging", p.list.origin)
	pages.at = p.walk.At
	if p.everything() {
		p.batch.Rereads, p.cursor.Faults = anyPlace, nil
	}
	for {
		vars := p.vars(pages.at)
		a, err := p.page(pages.at, vars)
		if err != nil {
			return err
		}
		vars = a.vars(vars)
		next, more, err := pages.next(p.ctx, a, vars)
		if err != nil {
			return err
		}
		p.resume = false
		if p.walk.Pages == 0 && p.settings.Cursor.Value.IsZero() {
			p.walk.Top = mark{time: earlier(p.walk.Began, a.header)}
		}
		last, read, err := p.take(a, vars)
		if err != nil {
			return err
		}
		if err := pages.fresh(read); err != nil {
			return err
		}
		if floor := p.floor(); last.like(floor) && last.before(floor) {
			more = false
		}
		p.walk.At, p.walk.Size, pages.at = next, len(a.items), next
		p.walk.Pages++
		if err := p.commit(more); err != nil || !more {
			return err
		}
	}
}

// earlier is when a walk began by our clock or by the API's, which knows of nothing later: if ours is ahead, what happened
// in between would never be asked for.
func earlier(began time.Time, h http.Header) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil && date.Before(began) {
		return date.UTC()
	}
	return began
}

// page asks for a page.
func (p *pull) page(at position, vars jq.Vars) (*answer, error) {
	r, err := p.list.build(p.ctx, at, nil, vars)
	if err != nil {
		return nil, err
	}
	a, err := p.ask(p.ctx, p.list, r, vars)
	if err != nil {
		return nil, err
	}
	return a, p.list.find(p.ctx, a, a.vars(vars))
}

// take hands out the items of a page with their details. It returns the value of the last item that has one, and the
// page's content, which is the items' names if they become nothing by themselves.
func (p *pull) take(a *answer, vars jq.Vars) (last mark, read content, err error) {
	var names content
	for _, native := range a.items {
		place := anyPlace + placeOf(native)
		names.add([]byte(place))
		p.faulty = false
		m, err := p.value(native, place, vars)
		if err != nil {
			return last, read, err
		}
		if !m.IsZero() {
			p.inOrder(m)
			last, p.last = m, m
		}
		if !m.time.After(p.walk.Began) && p.walk.Top.before(m) { // a time from the future would hide what comes
			p.walk.Top = m
		}
		if err := p.hand(p.list, native, place, vars, &read); err != nil {
			return last, read, err
		}
		if err := p.details(native, place, vars); err != nil {
			return last, read, err
		}
		if err := p.settle(place); err != nil {
			return last, read, err
		}
	}
	return last, cmp.Or(read, names), nil
}

// settle remembers an item that could not be read, and has its faults forgotten once it can be.
func (p *pull) settle(place string) error {
	known := slices.Contains(p.cursor.Faults, place)
	switch {
	case p.req.Backfill || known == p.faulty || !p.settings.incremental():
		return nil
	case p.faulty:
		if len(p.cursor.Faults) < maxFaults {
			p.cursor.Faults = append(p.cursor.Faults, place)
		}
		return nil
	}
	if p.batch.Rereads != "" {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.batch.Rereads = place
	p.cursor.Faults = slices.DeleteFunc(p.cursor.Faults, func(s string) bool { return s == place })
	return nil
}

// inOrder takes the cursor back if an item comes too late in a walk that should be oldest first: others like it may follow.
func (p *pull) inOrder(m mark) {
	if p.settings.Cursor.Order == orderOldest && !p.mixed && m.before(p.last) {
		p.mixed, p.cursor.Mark = true, p.start
	}
}

// value is the item's place in the order of the cursor.
func (p *pull) value(native any, place string, vars jq.Vars) (mark, error) {
	if p.settings.Cursor.Value.IsZero() {
		return mark{}, nil
	}
	out, err := p.settings.Cursor.Value.One(p.ctx, native, vars)
	if p.ctx.Err() != nil {
		return mark{}, context.Cause(p.ctx)
	}
	var m mark
	if err == nil {
		m, err = markOf(out)
	}
	if err != nil {
		return mark{}, p.add(mapped{item: faultAt(place+", cursor.value", "cursor.value: "+err.Error())})
	}
	return m, nil
}

// hand maps an item and hands out what it becomes.
func (p *pull) hand(l *list, native any, place string, vars jq.Vars, read *content) error {
	made, err := p.mapItem(p.ctx, l, native, place, vars)
	if err != nil {
		return err
	}
	for _, m := range made {
		read.add(m.text)
		if m.item.Fault == nil && !m.item.Deleted && !p.req.Wants(m.item.Interaction.CreatedTime, m.item.UpdatedTime) {
			continue
		}
		if err := p.add(m); err != nil {
			return err
		}
	}
	return nil
}

// add puts an item into the batch, which is handed out before it becomes too large.
func (p *pull) add(m mapped) error {
	if n := len(p.batch.Items); n == sources.MaxBatch || n > 0 && p.size+len(m.text) > sources.BatchBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.faulty = p.faulty || m.item.Fault != nil
	p.batch.Items = append(p.batch.Items, m.item)
	p.size += len(m.text)
	return nil
}

func (p *pull) flush() error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	if !p.yield(p.batch, nil) {
		return errEnded
	}
	p.batch, p.size = sources.Batch{}, 0
	return nil
}

// commit hands out the rest of a page with the cursor after it.
func (p *pull) commit(more bool) error {
	switch {
	case !more || p.byPage():
		p.cursor.Walk = nil
		p.cursor.Mark = p.reached()
		p.batch.Cursor = p.cursor.text()
	case p.walk.Pages >= leastWalk || len(p.settings.Details) > 0 || p.mixed:
		p.cursor.Walk = new(p.walk)
		p.batch.Cursor = p.cursor.text()
	}
	if !more && p.notBefore.After(time.Now()) {
		p.batch.NotBefore = p.notBefore
	}
	return p.flush()
}

// byPage tells whether the cursor moves after each page.
func (p *pull) byPage() bool {
	return p.settings.Cursor.Order == orderOldest && !p.mixed && !p.req.Backfill
}

// reached is the mark after a walk, or after a page of one that comes oldest first. Without [Cursor.Value] it does not
// move at every poll.
func (p *pull) reached() mark {
	old, top := p.cursor.Mark, p.walk.Top
	if p.settings.Cursor.Value.IsZero() {
		if !p.settings.incremental() || !old.IsZero() && top.time.Sub(old.time) < p.settings.Cursor.Lookback {
			return old
		}
	}
	if old.before(top) {
		return top
	}
	return old
}
