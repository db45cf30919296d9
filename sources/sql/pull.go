package sqlsource

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sql/engine"
)

// errEnough ends a pull whose caller takes no more.
var errEnough = errors.New("the caller takes no more")

// Pull implements [sources.Source].
func (s *source) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		p := &pull{source: s, ctx: ctx, req: &req, yield: yield, now: time.Now(), session: s.engine.Session(), unread: map[any]bool{}}
		defer p.session.Close()
		if err := p.run(); err != nil && !errors.Is(err, errEnough) {
			yield(sources.Batch{}, err)
		}
	}
}

// pull is one run over the query.
type pull struct {
	*source
	ctx   context.Context
	req   *sources.Request
	yield func(sources.Batch, error) bool
	now   time.Time

	session *engine.Session
	query   *query
	state   *state
	sent    string // the cursor that was yielded last
	// fresh: nothing was read before, or what was means nothing any more. So all is, from the start.
	fresh bool
	// unread are the ids of rows that this pull could not read.
	unread map[any]bool
}

// phase is a part of the rows that is read page by page.
type phase struct {
	// where the rows are, and after which position to begin.
	where clause
	from  position
	// byID: the pages are in the order of the ids alone.
	byID bool
	// moves tells whether the stored cursor follows. That of a backfill always does.
	moves bool
	// marks: where the cursor stands is noted before.
	marks bool
}

func (p *pull) run() error {
	if err := p.describe(); err != nil {
		return err
	}
	p.load()
	if err := p.reportRowsWithoutID(); err != nil {
		return err
	}
	phases := p.backfill
	if !p.req.Backfill {
		if err := p.readFaultsAgain(); err != nil {
			return err
		}
		phases = p.phases
	}
	for _, ph := range phases() {
		if ph.marks {
			p.state.setMark(p.now, p.settings.Rescan)
		}
		if err := p.walk(ph); err != nil {
			return err
		}
	}
	return p.flush(nil)
}

// load reads the stored cursor.
func (p *pull) load() {
	q := p.query
	types := []string{p.source.query, p.settings.Cursor, q.columns[q.key].name, q.columns[q.key].typeName}
	if q.at >= 0 {
		types = append(types, q.columns[q.at].typeName)
	}
	hash := queryHash(types...)
	var err error
	if p.req.Cursor != "" {
		if p.state, err = parseState(p.req.Cursor, hash); err != nil {
			p.logger.Warn("cursor is not of this query, all rows are read again")
		}
	}
	if p.state != nil && !p.believable() {
		p.logger.Warn("cursor is in the future, all rows are read again")
		p.state = nil
	}
	if p.state == nil {
		p.fresh, p.state = true, &state{Version: cursorVersion, Query: hash}
	}
	p.sent = p.req.Cursor
}

// skew is how far the clocks of two machines may be apart.
const skew = time.Hour

// believable tells whether the cursor may be where it stands. It never goes past this machine's clock.
func (p *pull) believable() bool {
	at, isTime := p.query.moment(p.state.position)
	return p.req.Backfill || !isTime || at.Before(p.now.Add(skew))
}

// phases are the parts of a poll.
func (p *pull) phases() []phase {
	q := p.query
	if q.at < 0 {
		p.state.position = position{}
		return []phase{{}}
	}
	list := []phase{q.undated(position{})}
	old := p.state.position
	if at, ok := q.moment(old); ok && at.After(p.now) { // by a clock that was ahead
		old = position{At: at.at(p.now)}
		p.state.position = old
	}
	back, isTime := p.lookBack()
	if !old.isZero() && p.settings.Rescan > 0 {
		list = append(list, phase{where: and(back, q.beside("<=", old))})
	}
	return append(list, phase{where: q.dated(), from: old, moves: true, marks: !isTime && p.settings.Rescan > 0})
}

// undated are the rows that have no place in the order of the cursor column. A backfill remembers where it stands in
// them; a poll reads them all.
func (q *query) undated(from position) phase {
	return phase{where: clause{text: q.name(q.at) + " IS NULL"}, from: from, byID: true}
}

// lookBack is the condition for the rows of the last while, see [Settings].Rescan. A cursor that is no time is
// measured by where it stood that long before the last poll.
func (p *pull) lookBack() (where clause, isTime bool) {
	q, old := p.query, p.state.position
	if at, ok := q.moment(old); ok {
		return q.compare(q.at, ">=", at.back(p.settings.Rescan)), true
	}
	if since := p.state.since(p.settings.Rescan); !since.isZero() {
		return q.beside(">", since), false
	}
	return clause{}, false
}

// backfill reads everything once, from where it stopped.
func (p *pull) backfill() []phase {
	q, old := p.query, p.state.position
	if q.at < 0 {
		return []phase{{from: old}}
	}
	var list []phase
	if old.At == nil {
		list = append(list, q.undated(old))
		old = position{}
	}
	return append(list, phase{where: q.dated(), from: old})
}

