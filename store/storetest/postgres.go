// Package storetest lends tests databases of SQLite and of a real Postgres: the server named by TEST_POSTGRES_URL, or a private
// one that the test process starts from the installed binaries and takes down again.
package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// serverVariable names the server that [Postgres] uses instead of a private one: a URL whose user may
// create databases.
const serverVariable = "TEST_POSTGRES_URL"

// sqlLimit bounds one CREATE or DROP DATABASE.
const sqlLimit = time.Minute

// shared is the private cluster of this process, started by the first test that asks for it.
var shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// Postgres returns the URL of a new, empty database. When the test ends the database is dropped, even
// if connections to it are still open. Many tests may call it at once. It fails the test, and never
// skips it, when there is no server and none can be started.
//
// The package's TestMain should call [Main].
func Postgres(tb testing.TB) string {
	tb.Helper()
	server := os.Getenv(serverVariable)
	if server == "" {
		shared.once.Do(func() { shared.cluster, shared.err = newCluster() })
		if shared.err != nil {
			tb.Fatal(shared.err)
		}
		server = shared.cluster.URL("postgres")
	}
	return newDatabase(tb, server)
}

// Main runs the tests, removes the private cluster if one was started, and then fails if the tests
// left goroutines behind. It returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
//
// A process that dies before it gets there leaves no cluster behind either.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.cluster != nil {
		if err := shared.cluster.remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// newDatabase creates a database on the server for as long as the test runs and returns its URL.
func newDatabase(tb testing.TB, server string) string {
	tb.Helper()
	name := databaseName(tb.Name())
	database, err := databaseURL(server, name)
	if err != nil {
		tb.Fatal(err)
	}
	quoted := pgx.Identifier{name}.Sanitize()
	if err := execute(server, "CREATE DATABASE "+quoted+" TEMPLATE template0"); err != nil {
		tb.Fatalf("create a database for the test: %v", err)
	}
	tb.Cleanup(func() {
		if err := execute(server, "DROP DATABASE "+quoted+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return database
}

// databaseName returns a name that tells which test made the database and that nobody else has.
func databaseName(test string) string {
	readable := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(test))
	// Postgres: a name has at most 63 bytes.
	return readable[:min(len(readable), 48)] + "_" + strings.ToLower(rand.Text()[:10])
}

// databaseURL returns the server's URL with another database in it.
func databaseURL(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// The URL may hold a password, and so may url.Parse's error.
		return "", errors.New(serverVariable + " is not a URL of the form postgres://user@host/db")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// execute runs one statement on a connection of its own.
func execute(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), sqlLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}
