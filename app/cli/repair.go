package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

type retryCommand struct {
	Source string   `help:"Only tickets of this source." placeholder:"NAME"`
	IDs    []string `arg:"" optional:"" name:"id" help:"networkItemIds; without any, all rejected tickets."`
}

func (cmd *retryCommand) Run(e *env) error {
	c, s, err := e.openForRepair()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := knownSource(c, cmd.Source); err != nil {
		return err
	}
	var retried []string
	unreadable := false
	for _, ch := range c.Channels {
		ids, err := s.Retry(e.ctx, ch.Token.ChannelID(), cmd.Source, cmd.IDs)
		if err != nil {
			return err
		}
		retried = append(retried, ids...)
		left, err := s.Problems(e.ctx, ch.Token.ChannelID(), store.Rejected, 1)
		if err != nil {
			return err
		}
		unreadable = unreadable || len(left) > 0
	}
	fmt.Fprintf(e.Out, "%s will be tried again\n", plural(len(retried), "rejected ticket"))
	if unreadable && cmd.Source == "" && len(cmd.IDs) == 0 {
		fmt.Fprintln(e.Out, "The others are items that could not be read: mend them in their source, see `socialhub-sync status`.")
	}
	missing := slices.DeleteFunc(slices.Clone(cmd.IDs), func(id string) bool { return slices.Contains(retried, id) })
	if len(missing) > 0 {
		return fmt.Errorf("no rejected ticket with content to send: %s", strings.Join(missing, ", "))
	}
	return nil
}

func knownSource(c *config.Config, name string) error {
	var names []string
	for _, src := range c.Sources {
		names = append(names, src.Name)
	}
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	return usage("no source %q in %s; it has %s", name, c.File, strings.Join(names, ", "))
}

type resumeCommand struct {
	Name    string `arg:"" name:"channel|source" help:"Name of the channel or source."`
	Discard bool   `help:"Drop the changes that the source holds instead of sending them: SocialHub keeps what it shows, and the new content counts as seen."`
}

func (cmd *resumeCommand) Run(e *env) error {
	c, s, err := e.openForRepair()
	if err != nil {
		return err
	}
	defer s.Close()
	waited, held := false, 0
	for _, ch := range c.Channels {
		resumed, n, err := cmd.in(e, c, s, ch)
		if err != nil {
			return err
		}
		waited, held = waited || resumed, held+n
	}
	if held == 0 && !slices.Contains(namesIn(c), cmd.Name) {
		return usage("no channel or source %q in %s; it has %s", cmd.Name, c.File, strings.Join(namesIn(c), ", "))
	}
	cmd.tell(e, waited, held)
	return nil
}

// in resumes what has the name in a channel: the channel, and a source with the changes that it holds there. They are let
// go also if the config has no such source any more, or has it in another channel: nobody else would.
func (cmd *resumeCommand) in(e *env, c *config.Config, s *store.Store, ch config.Channel) (waited bool, held int, err error) {
	id := ch.Token.ChannelID()
	if held, err = s.ReleaseHeld(e.ctx, id, cmd.Name, cmd.Discard); err != nil || cmd.Discard {
		return false, held, err
	}
	if ch.Name == cmd.Name {
		if waited, err = s.ResumeChannel(e.ctx, id); err != nil {
			return waited, held, err
		}
	}
	for _, src := range c.Sources {
		if src.Name == cmd.Name && src.Channel == ch.Name {
			resumed, err := s.ResumeSource(e.ctx, id, src.Name)
			return waited || resumed, held, err
		}
	}
	return waited, held, nil
}

func (cmd *resumeCommand) tell(e *env, waited bool, held int) {
	switch {
	case cmd.Discard:
		fmt.Fprintf(e.Out, "%s dropped: SocialHub keeps what it shows\n", plural(held, "held change"))
	case held > 0:
		fmt.Fprintf(e.Out, "%s goes on: %s will be sent\n", cmd.Name, plural(held, "held change"))
	case waited:
		fmt.Fprintln(e.Out, cmd.Name, "goes on")
	default:
		fmt.Fprintln(e.Out, cmd.Name, "was not paused")
	}
}

