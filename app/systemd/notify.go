// Package systemd tells systemd how the daemon does: when it is ready, what it is doing, that it still works, and that it
// stops. [Notifier] speaks the protocol of sd_notify(3), [Service] says when what is sent.
package systemd

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// sendLimit is how long a message may wait for room in systemd's queue.
const sendLimit = 5 * time.Second

// Notifier sends to the socket that systemd listens on. A nil one sends nothing, as for a daemon that runs without systemd.
type Notifier struct {
	socket   string
	watchdog time.Duration
}

// FromEnv reads what systemd puts into the environment of the process pid: NOTIFY_SOCKET, and WATCHDOG_USEC with
// WATCHDOG_PID. Without NOTIFY_SOCKET, or with one that it can't use, it returns nil; with a bad WATCHDOG_USEC one
// without a watchdog.
func FromEnv(lookup func(string) (string, bool), pid int) (*Notifier, error) {
	socket, _ := lookup("NOTIFY_SOCKET")
	if socket == "" {
		return nil, nil
	}
	if socket[0] != '/' && socket[0] != '@' {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %q is neither a path nor, with @, a name of an abstract socket", socket)
	}
	watchdog, err := watchdogOf(lookup, pid)
	return &Notifier{socket, watchdog}, err
}

// watchdogOf is the time within which systemd wants signs of life of the process pid; 0 if it wants none.
func watchdogOf(lookup func(string) (string, bool), pid int) (time.Duration, error) {
	text, _ := lookup("WATCHDOG_USEC")
	if text == "" {
		return 0, nil
	}
	const most = 1 << 53 // microseconds: 285 years, which a Duration still holds
	usec, err := strconv.ParseUint(text, 10, 64)
	if err != nil || usec == 0 || usec > most {
		return 0, fmt.Errorf("WATCHDOG_USEC: %q is no number of microseconds", text)
	}
	// It names the process that is meant: children inherit the variables.
	if meant, _ := lookup("WATCHDOG_PID"); meant != "" && meant != strconv.Itoa(pid) {
		return 0, nil
	}
	return time.Duration(usec) * time.Microsecond, nil
}

// Watchdog is the time within which systemd wants a sign of life; 0 if it wants none.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Ready says that the start, or a reload, is complete.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", statusLine(status)) }

// Reloading says that the config is read anew; [Notifier.Ready] says when that is done. Type=notify-reload wants the
// time of its begin.
func (n *Notifier) Reloading() error {
	return n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds()))
}

// Stopping says that the daemon begins to stop.
func (n *Notifier) Stopping(status string) error { return n.send("STOPPING=1", statusLine(status)) }

// Status shows a line in `systemctl status`.
func (n *Notifier) Status(status string) error { return n.send(statusLine(status)) }

// Alive is a sign of life for the watchdog.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

// Extend asks for that much time from now on for what is under way: the start or the stop.
func (n *Notifier) Extend(by time.Duration) error {
	return n.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", by.Microseconds()))
}

// statusLine keeps a text from being taken for more than one line.
func statusLine(status string) string {
	return "STATUS=" + strings.Join(strings.Fields(status), " ")
}

// send sends one message. It connects anew each time, for systemd may have been replaced since.
func (n *Notifier) send(lines ...string) error {
	if n == nil {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	if _, err := conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
