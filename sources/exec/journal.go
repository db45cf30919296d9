package execsource

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// A program may log this many lines at once, and then so many per second; further ones are counted.
const (
	logBurst   = 100
	logsPerSec = 10
)

// maxHeld is the most of a line of standard error that is kept until its end, in bytes. It is far more than is
// shown, so that a secret that is cut in two here is not seen.
const maxHeld = 16 << 10

// journal takes what a program says to people into the log. It is the [io.Writer] of its standard error.
type journal struct {
	log     *slog.Logger
	level   slog.Level // of standard error
	secrets *redactor

	mu      sync.Mutex
	limit   *rate.Limiter
	leftOut int

	held []byte // of a line of standard error without its end
	last string // line of standard error that was not blank
}

func newJournal(log *slog.Logger, level slog.Level, secrets *redactor) *journal {
	return &journal{log: log, level: level, secrets: secrets, limit: rate.NewLimiter(logsPerSec, logBurst)}
}

// Write takes standard error.
func (j *journal) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		j.held = append(j.held, line[:min(len(line), maxHeld-len(j.held))]...)
		if rest = after; ended {
			j.endLine()
		}
	}
	return len(p), nil
}

func (j *journal) endLine() {
	line := j.secrets.clean(string(j.held))
	j.held = j.held[:0]
	if line != "" {
		j.last = line
		j.say(j.level, "standard error", line)
	}
}

// say logs a cleaned line, unless there were too many.
func (j *journal) say(level slog.Level, from, line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.log.Enabled(context.Background(), level) {
		return
	}
	if !j.limit.Allow() {
		j.leftOut++
		return
	}
	j.log.Log(context.Background(), level, "program", slog.String("from", from), slog.String("line", line))
}

// end takes what has no line end. It is called when nobody writes any more.
func (j *journal) end() {
	j.endLine()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.leftOut > 0 {
		j.log.Warn("program logged too much, lines were left out", slog.Int("lines", j.leftOut))
	}
}

// levelOf reads the level of a log message; empty means info.
func levelOf(name string) (level slog.Level, ok bool) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, true
	case "", "info":
		return slog.LevelInfo, true
	case "warn", "warning":
		return slog.LevelWarn, true
	case "error":
		return slog.LevelError, true
	}
	return 0, false
}
