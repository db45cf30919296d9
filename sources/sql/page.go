package sqlsource

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"socialhub-sync/sources"
)

// clause is a condition with a placeholder for each of its arguments.
type clause struct {
	text string
	args []any
}

// placeholder stands for one until the SQL is written: no name of a column has it.
const placeholder = "\x00"

// and joins conditions.
func and(clauses ...clause) clause {
	var joined clause
	for _, c := range clauses {
		if c.text == "" {
			continue
		}
		if joined.text != "" {
			joined.text += " AND "
		}
		joined.text += c.text
		joined.args = append(joined.args, c.args...)
	}
	return joined
}

// query is the SQL of one pull.
type query struct {
	*mapping
	text string // the user's
}

func (q *query) name(column int) string { return "q." + q.engine.Name(q.columns[column].name) }

func (q *query) compare(column int, operator string, v any) clause {
	return clause{q.name(column) + " " + operator + " " + placeholder, []any{v}}
}

// beside compares rows with a position in the order of the pages: operator is > for those after it, <= for the others.
func (q *query) beside(operator string, p position) clause {
	switch {
	case p.At == nil:
		return q.compare(q.key, operator, p.ID)
	case p.ID == nil:
		return q.compare(q.at, operator, p.At)
	case q.engine.ComparesRows():
		return clause{fmt.Sprintf("(%s, %s) %s (%s, %[4]s)", q.name(q.at), q.name(q.key), operator, placeholder), []any{p.At, p.ID}}
	}
	strict := q.compare(q.at, operator[:1], p.At)
	tie := and(q.compare(q.at, "=", p.At), q.compare(q.key, operator, p.ID))
	return clause{"(" + strict.text + " OR (" + tie.text + "))", append(strict.args, tie.args...)}
}

// dated is the condition for rows that have a place in the order of the cursor column.
func (q *query) dated() clause { return clause{text: q.name(q.at) + " IS NOT NULL"} }

// selecting writes the query for one page.
func (q *query) selecting(where clause, byID bool) string {
	var names []string
	for n := range q.columns {
		names = append(names, q.engine.Column(q.name(n)))
	}
	order := q.name(q.key)
	if q.at >= 0 && q.at != q.key && !byID {
		order = q.name(q.at) + ", " + order
	}
	return "SELECT " + strings.Join(names, ", ") + q.from() + "\nWHERE " + q.engine.Numbered(where.text, placeholder) + " ORDER BY " + order +
		fmt.Sprintf(" LIMIT %d", sources.MaxBatch)
}

// from holds the user's query; its end may be a comment.
func (q *query) from() string { return " FROM (\n" + q.text + "\n) AS q" }

// describe asks for the query's columns. It reads no row.
func (p *pull) describe() error {
	var columns []column
	p.query = &query{text: p.source.query}
	err := p.session.Read(p.ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT *"+p.query.from()+" LIMIT 0")
		if err != nil {
			return err
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		if err != nil {
			return err
		}
		for _, t := range types {
			columns = append(columns, column{name: t.Name(), typeName: t.DatabaseTypeName()})
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	if p.query.mapping, err = p.newMapping(columns); err != nil {
		return &sources.StopError{Err: err}
	}
	return nil
}

// page is a run of rows in their order.
type page struct {
	rows [][]any
	// more: there may be rows after these.
	more bool
}

// read reads a page: at most [sources.MaxBatch] rows and, as long as it is more than one, [sources.BatchBytes].
func (p *pull) read(where clause, byID bool) (got page, err error) {
	where = and(where, clause{text: p.query.name(p.query.key) + " IS NOT NULL"})
	err = p.session.Read(p.ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, p.query.selecting(where, byID), where.args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for size := 0; rows.Next(); {
			row, bytes, err := p.query.scan(rows)
			if err != nil {
				return err
			}
			if size += bytes; size > sources.BatchBytes && len(got.rows) > 0 {
				got.more = true
				return nil
			}
			got.rows = append(got.rows, row)
		}
		got.more = len(got.rows) == sources.MaxBatch
		return rows.Err()
	})
	return got, err
}

// scan reads a row as strings, int64, uint64 and float64, and tells how many bytes of text it has.
func (q *query) scan(rows *sql.Rows) (row []any, bytes int, err error) {
	row = make([]any, len(q.columns))
	into := make([]any, len(row))
	for n := range row {
		into[n] = &row[n]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, 0, err
	}
	for n, v := range row {
		row[n] = plain(v)
		if text, ok := row[n].(string); ok {
			bytes += len(text)
		}
	}
	return row, bytes, nil
}

// plain gives equal values one type, that which [fromJSON] gives them too: ids are compared. A driver's type may depend
// on the protocol (MySQL's unsigned numbers do).
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case float32:
		return plain(float64(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return int64(v)
		}
	}
	return v
}

// lacksID tells whether a row has no id.
func (p *pull) lacksID() (found bool, err error) {
	err = p.session.Read(p.ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT 1"+p.query.from()+" WHERE "+p.query.name(p.query.key)+" IS NULL LIMIT 1")
		if err != nil {
			return err
		}
		defer rows.Close()
		found = rows.Next()
		return rows.Err()
	})
	return found, err
}
