package execsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"unicode/utf8"

	"socialhub-sync/sources"
)

// errEnough ends a pull whose caller takes no more.
var errEnough = errors.New("the caller takes no more")

// maxCursor is the largest cursor that is stored, in bytes.
const maxCursor = 1 << 20

// pull is one run of the program.
type pull struct {
	*source
	req     *sources.Request
	yield   func(sources.Batch, error) bool
	journal *journal
	dialect dialect
	lines   *lineReader

	items   []sources.Item
	bytes   int    // of the lines of items
	cursor  string // that was not handed out yet; empty if there is none
	rereads bool   // the first batch is still to come, and the program was asked for everything
}

// dialect is what differs between the formats.
type dialect interface {
	// prepare returns what the program gets: further arguments and standard input. cleanUp is called when it has
	// ended, also after an error.
	prepare() (args []string, stdin []byte, cleanUp func(), err error)
	// take takes one line. An error ends the run.
	take(ctx context.Context, l line) error
}

func newPull(s *source, req *sources.Request, yield func(sources.Batch, error) bool) *pull {
	p := &pull{source: s, req: req, yield: yield, rereads: req.Cursor == "" && !req.Backfill}
	p.journal = newJournal(s.env.Logger, slog.LevelInfo, s.secrets)
	p.dialect = &linesDialect{pull: p}
	if s.singer != nil {
		p.journal.level = slog.LevelDebug // taps tell of every request
		p.dialect = newSingerDialect(p)
	}
	return p
}

func (p *pull) run(parent context.Context) error {
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	ctx, cancel := context.WithTimeout(parent, p.timeout)
	defer cancel()
	last, err := p.runProgram(ctx)
	switch {
	case errors.Is(err, errEnough):
		return err
	case parent.Err() != nil:
		return context.Cause(parent)
	case ctx.Err() != nil:
		err = &sources.SettingError{Key: "timeout", Problem: fmt.Sprintf(
			"the program ran longer than %s and was ended; let it do less in one run, write a cursor now and then, or raise this", p.timeout)}
	case err == nil && last.text != nil:
		err = p.takeLine(ctx, last)
	}
	// What was read may be stored whatever happened; only a cursor says that it need not come again.
	if len(p.items) > 0 || p.cursor != "" || p.rereads && err == nil {
		if ended := p.flush(); ended != nil {
			return ended
		}
	}
	return err
}

// runProgram runs the program to its end and takes its output, except for a last line that has no line end: that is
// whole only if there is no error.
func (p *pull) runProgram(ctx context.Context) (last line, err error) {
	args, stdin, cleanUp, err := p.dialect.prepare()
	defer cleanUp()
	if err != nil {
		return last, err
	}
	running, err := start(&exec.Cmd{
		Path: p.path, Args: append(p.args[:len(p.args):len(p.args)], args...), Dir: p.dir, Env: p.environ,
		Stdin: bytes.NewReader(stdin), Stderr: p.journal,
	}, p.grace)
	if err != nil {
		return last, commandError(fmt.Sprintf("can't start %s: %v; check command and dir", p.args[0], rootOf(err)))
	}
	stop := context.AfterFunc(ctx, running.interrupt)
	p.lines = newLineReader(running)
	last, err = p.readLines(ctx)
	if err == nil {
		running.wait(ctx)
	}
	stop()
	exit := running.end()
	p.journal.end()
	if errors.Is(err, errHeld) {
		err = commandError(err.Error())
	}
	if err == nil {
		err = p.exitError(exit)
	}
	return last, err
}

func commandError(problem string) error {
	return &sources.SettingError{Key: "command", Problem: problem}
}

// readLines takes lines to the end of the output. A last one without a line end is returned.
func (p *pull) readLines(ctx context.Context) (line, error) {
	for {
		l, err := p.lines.next()
		switch {
		case ctx.Err() != nil:
			return line{}, context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return line{}, nil
		case err != nil:
			return line{}, err
		case !l.ended:
			return l, nil
		}
		if err := p.takeLine(ctx, l); err != nil {
			return line{}, err
		}
	}
}

