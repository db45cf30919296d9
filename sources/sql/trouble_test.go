package sqlsource

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/store/storetest"
)

// TestAQueryCannotWrite gives the source queries that Validate would refuse too.
func TestAQueryCannotWrite(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, "CREATE TABLE review (no bigint, body "+e.text+")", "INSERT INTO review VALUES (1, 'one')")
		queries := []string{
			"SELECT 1 AS id, 'x' AS message) AS q; DELETE FROM review; SELECT * FROM (SELECT 1 AS id, 'x' AS message",
			"WITH gone AS (DELETE FROM review RETURNING no, body) SELECT no AS id, body AS message FROM gone",
			"DELETE FROM review",
		}
		switch e.name {
		case "postgres":
			runSQL(t, address, `CREATE FUNCTION sweep() RETURNS bigint LANGUAGE sql AS 'DELETE FROM review RETURNING no'`, "CREATE SEQUENCE s")
			queries = append(queries, "SELECT sweep() AS id, 'x' AS message", "SELECT nextval('s') AS id, 'x' AS message",
				"SELECT sweep() AS id, set_config('transaction_read_only', 'off', true) AS message")
		case "mariadb":
			runSQL(t, address, "CREATE FUNCTION sweep() RETURNS bigint MODIFIES SQL DATA BEGIN DELETE FROM review; RETURN 1; END")
			queries = append(queries, "SELECT sweep() AS id, 'x' AS message")
			for _, end := range []string{"", ") AS q INTO OUTFILE 'out' -- ", ") AS q INTO OUTFILE 'out' /*"} {
				queries = append(queries, "SELECT 1 AS id, 'x' AS message INTO OUTFILE 'out'"+end, "SELECT 1 AS id, 'x' AS message"+end+" FROM")
			}
		case "sqlite":
			queries = append(queries, // a temporary table is in a file of its own
				"SELECT 1 AS id, 'x' AS message) AS q; CREATE TEMP TABLE IF NOT EXISTS t (no); SELECT * FROM (SELECT 1 AS id, 'x' AS message",
				"SELECT 1 AS id, 'x' AS message) AS q; PRAGMA query_only = 0; DELETE FROM review; SELECT * FROM (SELECT 1 AS id, 'x' AS message")
		}
		for _, query := range queries {
			s := config{database: address, query: query}.settings(t)
			got := pullAll(t, openSettings(t, s), sources.Request{})
			if got.err == nil {
				t.Errorf("%s: ran", query)
				continue
			}
			if setting := named(t, got.err); setting.Key != "query" {
				t.Errorf("%s: %v", query, got.err)
			}
			if strings.Contains(query, "sweep") {
				if setting := stopped(t, got.err); !strings.Contains(setting.Problem, "it writes") {
					t.Errorf("%s: %v", query, got.err)
				}
			}
		}
		db := openSQL(t, address)
		defer db.Close()
		var rows int
		if err := db.QueryRow("SELECT count(*) FROM review").Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d rows are left, %v", rows, err)
		}
	})
}

func TestAQueryIsOneSelect(t *testing.T) {
	t.Parallel()
	for query, good := range map[string]bool{
		"SELECT 1 AS id": true, "\n with x as (select 1) select * from x ;\n": true, "select\n1": true, "SELECT*FROM x": true,
		"": false, " ;": false, "DELETE FROM x": false, "SELECT 1; SELECT 2": false, "EXPLAIN SELECT 1": false, "SELECT '\x00'": false,
		"selection": false,
	} {
		if problem := queryProblem(trimQuery(query)); (problem == "") != good {
			t.Errorf("%q: %q", query, problem)
		}
	}
}

// hbaWithPasswords makes a cluster ask everybody but its administrator.
const hbaWithPasswords = "local all postgres trust\nlocal all all scram-sha-256\n"

