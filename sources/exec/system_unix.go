//go:build unix

package execsource

import (
	"os"
	"syscall"
)

// signalGroup sends a signal to all processes of the program's group that are left.
func signalGroup(leader *os.Process, signal syscall.Signal) { _ = syscall.Kill(-leader.Pid, signal) }
