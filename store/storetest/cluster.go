package storetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startLimit bounds one start of the server, recovery after a crash included.
const startLimit = time.Minute

// Cluster is a private Postgres server that a test may stop, kill and start again. It listens on a
// unix socket alone, in a folder that only its user (and root) can enter: it needs no free port, and
// nobody else on the machine can connect although it asks for no password.
//
// Its methods may be called from any goroutine.
type Cluster struct {
	bin     string              // folder of initdb and postgres
	dir     string              // holds the socket and data/
	user    *syscall.Credential // whom the server runs as; nil: as ourselves
	durable bool
	guard   *guard

	mu     sync.Mutex
	exited <-chan struct{} // of the running server; nil while none runs
	server *os.Process
	killed bool // and not started since
}

// Option changes what [StartCluster] starts.
type Option func(*Cluster)

// Durable makes the server keep its data on the disk and wait for it, as in production. Without it
// what was committed outlives [Cluster.Kill], but not a crash of the machine.
func Durable() Option { return func(c *Cluster) { c.durable = true } }

// StartCluster starts a server for this test alone; it is removed when the test ends. It takes about
// a second: a test that does not stop or kill its server should use [Postgres].
func StartCluster(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	c, err := newCluster(opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.remove(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// URL returns the address of the database of that name; "postgres" always exists. It stays the same
// over restarts.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User("postgres"),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {c.dir}}.Encode(),
	}
	return u.String()
}

// Start starts the stopped server and returns when it accepts connections.
func (c *Cluster) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exited != nil {
		return errors.New("start postgres: it is running")
	}
	log := &startLog{ready: make(chan struct{})}
	cmd := c.command("postgres", c.settings()...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	// All processes of the server hold the pipe to log, so Wait returns when the last one is gone.
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // how it ended is told by log, or was our wish
	}()
	select {
	case <-log.ready:
		c.server, c.exited, c.killed = cmd.Process, exited, false
		return nil
	case <-exited:
		return fmt.Errorf("start postgres: it exited: %s", log)
	case <-time.After(startLimit):
		_ = cmd.Process.Kill()
		<-exited
		return fmt.Errorf("start postgres: not ready after %v: %s", startLimit, log)
	}
}

// Stop shuts the server down in good order, cutting its connections, and returns when it is gone.
func (c *Cluster) Stop() error { return c.end(syscall.SIGINT) }

// Kill ends the server as kill -9 does, and returns when all of its processes are gone.
func (c *Cluster) Kill() error { return c.end(syscall.SIGKILL) }

// Restart stops the server in good order and starts it again.
func (c *Cluster) Restart() error {
	if err := c.Stop(); err != nil {
		return err
	}
	return c.Start()
}

func (c *Cluster) end(signal os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exited == nil {
		return errors.New("stop postgres: it is not running")
	}
	if err := c.server.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop postgres: %w", err)
	}
	<-c.exited
	c.exited, c.killed = nil, signal == syscall.SIGKILL
	// A killed server leaves its process id behind, which may soon be somebody else's.
	_ = os.Remove(filepath.Join(c.dir, "data", "postmaster.pid"))
	return nil
}

// newCluster creates a cluster and starts it. Whatever happens to this process, the guard removes it.
func newCluster(opts ...Option) (*Cluster, error) {
	bin, err := binaries(binaryFolders())
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin}
	for _, opt := range opts {
		opt(c)
	}
	if err := c.create(); err != nil {
		return nil, errors.Join(fmt.Errorf("create a postgres cluster: %w", err), c.remove())
	}
	return c, nil
}

func (c *Cluster) create() (err error) {
	if c.dir, err = os.MkdirTemp(parentFolder(c.durable), "storetest-"); err != nil {
		return err
	}
	if c.guard, err = startGuard(c.dir); err != nil {
		return err
	}
	if os.Geteuid() == 0 { // Postgres: root may not run it
		if c.user, err = unprivileged(); err != nil {
			return err
		}
		if err := os.Chown(c.dir, int(c.user.Uid), int(c.user.Gid)); err != nil {
			return err
		}
	}
	initdb := c.command("initdb", "--pgdata="+filepath.Join(c.dir, "data"), "--username=postgres",
		"--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, output)
	}
	return c.Start()
}

