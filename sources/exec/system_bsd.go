//go:build unix && !linux

package execsource

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the program a process group.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits until the program has ended.
func awaitExit(p *process) { _ = p.reap() }
