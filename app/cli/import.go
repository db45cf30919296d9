package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
)

type importCommand struct {
	Channel      string `help:"Only lines of this channel may be in the file." placeholder:"NAME"`
	Overwrite    bool   `help:"Put the file's lines in the place of tickets that the database knows otherwise."`
	AssumeSynced bool   `help:"For lines of networkItemId,_id,source: take the content that the source has now for the one that SocialHub shows, and send only what changes later. Without it each ticket is sent once, and stays where it is in the inbox."`
	File         string `arg:"" optional:"" help:"CSV file that export wrote, or with lines networkItemId,_id,source; - or none is standard input." default:"-"`
}

// importBatch is how many tickets go to the database at a time.
const importBatch = 500

func (cmd *importCommand) Run(e *env) error {
	c, s, err := e.openForRepair()
	if err != nil {
		return err
	}
	defer s.Close()
	in, name, err := e.input(cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	r := newMapReader(in, name)
	if err := cmd.know(r, c); err != nil {
		return err
	}
	channels := make(map[string]string)
	for _, ch := range c.Channels {
		channels[ch.Token.ChannelID()] = ch.Name
	}
	if err := s.Register(e.ctx, channels, nil); err != nil {
		return err
	}
	total, err := cmd.all(e, s, r)
	fmt.Fprintf(e.Out, "%s imported, %d were there already\n", plural(total.Stored, "ticket"), total.Same)
	return errors.Join(err, refused(total))
}

// know tells the reader what the config has.
func (cmd *importCommand) know(r *mapReader, c *config.Config) error {
	r.assume, r.channels, r.sources = cmd.AssumeSynced, make(map[string]bool), make(map[string]string)
	for _, ch := range c.Channels {
		r.channels[ch.Token.ChannelID()] = true
		for _, src := range c.Sources {
			if src.Channel == ch.Name {
				r.sources[src.Name] = ch.Token.ChannelID()
			}
		}
	}
	if cmd.Channel == "" {
		return nil
	}
	ch, err := namedChannel(c, cmd.Channel)
	if err == nil {
		r.channel = ch.Token.ChannelID()
	}
	return err
}

// all stores the lines in batches. What was stored before an error stays: the file can be imported again.
func (cmd *importCommand) all(e *env, s *store.Store, r *mapReader) (total store.Imported, err error) {
	batches := make(map[string][]store.Mapping)
	flush := func(channelID string) error {
		done, err := s.Import(e.ctx, channelID, batches[channelID], cmd.Overwrite)
		total.Stored += done.Stored
		total.Same += done.Same
		total.Differing = append(total.Differing, done.Differing...)
		total.Waiting = append(total.Waiting, done.Waiting...)
		total.Forgotten = append(total.Forgotten, done.Forgotten...)
		batches[channelID] = nil
		return err
	}
	for {
		channelID, m, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return total, err
		}
		batches[channelID] = append(batches[channelID], m)
		if len(batches[channelID]) == importBatch {
			if err := flush(channelID); err != nil {
				return total, err
			}
		}
	}
	for channelID := range batches {
		if err := flush(channelID); err != nil {
			return total, err
		}
	}
	return total, nil
}

// refused tells what was left as it is.
func refused(total store.Imported) error {
	var parts []string
	for _, p := range []struct {
		ids []string
		why string
	}{
		{total.Differing, "known otherwise (--overwrite puts the file's lines in their place)"},
		{total.Waiting, "left because they have content that is not delivered yet (let the daemon deliver it, then import again)"},
		{total.Forgotten, "left out because they were forgotten"},
	} {
		if len(p.ids) > 0 {
			parts = append(parts, fmt.Sprintf("%s %s: %s", plural(len(p.ids), "ticket"), p.why, firstOf(p.ids, 5)))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return errors.New(strings.Join(parts, "; "))
}
