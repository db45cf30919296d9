package jsonl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// unfinished is how long after a file's last change its last line may be without an end and broken, and still
// count as being written.
const unfinished = time.Minute

// errEnough ends a pull whose caller takes no more.
var errEnough = errors.New("the caller takes no more")

// Pull implements [sources.Source]. The cursor moves at the end of a file; a file that changes while it is read
// is read again by the next pull.
func (s *source) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		p := &pull{source: s, ctx: ctx, req: &req, yield: yield}
		if err := p.run(); err != nil && !errors.Is(err, errEnough) {
			yield(sources.Batch{}, err)
		}
	}
}

// pull is one run over the files.
type pull struct {
	*source
	ctx    context.Context
	req    *sources.Request
	yield  func(sources.Batch, error) bool
	cursor cursor
}

func (p *pull) run() error {
	if p.path == standardInput {
		return p.readStandardInput()
	}
	var err error
	if p.cursor, err = parseCursor(p.req.Cursor); err != nil {
		p.env.Logger.Warn("cursor is not understood, all files are read again", slog.Any("error", err))
	}
	pattern := p.isPattern()
	names := []string{p.path}
	if pattern {
		if names, err = p.match(); err != nil {
			return err
		}
	}
	if err := p.forget(names); err != nil {
		return err
	}
	var faults []error
	for _, name := range names {
		err := p.readFile(name)
		switch {
		case err == nil, pattern && errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, errEnough), p.ctx.Err() != nil:
			return err
		default:
			faults = append(faults, settingError(name, err))
		}
	}
	return errors.Join(faults...)
}

// settingError names the setting and the file. The system's error is told without the path, which it holds in full.
func settingError(name string, err error) error {
	problem := err.Error()
	if system, ok := errors.AsType[*fs.PathError](err); ok {
		problem = system.Err.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		problem = "no such file; check the path, or make the file"
	}
	return &sources.SettingError{Key: "path", Problem: name + ": " + problem}
}

// match returns the files that the pattern means, named like the pattern itself, in lexical order.
func (p *pull) match() ([]string, error) {
	pattern, relative := p.path, !filepath.IsAbs(p.path)
	if relative {
		pattern = filepath.Join(escapePattern(p.env.Dir), p.path)
	}
	// Glob takes a folder that can't be read for an empty one.
	folder := p.resolve(p.path[:strings.IndexAny(p.path, "*?[")] + "x")
	if _, err := os.ReadDir(filepath.Dir(folder)); err != nil {
		return nil, settingError(p.path, fmt.Errorf("read the folder: %w", err))
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, settingError(p.path, err)
	}
	var names []string
	for _, name := range found {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			continue
		}
		if relative {
			if name, err = filepath.Rel(p.resolve("."), name); err != nil {
				return nil, settingError(p.path, err)
			}
		}
		names = append(names, name)
	}
	return names, nil
}

// escapePattern makes a path mean itself in a pattern.
func escapePattern(path string) string {
	if filepath.Separator == '\\' { // Windows knows no escapes in patterns
		return path
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// forget drops from the cursor the files that are not there any more, and their faults with them.
func (p *pull) forget(names []string) error {
	there := make(map[string]bool, len(names))
	for _, name := range names {
		there[name] = true
	}
	for _, gone := range slices.Sorted(maps.Keys(p.cursor.Files)) {
		if there[gone] {
			continue
		}
		delete(p.cursor.Files, gone)
		if !p.yield(sources.Batch{Rereads: gone + ":", Cursor: p.cursor.text()}, nil) {
			return errEnough
		}
	}
	return nil
}

// readFile hands out one file if it changed.
func (p *pull) readFile(name string) error {
	path := p.resolve(name)
	info, err := os.Stat(path) // before opening, which would wait for the writer of a pipe
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file; write a pattern such as inbox/*.jsonl for a folder, - for standard input")
	}
	if seen, ok := p.cursor.Files[name]; ok && seen == stampOf(info) {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return err
	}
	age := time.Since(info.ModTime())
	r := &reading{
		pull: p, name: name, in: file, size: info.Size(),
		settled: p.req.Backfill || age < 0 || age >= unfinished,
	}
	whole, err := r.run()
	if err != nil {
		return err
	}
	after, err := file.Stat()
	if err != nil {
		return err
	}
	if !whole || stampOf(after) != stampOf(info) {
		p.env.Logger.Debug("file is still being written, it is read again next time", slog.String("file", name))
		return r.flush("")
	}
	p.cursor.Files[name] = stampOf(info)
	return r.flush(p.cursor.text())
}

// reading hands out one file.
type reading struct {
	*pull
	name    string
	in      io.ReaderAt
	size    int64
	settled bool // nobody writes to the file any more

	decoder
	begun bool // a batch was handed out
	items []sources.Item
	bytes int // of the lines of items
}

// run reads the file and leaves the last batch to be flushed. It is not whole if the last line is still
// being written.
func (r *reading) run() (whole bool, err error) {
	repeats, err := findRepeats(r.ctx, r.in, r.size)
	if err != nil {
		return false, err
	}
	defer repeats.close()
	lines := newLineReader(r.ctx, r.in, r.size, line{number: 1})
	for {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if repeats.replacing.has(l.number) {
			continue
		}
		item, fault := r.decode(l)
		if fault != nil {
			if !l.ended && !l.long && !r.settled {
				return false, nil
			}
			item.Fault = &sources.Fault{Place: fmt.Sprintf("%s:%d", r.name, l.number), Reason: fault.Error()}
			if err := r.add(item, len(item.Fault.Reason)); err != nil {
				return false, err
			}
		}
		if repeats.replaced.has(l.number) {
			if l, err = repeats.last(l.number, r.in); err != nil {
				return false, err
			}
			if item, fault = r.decode(l); fault != nil { // it was valid a moment ago
				return false, nil
			}
		}
		if fault == nil && r.req.Wants(item.Interaction.CreatedTime, item.UpdatedTime) {
			if err := r.add(item, len(l.text)); err != nil {
				return false, err
			}
		}
	}
}

// add gathers an item that was read from size bytes, and hands out what was gathered before if both are too much.
func (r *reading) add(item sources.Item, size int) error {
	if n := len(r.items); n == sources.MaxBatch || n > 0 && r.bytes+size > sources.BatchBytes {
		if err := r.flush(""); err != nil {
			return err
		}
	}
	if r.items == nil {
		r.items = make([]sources.Item, 0, sources.MaxBatch)
	}
	r.items = append(r.items, item)
	r.bytes += size
	return nil
}

// flush hands out what was gathered; the batch belongs to the caller then.
func (r *reading) flush(cursor string) error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	b := sources.Batch{Items: r.items, Cursor: cursor}
	if !r.begun {
		b.Rereads = r.name + ":"
	}
	r.begun, r.items, r.bytes = true, nil, 0
	if !r.yield(b, nil) {
		return errEnough
	}
	return nil
}
