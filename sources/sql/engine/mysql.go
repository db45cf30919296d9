package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// tlsModes are what `?tls=` may say, in the driver's words.
var tlsModes = []string{"true", "false", "preferred", "skip-verify"}

func parseMySQL(u *url.URL) (*Address, error) {
	config := mysql.NewConfig()
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.DBName = strings.TrimPrefix(u.Path, "/")
	config.Net, config.Addr, config.TLSConfig = "tcp", u.Host, "preferred"
	config.Logger = &mysql.NopLogger{} // its own would write to stderr
	config.Params = map[string]string{"time_zone": "'+00:00'"}
	for key, values := range u.Query() {
		switch value := values[0]; {
		case key == "socket" && strings.HasPrefix(value, "/"):
			config.Net, config.Addr, config.TLSConfig = "unix", value, "false"
		case key == "tls" && slices.Contains(tlsModes, value):
		default:
			return nil, databaseError("wrong after the ?: MySQL takes tls=true, false, preferred or skip-verify, and socket=/PATH")
		}
	}
	if mode := u.Query().Get("tls"); mode != "" {
		config.TLSConfig = mode
	}
	switch {
	case config.User == "":
		return nil, databaseError("has no user; want mysql://user:password@host:3306/name")
	case config.DBName == "":
		return nil, databaseError("has no name of a database; want mysql://user:password@host:3306/name")
	case config.Net == "tcp" && u.Hostname() == "":
		return nil, databaseError("has no host; want mysql://user:password@host:3306/name, or ?socket=/PATH at its end")
	}
	open := func(_ string, o options) (dialect, *sql.DB, error) {
		config := config.Clone()
		config.Timeout = min(o.timeout, connectTimeout)
		config.ClientFoundRows = o.writes // an UPDATE that changes nothing has found its row all the same
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return dialect{}, nil, databaseError("not an address that MySQL takes")
		}
		return dialect{
			quote: "`", column: "%s", prepare: prepareMySQL,
			utcType:   "TIMESTAMP",                                        // by the session's time_zone
			isolation: sql.LevelReadCommitted, uncommitted: isMySQL(1213), // a conflict in a cluster
			classify: classifyMySQL,
		}, sql.OpenDB(connector), nil
	}
	return &Address{open: open, syntax: syntax{backslashes: true, hashes: true, questions: true}}, nil
}

func isMySQL(number uint16) func(error) bool {
	return func(err error) bool {
		e, ok := errors.AsType[*mysql.MySQLError](err)
		return ok && e.Number == number
	}
}

// prepareMySQL bounds what the server does for us, by the variable that it knows.
func prepareMySQL(ctx context.Context, conn *sql.Conn, timeout time.Duration) error {
	var version string
	if err := conn.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return err
	}
	set := fmt.Sprintf("SET SESSION max_execution_time = %d", timeout.Milliseconds())
	if strings.Contains(version, "MariaDB") {
		set = fmt.Sprintf("SET SESSION max_statement_time = %.3f", timeout.Seconds())
	}
	_, err := conn.ExecContext(ctx, set)
	return err
}

// classifyMySQL knows the numbers of https://mariadb.com/kb/en/mariadb-error-codes/ and of MySQL.
func classifyMySQL(err error) (trouble, bool) {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return trouble{}, false
	}
	t := trouble{text: fmt.Sprintf("%s (error %d)", e.Message, e.Number)}
	switch e.Number {
	case 1969, 3024:
		t.kind = timedOut
	case 1044, 1045, 1049, 1130, 1251, 1524, 1698, 1820, 1862, 3118, 4151:
		t.kind = refused
	case 1792, 1290, 1836:
		t.kind = writes
	case 1142, 1143, 1227, 1370:
		t.kind = forbidden
	case 1046, 1051, 1052, 1054, 1055, 1056, 1060, 1064, 1066, 1140, 1146, 1149, 1222, 1235, 1248, 1267, 1305, 1582, 1630:
		t.kind = wrongQuery
	case 1040, 1053, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 1927:
		t.kind = unavailable
	default: // The message may hold a value of a row.
		t = trouble{kind: failedQuery, text: fmt.Sprintf("error %d", e.Number)}
	}
	return t, true
}
