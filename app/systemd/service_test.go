package systemd

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// phase marks in the stream of messages where a test is.
func phase(t *testing.T, service *Service, name string) {
	t.Helper()
	synctest.Wait()
	if err := service.notifier.send("X_PHASE=" + name); err != nil {
		t.Error(err)
	}
}

// during are the messages of a phase.
func during(messages []string, name string) []string {
	from := slices.Index(messages, "X_PHASE="+name)
	if from < 0 {
		return nil
	}
	rest := messages[from+1:]
	if to := slices.IndexFunc(rest, func(m string) bool { return strings.HasPrefix(m, "X_PHASE=") }); to >= 0 {
		rest = rest[:to]
	}
	return rest
}

func count(messages []string, message string) (n int) {
	for _, m := range messages {
		if m == message {
			n++
		}
	}
	return n
}

func TestTheWatchdogIsFedAtHalfItsTimeAndOnlyWhileAllIsWell(t *testing.T) {
	t.Parallel()
	s := listen(t, abstract())
	collected := s.collect()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		service := NewService(env("NOTIFY_SOCKET="+s.name, "WATCHDOG_USEC=180000000"), 1, slog.New(slog.NewTextHandler(&log, nil)))
		checks := map[string]Check{
			"well": func(context.Context, time.Duration) (string, error) { return "all is well", nil },
			"hangs": func(ctx context.Context, _ time.Duration) (string, error) {
				<-ctx.Done()
				return "the database does not answer", ctx.Err()
			},
			"stalls": func(_ context.Context, stall time.Duration) (string, error) {
				if stall != 90*time.Second {
					t.Errorf("what has not moved for %v hangs", stall)
				}
				return "the engine hangs", errors.New("it has not looked for work for 2m0s")
			},
		}
		var now atomic.Value
		now.Store("well")
		stopping := service.Run(func(ctx context.Context, stall time.Duration) (string, error) {
			return checks[now.Load().(string)](ctx, stall)
		})
		for _, name := range []string{"hangs", "stalls", "well"} {
			time.Sleep(time.Hour + time.Millisecond) // beside the looks
			now.Store(name)
			phase(t, service, name)
		}
		time.Sleep(time.Hour)
		stopping()
		time.Sleep(time.Hour)
		if n := strings.Count(log.String(), "no sign of life"); n != 1 || !strings.Contains(log.String(), context.DeadlineExceeded.Error()) {
			t.Errorf("want it logged once, with the reason:\n%s", log.String())
		}
	})
	messages := collected()
	if t.Failed() {
		return
	}
	first := messages[:slices.Index(messages, "X_PHASE=hangs")]
	if diff := cmp.Diff([]string{"READY=1\nSTATUS=running", "STATUS=all is well", "WATCHDOG=1", "WATCHDOG=1"}, first[:4]); diff != "" {
		t.Error("at the beginning:", diff)
	}
	if n := count(first, "WATCHDOG=1"); n != 41 { // one at once, then every 90 s
		t.Errorf("%d signs of life in an hour", n)
	}
	if diff := cmp.Diff([]string{"STATUS=the database does not answer"}, during(messages, "hangs")); diff != "" {
		t.Error("while the database hangs:", diff)
	}
	if diff := cmp.Diff([]string{"STATUS=the engine hangs"}, during(messages, "stalls")); diff != "" {
		t.Error("while the engine hangs:", diff)
	}
	last := during(messages, "well")
	if diff := cmp.Diff([]string{"STATUS=all is well", "WATCHDOG=1"}, last[:2]); diff != "" {
		t.Error("as soon as it goes on:", diff)
	}
	if n := count(last, "WATCHDOG=1"); n < 40 || n > 41 {
		t.Errorf("%d signs of life in the last hour", n)
	}
	if end := last[len(last)-1]; end != "STOPPING=1\nSTATUS=stopping: what is under way is finished" {
		t.Errorf("at the end: %q", end)
	}
}

func TestAShortWatchdogIsFedInTime(t *testing.T) {
	t.Parallel()
	s := listen(t, abstract())
	collected := s.collect()
	synctest.Test(t, func(t *testing.T) {
		service := NewService(env("NOTIFY_SOCKET="+s.name, "WATCHDOG_USEC=2000000"), 1, slog.New(slog.DiscardHandler))
		stopping := service.Run(func(context.Context, time.Duration) (string, error) { return "all is well", nil })
		time.Sleep(time.Minute + time.Millisecond)
		synctest.Wait()
		stopping()
	})
	if n := count(collected(), "WATCHDOG=1"); n != 61 {
		t.Errorf("%d signs of life in a minute, want one a second", n)
	}
}

func TestWithoutAWatchdogTheStatusIsToldAlone(t *testing.T) {
	t.Parallel()
	s := listen(t, abstract())
	collected := s.collect()
	synctest.Test(t, func(t *testing.T) {
		service := NewService(env("NOTIFY_SOCKET="+s.name), 1, slog.New(slog.DiscardHandler))
		var ill atomic.Bool
		stopping := service.Run(func(context.Context, time.Duration) (string, error) {
			if !ill.Load() {
				return "all is well", nil
			}
			return "the database does not answer", errors.New("no answer")
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		ill.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		stopping()
	})
	want := []string{"READY=1\nSTATUS=running", "STATUS=all is well", "STATUS=the database does not answer",
		"STOPPING=1\nSTATUS=stopping: what is under way is finished"}
	if diff := cmp.Diff(want, collected()); diff != "" {
		t.Error(diff)
	}
}

func TestALongStartAsksForMoreTime(t *testing.T) {
	t.Parallel()
	s := listen(t, abstract())
	collected := s.collect()
	synctest.Test(t, func(t *testing.T) {
		service := NewService(env("NOTIFY_SOCKET="+s.name), 1, slog.New(slog.DiscardHandler))
		started := service.Starting()
		time.Sleep(time.Minute - time.Millisecond)
		started()
		time.Sleep(time.Hour)
	})
	messages := collected()
	if n := count(messages, "EXTEND_TIMEOUT_USEC=60000000"); n != 6 || len(messages) != n {
		t.Errorf("in a minute: %q", messages)
	}
}

func TestADeadSocketIsToldOnceAndNothingElseHappens(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"NOTIFY_SOCKET=" + path(t), "NOTIFY_SOCKET=vsock:2:1"} {
		var log bytes.Buffer
		service := NewService(env(line), 1, slog.New(slog.NewTextHandler(&log, nil)))
		started := service.Starting()
		started()
		stopping := service.Run(func(context.Context, time.Duration) (string, error) { return "all is well", nil })
		stopping()
		if n := strings.Count(log.String(), "systemd can't be told"); n != 1 {
			t.Errorf("%s: told %d times:\n%s", line, n, log.String())
		}
	}
}
