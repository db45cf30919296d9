package sqlsource

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/sql/engine"
)

// What a source can do beside Pull if it has the setting actions.
var (
	_ sources.Replier         = (*source)(nil)
	_ sources.TemplateReplier = (*source)(nil)
	_ sources.ButtonPresser   = (*source)(nil)
	_ sources.Deleter         = (*source)(nil)
	_ sources.Repeater        = (*source)(nil)
	_ sources.Chooser         = (*source)(nil)
)

// Can implements [sources.Chooser].
func (s *source) Can(t socialhub.ActionType, actionID string) bool {
	return len(s.statements(t, actionID)) > 0
}

func (s *source) statements(t socialhub.ActionType, actionID string) []*engine.Statement {
	switch t {
	case socialhub.ActionReply:
		return s.plan.reply
	case socialhub.ActionTemplateReply:
		return s.plan.template
	case socialhub.ActionButton:
		return s.plan.buttons[actionID]
	case socialhub.ActionDelete:
		return s.plan.remove
	}
	return nil
}

// RepeatableFor implements [sources.Repeater]: a reply is looked for before it is posted, and what is deleted stays so.
func (s *source) RepeatableFor(a *sources.Action) time.Duration {
	switch a.Type {
	case socialhub.ActionReply, socialhub.ActionTemplateReply:
		if s.plan.posted != nil {
			return sources.Always
		}
	case socialhub.ActionDelete:
		if idempotent(s.plan.remove) {
			return sources.Always
		}
	}
	return 0
}

// Reply implements [sources.Replier].
func (s *source) Reply(ctx context.Context, r *sources.Reply) (sources.Posted, error) {
	if len(r.Attachments) > 0 {
		return sources.Posted{}, &sources.RefusedError{Reason: "files can't be stored in this database; reply without"}
	}
	v := s.valuesOf(&r.Action)
	v.plain["text"], v.plain["option"] = r.Text, orNull(r.Option)
	return s.perform(ctx, &r.Action, v)
}

// ReplyWithTemplate implements [sources.TemplateReplier].
func (s *source) ReplyWithTemplate(ctx context.Context, r *sources.TemplateReply) (sources.Posted, error) {
	variables, err := json.Marshal(r.Variables)
	if err != nil {
		return sources.Posted{}, &sources.RefusedError{Reason: "what was filled into the template can't be written as JSON"}
	}
	v := s.valuesOf(&r.Action)
	v.plain["template"], v.plain["template_name"] = r.TemplateID, orNull(r.Name)
	v.plain["language"], v.plain["variables"] = orNull(r.Language), string(variables)
	return s.perform(ctx, &r.Action, v)
}

// PressButton implements [sources.ButtonPresser].
func (s *source) PressButton(ctx context.Context, a *sources.Action) error {
	_, err := s.perform(ctx, a, s.valuesOf(a))
	return err
}

// Delete implements [sources.Deleter].
func (s *source) Delete(ctx context.Context, a *sources.Action) error {
	_, err := s.perform(ctx, a, s.valuesOf(a))
	return err
}

// performance is an action in its transaction.
type performance struct {
	*source
	action *sources.Action
	values *values
	posted *engine.Statement // nil: nothing tells
	tx     *sql.Tx
	// unread: a reply with this key is there from a try before, and can't be read.
	unread error
}

// perform does an action in one transaction: either all of its statements, or nothing.
func (s *source) perform(ctx context.Context, a *sources.Action, v *values) (posted sources.Posted, err error) {
	if ctx.Err() != nil {
		return posted, &sources.NotDoneError{Err: context.Cause(ctx)}
	}
	statements := s.statements(a.Type, a.ID)
	if len(statements) == 0 {
		return posted, &sources.StopError{Err: &sources.SettingError{Key: actionsKey, Problem: fmt.Sprintf(
			"has no statement for %s %s; write one, or take the action out of the channel", a.Type, a.ID)}}
	}
	p := performance{source: s, action: a, values: v}
	if a.Type == socialhub.ActionReply || a.Type == socialhub.ActionTemplateReply {
		p.posted = s.plan.posted
	}
	session := s.writer.Session()
	defer session.Close()
	err = session.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		p.tx = tx
		posted, err = p.run(ctx, statements)
		return err
	})
	switch {
	case p.unread != nil:
		return sources.Posted{}, p.unread
	case err != nil:
		return sources.Posted{}, err
	}
	return posted, nil
}

