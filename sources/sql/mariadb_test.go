package sqlsource

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"socialhub-sync/store/storetest"
)

// mysqlVariable names a server for the tests instead of a private one: mysql://user:password@host:3306/ of a user who
// may create databases and users.
const mysqlVariable = "TEST_MYSQL_URL"

func TestMain(m *testing.M) {
	code := storetest.Main(m)
	if err := mariadb.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// mariadb is the private server of this process, started by the first test that asks for it.
var mariadb privateMariaDB

// privateMariaDB listens on a unix socket alone, in a folder that only its user and root can enter.
type privateMariaDB struct {
	once  sync.Once
	err   error
	dir   string
	guard *exec.Cmd
	stdin io.Closer
}

// mariadbGuard runs the server until stdin ends, which the kernel sees to when the tests are killed, and then removes
// all that is left. Nobody wants the data, so the server gets no time to put it in order.
const mariadbGuard = `
dir=$1; shift
"$@" >"$dir/log" 2>&1 </dev/null &
read -r _
kill -KILL $!
wait $!
rm -rf "$dir"`

// url is the address of the server, of a user who may do everything, with this database.
func (p *privateMariaDB) url(tb testing.TB, database string) string {
	tb.Helper()
	text := os.Getenv(mysqlVariable)
	if text == "" {
		if p.once.Do(func() { p.err = p.start() }); p.err != nil {
			tb.Fatal(p.err)
		}
		text = "mysql://root@localhost/?socket=" + url.QueryEscape(p.socket())
	}
	u, err := url.Parse(text)
	if err != nil {
		tb.Fatalf("%s is no address", mysqlVariable)
	}
	u.Path = "/" + database
	return u.String()
}

func (p *privateMariaDB) socket() string { return filepath.Join(p.dir, "s") }

func (p *privateMariaDB) start() (err error) {
	server, err1 := look("mariadbd", "/usr/sbin")
	install, err2 := look("mariadb-install-db", "/usr/bin")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp(roomyFolder(), "mariadb-"); err != nil {
		return err
	}
	// The guard comes first, so that whatever happens the folder is removed.
	common := []string{"--no-defaults", "--datadir=" + filepath.Join(p.dir, "data"), "--skip-name-resolve", "--innodb-log-file-size=8M"}
	if os.Geteuid() == 0 { // root may not run it
		name, err := unprivileged(p.dir)
		if err != nil {
			return errors.Join(err, os.RemoveAll(p.dir))
		}
		common = append(common, "--user="+name)
	}
	// The first word must be --no-defaults.
	made := exec.Command(install, append(common, "--auth-root-authentication-method=normal", "--skip-test-db")...)
	if output, err := made.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w: %s", install, err, output), os.RemoveAll(p.dir))
	}
	args := append([]string{"-c", mariadbGuard, "mariadb-guard", p.dir, server}, common...)
	p.guard = exec.Command("/bin/sh", append(args, "--socket="+p.socket(), "--skip-networking", "--max-connections=200",
		"--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--lc-messages-dir=", "--loose-innodb-flush-method=nosync")...)
	p.guard.Dir = "/"
	p.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if p.stdin, err = p.guard.StdinPipe(); err != nil {
		return err
	}
	if err := p.guard.Start(); err != nil {
		return err
	}
	return p.waitUntilReady()
}

func (p *privateMariaDB) waitUntilReady() error {
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr, config.Logger = "root", "unix", p.socket(), &mysql.NopLogger{}
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for late := time.After(time.Minute); ; {
		if err = db.Ping(); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-late:
			log, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			return fmt.Errorf("mariadb is not ready: %w: %s", err, log)
		}
	}
}

// remove takes the server down; nil only when nothing is left.
func (p *privateMariaDB) remove() error {
	if p.guard == nil {
		return nil
	}
	_ = p.stdin.Close()
	if err := p.guard.Wait(); err != nil {
		return fmt.Errorf("remove mariadb: %w", err)
	}
	return nil
}

func look(name, folder string) (string, error) {
	if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
		return path, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("no MariaDB server found for the tests: run scripts/test, which installs one, or set " + mysqlVariable)
	}
	return path, nil
}

// unprivileged gives the folder to a user whom root may run the server as.
func unprivileged(dir string) (string, error) {
	for _, name := range []string{"mysql", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		return name, errors.Join(err1, err2, os.Chown(dir, uid, gid))
	}
	return "", errors.New("mariadb does not run as root, and there is no user mysql or nobody")
}

// roomyFolder is where to put a database: in memory if there is room. Not TMPDIR: a socket's path has about 100 bytes at most.
func roomyFolder() string {
	const memory, room = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if syscall.Statfs(memory, &fs) == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= room {
		return memory
	}
	return "/tmp"
}

// newMariaDB returns the address of a new database for a user who may do everything.
func newMariaDB(tb testing.TB) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text()[:12])
	server := mariadb.url(tb, "mysql")
	runSQL(tb, server, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	tb.Cleanup(func() { runSQL(tb, server, "DROP DATABASE "+name) })
	return mariadb.url(tb, name)
}

// openSQL opens a database without the adapter, to write.
func openSQL(tb testing.TB, address string) *sql.DB {
	tb.Helper()
	driver, name := "pgx", address
	if file, ok := strings.CutPrefix(address, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"
	} else if u, err := url.Parse(address); err == nil && u.Scheme == "mysql" {
		config := mysql.NewConfig()
		config.User, config.DBName, config.MultiStatements = u.User.Username(), u.Path[1:], true
		config.Passwd, _ = u.User.Password()
		if config.Addr = u.Host; u.Query().Has("socket") {
			config.Net, config.Addr = "unix", u.Query().Get("socket")
		}
		config.Params = map[string]string{"time_zone": "'+00:00'"}
		driver, name = "mysql", config.FormatDSN()
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

// runSQL runs statements on a connection of its own.
func runSQL(tb testing.TB, address string, statements ...string) {
	tb.Helper()
	db := openSQL(tb, address)
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}
