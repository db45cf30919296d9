package storetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// abandonVariable makes the test binary start a cluster and then die in the way that it names, or
// leak a goroutine while it runs its tests.
const abandonVariable = "STORETEST_ABANDON"

func TestMain(m *testing.M) {
	switch how := os.Getenv(abandonVariable); how {
	case "":
	case "leak":
		go func() { select {} }()
	default:
		abandon(how)
	}
	os.Exit(Main(m))
}

// abandon tells the cluster's folder and URL, waits for the end of stdin, and dies.
func abandon(how string) {
	c, err := newCluster()
	if err != nil {
		panic(err)
	}
	fmt.Println(c.dir, c.URL("postgres"))
	_, _ = io.Copy(io.Discard, os.Stdin)
	switch how {
	case "panic":
		panic("abandoned")
	case "exit":
		os.Exit(1)
	default:
		select {} // until killed
	}
}

func TestNoClusterIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"panic", "exit", "kill"} {
		t.Run("when the process dies by "+how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), abandonVariable+"="+how)
			stdin, err1 := cmd.StdinPipe()
			stdout, err2 := cmd.StdoutPipe()
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			dir, url, _ := strings.Cut(strings.TrimSpace(line), " ")
			if err != nil {
				t.Fatalf("the process told %q: %v", line, err)
			}
			conn := connect(t, url)

			_ = stdin.Close()
			if how == "kill" {
				_ = cmd.Process.Kill()
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the process ended well")
			}
			if _, err := conn.WaitForNotification(t.Context()); !conn.IsClosed() {
				t.Errorf("the server runs on: %v", err)
			}
			waitUntilGone(t, dir)
		})
	}
}

func TestAGoroutineThatIsLeftFailsTheRun(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDatabaseURL$")
	cmd.Env = append(os.Environ(), abandonVariable+"=leak")
	if output, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(output), "goroutine") {
		t.Errorf("got %v: %s", err, output)
	}
}

// waitUntilGone returns when the folder does not exist, or fails the test after a minute.
func waitUntilGone(t *testing.T, dir string) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(time.Minute)
	for {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s is left behind", dir)
		}
	}
}

func TestWhatWasCommittedOutlives(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	run(t, connect(t, c.URL("postgres")), "CREATE TABLE step (name text)")
	for _, step := range []struct {
		name   string
		down   func() error
		up     func() error
		runsOn bool
	}{
		{"a stop", c.Stop, c.Start, false},
		{"a kill", c.Kill, c.Start, false},
		{"a restart", func() error { return nil }, c.Restart, true},
	} {
		before := connect(t, c.URL("postgres"))
		run(t, before, "INSERT INTO step VALUES ('"+step.name+"')")
		if err := step.down(); err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.Connect(t.Context(), c.URL("postgres")); (err == nil) != step.runsOn {
			t.Errorf("connect after %s: %v", step.name, err)
		}
		if err := step.up(); err != nil {
			t.Fatal(err)
		}
		if err := before.Ping(t.Context()); err == nil {
			t.Errorf("a connection outlives %s", step.name)
		}
		after := connect(t, c.URL("postgres"))
		if n := value[int](t, after, "SELECT count(*) FROM step WHERE name = $1", step.name); n != 1 {
			t.Errorf("%d rows after %s, want 1", n, step.name)
		}
	}
}

func TestAServerStartsAndStopsOnlyOnce(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	if err := c.Start(); err == nil {
		t.Error("a running server was started")
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	if err := c.Stop(); err == nil {
		t.Error("a killed server was stopped")
	}
}

func TestAServerThatDoesNotStartSaysWhy(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.dir, "data", "pg_hba.conf")); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err == nil || !strings.Contains(err.Error(), "pg_hba.conf") {
		t.Errorf("got %v, want the server's own words", err)
	}
}

func TestOnlyADurableServerWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fsync   string
		options []Option
	}{{"off", nil}, {"on", []Option{Durable()}}} {
		c := StartCluster(t, test.options...)
		if got := value[string](t, connect(t, c.URL("postgres")), "SHOW fsync"); got != test.fsync {
			t.Errorf("fsync is %s, want %s", got, test.fsync)
		}
		if test.fsync == "on" && !strings.HasPrefix(c.dir, "/tmp/") {
			t.Errorf("the durable server's data is in %s", c.dir)
		}
	}
}

func TestNobodyElseCanConnect(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	info, err := os.Stat(c.dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v; want 0700", info.Mode(), err)
	}
	if got := value[string](t, connect(t, c.URL("postgres")), "SHOW listen_addresses"); got != "" {
		t.Errorf("the server listens on %s", got)
	}
}

func TestAMissingServerIsExplained(t *testing.T) {
	t.Parallel()
	half := t.TempDir()
	if err := os.WriteFile(filepath.Join(half, "initdb"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := binaries([]string{half, ""}); err == nil || !strings.Contains(err.Error(), "scripts/test") {
		t.Errorf("got %v, want an error that names scripts/test", err)
	}
	if err := os.WriteFile(filepath.Join(half, "postgres"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if got, err := binaries([]string{"/does/not/exist", half}); got != half || err != nil {
		t.Errorf("got %q, %v; want %s", got, err, half)
	}
}