func TestAWrongPasswordStopsTheSourceAndIsNotShown(t *testing.T) {
	t.Parallel()
	const password, wrong = "s3cret/right", "s3cret/wrong"
	cluster := storetest.StartCluster(t)
	postgres := cluster.URL("postgres")
	u, err := url.Parse(postgres)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(u.Query().Get("host"), "data", "pg_hba.conf"), []byte(hbaWithPasswords), 0o600); err != nil {
		t.Fatal(err)
	}
	runSQL(t, postgres, "CREATE ROLE reader LOGIN PASSWORD '"+password+"'", "SELECT pg_reload_conf()")
	mariadb := newMariaDB(t)
	name := "reader_" + strings.TrimPrefix(mustParse(t, mariadb).Path, "/test_")
	runSQL(t, mariadb, fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", name, password), "GRANT SELECT ON * TO "+name)
	t.Cleanup(func() { runSQL(t, mariadb, "DROP USER "+name) })
	for _, c := range []struct{ address, user string }{{postgres, "reader"}, {mariadb, name}} {
		const query = "SELECT 1 AS id, 'text' AS message"
		if got := pullAll(t, config{database: userAddress(c.address, c.user, password), query: query}.open(t), sources.Request{}); got.err != nil {
			t.Errorf("the right password: %v", got.err)
		}
		address := userAddress(c.address, c.user, wrong)
		got := pullAll(t, config{database: address, query: query}.open(t), sources.Request{})
		if setting := stopped(t, got.err); setting.Key != "database" || !strings.Contains(setting.Problem, "the password") {
			t.Errorf("the wrong password: %v", got.err)
		}
		assertNoSecret(t, got.err, address)
		other := mustParse(t, userAddress(c.address, c.user, password))
		other.Path = "/nowhere"
		if got := pullAll(t, config{database: other.String(), query: query}.open(t), sources.Request{}); stopped(t, got.err).Key != "database" {
			t.Errorf("a database that is not there: %v", got.err)
		}
	}
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// assertNoSecret looks for an address's password, written in any way.
func assertNoSecret(t testing.TB, err error, address string) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	password, _ := mustParse(t, address).User.Password()
	for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
}

func TestABrokenConnectionIsAPlainErrorWithoutSecrets(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	talker, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	done := make(chan struct{})
	go func() { // what it says is no database's
		defer close(done)
		for {
			conn, err := talker.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 s3cret-page\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = talker.Close(); <-done })
	for _, scheme := range []string{"postgres", "mysql"} {
		for host, want := range map[string]string{closed: "connection refused", talker.Addr().String(): "", "no-such-host.invalid": "host"} {
			address := fmt.Sprintf("%s://reader:s3cret%%2Fpass@%s/hidden", scheme, host)
			got := pullAll(t, config{database: address, query: "SELECT 1 AS id"}.open(t), sources.Request{})
			if _, stop := errors.AsType[*sources.StopError](got.err); stop || got.err == nil || !strings.Contains(got.err.Error(), want) {
				t.Errorf("%s at %s: %v", scheme, host, got.err)
				continue
			}
			if setting := named(t, got.err); setting.Key != "database" {
				t.Errorf("%s at %s: %v", scheme, host, got.err)
			}
			assertNoSecret(t, got.err, address)
		}
	}
}

func TestAnErrorShowsNothingOfARow(t *testing.T) {
	t.Parallel()
	address := testEngines[0].create(t)
	got := pullAll(t, config{database: address, query: "SELECT 1 AS id, CAST(x AS integer) AS message FROM (VALUES ('s3cret')) AS t (x)"}.open(t), sources.Request{})
	if setting := named(t, got.err); setting.Key != "query" || strings.Contains(got.err.Error(), "s3cret") || !strings.Contains(got.err.Error(), "22P02") {
		t.Errorf("got %v", got.err)
	}
}

// TestAServerStopsWhatTakesTooLong: the server's own limit ends the work there, not only our waiting.
func TestAServerStopsWhatTakesTooLong(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		endless := map[string]string{
			"postgres": "SELECT 1 AS id, pg_sleep(100)::text AS message",
			"mariadb":  "SELECT SLEEP(100) AS id, 'x' AS message FROM (SELECT 1) AS one WHERE SLEEP(100) = 0",
			"sqlite":   "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id, 'x' AS message FROM n WHERE x < 0",
		}[e.name]
		runSQL(t, address, "CREATE TABLE review (no integer)") // or there is no file
		got := pullAll(t, config{database: address, query: endless, more: "timeout: 300ms"}.open(t), sources.Request{})
		if got.err == nil || named(t, got.err).Key != "timeout" {
			t.Fatalf("got %v", got.err)
		}
		count := map[string]string{
			"postgres": "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(100)%' AND state = 'active' AND pid <> pg_backend_pid()",
			"mariadb":  "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(100)%' AND id <> connection_id() AND db = database()",
		}[e.name]
		if count == "" {
			return
		}
		db := openSQL(t, address)
		defer db.Close()
		again := time.NewTicker(20 * time.Millisecond)
		defer again.Stop()
		for running := 1; running > 0; <-again.C {
			if err := db.QueryRowContext(t.Context(), count).Scan(&running); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestTheServerIsToldTheLimit: a client that vanishes can't end its query itself.
func TestTheServerIsToldTheLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		engine       testEngine
		query, limit string
	}{
		{testEngines[0], "SELECT 1 AS id, current_setting('statement_timeout') || current_setting('transaction_read_only') AS message", "7son"},
		{testEngines[1], "SELECT 1 AS id, CONCAT(@@max_statement_time, @@time_zone) AS message", "7.000000+00:00"},
	} {
		got := poll(t, config{database: c.engine.create(t), query: c.query, more: "timeout: 7s"}.open(t), "")
		if texts := got.texts(); len(texts) != 1 || texts[0] != c.limit {
			t.Errorf("%s: %q", c.engine.name, texts)
		}
	}
}
