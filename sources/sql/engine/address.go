package engine

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// Address is a checked `database:`.
type Address struct {
	open   func(dir string, o options) (dialect, *sql.DB, error)
	syntax syntax
	// password and the query's values must not be shown.
	secrets []string
}

// options are what a database is opened for.
type options struct {
	timeout time.Duration
	// writes: for [Session.Write] instead of [Session.Read].
	writes bool
}

// maxWriters is how many connections write at a time.
const maxWriters = 4

// Open opens the database for reading without connecting to it. A file is relative to dir; timeout bounds each [Session.Read].
func (a *Address) Open(dir string, timeout time.Duration) (*Engine, error) {
	return a.openFor(dir, options{timeout: timeout})
}

// OpenWriter opens the database for [Session.Write], as Open does for reading.
func (a *Address) OpenWriter(dir string, timeout time.Duration) (*Engine, error) {
	return a.openFor(dir, options{timeout: timeout, writes: true})
}

func (a *Address) openFor(dir string, o options) (*Engine, error) {
	dialect, db, err := a.open(dir, o)
	if err != nil {
		return nil, err
	}
	// A connection lives as long as a session: between polls the server has one connection less.
	db.SetMaxOpenConns(1)
	if o.writes {
		db.SetMaxOpenConns(maxWriters)
	}
	db.SetMaxIdleConns(-1)
	return &Engine{db: db, timeout: o.timeout, secrets: a.secrets, dialect: dialect}, nil
}

const addressProblem = "want postgres://user:password@host:5432/name, mysql://user:password@host:3306/name or sqlite:FILE"

func databaseError(problem string) error {
	return &sources.SettingError{Key: "database", Problem: problem}
}

// Parse reads the setting `database`. Its errors are [*sources.SettingError] and show nothing of it.
func Parse(text string) (*Address, error) {
	if file, ok := strings.CutPrefix(text, "sqlite:"); ok {
		return parseSQLite(file)
	}
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, databaseError("missing; " + addressProblem)
	case err != nil:
		return nil, databaseError("not an address; " + addressProblem + ", with special characters of the password as %XX")
	}
	var a *Address
	switch u.Scheme {
	case "postgres", "postgresql":
		a, err = parsePostgres(u)
	case "mysql", "mariadb":
		a, err = parseMySQL(u)
	default:
		err = databaseError(addressProblem)
	}
	if err != nil {
		return nil, err
	}
	a.secrets = secretsOf(u)
	return a, nil
}

// secretsOf returns what an error must not show of an address: the password as it is and as it was written, and what
// stands after the question mark.
func secretsOf(u *url.URL) (found []string) {
	if password, ok := u.User.Password(); ok && password != "" {
		found = append(found, password, url.QueryEscape(password), url.PathEscape(password))
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) > 3 {
				found = append(found, v)
			}
		}
	}
	return found
}

// inFolder makes a path relative to the config's folder.
func inFolder(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
