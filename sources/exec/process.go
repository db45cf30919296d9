package execsource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// errHeld ends the reading when a process that the program left behind keeps standard output open.
var errHeld = errors.New("the program ended, but a process that it started still holds its standard output; " +
	"let the program wait for it, or give it another output")

// process is a program that runs, with all that it starts in its process group.
type process struct {
	cmd    *exec.Cmd
	grace  time.Duration
	stdout *os.File
	exited chan struct{} // closed when the program has ended
	reap   func() error  // takes note of its end: its id may belong to another process then
}

// start starts a program whose Stdin and Stderr are set. It must be ended by [process.end].
func start(cmd *exec.Cmd, grace time.Duration) (*process, error) {
	stdout, end, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	cmd.Stdout = end
	cmd.WaitDelay = grace // for standard error, which others may hold open too
	ownGroup(cmd)
	p := &process{cmd: cmd, grace: grace, stdout: stdout, exited: make(chan struct{}), reap: sync.OnceValue(cmd.Wait)}
	started := make(chan error)
	go p.watch(started)
	err = <-started
	_ = end.Close()
	if err != nil {
		_ = stdout.Close()
		return nil, err
	}
	return p, nil
}

// watch starts the program and waits for its end.
func (p *process) watch(started chan<- error) {
	// Linux ends the program when the thread that started it ends, see ownGroup; so that one stays here.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	awaitExit(p)
	close(p.exited)
	_ = p.stdout.SetReadDeadline(time.Now().Add(p.grace))
}

// Read reads standard output. Once the program has ended what it left in the pipe is read; for what its children
// still write it waits for the grace.
func (p *process) Read(b []byte) (int, error) {
	select {
	case <-p.exited:
		_ = p.stdout.SetReadDeadline(time.Now().Add(p.grace))
	default:
	}
	n, err := p.stdout.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errHeld
	}
	return n, err
}

// interrupt ends a Read that waits, and every later one.
func (p *process) interrupt() { _ = p.stdout.Close() }

// wait waits until the program ends by itself or ctx is done.
func (p *process) wait(ctx context.Context) {
	select {
	case <-p.exited:
	case <-ctx.Done():
	}
}

// end ends the program, if it still runs, and whatever it started. The error is that of [exec.Cmd.Wait].
func (p *process) end() error {
	select {
	case <-p.exited:
	default:
		signalGroup(p.cmd.Process, syscall.SIGTERM)
		_ = p.stdout.Close() // or it may be stuck writing
		timer := time.NewTimer(p.grace)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
		}
	}
	signalGroup(p.cmd.Process, syscall.SIGKILL)
	<-p.exited
	_ = p.stdout.Close()
	return p.reap()
}
