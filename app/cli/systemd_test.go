package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store/storetest"
)

// supervised is a daemon started as the unit in contrib/systemd does it, with the test in the place of systemd.
type supervised struct {
	t       *testing.T
	process *exec.Cmd
	log     string
	socket  *net.UnixConn
	// heard are the lines of all messages so far; alive is when the last sign of life came.
	heard []string
	alive time.Time
}

// unit is the value of a setting of the daemon's unit.
func unit(t *testing.T, setting string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "contrib", "systemd", "socialhub-sync.service"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, setting+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("the unit has no %s", setting)
	return ""
}

// supervise starts the daemon with one source of three items. The API passes through before, if that is not nil.
func supervise(t *testing.T, database string, watchdog time.Duration, before func(*http.Request)) *supervised {
	t.Helper()
	box := sandbox.New(sandbox.Options{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before != nil {
			before(r)
		}
		box.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		box.Close()
		api.Close()
	})
	channel, err := box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "supervised-") // short, for the socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	files := map[string]string{"config.yaml": usualConfig, "reviews.jsonl": `{"networkItemId":"review-1","message":"one"}` + "\n"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &supervised{t: t, log: filepath.Join(dir, "daemon.log")}
	name := filepath.Join(dir, "notify")
	if d.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.socket.Close() })
	d.start(dir, "API_URL="+api.URL, "TOKEN="+channel.Token, "DATABASE="+database, "STATE_DIRECTORY="+dir,
		"NOTIFY_SOCKET="+name, fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds()))
	return d
}

func (d *supervised) start(dir string, env ...string) {
	d.t.Helper()
	command := strings.Fields(strings.ReplaceAll(unit(d.t, "ExecStart"), "/etc/socialhub-sync", dir))
	d.process = exec.Command("socialhub-sync", command[1:]...)
	d.process.Dir = dir
	d.process.Env = append(env, unit(d.t, "Environment"), "GORACE=atexit_sleep_ms=0")
	for _, name := range []string{"PATH", "TMPDIR", "GOCOVERDIR"} {
		d.process.Env = append(d.process.Env, name+"="+os.Getenv(name))
	}
	out, err := os.Create(d.log)
	if err != nil {
		d.t.Fatal(err)
	}
	defer out.Close()
	d.process.Stdout, d.process.Stderr = out, out
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		if d.process.ProcessState == nil { // the test has failed
			d.process.Process.Kill()
			d.process.Wait()
			text, _ := os.ReadFile(d.log)
			d.t.Logf("%s", text)
		}
	})
}

// until hears the daemon's messages until what was heard is so.
func (d *supervised) until(what string, so func() bool) {
	d.t.Helper()
	buffer := make([]byte, 4096)
	for deadline := time.Now().Add(patience); !so(); {
		if time.Now().After(deadline) {
			d.t.Fatalf("waited in vain until %s; heard %q", what, d.heard)
		}
		// In short steps: that nothing comes may be what is waited for.
		if err := d.socket.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			d.t.Fatal(err)
		}
		n, err := d.socket.Read(buffer)
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(buffer[:n]), "\n") {
			d.heard = append(d.heard, line)
			if line == "WATCHDOG=1" {
				d.alive = time.Now()
			}
		}
	}
}

func (d *supervised) untilHeard(line string) {
	d.t.Helper()
	d.until("it says "+line, func() bool { return d.has(line) })
}

func (d *supervised) has(line string) bool { return slices.Contains(d.heard, line) }

// status is what systemctl shows now.
func (d *supervised) status() string {
	for _, line := range slices.Backward(d.heard) {
		if status, ok := strings.CutPrefix(line, "STATUS="); ok {
			return status
		}
	}
	return ""
}

