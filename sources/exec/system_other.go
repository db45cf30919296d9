//go:build !unix

package execsource

import (
	"os"
	"os/exec"
	"syscall"
)

// Without process groups only the program itself is ended.

func ownGroup(*exec.Cmd) {}

func awaitExit(p *process) { _ = p.reap() }

func signalGroup(leader *os.Process, _ syscall.Signal) { _ = leader.Kill() }
