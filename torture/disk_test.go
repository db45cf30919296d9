package torture

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
)

// onDisk is a world on a SQLite file of the given folder, or of one of its own.
func onDisk(t *testing.T, folder string) (w *world, file string) {
	t.Helper()
	if folder == "" {
		folder = t.TempDir()
	}
	file = filepath.Join(folder, "torture.db")
	return newWorld(t, "sqlite:"+file, options{}), file
}

// said counts the log lines of a process that have all of the texts, and returns the first.
func (p *process) said(texts ...string) (n int, first string) {
lines:
	for line := range strings.Lines(p.output()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		if n++; n == 1 {
			first = line
		}
	}
	return n, first
}

const (
	troubleText = "database trouble"
	healedText  = "database answers again"
)

// troubled waits until the process has said so many times that its database is in trouble.
func (p *process) troubled(times int) {
	p.world.Helper()
	until(p.world, p.name+" tells of its trouble", time.Minute, func() bool {
		n, _ := p.said(troubleText)
		return n >= times
	})
}

// delivered waits until every item has a ticket.
func (w *world) delivered() {
	w.Helper()
	w.flush()
	until(w, "every item has a ticket", time.Minute, func() bool { return len(w.tickets()) >= len(w.ledger.ids) })
}

// troubleOnce checks that trouble was said once per outage and not per try, and that it named the file.
func (p *process) troubleOnce(outages int, file string) {
	p.world.Helper()
	n, first := p.said(troubleText)
	healed, _ := p.said(healedText)
	if n < outages || n > 2*outages || healed < n-1 || healed > n {
		p.world.Errorf("%d outages: %d lines of trouble and %d of healing\n%s", outages, n, healed, p.output())
	}
	if !strings.Contains(first, file) {
		p.world.Errorf("it does not name %s: %s", file, first)
	}
}

// intact asks SQLite whether the file is.
func (w *world) intact() {
	w.Helper()
	if got := table(w, w.db, "PRAGMA integrity_check"); len(got) != 1 || !strings.Contains(got[0], `"ok"`) {
		w.Errorf("integrity_check: %v", got)
	}
}

func TestADatabaseLockedByAnotherProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	w, file := onDisk(t, "")
	lots := rand.New(rand.NewPCG(seed(t), 1))
	p := w.start("run")
	w.ledger.stir(lots, 20, 0)
	w.delivered()

	other, err := w.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	began := time.Now()
	end := w.stream(lots, 2, 2)
	if err := exec1(other, "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	p.troubled(1) // after the 10 s that a statement waits
	if long() {
		pass(30 * time.Second)
	}
	if err := exec1(other, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	held := time.Since(began)
	end()
	w.delivered()
	p.stop()
	p.troubleOnce(1, file)
	w.intact()
	t.Logf("figures: locked for %v: %v", held.Round(time.Second), w.converged())
}

func exec1(c *sql.Conn, statement string) error {
	_, err := c.ExecContext(context.Background(), statement)
	return err
}

func TestAFullDiskLosesNothingAndTheDaemonGoesOnWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	folder, disk := smallDisk(t)
	w, file := onDisk(t, folder)
	lots := rand.New(rand.NewPCG(seed(t), 2))
	p := w.start("run")
	w.ledger.stir(lots, 20, 0)
	w.delivered()
	end := w.stream(lots, 2, 2)
	if err := disk.fill(p); err != nil {
		t.Fatal(err)
	}
	p.troubled(1)
	pass(shortly() / 2) // several tries
	if err := disk.free(p); err != nil {
		t.Fatal(err)
	}
	end()
	w.delivered()
	p.troubleOnce(1, file)

	// Killed while the disk is full, and started again.
	if err := disk.fill(p); err != nil {
		t.Fatal(err)
	}
	end = w.stream(lots, 2, 2)
	p.troubled(2)
	end()
	p.kill()
	if disk.full() {
		q := w.start("run")
		until(t, "the new process tells of the full disk", time.Minute, func() bool {
			return !q.running() || strings.Contains(q.output(), file)
		})
		if !q.running() {
			t.Errorf("it gave up:\n%s", q.output())
		}
		if err := disk.free(q); err != nil {
			t.Fatal(err)
		}
		w.delivered()
		q.stop()
	}
	w.intact()
	t.Logf("figures: disk full twice, killed once (%s): %v", disk.kind(), w.converged())
}

// disk is one that can be made full.
type disk interface {
	// fill makes it full for a process, free undoes that.
	fill(*process) error
	free(*process) error
	// full tells whether it is full for every process.
	full() bool
	kind() string
}

// smallDisk is a file system in memory if we may mount one, else a limit for the size of a process's files.
func smallDisk(t *testing.T) (folder string, d disk) {
	folder = t.TempDir()
	if err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder).Run(); err != nil {
		return folder, fileLimit{}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", folder).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return folder, tmpfs(folder)
}

type tmpfs string

func (d tmpfs) ballast() string { return filepath.Join(string(d), "ballast") }

