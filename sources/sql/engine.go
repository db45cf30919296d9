package sqlsource

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// engine is what differs between the databases.
type engine struct {
	// quote stands around an identifier, twice where it stands inside of one.
	quote string
	// column is how a column is read: %s is its quoted name.
	column string
	// rows tells that (a, b) > (x, y) is served by an index. MySQL and MariaDB read all rows for it.
	rows bool
	// numbered placeholders are $1, $2; else ?.
	numbered bool
	// check looks before a connection is made, prepare sets it up, begin a transaction; nil: nothing to do.
	check   func() error
	prepare func(ctx context.Context, conn *sql.Conn, timeout time.Duration) error
	begin   func(ctx context.Context, tx *sql.Tx, timeout time.Duration) error
	// isUTC tells whether times of that type come without a zone but in UTC.
	isUTC func(columnType string) bool
	// explain says what the database's own error means; false: it is none.
	explain func(err error) (trouble, bool)
	// file is a SQLite database's path as the user wrote it.
	file string
}

// name quotes a column's name.
func (e *engine) name(column string) string {
	return e.quote + strings.ReplaceAll(column, e.quote, e.quote+e.quote) + e.quote
}

// address is a checked `database:`.
type address struct {
	open func(dir string, timeout time.Duration) (*engine, *sql.DB, error)
	// password and the query's values must not be shown.
	secrets []string
}

const addressProblem = "want postgres://user:password@host:5432/name, mysql://user:password@host:3306/name or sqlite:FILE"

func databaseError(problem string) error {
	return &sources.SettingError{Key: "database", Problem: problem}
}

// parseAddress reads the setting. Its errors are [*sources.SettingError] and show nothing of it.
func parseAddress(text string) (*address, error) {
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
	var a *address
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
