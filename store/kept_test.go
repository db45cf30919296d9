package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"
)

// ledger counts what its connections prepare, by text, and how many statements are open.
type ledger struct {
	driver.Connector
	prepared map[string]int
	open     int
}

func (l *ledger) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := l.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &ledgerConn{c.(sqliteConn), l}, nil
}

type ledgerConn struct {
	sqliteConn
	*ledger
}

func (c *ledgerConn) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	stmt, err := c.sqliteConn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.prepared[text]++
	c.open++
	return &ledgerStmt{stmt.(sqliteStmt), c.ledger}, nil
}

type ledgerStmt struct {
	sqliteStmt
	*ledger
}

func (s *ledgerStmt) Close() error {
	s.open--
	return s.sqliteStmt.Close()
}

// keepingDB is a database of one connection, with a table t (a, b) of the rows 1, 2 and 3.
func keepingDB(t *testing.T) (*sql.DB, *ledger) {
	t.Helper()
	c, err := sqlite.NewConnector(filepath.Join(t.TempDir(), "kept.db"))
	if err != nil {
		t.Fatal(err)
	}
	l := &ledger{Connector: c, prepared: make(map[string]int)}
	db := sql.OpenDB(keeping{l})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil || l.open != 0 {
			t.Errorf("%v, %d statements are open in the end", err, l.open)
		}
	})
	if _, err := db.Exec("CREATE TABLE t (a UNIQUE, b DEFAULT ''); INSERT INTO t (a) VALUES (1), (2), (3)"); err != nil {
		t.Fatal(err)
	}
	return db, l
}

const listed = "SELECT * FROM t WHERE a > $1"

// list returns how many rows and columns the statement finds.
func list(t *testing.T, q interface {
	Query(string, ...any) (*sql.Rows, error)
}) (n, columns int) {
	t.Helper()
	rows, err := q.Query(listed, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n, len(names)
}

func TestAStatementIsPreparedOnceInAndOutOfTransactions(t *testing.T) {
	t.Parallel()
	db, l := keepingDB(t)
	const insert = "INSERT INTO t (a) VALUES ($1)"
	for i := range 5 {
		if _, err := db.Exec(insert, 10+i); err != nil {
			t.Fatal(err)
		}
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(insert, 20+i); err != nil {
			t.Fatal(err)
		}
		if n, _ := list(t, tx); n != 3+2*(i+1) {
			t.Errorf("%d rows in round %d", n, i)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if l.prepared[insert] != 1 || l.prepared[listed] != 1 {
		t.Errorf("prepared %v, want each once", l.prepared)
	}
}

func TestAKeptStatementSeesAChangeOfTheSchema(t *testing.T) {
	t.Parallel()
	db, _ := keepingDB(t)
	list(t, db)
	if _, err := db.Exec("ALTER TABLE t ADD COLUMN c"); err != nil {
		t.Fatal(err)
	}
	if n, columns := list(t, db); n != 3 || columns != 3 {
		t.Errorf("%d rows of %d columns, want 3 of 3", n, columns)
	}
}

func TestAStatementWhoseRowsAreBeingReadIsNotTouched(t *testing.T) {
	t.Parallel()
	db, _ := keepingDB(t)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	list(t, tx)
	outer, err := tx.Query(listed, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	for left := 3; left > 0; left-- {
		if !outer.Next() {
			t.Fatalf("the rows ended with %d to come: %v", left, outer.Err())
		}
		if n, _ := list(t, tx); n != 3 {
			t.Errorf("%d rows inside", n)
		}
	}
}

func TestAStatementThatFailedIsNotKept(t *testing.T) {
	t.Parallel()
	db, l := keepingDB(t)
	const insert, returning = "INSERT INTO t (a) VALUES ($1)", "INSERT INTO t (a) VALUES ($1) RETURNING a"
	before := l.open
	if _, err := db.Exec(insert, 1); err == nil {
		t.Error("the same twice in a unique column")
	}
	if err := db.QueryRow(returning, 1).Scan(new(int)); err == nil {
		t.Error("the same twice in a unique column")
	}
	if l.open != before {
		t.Errorf("%d statements are open, want %d", l.open, before)
	}
	if _, err := db.Exec(insert, 4); err != nil {
		t.Error(err)
	}
}

// Two texts in one, and what is run once, stay out.
func TestAStatementWithoutArgumentsIsNotKept(t *testing.T) {
	t.Parallel()
	db, l := keepingDB(t)
	if _, err := db.Exec("SELECT 1; SELECT 2"); err != nil {
		t.Fatal(err)
	}
	if l.open != 0 {
		t.Errorf("%d statements are open", l.open)
	}
}
