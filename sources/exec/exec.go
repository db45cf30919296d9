// Package execsource runs a program in any language and takes the interactions that it writes, one JSON object per
// line; or a Singer tap, whose records a jq program turns into interactions.
//
// The program gets a request as one JSON object on standard input and writes messages to standard output, see
// [message]. What it writes to standard error goes to the log. It has no shell around it, an environment of its own
// (the daemon's may hold tokens) and a process group of its own, which is killed when the run ends in whatever way.
//
// With the setting act another run of a program does what the team did in SocialHub: it gets an [actRequest] and writes
// an [outcome].
//
// A run costs memory for one batch and the longest line, however much the program writes: while the engine stores,
// the program waits at its pipe.
package execsource

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// New returns the adapter.
func New() sources.Adapter {
	return sources.Adapter{
		Name:    "exec",
		Summary: "a program in any language, or a Singer tap",
		Settings: func() sources.Settings {
			return &Settings{Timeout: 10 * time.Minute, Format: formatLines, ActTimeout: time.Minute}
		},
	}
}

const (
	formatLines  = "lines"
	formatSinger = "singer"

	maxTimeout    = 24 * time.Hour
	maxActTimeout = time.Hour
	// endGrace is how long a program has between SIGTERM and SIGKILL, and how long its children may go on
	// writing after it has ended.
	endGrace = 3 * time.Second
)

// Settings say which program to run and how.
type Settings struct {
	Command []string                  `yaml:"command" doc:"Needed. The program and its arguments, a list; no shell reads it. A program with a slash in its name is relative to the config file, another one is looked up in PATH."`
	Dir     string                    `yaml:"dir" doc:"The folder that the program runs in, relative to the config file; the config file's own folder if empty."`
	Env     map[string]sources.Secret `yaml:"env" doc:"Environment variables by name. Of the daemon's own the program gets only PATH, HOME, USER, LOGNAME, LANG, LANGUAGE, LC_*, TZ and TMPDIR. The values are never shown."`
	Timeout time.Duration             `yaml:"timeout" doc:"How long one run may take, storing included; then the program is ended. At most 24h."`
	Format  string                    `yaml:"format" doc:"What the program writes: lines (see above) or singer (it is a Singer tap)."`

	Mapping jq.Program     `yaml:"mapping" doc:"Singer only, and needed there. A jq program that makes interactions of a record, which is its input; the stream is $stream. It gives none, one or several objects with the fields of an interaction."`
	Prefix  string         `yaml:"prefix" doc:"Singer only. What $prefix is in the mapping; the source's name if empty. Set it before you rename a source, or its records become new tickets."`
	Config  sources.Secret `yaml:"config" doc:"Singer only. The tap's config, a JSON object; it is handed over in a file (--config) that only this user can read."`
	Catalog string         `yaml:"catalog" doc:"Singer only. The tap's catalog (--catalog), a file relative to the config file."`

	Act        []string      `yaml:"act" doc:"The program that does what the team did, such as a reply, and its arguments, as for command. If empty, the source can't."`
	Actions    []string      `yaml:"actions" doc:"What act can do: reply, template_reply, delete, button, or one of them with the id of an action, such as button/hide. Everything if empty."`
	ActTimeout time.Duration `yaml:"act_timeout" doc:"How long one action may take; then the program is ended. At most 1h."`
	Repeatable string        `yaml:"repeatable" doc:"How long after its first try an action may be repeated because the program does nothing the second time that it gets one key: a duration, such as 24h, or always. Never if empty."`
}

// Validate implements [sources.Settings].
func (s *Settings) Validate() error {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, &sources.SettingError{Key: key, Problem: problem}) }
	switch {
	case len(s.Command) == 0 || s.Command[0] == "":
		fault("command", `missing; write the program and its arguments as a list, such as [python3, reviews.py]`)
	case slices.ContainsFunc(s.Command, hasNUL):
		fault("command", "holds a NUL character, which no argument can; take it out")
	}
	if hasNUL(s.Dir) {
		fault("dir", "holds a NUL character, which no path can; take it out")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			fault("env", "a variable's name must not be empty and have no =; write NAME: value")
		} else if hasNUL(s.Env[name].Reveal()) {
			fault("env."+name, "holds a NUL character, which no variable can; take it out")
		}
	}
	if s.Timeout <= 0 || s.Timeout > maxTimeout {
		fault("timeout", fmt.Sprintf("want more than 0s and at most %s", maxTimeout))
	}
	if s.Format != formatLines && s.Format != formatSinger {
		fault("format", "want lines or singer")
	}
	return errors.Join(errors.Join(faults...), s.validateSinger(), s.validateAct())
}

func hasNUL(s string) bool { return strings.ContainsRune(s, 0) }

// Open implements [sources.Settings].
func (s *Settings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	dir, err := filepath.Abs(env.Dir) // a relative path would start in the program's folder
	if err != nil {
		return nil, fmt.Errorf("find the folder of the config: %w", err)
	}
	path, err := lookUp(dir, "command", s.Command[0])
	if err != nil {
		return nil, err
	}
	act, err := s.acts(dir)
	if err != nil {
		return nil, err
	}
	return &source{
		env: env, path: path, args: s.Command, dir: inside(dir, s.Dir), environ: s.environ(),
		timeout: s.Timeout, grace: endGrace, secrets: newRedactor(s.secrets()), singer: s.singer(dir, env.Name), act: act,
	}, nil
}

// inside finds a path of the config on disk.
func inside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// lookUp finds the program that a setting names.
func lookUp(dir, key, name string) (string, error) {
	path := name
	if filepath.Base(name) != name {
		path = inside(dir, name)
	}
	path, err := exec.LookPath(path)
	if err != nil {
		return "", &sources.SettingError{
			Key: key, Problem: fmt.Sprintf("%s: %v; check the name, and that the file may be executed", name, rootOf(err)),
		}
	}
	return path, nil
}

// rootOf is a system's error without the path, which the errors around it show in full.
func rootOf(err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

type source struct {
	env     sources.Env
	path    string   // of the program
	args    []string // with its name, as the settings have it
	dir     string
	environ []string
	timeout time.Duration
	grace   time.Duration
	secrets *redactor
	singer  *singer // nil if the format is lines
	act     acts
}

// Close implements [sources.Source].
func (s *source) Close() error { return nil }

// Pull implements [sources.Source]: it runs the program once.
func (s *source) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		p := newPull(s, &req, yield)
		if err := p.run(ctx); err != nil && !errors.Is(err, errEnough) {
			yield(sources.Batch{}, err)
		}
	}
}
