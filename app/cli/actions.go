package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
)

type actionsCommand struct {
	List    listActionsCommand    `cmd:"" default:"withargs" help:"List the actions that need a person."`
	Retry   retryActionsCommand   `cmd:"" help:"Do actions again, or send their outcome again. Where the source can't tell whether a reply was posted it may be posted twice by this: look first."`
	Dismiss dismissActionsCommand `cmd:"" help:"Take actions off the list: a person has seen to them. Named ones also if they were not begun. Nobody is told."`
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
	scopes, err := actionScopes(e, c, s)
	if err != nil {
		return err
	}
	for _, in := range scopes {
		actions, err := in.list(e, s, cmd.All)
		if err != nil {
			return err
		}
		for _, a := range actions[:min(len(actions), maxActions)] {
			t.row(a.Key, in.name, a.Source, a.Type, a.NetworkItemID, ago(a.Time, time.Now()), a.State, in.why(a))
		}
		if len(actions) > maxActions {
			t.row("… and more in", in.name)
		}
		listed += len(actions)
	}
	switch {
	case listed > 0:
		t.flush()
		if !cmd.All {
			fmt.Fprintln(e.Out, "\nLook at the source whether it was done. `socialhub-sync actions retry ACTION` does it again if it was not, `dismiss ACTION` takes it off the list.")
		}
	case cmd.All:
		fmt.Fprintln(e.Out, "no action is under way, and none needs a person")
	default:
		fmt.Fprintln(e.Out, "no action needs a person")
	}
	return nil
}

// actionScope is a channel, of the config or one that only the database knows.
type actionScope struct {
	channelID, name string
	// gone tells that the config does not have it, sources are those that the config has in it.
	gone    bool
	sources []string
}

// actionScopes are the channels of the config, and after them those in which there are actions all the same.
func actionScopes(e *env, c *config.Config, s *store.Store) (scopes []actionScope, err error) {
	counts, err := s.ActionCounts(e.ctx)
	if err != nil {
		return nil, err
	}
	for _, ch := range c.Channels {
		in := actionScope{channelID: ch.Token.ChannelID(), name: ch.Name}
		for _, src := range c.Sources {
			if src.Channel == ch.Name {
				in.sources = append(in.sources, src.Name)
			}
		}
		scopes = append(scopes, in)
		delete(counts, in.channelID)
	}
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		scopes = append(scopes, actionScope{channelID: id, name: id, gone: true})
	}
	return scopes, nil
}

// list returns the actions that need a person, or all that are not at an end. What can't be done by this config is among
// the former.
func (in *actionScope) list(e *env, s *store.Store, all bool) ([]*store.Action, error) {
	if all || in.gone {
		return s.OpenActions(e.ctx, in.channelID, maxActions+1)
	}
	stuck, err := s.StuckActions(e.ctx, in.channelID, maxActions+1)
	if err != nil {
		return nil, err
	}
	lost, err := s.LostActions(e.ctx, in.channelID, in.sources, maxActions+1)
	return append(stuck, lost...), err
}

// why says what keeps an action from its end.
func (in *actionScope) why(a *store.Action) string {
	undone := a.State == store.ActionReceived || a.State == store.ActionPerforming
	switch {
	case in.gone:
		return strings.TrimSuffix("its channel is not in the config: "+a.Reason, ": ")
	case undone && a.Source == "":
		return "its item is not known"
	case undone && !slices.Contains(in.sources, a.Source):
		return "its source is not in the config"
	}
	return a.Reason
}

// actionIDs are the actions that a command is for.
type actionIDs struct {
	IDs []string `arg:"" optional:"" name:"action" help:"Actions as the list names them."`
	All bool     `help:"All actions that need a person."`
}

type retryActionsCommand struct{ actionIDs }

func (cmd *retryActionsCommand) Run(e *env) error {
	return cmd.each(e, actionChange{"will be tried again", "no action that needs a person", false, (*store.Store).RetryActions})
}

type dismissActionsCommand struct{ actionIDs }

func (cmd *dismissActionsCommand) Run(e *env) error {
	return cmd.each(e, actionChange{"dismissed", "no action that can be dismissed", true, (*store.Store).DismissActions})
}

// actionChange is what is done to actions.
type actionChange struct {
	// done says it of those to which it was, unfit what the others are.
	done, unfit string
	// gone tells that it can be done in channels that are not in the config.
	gone  bool
	apply func(s *store.Store, ctx context.Context, channelID string, keys []string) ([]string, error)
}

// each changes the actions in every channel and tells which there are none of.
func (ids *actionIDs) each(e *env, change actionChange) error {
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
		fmt.Fprintf(e.Out, "%s %s\n", plural(len(changed), "action"), change.done)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: %s", change.unfit, strings.Join(missing, ", "))
	}
	return nil
}

func (ids *actionIDs) in(e *env, c *config.Config, s *store.Store, change actionChange) (changed []string, err error) {
	scopes, err := actionScopes(e, c, s)
	if err != nil {
		return nil, err
	}
	for _, in := range scopes {
		if in.gone && (ids.All || !change.gone) {
			continue
		}
		keys, err := change.apply(s, e.ctx, in.channelID, ids.IDs)
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
