package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/sync/manifest"
)

type manifestCommand struct {
	Show  manifestShowCommand  `cmd:"" help:"Print the manifest that SocialHub has of a channel, as JSON."`
	Diff  manifestDiffCommand  `cmd:"" help:"Say how the manifest differs from the config; changes nothing."`
	Apply manifestApplyCommand `cmd:"" help:"Make the manifest as the config has it. To a new webhook SocialHub sends a test request at once, so the daemon must be running."`
}

// manifestArgs is what the manifest commands have in common.
type manifestArgs struct {
	Channel string `arg:"" help:"Name of the channel."`
}

// run calls f with what a manifest command needs.
func (args *manifestArgs) run(e *env, f func(context.Context, *channelAt) error) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	channel, err := namedChannel(c, args.Channel)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, checkTimeout)
	defer cancel()
	at := &channelAt{config: c, Channel: channel, want: app.Manifest(channel)}
	if at.client, err = app.NewClient(c, at.Channel); err != nil {
		return err
	}
	defer at.client.Close()
	return f(ctx, at)
}

// channelAt is a channel of the config and the way to it.
type channelAt struct {
	*config.Channel
	config *config.Config
	client *socialhub.Client
	want   manifest.Desired
}

// manifest asks for the present manifest.
func (ch *channelAt) manifest(ctx context.Context) (socialhub.Manifest, error) {
	got, a := ch.client.Manifest(ctx)
	if a.Outcome != socialhub.Done {
		return got, manifest.Explain(ctx, ch.client, ch.want, a)
	}
	return got, nil
}

type manifestShowCommand struct{ manifestArgs }

func (cmd *manifestShowCommand) Run(e *env) error {
	return cmd.run(e, func(ctx context.Context, ch *channelAt) error {
		got, err := ch.manifest(ctx)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(e.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(got)
	})
}

type manifestDiffCommand struct {
	manifestArgs
	ExitCode bool `help:"Exit with 1 if there is a difference."`
}

func (cmd *manifestDiffCommand) Run(e *env) error {
	return cmd.run(e, func(ctx context.Context, ch *channelAt) error {
		current, err := ch.manifest(ctx)
		if err != nil {
			return err
		}
		lines := manifest.Diff(current, ch.want)
		e.tellDifference(ch, lines)
		if err := e.tellGaps(ctx, ch); err != nil {
			return err
		}
		if cmd.ExitCode && len(lines) > 0 {
			return errSaid
		}
		return nil
	})
}

type manifestApplyCommand struct {
	manifestArgs
	Webhook bool `help:"Register the webhook anew in any case."`
}

func (cmd *manifestApplyCommand) Run(e *env) error {
	return cmd.run(e, func(ctx context.Context, ch *channelAt) error {
		if cmd.Webhook && ch.want.Webhook == nil {
			return usage("--webhook: the config has no webhook with an address for %s; write webhook: {secret: …} in the channel and public_url: https://… at the top", ch.Name)
		}
		if err := e.tellGaps(ctx, ch); err != nil {
			return err
		}
		r, a := manifest.Apply(ctx, ch.client, ch.want, cmd.Webhook)
		if a.Outcome != socialhub.Done {
			if r.Sent {
				e.tellDifference(ch, r.Lines)
			}
			return manifest.Explain(ctx, ch.client, ch.want, a)
		}
		e.tellDifference(ch, r.Lines)
		if len(r.Left) > 0 {
			return fmt.Errorf("SocialHub took it and shows it otherwise: %s", strings.Join(r.Left, "; "))
		}
		switch {
		case r.Sent && len(r.Lines) == 0:
			fmt.Fprintln(e.Out, "the webhook is registered anew")
		case r.Sent:
			fmt.Fprintln(e.Out, "applied")
		}
		return nil
	})
}

// tellDifference prints how a manifest differs from the config.
func (e *env) tellDifference(ch *channelAt, lines []string) {
	switch {
	case ch.want.IsZero():
		fmt.Fprintf(e.Out, "no difference: the config has no actions, no sidebar and no webhook address for %s\n", ch.Name)
	case len(lines) == 0:
		fmt.Fprintln(e.Out, "no difference")
	}
	for _, line := range lines {
		fmt.Fprintln(e.Out, oneLine(line))
	}
}

// tellGaps prints which actions some of the sources can't do; an error is about those that none can.
func (e *env) tellGaps(ctx context.Context, ch *channelAt) error {
	fatal := false
	for _, gap := range app.ManifestGaps(ctx, ch.config, ch.Channel, e.log) {
		level := "warning"
		if gap.Fatal {
			fatal, level = true, "error"
		}
		noun := "action"
		if len(gap.IDs) > 1 {
			noun = "actions"
		}
		fmt.Fprintf(e.Err, "%s: %s %s\n", level, noun, gap.Text)
	}
	if fatal {
		return errSaid
	}
	return nil
}

// checkActions says whether the channel's sources can do what the config offers to the team.
func (e *env) checkActions(c *config.Config, ch *config.Channel) (string, error) {
	ctx, cancel := context.WithTimeout(e.ctx, checkTimeout)
	defer cancel()
	var texts []string
	gaps := app.ManifestGaps(ctx, c, ch, e.log)
	for _, gap := range gaps {
		texts = append(texts, gap.Text)
	}
	switch text := strings.Join(texts, "; "); {
	case manifest.Fatal(gaps):
		return "", errors.New(text)
	case len(gaps) > 0:
		return "WARNING: " + text, nil
	case ch.Webhook == nil:
		return "WARNING: the channel has no webhook, so nothing is heard of what the team does", nil
	}
	return plural(len(ch.Actions), "action") + ", each source can do them", nil
}
