package engine

import (
	"context"
	"database/sql"
	"errors"
)

// Session is one connection, made when it is first needed. It serves one goroutine.
type Session struct {
	engine *Engine
	conn   *sql.Conn
}

// Session returns a new session. Close it.
func (e *Engine) Session() *Session { return &Session{engine: e} }

// Close ends the connection.
func (s *Session) Close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

// Read runs f in a read-only transaction, the connecting included within the timeout. Errors are for people, show no
// secret and nothing of a row, and name the setting that is wrong; what no waiting mends is a [*sources.StopError]. After
// ctx is done the error is its cause.
func (s *Session) Read(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	limited, cancel := context.WithTimeout(ctx, s.engine.timeout)
	defer cancel()
	err := s.transact(limited, f)
	switch {
	case err == nil:
		return nil
	case limited.Err() != nil && ctx.Err() == nil:
		return tooSlow(s.engine.timeout)
	}
	return s.engine.explain(ctx, err)
}

func (s *Session) transact(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	if s.conn == nil {
		if err := s.connect(ctx); err != nil {
			return err
		}
	}
	tx, err := s.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if s.engine.begin != nil {
		if err := s.engine.begin(ctx, tx, s.engine.timeout); err != nil {
			return err
		}
	}
	return f(ctx, tx)
}

// Write runs f in a transaction that may write, of an engine that was opened for it, and commits. The error says what is
// known, as those of an ability do (see [sources.Replier]): only where the commit may have gone through it is none
// after which nothing was done. Errors of f that say so themselves stay as they are.
func (s *Session) Write(ctx context.Context, f func(ctx context.Context, tx *sql.Tx) error) error {
	limited, cancel := context.WithTimeout(ctx, s.engine.timeout)
	defer cancel()
	tx, err := s.beginWriting(limited)
	if err == nil {
		defer tx.Rollback()
		err = f(limited, tx)
	}
	if err == nil {
		err = limited.Err()
	}
	if err != nil {
		return s.engine.explainUndone(ctx, limited, err)
	}
	if err = tx.Commit(); err == nil {
		return nil
	}
	if s.engine.uncommitted(err) || errors.Is(err, sql.ErrTxDone) {
		return s.engine.explainUndone(ctx, limited, err)
	}
	return s.engine.explain(ctx, err)
}

func (s *Session) beginWriting(ctx context.Context) (*sql.Tx, error) {
	if s.conn == nil {
		if err := s.connect(ctx); err != nil {
			return nil, err
		}
	}
	tx, err := s.conn.BeginTx(ctx, &sql.TxOptions{Isolation: s.engine.isolation})
	if err != nil || s.engine.begin == nil {
		return tx, err
	}
	if err := s.engine.begin(ctx, tx, s.engine.timeout); err != nil {
		_ = tx.Rollback()
		return nil, err
	}
	return tx, nil
}

func (s *Session) connect(ctx context.Context) (err error) {
	if s.engine.check != nil {
		if err := s.engine.check(); err != nil {
			return err
		}
	}
	if s.conn, err = s.engine.db.Conn(ctx); err != nil || s.engine.prepare == nil {
		return err
	}
	return s.engine.prepare(ctx, s.conn, s.engine.timeout)
}
