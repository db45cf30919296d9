package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
)

type actionsCommand struct {
	List    listActionsCommand    `cmd:"" default:"withargs" help:"List the actions that need a person."`
	Retry   retryActionsCommand   `cmd:"" help:"Do actions again, or send their outcome again. A reply that may have been posted may be posted twice by this: look first."`
	Dismiss dismissActionsCommand `cmd:"" help:"Take actions off the list: a person has seen to them."`
}

type listActionsCommand struct {
	All bool `help:"List those too that are under way."`
}

// maxActions is how many actions are listed per channel.
const maxActions = 500

func (cmd *listActionsCommand) Run(e *env) error {
	c, s, err := e.openForReading()
	if err != nil {
		return err
	}
	defer s.Close()
	listed := 0
	t := newTable(e.Out, "ACTION", "CHANNEL", "SOURCE", "TYPE", "ITEM", "DONE BY THE TEAM", "STATE", "REASON")
	for _, ch := range c.Channels {
		find := s.StuckActions
		if cmd.All {
			find = s.OpenActions
		}
		actions, err := find(e.ctx, ch.Token.ChannelID(), maxActions+1)
		if err != nil {
			return err
		}
		for _, a := range actions[:min(len(actions), maxActions)] {
			t.row(a.Key, ch.Name, a.Source, a.Type, a.NetworkItemID, ago(a.Time, time.Now()), a.State, a.Reason)
		}
		if len(actions) > maxActions {
			t.row("… and more in", ch.Name)
		}
		listed += len(actions)
	}
	switch {
	case listed > 0:
		t.flush()
		if !cmd.All {
			fmt.Fprintln(e.Out, "\nLook at the source whether it was done. `socialhub-sync actions retry ACTION` does it again, `dismiss ACTION` takes it off the list.")
		}
	case cmd.All:
		fmt.Fprintln(e.Out, "no action is under way, and none needs a person")
	default:
		fmt.Fprintln(e.Out, "no action needs a person")
	}
	return nil
}

// actionIDs are the actions that a command is for.
type actionIDs struct {
	IDs []string `arg:"" optional:"" name:"action" help:"Actions as the list names them."`
	All bool     `help:"All actions that need a person."`
}

type retryActionsCommand struct{ actionIDs }

func (cmd *retryActionsCommand) Run(e *env) error {
	return cmd.each(e, "will be tried again", (*store.Store).RetryActions)
}

type dismissActionsCommand struct{ actionIDs }

func (cmd *dismissActionsCommand) Run(e *env) error {
	return cmd.each(e, "dismissed", (*store.Store).DismissActions)
}

// each changes the actions in every channel and tells which there are none of.
func (ids *actionIDs) each(e *env, done string, change func(*store.Store, context.Context, string, []string) ([]string, error)) error {
	if (len(ids.IDs) == 0) != ids.All {
		return usage("say which actions, as `socialhub-sync actions` lists them, or --all")
	}
	c, s, err := e.openForRepair()
	if err != nil {
		return err
	}
	defer s.Close()
	changed, err := ids.in(e, c, s, change)
	if err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(ids.IDs), func(id string) bool { return slices.Contains(changed, id) })
	switch {
	case len(changed) == 0 && len(missing) == 0:
		fmt.Fprintln(e.Out, "no action needs a person")
	case len(changed) > 0:
		fmt.Fprintf(e.Out, "%s %s\n", plural(len(changed), "action"), done)
	}
	if len(missing) > 0 {
		return fmt.Errorf("no action that needs a person: %s", strings.Join(missing, ", "))
	}
	return nil
}

func (ids *actionIDs) in(e *env, c *config.Config, s *store.Store,
	change func(*store.Store, context.Context, string, []string) ([]string, error)) (changed []string, err error) {
	for _, ch := range c.Channels {
		keys, err := change(s, e.ctx, ch.Token.ChannelID(), ids.IDs)
		if err != nil {
			return nil, err
		}
		changed = append(changed, keys...)
	}
	return changed, nil
}

// printActions tells how far the team's actions are, in the channels that ever had one.
func (st *status) printActions(e *env) {
	heads := []string{"ACTIONS IN"}
	for _, state := range store.ActionStates {
		heads = append(heads, strings.ToUpper(string(state)))
	}
	t := newTable(e.Out, heads...)
	some := false
	for _, c := range st.Channels {
		row, all := []any{c.Name}, 0
		for _, state := range store.ActionStates {
			row, all = append(row, c.Actions[state]), all+c.Actions[state]
		}
		if all > 0 {
			t.row(row...)
			some = true
		}
	}
	if some {
		fmt.Fprintln(e.Out)
		t.flush()
	}
}

// printStuck lists the actions of a channel that need a person.
func (e *env) printStuck(ch config.Channel, s *store.Store) error {
	stuck, err := s.StuckActions(e.ctx, ch.Token.ChannelID(), maxProblems+1)
	if err != nil || len(stuck) == 0 {
		return err
	}
	fmt.Fprintf(e.Out, "\nactions in %s that need a person, see `socialhub-sync actions`:\n", ch.Name)
	t := table{newTabs(e.Out)}
	for _, a := range stuck[:min(len(stuck), maxProblems)] {
		t.row("  "+a.Key, a.Type, a.NetworkItemID, a.State, a.Reason)
	}
	t.flush()
	if len(stuck) > maxProblems {
		fmt.Fprintln(e.Out, "  … and more")
	}
	return nil
}