// readyz is what the daemon answers there.
func (d *supervised) readyz() int {
	d.t.Helper()
	text, err := os.ReadFile(d.log)
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var running struct{ Msg, Listen string }
		if json.Unmarshal([]byte(line), &running) != nil || running.Msg != "running" {
			continue
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		resp, err := client.Get("http://" + running.Listen + "/readyz")
		if err != nil {
			d.t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	d.t.Fatalf("it has not said where it listens:\n%s", text)
	return 0
}

func (d *supervised) signal(s os.Signal) {
	d.t.Helper()
	if err := d.process.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// ends waits for the end, which must be a good one.
func (d *supervised) ends() {
	d.t.Helper()
	if err := d.process.Wait(); err != nil {
		text, _ := os.ReadFile(d.log)
		d.t.Errorf("%v\n%s", err, text)
	}
}

func TestSystemdHearsThatTheDaemonIsReadyOnceItAnswers(t *testing.T) {
	t.Parallel()
	database := storetest.Postgres(t)
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	down := &refusing{}
	down.network, down.target = pgconn.NetworkAddress(config.Host, config.Port)
	if err := down.bind(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(down.close)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.Host, u.RawQuery = fmt.Sprintf("127.0.0.1:%d", down.port), "sslmode=disable"
	d := supervise(t, u.String(), time.Minute, nil)
	d.untilHeard("STATUS=the database does not answer; waiting for it")
	if d.has("READY=1") || !slices.ContainsFunc(d.heard, func(line string) bool { return strings.HasPrefix(line, "EXTEND_TIMEOUT_USEC=") }) {
		t.Errorf("while it waits for the database: %q", d.heard)
	}
	d.signal(syscall.SIGHUP) // it is obeyed when it runs
	if err := down.end(); err != nil {
		t.Fatal(err)
	}
	d.untilHeard("READY=1")
	d.untilHeard("RELOADING=1")
	if status := d.readyz(); status != http.StatusOK {
		t.Errorf("it says that it is ready, but /readyz answers %d", status)
	}
	d.untilHeard("STATUS=1 channel, 1 source; all is well")
	if !d.has("STATUS=bringing the database up to date") {
		t.Errorf("of the migration it said nothing: %q", d.heard)
	}
	d.signal(syscall.SIGTERM)
	d.untilHeard("STOPPING=1")
	d.ends()
}

func TestSystemdHearsOfTheStopWhenItBegins(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}, 1), make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	d := supervise(t, "sqlite:sync.db", time.Minute, func(r *http.Request) {
		if r.Method == http.MethodPost {
			held <- struct{}{}
			<-release
		}
	})
	t.Cleanup(free)
	d.untilHeard("READY=1")
	select {
	case <-held:
	case <-time.After(patience):
		t.Fatal("no ticket is sent")
	}
	d.signal(syscall.SIGTERM)
	d.untilHeard("STOPPING=1") // while a request is under way
	free()
	d.ends()
}

func TestSystemdHearsWhenAReloadBeginsAndEndsHoweverItWent(t *testing.T) {
	t.Parallel()
	d := supervise(t, "sqlite:sync.db", time.Minute, nil)
	d.untilHeard("READY=1")
	for text, status := range map[string]string{
		usualConfig + "retention: {polls: 48h}\n": "STATUS=the config was read anew",
		usualConfig + "retention: never\n":        "STATUS=the new config can't be used, the old one stays",
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(d.log), "config.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(d.heard)
		d.signal(syscall.SIGHUP)
		d.until("it is ready again", func() bool { return slices.Contains(d.heard[before:], "READY=1") })
		heard := slices.DeleteFunc(slices.Clone(d.heard[before:]), func(line string) bool {
			return line == "WATCHDOG=1" || strings.HasPrefix(line, "STATUS=1 channel")
		})
		if len(heard) != 4 || heard[0] != "RELOADING=1" || !strings.HasPrefix(heard[1], "MONOTONIC_USEC=") || heard[3] != status {
			t.Errorf("heard %q, want %q at its end", heard, status)
		}
	}
	d.signal(syscall.SIGTERM)
	d.ends()
}

func TestTheWatchdogGetsNothingWhileTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	const watchdog = 2 * time.Second
	database, silence := storetest.Silencer(t, storetest.Postgres(t))
	d := supervise(t, database, watchdog, nil)
	d.untilHeard("STATUS=1 channel, 1 source; all is well")
	d.untilHeard("WATCHDOG=1")
	first := d.alive
	d.until("it lives on", func() bool { return d.alive.After(first) })
	silence()
	d.until("systemd loses its patience", func() bool {
		return d.status() == "the database does not answer" && time.Since(d.alive) > watchdog
	})
	// What systemd then does. An exit code of 2 would look like a fault in the config, after which the unit does not restart.
	if codes := unit(t, "RestartPreventExitStatus"); codes != "2" {
		t.Errorf("no restart after %s", codes)
	}
	d.signal(syscall.SIGABRT)
	d.process.Wait()
	if end := d.process.ProcessState.Sys().(syscall.WaitStatus); !end.Signaled() || end.Signal() != syscall.SIGABRT {
		t.Errorf("it ended with %v, which systemd does not tell from a fault in the config", d.process.ProcessState)
	}
}
