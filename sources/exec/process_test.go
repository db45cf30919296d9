package execsource

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"socialhub-sync/sources"
)

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// release ends the reading of the pipe "wait".
func release(t *testing.T, dir string) {
	t.Helper()
	eventually(t, "the program opens its pipe", func() bool {
		pipe, err := os.OpenFile(filepath.Join(dir, "wait"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil { // nobody reads yet
			return false
		}
		_, err = pipe.WriteString("go\n")
		return errors.Join(err, pipe.Close()) == nil
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("not seen: " + what)
		}
	}
}

// whenThere calls f once there is such a file. The function that it returns waits for that.
func whenThere(dir, name string, f func()) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(patience); !exists(dir, name) && time.Now().Before(end); <-tick.C {
		}
	}()
	return func() { <-done }
}

// gone waits until the process, whose number is in a file, is no more, not even as a zombie of ours.
func gone(t *testing.T, dir, file string) {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, dir, file)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of "+file, func() bool { return ended(pid) })
}

// ended tells whether a process has ended. One whose parent died may stay a zombie where nobody collects them.
func ended(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ") && !strings.Contains(string(stat), ") Z "+strconv.Itoa(os.Getpid())+" ")
}

// stubborn starts a child that holds everything open, writes both numbers, and waits for a pipe for ever.
const stubborn = "mkfifo wait\n(trap '' TERM; echo >child.ready; while :; do sleep 1000; done) & echo $! >child\n" +
	"while ! [ -e child.ready ]; do :; done; echo $$ >number; mv number program\n" // which is never there without it

func TestTheProgramAndItsChildrenEndWithTheContext(t *testing.T) {
	t.Parallel()
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := shell(t, stubborn+says(item("item-1"), `{"cursor":"c1"}`)+"read x <wait")
	var err error
	for _, e := range s.Pull(ctx, sources.Request{}) {
		cancel(reason)
		err = e
	}
	if !errors.Is(err, reason) {
		t.Error(err)
	}
	gone(t, s.dir, "program")
	gone(t, s.dir, "child")
}

func TestTheProgramEndsWhenTheContextEndsWhileNothingIsWritten(t *testing.T) {
	t.Parallel()
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := shell(t, stubborn+"read x <wait")
	defer whenThere(s.dir, "program", func() { cancel(reason) })()
	for _, err := range s.Pull(ctx, sources.Request{}) {
		if !errors.Is(err, reason) {
			t.Error(err)
		}
	}
	gone(t, s.dir, "program")
	gone(t, s.dir, "child")
}

func TestTheProgramEndsWhenNoMoreIsTaken(t *testing.T) {
	t.Parallel()
	s := shell(t, stubborn+says(`{"cursor":"c1"}`)+"read x <wait")
	for range s.Pull(t.Context(), sources.Request{}) {
		break
	}
	gone(t, s.dir, "program")
	gone(t, s.dir, "child")
}

func TestABrokenLineEndsTheProgram(t *testing.T) {
	t.Parallel()
	s := shell(t, stubborn+"echo oops\nread x <wait")
	if r := s.pull(t, sources.Request{}); !strings.Contains(r.String(), "error(command: line 1") {
		t.Error(r)
	}
	gone(t, s.dir, "program")
	gone(t, s.dir, "child")
}

// The child holds standard error only: the run ends well, and the child with it.
func TestChildrenAreKilledWhenTheProgramEndsWell(t *testing.T) {
	t.Parallel()
	s := shell(t, "(trap '' TERM; echo >child.ready; exec sleep 1000) >&- & echo $! >child; while ! [ -e child.ready ]; do :; done\n"+says(item("item-1")))
	if r := s.pull(t, sources.Request{}); r.String() != "item-1" {
		t.Error(r)
	}
	gone(t, s.dir, "child")
}

