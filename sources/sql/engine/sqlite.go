package engine

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func parseSQLite(file string) (*Address, error) {
	if file == "" || strings.HasPrefix(file, ":memory:") || strings.HasPrefix(file, "//") || strings.ContainsRune(file, 0) {
		return nil, databaseError("sqlite: needs the path of a file, such as sqlite:reviews.db")
	}
	open := func(dir string, o options) (dialect, *sql.DB, error) {
		path := inFolder(dir, file)
		query := url.Values{
			"mode": {"ro"},
			// The first pragma refuses every write by itself; the mode does for this file, whatever the pragma is set to.
			"_pragma": {"query_only(1)", "busy_timeout(10000)"},
		}
		if o.writes {
			query = url.Values{"mode": {"rw"}, "_pragma": {"busy_timeout(10000)"}, "_txlock": {"immediate"}}
		}
		u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}
		db, err := sql.Open("sqlite", u.String())
		d := dialect{
			quote: `"`,
			// The plus takes the declared type away, by which the driver would make times of texts.
			column: "+%s",
			rows:   true, classify: classifySQLite, uncommitted: uncommittedSQLite,
			check: func() error { return presentFile(path) },
		}
		return d, db, err
	}
	return &Address{open: open, syntax: syntax{brackets: true, questions: true}}, nil
}

// uncommittedSQLite knows a constraint that is checked last, and that the transaction still has to wait for others.
func uncommittedSQLite(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT)
}

// presentFile wants a database there: an empty file is one for SQLite, and so is one that it would make.
func presentFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return databaseError("no such file")
	case err != nil:
		return databaseError("the file can't be read; check who may")
	case info.IsDir():
		return databaseError("a folder, not a file")
	}
	return nil
}

// classifySQLite shows SQLite's own messages: they quote the query and never a row.
func classifySQLite(err error) (trouble, bool) {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return trouble{}, false
	}
	t := trouble{text: e.Error()}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_READONLY:
		t.kind = writes
	case sqlite3.SQLITE_INTERRUPT:
		t.kind = timedOut
	case sqlite3.SQLITE_ERROR:
		t.kind = wrongQuery
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CORRUPT:
		t.kind = unavailable
	default:
		t.kind = failedQuery
	}
	return t, true
}