// namesIn returns the names of the channels and the sources; a channel and a source may have the same.
func namesIn(c *config.Config) []string {
	var names []string
	for _, ch := range c.Channels {
		names = append(names, ch.Name)
	}
	for _, src := range c.Sources {
		if !slices.Contains(names, src.Name) {
			names = append(names, src.Name)
		}
	}
	return names
}

type adoptCommand struct {
	Channel string `help:"Channel of the tickets, if the config has several." placeholder:"NAME"`
	File    string `arg:"" optional:"" help:"CSV file with lines networkItemId,_id; - or none is standard input." default:"-"`
}

// adoptBatch is how many links go to the database at a time.
const adoptBatch = 500

func (cmd *adoptCommand) Run(e *env) error {
	c, s, err := e.openForRepair()
	if err != nil {
		return err
	}
	defer s.Close()
	channel, err := cmd.channel(c)
	if err != nil {
		return err
	}
	in, name, err := e.input(cmd.File)
	if err != nil {
		return err
	}
	defer in.Close()
	links, err := readLinks(in, name)
	if err != nil {
		return err
	}
	adopted, linked, unknown := 0, 0, []string(nil)
	for batch := range slices.Chunk(links, adoptBatch) {
		done, err := s.Adopt(e.ctx, channel, batch)
		if err != nil {
			return err
		}
		adopted += len(done)
		rest, err := cmd.explain(e, s, channel, batch, done)
		if err != nil {
			return err
		}
		unknown = append(unknown, rest...)
		linked += len(batch) - len(done) - len(rest)
	}
	fmt.Fprintf(e.Out, "%s linked, %d had an _id already\n", plural(adopted, "ticket"), linked)
	if len(unknown) > 0 {
		return fmt.Errorf("%s not known in the channel, or without need of an _id: %s", plural(len(unknown), "item"), firstOf(unknown, 5))
	}
	return nil
}

// explain returns the items that were not adopted although they have no _id.
func (cmd *adoptCommand) explain(e *env, s *store.Store, channel string, batch []store.Link, done []string) (unknown []string, err error) {
	ids := make([]string, len(batch))
	for i, l := range batch {
		ids[i] = l.NetworkItemID
	}
	rows, err := s.Tickets(e.ctx, channel, ids)
	for _, id := range ids {
		if t := rows[id]; !slices.Contains(done, id) && (t == nil || t.TicketID == "") {
			unknown = append(unknown, id)
		}
	}
	return unknown, err
}

func (cmd *adoptCommand) channel(c *config.Config) (id string, err error) {
	if cmd.Channel == "" && len(c.Channels) == 1 {
		return c.Channels[0].Token.ChannelID(), nil
	}
	var names []string
	for _, ch := range c.Channels {
		if ch.Name == cmd.Channel {
			return ch.Token.ChannelID(), nil
		}
		names = append(names, ch.Name)
	}
	return "", usage("say which channel the tickets are in: --channel %s", strings.Join(names, ", --channel "))
}

// readLinks reads the CSV; a first line that names the columns is skipped.
func readLinks(in io.Reader, name string) ([]store.Link, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord = 2
	r.TrimLeadingSpace = true
	var links []store.Link
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return links, nil
		}
		line, _ := r.FieldPos(0)
		switch {
		case err != nil:
			return nil, usage("%s: %v; want networkItemId,_id", name, err)
		case line == 1 && record[1] == "_id":
		case !socialhub.ValidItemID(record[0]) || !socialhub.ValidTicketID(record[1]):
			return nil, usage("%s:%d: want a networkItemId and SocialHub's _id, which is 24 hex digits", name, line)
		default:
			links = append(links, store.Link{NetworkItemID: record[0], TicketID: record[1]})
		}
	}
}

func firstOf(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:n], ", ") + ", …"
}
