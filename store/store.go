// Package store holds every SQL statement. One [Store] serves Postgres and SQLite with one SQL text;
// the few words that differ are named fragments (see engine.go).
//
// The store is the queue between polling and delivering: a ticket row says which content is wanted and
// which was delivered, and a row that is not done has a due time. To the store hashes, payloads and
// cursors are opaque. All times are the database's own clock, in milliseconds, so that replicas with
// wrong clocks agree; callers speak in durations from now.
//
// All methods are safe for concurrent use.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// ErrLeaseLost says that another replica holds the lease now: what was to be written was not.
var ErrLeaseLost = errors.New("lease lost: another process took over")

// Store is one open database.
type Store struct {
	engine
	write *sql.DB
	read  *sql.DB
	// Of an embedded database: where its file is, and which one it is.
	path   string
	opened os.FileInfo
	// readOnly makes every statement one that can't write.
	readOnly bool
	// sent counts the statements; the copies that [Store.within] makes share it.
	sent *atomic.Uint64
}

// Open connects to a database URL: sqlite:PATH, postgres://… or postgresql://…. It neither creates nor
// changes a schema, see [Store.Migrate]. A SQLite file is created when it is missing.
func Open(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, false)
}

// OpenReadOnly connects to a database that must exist; every write fails in the database itself.
func OpenReadOnly(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, true)
}

func open(ctx context.Context, url string, readOnly bool) (*Store, error) {
	e, err := engineOf(url)
	if err != nil {
		return nil, err
	}
	s := &Store{engine: e, readOnly: readOnly, sent: new(atomic.Uint64)}
	if s.write, s.read, err = e.connect(url, readOnly); err != nil {
		return nil, err
	}
	if err = s.Ping(ctx); err == nil {
		err = s.openFile(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the connections. It waits for statements in flight.
func (s *Store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	err := s.read.Close()
	s.emptyLog()
	return errors.Join(err, s.write.Close())
}

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	err := s.present()
	if err == nil {
		s.sent.Add(1)
		err = s.inTime(ctx, func(ctx context.Context) error { return s.blame(s.read.PingContext(ctx)) })
	}
	if err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return nil
}

// Statements is how many statements were sent to the database since [Open], also those that failed. The begin and the
// end of a transaction count as one each, and so does a [Store.Ping]; migrations and what a connection sends by itself
// when it is opened do not count.
func (s *Store) Statements() uint64 { return s.sent.Load() }

// Engine is "postgres" or "sqlite".
func (s *Store) Engine() string { return s.name }

// querier is a pool or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// on runs a statement's work: within the limit, and for a read-only store in a transaction. A setting of the
// session would reach other clients of a pooler in transaction mode, which refuses it or hands it on.
func (s *Store) on(ctx context.Context, q querier, work func(context.Context, querier) error) error {
	if err := s.present(); err != nil {
		return err
	}
	s.sent.Add(1)
	pool, ok := q.(*sql.DB)
	if !ok {
		return s.blame(work(ctx, q)) // the limit is the transaction's
	}
	return s.inTime(ctx, func(ctx context.Context) error {
		if !s.readOnly {
			return s.blame(work(ctx, pool))
		}
		tx, err := pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return s.blame(err)
		}
		s.sent.Add(2)
		defer tx.Rollback()
		return s.blame(work(ctx, tx))
	})
}

// exec runs a statement and returns how many rows it touched.
func (s *Store) exec(ctx context.Context, q querier, text string, args ...any) (n int64, err error) {
	text, args = s.render(text, args)
	err = s.on(ctx, q, func(ctx context.Context, q querier) error {
		result, err := q.ExecContext(ctx, text, args...)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}

// query runs a statement and hands each row to scan.
func (s *Store) query(ctx context.Context, q querier, scan func(*sql.Rows) error, text string, args ...any) error {
	text, args = s.render(text, args)
	return s.on(ctx, q, func(ctx context.Context, q querier) error {
		rows, err := q.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// changeIDs runs a statement that changes tickets and returns their ids.
func (s *Store) changeIDs(ctx context.Context, text string, args ...any) (ids []string, err error) {
	err = againIf(deadlocked, func() error {
		ids = nil
		return s.query(ctx, s.write, func(r *sql.Rows) error {
			var id string
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		}, text, args...)
	})
	return ids, err
}

// inTx runs f in one writing transaction, all of it within the limit. The context for its statements is f's.
func (s *Store) inTx(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	if err := s.present(); err != nil {
		return err
	}
	return s.inTime(ctx, func(ctx context.Context) error {
		tx, err := s.write.BeginTx(ctx, &sql.TxOptions{ReadOnly: s.readOnly})
		if err != nil {
			return s.blame(err)
		}
		s.sent.Add(2) // its begin, and its end, which comes in any case
		defer tx.Rollback()
		if s.begin != "" {
			s.sent.Add(1)
			if _, err := tx.ExecContext(ctx, s.begin); err != nil {
				return err
			}
		}
		if err := f(ctx, tx); err != nil {
			return err
		}
		return s.blame(tx.Commit())
	})
}

// againIf runs f until its error is none that running it again may mend, ten times at most.
func againIf(mends func(error) bool, f func() error) error {
	err := f()
	for tries := 1; tries < 10 && mends(err); tries++ {
		err = f()
	}
	return err
}

// instant turns a column of milliseconds into UTC time; NULL is the zero time.
func instant(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