// walk reads a part of the rows.
func (p *pull) walk(ph phase) error {
	for at := ph.from; ; {
		where := ph.where
		if !at.isZero() {
			where = and(where, p.query.beside(">", at))
		}
		got, err := p.read(where, ph.byID)
		if err != nil {
			return err
		}
		if len(got.rows) == 0 {
			return nil
		}
		last, err := p.query.position(got.rows[len(got.rows)-1])
		if err != nil {
			return err
		}
		if last == at {
			return queryError("the database gives the same rows again; the id must be unique and of a type with an order")
		}
		if err := p.hand(got.rows, ph); err != nil {
			return err
		}
		if at = last; ph.byID {
			at.At = nil
		}
		if !got.more {
			return nil
		}
	}
}

// hand hands out a page.
func (p *pull) hand(rows [][]any, ph phase) error {
	items := make([]sources.Item, 0, len(rows))
	for _, row := range rows {
		at, err := p.query.position(row)
		if err != nil {
			return err
		}
		item, fault := p.query.read(row)
		if fault != nil {
			item = sources.Item{Fault: &sources.Fault{Place: place(at.ID), Reason: fault.Error()}}
			p.unread[at.ID] = true
			p.state.remember(at.ID)
		}
		when, isTime := p.query.moment(at)
		if item.Fault != nil || p.wants(&item, when) {
			items = append(items, item)
		}
		if p.req.Backfill || ph.moves && p.passes(when, isTime) {
			p.state.position = at
			if isTime {
				p.state.Marks = nil
			}
		}
	}
	return p.flush(items)
}

// passes tells whether the cursor may go past a row. A row from the future, or from "infinity", would take it past
// rows that are still to come.
func (p *pull) passes(when moment, isTime bool) bool {
	if isTime {
		return !when.After(p.now)
	}
	if _, was := p.query.moment(p.state.position); was { // a text such as "n/a" comes after all times
		return false
	}
	switch p.query.columns[p.query.at].typeName {
	case "TIMESTAMP", "TIMESTAMPTZ", "DATETIME", "DATE":
		return false
	}
	return true
}

// wants tells whether an item belongs to the request. The cursor column's time tells if no other does.
func (p *pull) wants(item *sources.Item, when moment) bool {
	updated := item.UpdatedTime
	if updated.IsZero() {
		updated = when.Time
	}
	return p.req.Wants(item.Interaction.CreatedTime, updated)
}

// flush yields items, and the cursor if it moved.
func (p *pull) flush(items []sources.Item) error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	b := sources.Batch{Items: items}
	if text := p.state.text(); text != p.sent {
		b.Cursor, p.sent = text, text
	}
	if p.fresh {
		b.Rereads, p.fresh = anyPlace, false
	}
	return p.send(b)
}

func (p *pull) send(b sources.Batch) error {
	if len(b.Items) == 0 && b.Cursor == "" && b.Rereads == "" {
		return nil
	}
	if !p.yield(b, nil) {
		return errEnough
	}
	return nil
}

// Places of faults. That of a row has an end, so that it is not the beginning of another's.
const (
	anyPlace = "row"
	noID     = "rows without an id"
)

func place(id any) string { return fmt.Sprintf("row %q", asText(id)) }

// reportRowsWithoutID makes one fault of all rows that have no id: they have no place either.
func (p *pull) reportRowsWithoutID() error {
	found, err := p.lacksID()
	if err != nil {
		return err
	}
	if found {
		p.state.NoID = true
		column := p.query.columns[p.query.key].name
		return p.flush([]sources.Item{{Fault: &sources.Fault{Place: noID, Reason: fmt.Sprintf("%s is NULL; give each row an id that never changes", column)}}})
	}
	if p.state.NoID {
		p.state.NoID = false
		p.sent = p.state.text()
		return p.send(sources.Batch{Rereads: noID, Cursor: p.sent})
	}
	return nil
}

// readFaultsAgain reads the rows that could not be read when they were last seen: mending them need not have changed
// the cursor column.
func (p *pull) readFaultsAgain() error {
	faults := slices.Clone(p.state.Faults)
	if len(faults) == 0 {
		return nil
	}
	marks := strings.TrimSuffix(strings.Repeat(placeholder+", ", len(faults)), ", ")
	where := clause{p.query.name(p.query.key) + " IN (" + marks + ")", faults}
	if err := p.walk(phase{where: where, byID: true}); err != nil {
		return err
	}
	for _, id := range faults {
		if p.unread[id] {
			continue
		}
		p.state.forget(id)
		p.sent = p.state.text()
		if err := p.send(sources.Batch{Rereads: place(id), Cursor: p.sent}); err != nil {
			return err
		}
	}
	return nil
}