func (p *pull) takeLine(ctx context.Context, l line) error {
	if l.long {
		return p.addFault(faultOf(l, l.text, fmt.Sprintf("longer than %d MiB; make it shorter", maxLine>>20)))
	}
	return p.dialect.take(ctx, l)
}

// broken is the error of a line that is not what the format wants.
func (p *pull) broken(l line, err error) error {
	return commandError(fmt.Sprintf("line %d of the program's output: %s", l.number, p.secrets.clean(err.Error())))
}

// Exit codes that say more than that the program failed, as in BSD's sysexits.h.
const (
	exitNoPermission = 77 // EX_NOPERM
	exitConfig       = 78 // EX_CONFIG
)

// exitError says what the end of the program means.
func (p *pull) exitError(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrWaitDelay):
		p.env.Logger.Warn("a process that the program started still holds its standard error, which is not read any more")
		return nil
	case !ok:
		return fmt.Errorf("wait for the program: %w", err)
	}
	problem := howItEnded(exit, p.journal.last)
	if code := exit.ExitCode(); code == exitNoPermission || code == exitConfig {
		return &sources.StopError{Err: commandError(problem)}
	}
	return commandError(problem)
}

// howItEnded tells of an end that is not exit code 0, with the last line of standard error.
func howItEnded(exit *exec.ExitError, lastLine string) string {
	problem := "the program ended by " + exit.String()
	if exit.Exited() {
		problem = fmt.Sprintf("the program ended with exit code %d", exit.ExitCode())
	}
	if lastLine != "" {
		problem += "; it last said: " + shorten(lastLine, maxQuoted)
	}
	return problem
}

// addItem gathers what was read from a line of that size, if it was asked for.
func (p *pull) addItem(item sources.Item, size int) error {
	if !p.req.Wants(item.Interaction.CreatedTime, item.UpdatedTime) {
		return nil
	}
	return p.add(item, size)
}

func (p *pull) addFault(f *sources.Fault) error {
	f.Place, f.Reason = p.secrets.replacer.Replace(f.Place), p.secrets.clean(f.Reason)
	return p.add(sources.Item{Fault: f}, len(f.Place)+len(f.Reason))
}

// add gathers an item, and hands out what was gathered before if both are too much.
func (p *pull) add(item sources.Item, size int) error {
	if n := len(p.items); n == sources.MaxBatch || n > 0 && p.bytes+size > sources.BatchBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if p.items == nil {
		p.items = make([]sources.Item, 0, sources.MaxBatch)
	}
	p.items = append(p.items, item)
	p.bytes += size
	return nil
}

// addDecoded gathers the item that a text of the line holds, or its fault.
func (p *pull) addDecoded(d *sources.ItemDecoder, l line, text []byte) error {
	item, err := d.Decode(text)
	if err != nil {
		return p.addFault(faultOf(l, text, err.Error()))
	}
	return p.addItem(item, len(text))
}

// checkCursor tells whether a cursor can be stored.
func checkCursor(cursor string) error {
	switch {
	case len(cursor) > maxCursor:
		return fmt.Errorf("a cursor of more than %d MiB; make it shorter", maxCursor>>20)
	case strings.ContainsRune(cursor, 0):
		return errors.New("the cursor holds a NUL character, which can't be stored; leave it out")
	case !utf8.ValidString(cursor):
		return errors.New("the cursor is not valid UTF-8, so it can't be stored")
	}
	return nil
}

// moveTo notes a cursor. It goes with the next batch, which holds at least what was written before it; while the
// program pauses it goes at once.
func (p *pull) moveTo(cursor string) error {
	p.cursor = cursor
	if p.lines.pauses() {
		return p.flush()
	}
	return nil
}

// flush hands out what was gathered; the batch belongs to the caller then.
func (p *pull) flush() error {
	b := sources.Batch{Items: p.items, Cursor: p.cursor}
	if p.rereads {
		b.Rereads = placePrefix
	}
	p.items, p.bytes, p.cursor, p.rereads = nil, 0, "", false
	if !p.yield(b, nil) {
		return errEnough
	}
	return nil
}
