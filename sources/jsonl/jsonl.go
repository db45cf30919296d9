// Package jsonl reads interactions from files with one JSON object per line, in SocialHub's own field names:
//
//	{"networkItemId":"review-17","message":"Great app","createdTime":"2026-01-31T12:00:00Z"}
//
// Beside the fields of [socialhub.Interaction] a line may have updatedTime (when the item last changed),
// own (true: we posted it ourselves), deleted (true: it is gone; only networkItemId is needed) and ref (any JSON).
//
// A file is read again, from its start, when its size, its time of change or its inode differ from when it was last
// read as a whole. Of several lines with one networkItemId in a file only the last valid one counts, in the place of
// the first one. An id should stay in one file: of several files the one read last wins.
//
// A line that can't be read is a fault of its own, named by file and line; the rest goes on. A last line without
// a line end may still be being written: if it is not valid JSON it is left for the next poll, until
// nobody has written to the file for [unfinished].
//
// Memory does not grow with the file, apart from two bits per line if ids repeat: see [repeats] and [maxLine]. A batch
// ends before its lines pass [sources.BatchBytes]; a longer line is a batch of its own.
//
// Before a file is handed out it is passed over for ids that repeat, once for every 196,608 distinct ids: six times with
// 1,000,000 of them. So the time for a very large file grows with the square of its size; several smaller files
// under one pattern don't have that.
package jsonl

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"socialhub-sync/sources"
)

// New returns the adapter.
func New() sources.Adapter {
	return sources.Adapter{
		Name:     "jsonl",
		Summary:  "files with one interaction as JSON per line",
		Settings: func() sources.Settings { return &Settings{} },
	}
}

// standardInput is the path that means standard input.
const standardInput = "-"

// Settings say what to read.
type Settings struct {
	Path string `yaml:"path" doc:"Needed. A file, or a pattern such as inbox/*.jsonl, relative to the config file; - is standard input, read once, by the first poll of a run."`
}

// Validate implements [sources.Settings].
func (s *Settings) Validate() error {
	if s.Path == "" {
		return &sources.SettingError{Key: "path", Problem: "missing; write a file, a pattern such as inbox/*.jsonl, or - for standard input"}
	}
	if _, err := filepath.Match(s.Path, ""); err != nil {
		return &sources.SettingError{Key: "path", Problem: "the pattern is broken: is a [ without its ]?"}
	}
	return nil
}

// Open implements [sources.Settings].
func (s *Settings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	return &source{path: s.Path, env: env, stdin: os.Stdin}, nil
}

type source struct {
	path string
	env  sources.Env

	stdin     io.Reader
	spool     *os.File // what standard input held, until all of it was taken
	stdinDone bool
}

// Close implements [sources.Source].
func (s *source) Close() error {
	if s.spool == nil {
		return nil
	}
	spool := s.spool
	s.spool = nil
	return spool.Close()
}

// isPattern tells whether the path may name several files. A file of just this name is read as such.
func (s *source) isPattern() bool {
	if !strings.ContainsAny(s.path, "*?[") {
		return false
	}
	_, err := os.Lstat(s.resolve(s.path))
	return err != nil
}

// resolve finds a name of the config on disk.
func (s *source) resolve(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.env.Dir, name)
}