func (d tmpfs) fill(*process) error {
	f, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

func (d tmpfs) free(*process) error { return os.Remove(d.ballast()) }

func (d tmpfs) full() bool {
	_, err := os.Stat(d.ballast())
	return err == nil
}

func (d tmpfs) kind() string { return "tmpfs of 4 MiB" }

// fileLimit ends the growth of a process's files at 64 KiB, which the write-ahead log soon has.
type fileLimit struct{}

func (fileLimit) set(p *process, limit string) error {
	out, err := exec.Command("prlimit", "--pid", strconv.Itoa(p.cmd.Process.Pid), "--fsize="+limit).CombinedOutput()
	if err != nil {
		return fmt.Errorf("prlimit: %w: %s", err, out)
	}
	return nil
}
func (d fileLimit) fill(p *process) error { return d.set(p, "65536:unlimited") }
func (d fileLimit) free(p *process) error { return d.set(p, "unlimited:unlimited") }
func (fileLimit) full() bool              { return false }
func (fileLimit) kind() string            { return "limit of the file size" }

// What a process writes to a file that is gone would go with it, so it has to stop.
func TestARemovedDatabaseIsToldAndWaitedForAndNeverReplaced(t *testing.T) {
	t.Parallel()
	w, file := onDisk(t, "")
	lots := rand.New(rand.NewPCG(seed(t), 3))
	p := w.start("run")
	w.ledger.stir(lots, 20, 0)
	w.delivered()
	away := file + ".away"
	end := w.stream(lots, 2, 2)
	if err := os.Rename(file, away); err != nil {
		t.Fatal(err)
	}
	p.troubled(1)
	before := len(w.box.Requests())
	pass(3 * time.Second) // three ticks
	if during := len(w.box.Requests()) - before; during > w.concurrency {
		t.Errorf("%d requests were sent whose answers nobody could remember", during)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a new file: %v", err)
	}
	if err := os.Rename(away, file); err != nil {
		t.Fatal(err)
	}
	end()
	w.delivered()
	p.stop()
	p.troubleOnce(1, file)
	w.intact()
	t.Logf("figures: removed and put back: %v", w.converged())
}

func TestASecondDaemonOnOneFileIsRefusedAndOtherCommandsAreNot(t *testing.T) {
	t.Parallel()
	w, file := onDisk(t, "")
	lots := rand.New(rand.NewPCG(seed(t), 4))
	first := w.start("run")
	w.ledger.stir(lots, 20, 0)
	w.delivered()

	out, code := w.run("run")
	if want := fmt.Sprintf("error: the database %s is in use by another daemon", file); code != 1 || !strings.Contains(out, want) {
		t.Errorf("exit code %d, want 1 and %q:\n%s", code, want, out)
	}
	if strings.Count(out, "\n") > 1 {
		t.Errorf("more than one clear line:\n%s", out)
	}
	for _, command := range [][]string{{"run", "--once"}, {"run", "--backfill", "--since", "all"}, {"status"}, {"retry"}, {"migrate"}} {
		if out, code := w.run(command...); code != 0 {
			t.Errorf("%v beside the daemon: exit code %d\n%s", command, code, out)
		}
	}
	w.ledger.stir(lots, 5, 5)
	w.delivered()

	first.kill()
	second := w.start("run")
	w.ledger.stir(lots, 5, 5)
	w.delivered()
	second.stop()
	third := w.start("run")
	w.ledger.stir(lots, 5, 5)
	w.delivered()
	third.stop()
	t.Logf("figures: 1 daemon refused, 5 commands beside the other, taken over at once after kill -9: %v", w.converged())
}

func TestADatabaseThatCannotBeWrittenIsToldAtOnceByItsName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		// prepare makes the folder; the file, if any, has the schema.
		file, folder fs.FileMode
		missing      bool
	}{
		{"the folder and no file in it", 0, 0o555, true},
		{"the folder", 0o644, 0o555, false},
		{"the file", 0o444, 0o777, false},
		{"the file, to read either", 0o000, 0o777, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := newUnprivileged(t)
			file := filepath.Join(u.dir, "data", "torture.db")
			if err := os.Mkdir(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
			u.configure(t, file)
			if !c.missing {
				if out, err := u.command(t, false, "migrate").CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				chmod(t, file, c.file)
			}
			chmod(t, filepath.Dir(file), c.folder)
			defer chmod(t, filepath.Dir(file), 0o777)
			for _, args := range [][]string{{"run"}, {"run", "--once"}} {
				out, err := u.command(t, true, args...).CombinedOutput()
				exit, _ := errors.AsType[*exec.ExitError](err)
				if exit == nil || exit.ExitCode() != 1 {
					t.Errorf("%v: %v, want exit code 1\n%s", args, err, out)
				}
				text := string(out)
				if !strings.HasPrefix(text, "error: ") || strings.Count(text, "\n") != 1 || !strings.Contains(text, file) ||
					!strings.Contains(text, "must be able to write to") {
					t.Errorf("%v: want one line that names the file and the mend:\n%s", args, text)
				}
			}
		})
	}
}

// unprivileged runs the program as a user who is not root.
type unprivileged struct{ dir, program, config string }

func newUnprivileged(t *testing.T) *unprivileged {
	// Not t.TempDir, where nobody else may look.
	dir, err := os.MkdirTemp("", "torture-open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	u := &unprivileged{dir: dir, program: filepath.Join(dir, "socialhub-sync"), config: filepath.Join(dir, "config.yaml")}
	chmod(t, dir, 0o755)
	if err := os.Link(build(t, ""), u.program); err != nil {
		t.Fatal(err)
	}
	return u
}

func (u *unprivileged) configure(t *testing.T, file string) {
	box := sandbox.New(sandbox.Options{})
	defer box.Close()
	channel, err := box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("database: sqlite:%s\napi_url: http://127.0.0.1:1\nlisten: \"\"\nchannels: {support: {access_token: %s}}\n"+
		"sources: {a: {adapter: jsonl, channel: support, settings: {path: none.jsonl}}}\n", file, channel.Token)
	if err := os.WriteFile(u.config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// command runs the program; drop gives root's rights up.
func (u *unprivileged) command(t *testing.T, drop bool, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // one that does not give up must not hold up the tests
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, u.program, append(args, "--config", u.config, "--log-format", "json")...)
	if drop && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return cmd
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Error(err)
	}
}
