package cli

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/alecthomas/kong"

	"socialhub-sync/app/cli/manual"
	"socialhub-sync/app/config"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

func (c *completionCommand) Run(e *env, k *kong.Kong) error {
	write := map[string]func(*kong.Application) string{"bash": manual.Bash, "zsh": manual.Zsh, "fish": manual.Fish}[c.Shell]
	_, err := fmt.Fprint(e.Out, write(k.Model))
	return err
}

type manCommand struct{}

func (manCommand) Run(e *env, k *kong.Kong) error {
	_, err := fmt.Fprint(e.Out, manual.Man(k.Model, manualSections...))
	return err
}

// namesCommand is what completions ask.
type namesCommand struct {
	Kind string `arg:"" enum:"channels,sources,all,adapters"`
}

func (c *namesCommand) Run(e *env) error {
	if c.Kind == manual.Adapters {
		for _, a := range e.adapters {
			fmt.Fprintln(e.Out, a.Name)
		}
		return nil
	}
	channels, sources, err := config.Names(cmp.Or(e.globals.Config, defaultConfig))
	if err != nil {
		return err
	}
	names := map[string][]string{manual.Channels: channels, manual.Sources: sources}[c.Kind]
	if c.Kind == manual.Both {
		names = append(channels, sources...)
		slices.Sort(names)
		names = slices.Compact(names)
	}
	for _, name := range names {
		fmt.Fprintln(e.Out, name)
	}
	return nil
}

// manualSections are what the manual page says beside the commands.
var manualSections = []manual.Section{
	{Title: "EXIT STATUS", Text: `
0	All is well. Tickets that SocialHub rejected are told, and are no failure.
1	Something failed, or is left pending; it was said what.
2	The command line or the configuration is wrong.`},
	{Title: "ENVIRONMENT", Text: `
SOCIALHUB_SYNC_CONFIG	The configuration file, if --config does not say.
STATE_DIRECTORY	Where a relative path of the database starts; systemd sets it.
NO_COLOR	If set to anything, logs on a terminal have no colors.
Any other variable that the configuration names as ${NAME} must be set.`},
	{Title: "FILES", Text: `
config.yaml	The configuration, in the working directory.
socialhub-sync.db	The database, unless the configuration names another one.`},
	{Title: "SIGNALS", Text: `
SIGTERM and SIGINT end the daemon: it takes no more work, finishes what is in flight, and stores its result. A second one ends it at once.`},
	{Title: "EXAMPLES", Text: `
socialhub-sync demo	Shows all of it at work, without a configuration.
socialhub-sync check	Looks at the configuration, the database, each token and each source.
socialhub-sync run --once --dry-run	Shows what one round would send, and sends nothing.
socialhub-sync run --backfill --since 2026-01-01	Reads history, once.
socialhub-sync completion bash > /etc/bash_completion.d/socialhub-sync	Makes bash complete commands, flags and names.`},
	{Title: "SEE ALSO", Text: `
The configuration, the adapters and the operation are described in docs/configuration.md, docs/adapters.md and docs/operations.md, which come with the program.`},
}