// parentFolder returns where to put a cluster: in memory if there is much room, where a new database
// takes a tenth of the time, else on the disk. Not in TMPDIR: a socket's path has about 100 bytes at
// most, and the server's user must reach it.
func parentFolder(durable bool) string {
	const memory, room = "/dev/shm", 2 << 30
	var fs syscall.Statfs_t
	if !durable && syscall.Statfs(memory, &fs) == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= room {
		return memory
	}
	return "/tmp"
}

// command prepares a Postgres program that no signal from the terminal and no variable of ours reaches.
func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.user}
	return cmd
}

func (c *Cluster) settings() []string {
	args := []string{"-D", filepath.Join(c.dir, "data"), "-k", c.dir, "-p", "5432",
		"-c", "listen_addresses=", "-c", "max_connections=200"}
	if !c.durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=256MB")
	}
	return args
}

// remove takes the cluster down and deletes it; nil only when nothing is left.
func (c *Cluster) remove() error {
	if c.guard == nil {
		return os.RemoveAll(c.dir)
	}
	if c.killed {
		// It left shared memory outside of its folder, which the next start clears. If there can be
		// none, that is all that stays.
		_ = c.Start()
	}
	if err := c.guard.release(); err != nil {
		return fmt.Errorf("remove the postgres cluster: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.exited != nil {
		<-c.exited
		c.exited = nil
	}
	return nil
}

// guard is a process that removes a cluster as soon as we let go of its stdin. The kernel lets go for
// us when we are killed, panic or exit, so there is one way down for all of these.
type guard struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// guardScript waits for the end of stdin. A pid file that is gone ends the wait for the server too:
// some containers keep dead processes in the table for ever.
const guardScript = `
read -r _
pidfile=$1/data/postmaster.pid
if pid=$(head -n 1 "$pidfile") && kill -QUIT "$pid"; then
	while [ -e "$pidfile" ] && kill -0 "$pid"; do sleep 0.02; done
fi
rm -rf "$1"`

func startGuard(dir string) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "storetest-guard", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &guard{cmd: cmd, stdin: stdin}, nil
}

func (g *guard) release() error {
	_ = g.stdin.Close()
	return g.cmd.Wait()
}

// startLog keeps what the server says until it is ready, and drops the rest.
type startLog struct {
	ready chan struct{}

	mu   sync.Mutex
	text bytes.Buffer
	done bool
}

func (l *startLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return len(p), nil
	}
	l.text.Write(p)
	if bytes.Contains(l.text.Bytes(), []byte("database system is ready to accept connections")) {
		l.done = true
		close(l.ready)
	}
	return len(p), nil
}

func (l *startLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.text.String())
}

// unprivileged returns a user whom root may run Postgres as.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
	}
	return nil, errors.New("postgres does not run as root, and there is no user postgres or nobody to run it as")
}

// binaries returns the first folder that has a whole server.
func binaries(folders []string) (string, error) {
	for _, folder := range folders {
		_, err1 := exec.LookPath(filepath.Join(folder, "initdb"))
		_, err2 := exec.LookPath(filepath.Join(folder, "postgres"))
		if filepath.IsAbs(folder) && err1 == nil && err2 == nil {
			return folder, nil
		}
	}
	return "", errors.New("no Postgres server found for the tests: run scripts/test, which installs one, or set " +
		serverVariable)
}

// binaryFolders lists where a server may be installed, best first.
func binaryFolders() []string {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
	version := func(folder string) float64 {
		v, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(folder)), 64) // no number: last
		return v
	}
	slices.SortFunc(folders, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	return append(folders, filepath.SplitList(os.Getenv("PATH"))...)
}
