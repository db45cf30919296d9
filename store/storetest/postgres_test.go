package storetest

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func value[T any](t *testing.T, conn *pgx.Conn, query string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEveryCallLendsANewEmptyDatabase(t *testing.T) {
	t.Parallel()
	for range 3 {
		t.Run("each", func(t *testing.T) {
			t.Parallel()
			run(t, connect(t, Postgres(t)), "CREATE TABLE item (id text PRIMARY KEY)")
			conn := connect(t, Postgres(t))
			if n := value[int](t, conn, "SELECT count(*) FROM pg_tables WHERE tablename = 'item'"); n != 0 {
				t.Error("the table of another database is in this one")
			}
		})
	}
}

func TestADatabaseIsDroppedAlthoughConnectionsAreOpen(t *testing.T) {
	t.Parallel()
	var name string
	var open *pgx.Conn
	if !t.Run("borrower", func(t *testing.T) {
		url := Postgres(t)
		var err error
		if open, err = pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		name = value[string](t, open, "SELECT current_database()")
	}) {
		t.FailNow()
	}
	if err := open.Ping(t.Context()); err == nil {
		t.Error("the connection outlives the test")
	}
	admin := connect(t, Postgres(t))
	if n := value[int](t, admin, "SELECT count(*) FROM pg_database WHERE datname = $1", name); n != 0 {
		t.Errorf("database %s outlives the test", name)
	}
}

func TestTheServerOfTheEnvironmentIsUsed(t *testing.T) {
	c := StartCluster(t)
	t.Setenv(serverVariable, c.URL("postgres"))
	conn := connect(t, Postgres(t))
	if got := value[string](t, conn, "SHOW unix_socket_directories"); got != c.dir {
		t.Errorf("the database is on the server in %s, want the one in %s", got, c.dir)
	}
}

func TestDatabaseURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, server, want string }{
		{"the database is replaced", "postgres://u:p@h:1/postgres?sslmode=disable", "postgres://u:p@h:1/new?sslmode=disable"},
		{"a URL without a database gets one", "postgresql://u@h", "postgresql://u@h/new"},
		{"a socket's folder stays", "postgres://u@/x?host=%2Ftmp", "postgres://u@/new?host=%2Ftmp"},
		{"key=value pairs are refused", "host=/tmp password=secret", ""},
		{"what is no URL is refused", "postgres://u:secret@h:port", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := databaseURL(test.server, "new")
			if got != test.want || (err != nil) != (test.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), serverVariable)) {
				t.Errorf("error %q: want it to name the variable and not the password", err)
			}
		})
	}
}

func TestDatabaseNamesAreReadableShortAndUnique(t *testing.T) {
	t.Parallel()
	test := "TestX/an_Über-long name " + strings.Repeat("x", 100)
	a, b := databaseName(test), databaseName(test)
	if a == b || len(a) > 63 || !strings.HasPrefix(a, "testx_an__ber_long_name_x") {
		t.Errorf("names %q and %q", a, b)
	}
}
