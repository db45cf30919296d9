package systemd

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestEachMessageIsOneDatagramOfTheProtocol(t *testing.T) {
	t.Parallel()
	for kind, name := range map[string]string{"a path": path(t), "an abstract name": abstract()} {
		t.Run("to "+kind, func(t *testing.T) {
			s := listen(t, name)
			n, err := FromEnv(env("NOTIFY_SOCKET="+name), 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range []struct {
				send func() error
				want string
			}{
				{func() error { return n.Ready("running") }, "READY=1\nSTATUS=running"},
				{func() error { return n.Status("2 channels, 3 sources; all is well") }, "STATUS=2 channels, 3 sources; all is well"},
				{func() error { return n.Status("one\nREADY=1\r\n two") }, "STATUS=one READY=1 two"},
				{func() error { return n.Stopping("stopping") }, "STOPPING=1\nSTATUS=stopping"},
				{n.Alive, "WATCHDOG=1"},
				{func() error { return n.Extend(90 * time.Second) }, "EXTEND_TIMEOUT_USEC=90000000"},
			} {
				if err := test.send(); err != nil {
					t.Error(err)
					continue
				}
				if diff := cmp.Diff(test.want, s.next(t)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAReloadTellsWhenItBegan(t *testing.T) {
	t.Parallel()
	s := listen(t, abstract())
	service := NewService(env("NOTIFY_SOCKET="+s.name), 1, slog.New(slog.DiscardHandler))
	clock := func() int64 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			t.Fatal(err)
		}
		return now.Nano() / 1000
	}
	before := clock()
	service.Reloading()
	service.Ready("reloaded")
	after := clock()
	var usec int64
	message := s.next(t)
	if _, err := fmt.Sscanf(message, "RELOADING=1\nMONOTONIC_USEC=%d", &usec); err != nil || usec < before || usec > after {
		t.Errorf("%q, want a time from %d to %d", message, before, after)
	}
	if got := s.next(t); got != "READY=1\nSTATUS=reloaded" {
		t.Errorf("then %q", got)
	}
}

func TestTheEnvironmentSaysWhereToSendAndHowOften(t *testing.T) {
	t.Parallel()
	const here = "NOTIFY_SOCKET=/run/systemd/notify"
	for _, test := range []struct {
		env      []string
		watchdog time.Duration
		fault    string
	}{
		{[]string{here}, 0, ""},
		{[]string{here, "WATCHDOG_USEC=180000000", "WATCHDOG_PID=42"}, 3 * time.Minute, ""},
		{[]string{here, "WATCHDOG_USEC=180000000"}, 3 * time.Minute, ""},
		{[]string{here, "WATCHDOG_USEC=180000000", "WATCHDOG_PID=41"}, 0, ""},
		{[]string{here, "WATCHDOG_USEC=soon"}, 0, `WATCHDOG_USEC: "soon"`},
		{[]string{here, "WATCHDOG_USEC=0"}, 0, `WATCHDOG_USEC: "0"`},
		{[]string{here, "WATCHDOG_USEC=18446744073709551615"}, 0, `WATCHDOG_USEC: "18446744073709551615"`},
		{[]string{"NOTIFY_SOCKET=vsock:2:1"}, 0, `NOTIFY_SOCKET: "vsock:2:1" is neither a path`},
	} {
		n, err := FromEnv(env(test.env...), 42)
		switch {
		case test.fault == "" && (err != nil || n.Watchdog() != test.watchdog):
			t.Errorf("%q: %v, %v", test.env, n.Watchdog(), err)
		case test.fault != "" && n.Watchdog() != 0:
			t.Errorf("%q: a watchdog of %v", test.env, n.Watchdog())
		case strings.Contains(test.fault, "WATCHDOG_USEC") && n == nil:
			t.Errorf("%q: systemd would wait in vain", test.env)
		case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
			t.Errorf("%q: error %v, want %q", test.env, err, test.fault)
		}
	}
}

func TestWithoutSystemdNothingIsSent(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{nil, {"NOTIFY_SOCKET="}} {
		n, err := FromEnv(env(lines...), os.Getpid())
		if n != nil || err != nil {
			t.Errorf("%q: %v, %v", lines, n, err)
		}
		if err := n.Ready("running"); err != nil || n.Watchdog() != 0 {
			t.Errorf("%q: %v, %v", lines, err, n.Watchdog())
		}
	}
}