func (p *performance) run(ctx context.Context, statements []*engine.Statement) (sources.Posted, error) {
	posted, found, err := p.earlier(ctx)
	if err != nil || found {
		return posted, err
	}
	for _, statement := range statements {
		args, err := p.values.bind(statement)
		if err != nil {
			return posted, err
		}
		result, err := p.tx.ExecContext(ctx, p.engine.SQL(statement), args...)
		if err != nil {
			return posted, err
		}
		rows, err := result.RowsAffected()
		if err != nil {
			return posted, err
		}
		if rows == 0 && p.action.Type != socialhub.ActionDelete {
			return p.touchedNothing(ctx)
		}
	}
	if p.posted == nil {
		return posted, nil
	}
	posted, found, err = p.find(ctx)
	switch {
	case err != nil && found:
		err = &sources.StopError{Err: err} // it is rolled back
	case err == nil && !found:
		err = &sources.StopError{Err: actionError("posted", "does not find the reply that was just stored; let it look for :key, which the statement has to store")}
	}
	return posted, err
}

// earlier looks for the reply of a try before this one.
func (p *performance) earlier(ctx context.Context) (posted sources.Posted, found bool, err error) {
	posted, found, err = p.find(ctx)
	if err != nil && found {
		p.unread = err
	}
	return posted, found, err
}

// touchedNothing says what it means that a statement touched no row: somebody else stored the reply at this moment (an
// earlier try that seemed lost), or there is nothing to act on.
func (p *performance) touchedNothing(ctx context.Context) (sources.Posted, error) {
	posted, found, err := p.earlier(ctx)
	if err != nil || found {
		return posted, err
	}
	return posted, &sources.RefusedError{Reason: "the database has no such entry any more"}
}

// find looks for the reply of this action's key. It may be found with an error: it is there, and can't be read.
func (p *performance) find(ctx context.Context) (posted sources.Posted, found bool, err error) {
	if p.posted == nil {
		return posted, false, nil
	}
	args, err := p.values.bind(p.posted)
	if err != nil {
		return posted, false, err
	}
	m, err := p.describePosted(ctx, args)
	if err != nil {
		return posted, false, err
	}
	row, found, err := p.postedRow(ctx, m, args)
	if err != nil || !found {
		return posted, false, err
	}
	item, err := m.read(row)
	if err != nil {
		return posted, true, actionError("posted", err.Error())
	}
	return sources.Posted{
		NetworkItemID: item.Interaction.NetworkItemID, URL: item.Interaction.URL, CreatedTime: item.Interaction.CreatedTime, Ref: item.Ref,
	}, true, nil
}

// postedColumns are what the query of posted replies may have.
var postedColumns = []string{idColumn, itemIDColumn, "url", "createdTime", "ref"}

// describePosted asks for the columns of the query, as a pull does for its own.
func (p *performance) describePosted(ctx context.Context, args []any) (*mapping, error) {
	rows, err := p.tx.QueryContext(ctx, p.engine.SQL(p.posted.Inside("SELECT * FROM (", ") AS q LIMIT 0")), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	m := &mapping{engine: p.engine, zone: p.zone, prefix: p.prefix, at: -1, item: -1}
	for _, t := range types {
		m.columns = append(m.columns, column{name: t.Name(), typeName: t.DatabaseTypeName()})
		if !slices.ContainsFunc(postedColumns, func(name string) bool { return strings.EqualFold(name, t.Name()) }) {
			return nil, &sources.StopError{Err: actionError("posted", fmt.Sprintf("the column %q is none of %s", t.Name(), strings.Join(postedColumns, ", ")))}
		}
	}
	m.own, m.key = m.find(itemIDColumn), m.find(idColumn)
	if m.key < 0 && m.own < 0 {
		return nil, &sources.StopError{Err: actionError("posted", "has no column id; select what the query has as id of the reply")}
	}
	for _, f := range fields {
		if n := m.find(f.name); n >= 0 {
			m.fields = append(m.fields, mapped{field: f, column: n})
		}
	}
	return m, rows.Err()
}

// postedRow reads the first row; there should be one.
func (p *performance) postedRow(ctx context.Context, m *mapping, args []any) (row []any, found bool, err error) {
	var names []string
	for _, c := range m.columns {
		names = append(names, p.engine.Column("q."+p.engine.Name(c.name)))
	}
	statement := p.posted.Inside("SELECT "+strings.Join(names, ", ")+" FROM (", ") AS q LIMIT 1")
	rows, err := p.tx.QueryContext(ctx, p.engine.SQL(statement), args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, false, rows.Err()
	}
	q := query{mapping: m}
	row, _, err = q.scan(rows)
	return row, err == nil, errors.Join(err, rows.Err())
}
