package systemd

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time since the machine began, by the clock that systemd compares with.
func monotonic() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return 0 // Linux always has this clock
	}
	return time.Duration(now.Nano())
}
