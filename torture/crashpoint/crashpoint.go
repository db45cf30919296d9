//go:build crashpoints

// Package crashpoint ends the process, as kill -9 does, at a named point: before or after a write to the database or
// a request to SocialHub. It is in the program only if that is built with the tag crashpoints, for the tests.
//
// CRASH_AT=NAME:N in the environment names the point and the how manieth time it is reached. CRASH_LIST=FILE appends
// the name of each point that is reached to a file.
package crashpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

var state = struct {
	sync.Mutex
	name string
	left int
	list *os.File
}{}

func init() {
	if at, ok := os.LookupEnv("CRASH_AT"); ok {
		i := strings.LastIndexByte(at, ':')
		n, err := strconv.Atoi(at[i+1:])
		if i < 0 || err != nil {
			fmt.Fprintf(os.Stderr, "CRASH_AT=%s: want NAME:N\n", at)
			os.Exit(2)
		}
		state.name, state.left = at[:i], n
	}
	if path, ok := os.LookupEnv("CRASH_LIST"); ok {
		var err error
		if state.list, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
}

// reach is a point. It does not return if the process is to end there.
func reach(name string) {
	state.Lock()
	defer state.Unlock()
	if state.list != nil {
		fmt.Fprintln(state.list, name)
	}
	if name != state.name {
		return
	}
	if state.left--; state.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
