package store

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// deadlocked tells whether Postgres has undone a statement because two waited for each other's rows, so that
// it must run again. It takes a second each time: where it costs little, rows are taken in the order of their key.
func deadlocked(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "40P01"
}

// noTable tells whether a statement named a table that is not there.
func noTable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "42P01"
	}
	_, lite := errors.AsType[*sqlite.Error](err)
	return lite && strings.Contains(err.Error(), "no such table")
}

// Unreachable tells whether an error is one that waiting may mend: no connection, a server that starts or
// stops or does not answer in time, a file that somebody else has locked, a full disk. Other errors (a wrong password, no such database)
// need a person.
func Unreachable(err error) bool {
	if errors.Is(err, errSilent) {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// PostgreSQL, appendix A: 08 connection, 53 resources, 57P operator intervention, 40 rollback, 55P03 lock,
		// 25P03 a transaction that was idle for too long.
		for _, class := range []string{"08", "53", "57P", "40", "55P03", "25P03"} {
			if strings.HasPrefix(pg.Code, class) {
				return true
			}
		}
		return false
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PROTOCOL:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return errors.Is(err, errFileGone) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
