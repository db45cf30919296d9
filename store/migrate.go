package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"

	"socialhub-sync/migrations"
)

// ErrNewer says that a newer release of the program has migrated the database.
var ErrNewer = errors.New("the database was written by a newer version of socialhub-sync; install that version or a later one")

// ErrOlder says that [Store.Migrate] must run first.
var ErrOlder = errors.New("the database has an older schema; run `socialhub-sync migrate`, or start the daemon once")

// ErrEmpty says that [Store.Migrate] has never run. It is an [ErrOlder] too.
var ErrEmpty error = emptyError{}

type emptyError struct{}

// Error implements error.
func (emptyError) Error() string {
	return "the database has no tables of socialhub-sync yet; run `socialhub-sync migrate`, or start the daemon once"
}

// Is makes it an [ErrOlder].
func (emptyError) Is(target error) bool { return target == ErrOlder }

// Migrate brings the schema to this program's version, under a lock, so that any number of processes
// may start at once. It returns the names of the migrations that it applied.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	provider, err := s.provider()
	if err != nil {
		return nil, err
	}
	if err := s.CheckSchema(ctx); !errors.Is(err, ErrOlder) || s.readOnly {
		return nil, err // nothing to do if nil
	}
	var results []*goose.MigrationResult
	err = s.within(migrateLimit).inTime(ctx, func(ctx context.Context) error {
		results, err = provider.Up(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrate the database: %w", err)
	}
	var applied []string
	for _, r := range results {
		applied = append(applied, r.Source.Path)
	}
	return applied, nil
}

// CheckSchema reports [ErrOlder], [ErrEmpty] or [ErrNewer] unless the schema is the one that this program knows.
func (s *Store) CheckSchema(ctx context.Context) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	var version sql.NullInt64
	scan := func(r *sql.Rows) error { return r.Scan(&version) }
	err = s.query(ctx, s.read, scan, `SELECT max(version_id) FROM goose_db_version`)
	switch target := newest(provider); {
	case noTable(err), err == nil && version.Int64 == 0:
		return ErrEmpty
	case err != nil:
		return fmt.Errorf("look up the version of the schema: %w", err)
	case version.Int64 < target:
		return ErrOlder
	case version.Int64 > target:
		return ErrNewer
	}
	return nil
}

func newest(p *goose.Provider) int64 {
	all := p.ListSources()
	return all[len(all)-1].Version
}

func (s *Store) provider() (*goose.Provider, error) {
	dialect, embedded, folder := goose.DialectPostgres, migrations.Postgres, "postgres"
	option := goose.WithLocker(&transactionLock{})
	if s.name == "sqlite" {
		dialect, embedded, folder = goose.DialectSQLite3, migrations.SQLite, "sqlite"
		option = goose.WithLocker(fileLock{flock.New(s.file + ".lock")})
	}
	files, err := fs.Sub(embedded, folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, s.write, files, option, goose.WithDisableGlobalRegistry(true))
}

// fileLock keeps two processes from migrating one SQLite file at a time.
type fileLock struct{ file *flock.Flock }

func (l fileLock) Lock(ctx context.Context, _ *sql.DB) error {
	_, err := l.file.TryLockContext(ctx, 50*time.Millisecond)
	return err
}

func (l fileLock) Unlock(context.Context, *sql.DB) error { return l.file.Unlock() }

// transactionLock keeps two processes from migrating one Postgres database at a time. It belongs to a
// transaction and not to a session, so that a pooler in transaction mode may stand between.
type transactionLock struct{ tx *sql.Tx }

func (l *transactionLock) Lock(ctx context.Context, db *sql.DB) (err error) {
	if l.tx, err = db.BeginTx(ctx, nil); err != nil {
		return err
	}
	const id = 0x736f6369616c6875                                                       // "socialhu", which no other program should have thought of
	_, err = l.tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`) // it is idle while the others work
	if err == nil {
		_, err = l.tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(id))
	}
	if err != nil {
		return errors.Join(err, l.tx.Rollback())
	}
	return nil
}

func (l *transactionLock) Unlock(context.Context, *sql.DB) error { return l.tx.Commit() }
