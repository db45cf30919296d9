// Package cli is the command line: one file per command, each a struct whose fields are its flags and
// whose Run does it. Commands print to the streams they are given and return errors; [Run] turns those into
// exit codes, so that tests can call it like the shell does.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"socialhub-sync/app/config"
	"socialhub-sync/sources"
)

// Exit codes.
const (
	exitOK = 0
	// exitFailed: something failed or is left pending; it was said what.
	exitFailed = 1
	// exitUsage: wrong usage or config.
	exitUsage = 2
)

// Streams are where a command reads and writes, and what else reaches it from outside.
type Streams struct {
	In        io.Reader
	Out, Err  io.Writer
	LookupEnv func(string) (string, bool)
	// Hangups returns the signals by which a daemon is told to read its config anew, until stop is called; nil if there are
	// none. A command that does not ask for them is ended by such a signal, as any program is.
	Hangups func() (signals <-chan os.Signal, stop func())
}

// Process returns the streams of this process.
func Process() Streams {
	return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, LookupEnv: os.LookupEnv, Hangups: hangups}
}

// hangups catches SIGHUP, also under nohup, which has it ignored: the daemon outlives the terminal either way, and can be told to
// read its config. Signals that come while one waits to be taken are one with it.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// globals are the flags that every command takes.
type globals struct {
	Config    string `help:"Configuration file; default config.yaml." env:"SOCIALHUB_SYNC_CONFIG" placeholder:"FILE"`
	LogLevel  string `help:"Least important messages to log: ${enum}." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"How to log: ${enum}; auto is text on a terminal and json otherwise." enum:"auto,text,json" default:"auto"`
}

type commands struct {
	globals

	RunCmd   runCommand      `cmd:"" name:"run" help:"Poll the sources and keep the tickets in step; without --once until stopped."`
	Check    checkCommand    `cmd:"" help:"Validate the config, the database, each token and each source."`
	Status   statusCommand   `cmd:"" help:"Show channels and sources; works beside a running daemon."`
	Retry    retryCommand    `cmd:"" help:"Send rejected tickets again."`
	Resume   resumeCommand   `cmd:"" help:"End a pause that waits for a person."`
	Adopt    adoptCommand    `cmd:"" help:"Learn the _id of tickets from a CSV of networkItemId,_id."`
	Actions  actionsCommand  `cmd:"" help:"List what the team did in SocialHub and that needs a person; do it again or dismiss it."`
	Manifest manifestCommand `cmd:"" help:"Show what a channel's team can do, and make it as the config has it."`
	Export   exportCommand   `cmd:"" help:"Write which items are which tickets, without content, as CSV."`
	Import   importCommand   `cmd:"" help:"Take over tickets from another database, or from another program."`
	Forget   forgetCommand   `cmd:"" help:"Erase what is here about items, and take them from no source again."`
	Doctor   doctorCommand   `cmd:"" help:"Look for what is wrong with the database, and say what mends it; changes nothing."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database to this version's schema."`
	Adapters adaptersCommand `cmd:"" help:"List the adapters and their settings."`
	// The field's name is taken by the flag.
	ConfigCmd  configCommand      `cmd:"" name:"config" help:"Print the JSON schema of the config file, for editors."`
	Completion completionCommand  `cmd:"" help:"Print the completions for a shell."`
	Man        manCommand         `cmd:"" hidden:"" help:"Print the manual page."`
	Names      namesCommand       `cmd:"" hidden:"" help:"Print names for completions."`
	Health     healthcheckCommand `cmd:"" hidden:"" name:"healthcheck" help:"Ask the daemon on this machine whether it is ready."`
	Demo       demoCommand        `cmd:"" help:"See it work: no config, account, server or network needed."`
	Sandbox    sandboxCommand     `cmd:"" help:"Run a stand-in for SocialHub to try things against."`
	Version    versionCommand     `cmd:"" help:"Print the version."`
}

// env is what a command's Run gets.
type env struct {
	ctx context.Context
	Streams
	globals  globals
	adapters []sources.Adapter
	log      *slog.Logger
}

// exitError carries an exit code for an error that needs no more words than its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// errSaid is for a command that has printed what is wrong already.
var errSaid = errors.New("failed")

// Run executes a command line and returns the exit code.
func Run(ctx context.Context, args []string, adapters []sources.Adapter, streams Streams) int {
	var c commands
	exited, help := -1, streams.Out
	bare := len(args) == 0
	if bare {
		args, help = []string{"--help"}, streams.Err
	}
	parser, err := kong.New(&c, kong.Name("socialhub-sync"), kong.UsageOnError(), kong.Writers(help, streams.Err),
		kong.Description("Keeps one SocialHub ticket per interaction in step with its source."),
		kong.Vars{"faults": faultKinds()}, kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(streams.Err, "error:", err)
		return exitUsage
	}
	parsed, err := parser.Parse(args)
	switch {
	case bare:
		return exitUsage
	case exited >= 0: // --help
		return exited
	case err != nil:
		wrong := strings.Replace(err.Error(), `but got "EOL" (<EOL>)`, "but nothing follows", 1)
		fmt.Fprintf(streams.Err, "error: %s; see `%s --help`\n", wrong, commandOf(err))
		return exitUsage
	}
	e := &env{ctx: ctx, Streams: streams, globals: c.globals, adapters: adapters}
	e.log = newLogger(streams.Err, c.LogLevel, c.LogFormat)
	return e.report(parsed.Run(e))
}

// commandOf is the command whose help explains what is wrong with a command line.
func commandOf(err error) string {
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context.Selected() != nil {
		return parse.Context.Selected().FullPath()
	}
	return "socialhub-sync"
}

// report prints an error and chooses the exit code.
func (e *env) report(err error) int {
	if err == nil {
		return exitOK
	}
	if faults, ok := errors.AsType[*config.Error](err); ok {
		fmt.Fprintln(e.Err, faults.Error())
		return exitUsage
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(e.Err, "error:", err)
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	return exitFailed
}

// usage is an error in how the command was called.
func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

const defaultConfig = "config.yaml"

func (e *env) configPath() string { return cmp.Or(e.globals.Config, defaultConfig) }

// config loads the config file.
func (e *env) config() (*config.Config, error) {
	c, err := config.Load(e.configPath(), e.adapters, e.LookupEnv)
	if errors.Is(err, fs.ErrNotExist) && e.globals.Config == "" {
		err = fmt.Errorf("there is no %s in this folder; name a file with --config, begin with a copy of config.example.yaml, or see `socialhub-sync demo`", defaultConfig)
	}
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return c, nil
}