// What a child still writes may be the half of the output: no success without it.
func TestAChildThatHoldsTheOutputIsAnError(t *testing.T) {
	t.Parallel()
	s := shell(t, "(exec sleep 1000) & echo $! >child\n"+says(item("item-1"), `{"cursor":"c1"}`))
	s.grace = 50 * time.Millisecond
	if r := s.pull(t, sources.Request{}); !strings.Contains(r.String(), "error(command: the program ended, but a process that it started still holds its standard output;") {
		t.Error(r)
	}
	gone(t, s.dir, "child")
}

func TestOutputThatAChildWritesAfterTheProgramsEndIsTaken(t *testing.T) {
	t.Parallel()
	s := shell(t, "mkfifo wait; (read x <wait; "+strings.ReplaceAll(says(item("item-2")), "\n", "\n")+") &\n"+says(item("item-1"), `{"cursor":"c1"}`))
	s.grace = patience
	var ids []string
	for batch, err := range s.Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 0 {
			release(t, s.dir)
		}
		for _, i := range batch.Items {
			ids = append(ids, i.Interaction.NetworkItemID)
		}
	}
	if got := strings.Join(ids, " "); got != "item-1 item-2" {
		t.Error(got)
	}
}

func TestASlowProgramIsEndedAtItsTime(t *testing.T) {
	t.Parallel()
	s := shell(t, stubborn+says(item("item-1"), `{"cursor":"c1"}`, item("item-2"))+"read x <wait")
	s.timeout = time.Second
	r := s.pull(t, sources.Request{})
	if got := r.String(); !strings.HasPrefix(got, "item-1 item-2 cursor(c1) error(timeout: the program ran longer than 1s and was ended;") {
		t.Error(got)
	}
	gone(t, s.dir, "program")
	gone(t, s.dir, "child")
}

func TestEndlessOutputIsEndedAtItsTime(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"while :; do echo '" + item("item-1") + "'; done",
		"yes '" + item("item-1") + "'",
		`yes | tr -d '\n'`, // a line without end
		"yes '' ",
		"yes >&2",
	} {
		s := shell(t, script)
		s.timeout = 200 * time.Millisecond
		if r := s.pull(t, sources.Request{}); r.err == nil || !strings.HasPrefix(r.err.Error(), "timeout: ") || r.cursor != "" {
			t.Errorf("%s: %v", script, r.err)
		}
	}
}

// A program may tidy up when it is told to end.
func TestTheProgramIsAskedToEndFirst(t *testing.T) {
	t.Parallel()
	s := shell(t, "mkfifo wait; trap 'echo >tidied; exit' TERM\n"+says(`{"cursor":"c"}`)+"while :; do read x <wait; done")
	s.grace = patience
	for range s.Pull(t.Context(), sources.Request{}) {
		break
	}
	if !exists(s.dir, "tidied") {
		t.Error("the program was killed at once")
	}
}

func TestAProgramThatIgnoresTheRequestToEndIsKilled(t *testing.T) {
	t.Parallel()
	s := shell(t, "trap '' TERM PIPE; echo $$ >program\n"+says(`{"cursor":"c"}`)+"while :; do sleep 1000; done")
	s.grace = 50 * time.Millisecond
	for range s.Pull(t.Context(), sources.Request{}) {
		break
	}
	gone(t, s.dir, "program")
}

// A program whose reader is slow waits; nothing piles up.
func TestTheProgramWaitsForItsReader(t *testing.T) {
	t.Parallel()
	s := shell(t, "n=0; while [ $n -lt 20000 ]; do n=$((n+1)); echo '"+strings.ReplaceAll(item("item-N"), "N", "'$n'")+"'; echo $n >written; done")
	for range s.Pull(t.Context(), sources.Request{}) {
		// The pipe and our buffer have 64 KiB each, a line more than 60 bytes.
		written := strings.TrimSpace(readFile(t, s.dir, "written"))
		if n, _ := strconv.Atoi(written); n > sources.MaxBatch+4000 {
			t.Errorf("%d lines were written ahead", n)
		}
		break
	}
}
