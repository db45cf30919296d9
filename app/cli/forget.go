package cli

import (
	"fmt"
	"strings"

	"socialhub-sync/store"
	"socialhub-sync/sync"
)

type forgetCommand struct {
	Channel    string   `help:"Only in this channel; without it in every one." placeholder:"NAME"`
	Interactor string   `help:"Instead of ids: what waits here to be sent from this interactorId. What SocialHub has already must be looked up there." placeholder:"ID"`
	IDs        []string `arg:"" optional:"" name:"id" help:"networkItemIds of the items that a person wants erased."`
}

// interactorNote says what --interactor can't know.
const interactorNote = `Who wrote an item is known here only until SocialHub has it. What this person wrote before that is not found by this:
look the person up in SocialHub, and forget the networkItemIds of the tickets there.
`

func (cmd *forgetCommand) Run(e *env) error {
	if (len(cmd.IDs) == 0) == (cmd.Interactor == "") {
		return usage("say which items, by their networkItemIds, or whose, by --interactor")
	}
	c, s, err := e.openForRepair()
	if err != nil {
		return err
	}
	defer s.Close()
	channels, err := channelsOf(c, cmd.Channel)
	if err != nil {
		return err
	}
	var o outcome
	for _, ch := range channels {
		ids := cmd.IDs
		if cmd.Interactor != "" {
			if ids, err = waitingOf(e, s, ch.Token.ChannelID(), cmd.Interactor); err != nil {
				return err
			}
		}
		done, err := s.Forget(e.ctx, ch.Token.ChannelID(), ids)
		o.take(ch.Name, done)
		if err != nil {
			o.tell(e, cmd)
			return err
		}
	}
	return o.tell(e, cmd)
}

// waitingOf returns the items of a channel that wait to be sent and are from a person.
func waitingOf(e *env, s *store.Store, channelID, interactor string) (ids []string, err error) {
	err = s.EachWaiting(e.ctx, channelID, func(t *store.Ticket) error {
		if sync.InteractorOf(t.Payload) == interactor {
			ids = append(ids, t.NetworkItemID)
		}
		return nil
	})
	return ids, err
}

// outcome is what became of the items, in all channels.
type outcome struct {
	forgotten int
	// known are the items of which there was anything, and busy what is to be waited for.
	known map[string]bool
	// inSocialHub are the tickets to delete there, below the items that name none of them any more.
	inSocialHub, busy, below []string
}

func (o *outcome) take(channel string, done []store.Forgotten) {
	if o.known == nil {
		o.known = make(map[string]bool)
	}
	for _, f := range done {
		switch {
		case len(f.UnderWay) > 0:
			o.busy = append(o.busy, fmt.Sprintf("%s in %s (%s)", f.NetworkItemID, channel, strings.Join(f.UnderWay, ", ")))
			o.known[f.NetworkItemID] = true
			continue
		case f.Known:
			o.forgotten++
			o.known[f.NetworkItemID] = true
		}
		if f.TicketID != "" {
			o.inSocialHub = append(o.inSocialHub, fmt.Sprintf("%s: the ticket with the _id %s in %s", f.NetworkItemID, f.TicketID, channel))
		} else if f.Known {
			o.inSocialHub = append(o.inSocialHub, fmt.Sprintf("%s: look in %s for a ticket with this networkItemId", f.NetworkItemID, channel))
		}
		for _, id := range f.Below {
			o.below = append(o.below, fmt.Sprintf("%s (below %s)", id, f.NetworkItemID))
		}
	}
}

// tell says what was done, and what is left to do.
func (o *outcome) tell(e *env, cmd *forgetCommand) error {
	fmt.Fprintf(e.Out, "%s forgotten here; they are not taken from a source again\n", plural(o.forgotten, "item"))
	list := func(head string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintln(e.Out, "\n"+head)
		}
		for _, line := range lines {
			fmt.Fprintln(e.Out, "  "+oneLine(line))
		}
	}
	list("SocialHub still has what it was sent. Delete there:", o.inSocialHub)
	list("These stay, such as replies; forget them too if they are about the person:", o.below)
	if cmd.Interactor != "" {
		fmt.Fprint(e.Out, "\n"+interactorNote)
	}
	fmt.Fprintln(e.Out, "\nThe source has the items until they are deleted there. Logs and backups may name their ids.")
	if len(o.busy) > 0 {
		return fmt.Errorf("an action of the team is under way, try again when it is done: %s", strings.Join(o.busy, "; "))
	}
	var unknown []string
	for _, id := range cmd.IDs {
		if !o.known[id] {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		fmt.Fprintf(e.Out, "Nothing was known of %s; if a source brings it, it will be left out.\n", strings.Join(unknown, ", "))
	}
	return nil
}
