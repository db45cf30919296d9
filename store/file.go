package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errFileGone says that a SQLite file is no longer where it was opened. What is written to it then would be
// lost with the process, so nothing is.
var errFileGone = errors.New("the file was removed or replaced while in use; put it back to go on, or restart to go on with what is there now")

// Reserve makes this process the one daemon of a SQLite file, until release is called or the process ends,
// however it ends. Two daemons would only wait for each other. Other commands need no reservation: the
// leases keep them apart. A server takes any number of daemons.
func Reserve(url string) (release func() error, err error) {
	e, err := engineOf(url)
	if err != nil || e.file == "" {
		return func() error { return nil }, err
	}
	path := e.file
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	// Not the lock of the migrations: a command that migrates is no daemon.
	lock := flock.New(path + ".daemon")
	locked, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("reserve the database %s: %w; the user who runs this must be able to write to its folder", e.file, err)
	case !locked:
		return nil, fmt.Errorf("the database %s is in use by another daemon; stop that one, or use Postgres for several", e.file)
	}
	return lock.Close, nil
}

// openFile remembers which file was opened, and tells of one that can't be written: SQLite itself would read it on.
func (s *Store) openFile(ctx context.Context) (err error) {
	if s.file == "" {
		return nil
	}
	// SQLite too goes on with the full path.
	if s.path, err = filepath.Abs(s.file); err != nil {
		return err
	}
	opened, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if !s.readOnly {
		if err := s.tryToWrite(ctx); err != nil {
			return err
		}
	}
	s.opened = opened
	return nil
}

// emptyLog moves what is in a SQLite file's log into the file, as far as other processes let it: the log holds
// contents that the file has no more. If it can't, the next one who closes or writes does.
func (s *Store) emptyLog() {
	if s.opened != nil && s.present() == nil {
		_, _ = s.write.Exec("PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE)")
	}
}

// tryToWrite writes something and takes it back. Only a file that may not be written is an error: locks and full
// disks come and go.
func (s *Store) tryToWrite(ctx context.Context) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil
	}
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, "CREATE TABLE attempt (x)")
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code()&0xff == sqlite3.SQLITE_READONLY {
		return s.blame(err)
	}
	return nil
}

// present is nil if the file that was opened is still there.
func (s *Store) present() error {
	if s.opened == nil {
		return nil
	}
	now, err := os.Stat(s.path)
	if err == nil && os.SameFile(now, s.opened) {
		return nil
	}
	return fmt.Errorf("%s: %w", s.path, errFileGone)
}

// blame names the file in an error of SQLite, which does not, and what is likely wrong with it.
func (s *Store) blame(err error) error {
	lite, ok := errors.AsType[*sqlite.Error](err)
	if !ok || strings.Contains(err.Error(), s.file) {
		return err
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s: %w; the folder must be there, and the user who runs this must be able to write to it", s.file, err)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%s: %w; the user who runs this must be able to write to the file and its folder", s.file, err)
	}
	return fmt.Errorf("%s: %w", s.file, err)
}
