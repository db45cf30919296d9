package torture

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
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

	"socialhub-sync/store/storetest"
)

// bouncer is a PgBouncer in transaction mode in front of a cluster, with fewer connections to the server than clients
// make to it, so that one client's next transaction runs where another's was.
type bouncer struct {
	tb   testing.TB
	dir  string
	user *syscall.Credential

	mu     sync.Mutex
	stdin  io.WriteCloser
	exited chan struct{}
	// wanted is false from the moment when it is told to end.
	wanted bool
	// deaths counts the times when it ended by itself and was started again, as systemd would.
	deaths int
}

// bouncerScript runs PgBouncer until it is told by which signal to end it, or until nobody is left to tell.
const bouncerScript = `
exec 3<&0
"$@" & pooler=$!
(read -r signal <&3; kill "-${signal:-KILL}" $pooler) & reader=$!
wait $pooler
kill $reader`

func startBouncer(tb testing.TB, cluster *storetest.Cluster) *bouncer {
	tb.Helper()
	server, err := url.Parse(cluster.URL("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	// Not t.TempDir: a socket's path has about 100 bytes at most, and PgBouncer's user must reach it.
	dir, err := os.MkdirTemp("/tmp", "torture-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	b := &bouncer{tb: tb, dir: dir}
	b.user = b.serverUser(server.Query().Get("host"))
	config := fmt.Sprintf(`[databases]
* = host=%s port=5432 user=postgres
[pgbouncer]
pool_mode = transaction
default_pool_size = 4
auth_type = any
unix_socket_dir = %s
listen_port = 6432
max_client_conn = 200
`, server.Query().Get("host"), dir)
	if err := os.WriteFile(b.config(), []byte(config), 0o644); err != nil {
		tb.Fatal(err)
	}
	b.start()
	tb.Cleanup(func() {
		b.end("KILL")
		if tb.Failed() {
			log := strings.Split(strings.TrimSpace(b.log()), "\n")
			tb.Logf("PgBouncer, the end of its output:\n%s", strings.Join(log[max(0, len(log)-30):], "\n"))
		}
	})
	return b
}

// serverUser is whom the server runs as: nobody else may reach it, and PgBouncer refuses to run as root.
func (b *bouncer) serverUser(serverDir string) *syscall.Credential {
	b.tb.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 != nil || err2 != nil {
			b.tb.Fatal(err1, err2)
		}
		if err := os.Chown(b.dir, int(uid), int(gid)); err != nil {
			b.tb.Fatal(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	b.tb.Fatal("PgBouncer does not run as root, and there is no user postgres or nobody to run it as")
	return nil
}

// log is what it has said so far.
func (b *bouncer) log() string {
	b.tb.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, "log"))
	if err != nil {
		b.tb.Error(err)
	}
	return string(data)
}

func (b *bouncer) config() string { return filepath.Join(b.dir, "pgbouncer.ini") }

// url is the database postgres through the pooler.
func (b *bouncer) url() string {
	return "postgres://postgres@/postgres?" + url.Values{"host": {b.dir}, "port": {"6432"}}.Encode()
}

func (b *bouncer) start() {
	b.tb.Helper()
	b.mu.Lock()
	b.wanted = true
	err := b.launch()
	b.mu.Unlock()
	if err != nil {
		b.tb.Fatal(err)
	}
	b.ready()
}

// launch starts the program and watches over it: versions up to 1.20, as Debian 12's, may die of a client that cancels a
// query (https://github.com/pgbouncer/pgbouncer/issues/822). The caller holds mu.
func (b *bouncer) launch() error {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // which is not in the PATH of a user on Debian
	}
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/bin/sh", "-c", bouncerScript, "bouncer", program, b.config())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: b.user}
	if b.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	b.exited = exited
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended is in its log
		_ = os.Remove(filepath.Join(b.dir, ".s.PGSQL.6432"))
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.wanted {
			return
		}
		b.deaths++
		if err := b.launch(); err != nil {
			b.tb.Error(err)
		}
	}()
	return nil
}

// ready waits until it answers.
func (b *bouncer) ready() {
	b.tb.Helper()
	until(b.tb, "PgBouncer, which scripts/test installs, answers", 30*time.Second, func() bool {
		c, err := connect(b.url())
		if err != nil {
			return false
		}
		return c.Close(context.Background()) == nil
	})
}

// end ends the pooler by a signal; TERM too cuts its clients off.
func (b *bouncer) end(signal string) {
	b.mu.Lock()
	b.wanted = false
	stdin, exited := b.stdin, b.exited
	b.mu.Unlock()
	_, _ = io.WriteString(stdin, signal+"\n") // it may have ended
	<-exited
}

func TestThroughPgBouncerInTransactionMode(t *testing.T) {
	t.Parallel()
	cluster := storetest.StartCluster(t)
	pooler := startBouncer(t, cluster)
	w := newWorld(t, cluster.URL("postgres"), options{sources: 2})
	w.db.SetMaxIdleConns(0)
	w.database = pooler.url()
	lots := rand.New(rand.NewPCG(seed(t), 7))

	// The schema is made through the pooler too, by two at once.
	replicas := []*process{w.start("run"), w.start("run")}
	w.ledger.stir(lots, 20, 0)
	w.delivered()
	for _, command := range [][]string{{"status"}, {"check"}, {"retry"}, {"migrate"}, {"run", "--dry-run"}, {"run", "--once"}} {
		pooler.ready()
		if out, code := w.run(command...); code != 0 {
			t.Errorf("%v: exit code %d\n%s", command, code, out)
		}
	}
	rounds := 1
	if long() {
		rounds = 5
	}
	end := w.stream(lots, 4, 4)
	for range rounds {
		for _, s := range []string{"TERM", "KILL"} {
			pass(time.Second)
			pooler.end(s)
			pass(shortly() / 2)
			pooler.start()
		}
		w.holder(replicas...).kill()
		replicas = append(running(replicas), w.start("run"))
		w.holder(replicas...)
	}
	end()
	w.delivered()
	told := w.told()
	if most := 2 * rounds * len(replicas) * 3; told == 0 || told > most {
		t.Errorf("the trouble was told %d times, want 1 to %d", told, most)
	}
	if log := pooler.log(); strings.Contains(log, "unsupported startup parameter") {
		t.Errorf("PgBouncer refused a connection:\n%s", log)
	}
	f := w.converged()
	t.Logf("figures: the pooler restarted %d times, killed %d times and died %d times by itself, told %d times; %v",
		rounds, rounds, pooler.deaths, told, f)
}

// running are the processes that have not ended.
func running(all []*process) (left []*process) {
	for _, p := range all {
		if p.running() {
			left = append(left, p)
		}
	}
	return left
}
