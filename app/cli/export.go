package cli

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// The columns of the CSV that export writes, and of the short one from somewhere else.
var (
	mapColumns     = []string{"channelId", "networkItemId", "_id", "source", "state", "wanted", "delivered", "root", "ref", "own"}
	partialColumns = []string{"networkItemId", "_id", "source"}
)

type exportCommand struct {
	Channel string `help:"Only tickets of this channel." placeholder:"NAME"`
	File    string `arg:"" optional:"" help:"CSV file to write; - or none is standard output." default:"-"`
}

func (cmd *exportCommand) Run(e *env) (err error) {
	c, s, err := e.openForReading()
	if err != nil {
		return err
	}
	defer s.Close()
	channels, err := channelsOf(c, cmd.Channel)
	if err != nil {
		return err
	}
	written, others := 0, 0
	err = writeFile(cmd.File, e.Out, func(w io.Writer) (err error) {
		written, others, err = exportTo(e, w, s, channels)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Err, "%s exported\n", plural(written, "ticket"))
	if others > 0 {
		fmt.Fprintf(e.Err, "%d not in SocialHub, or not known to be, left out: they are made from what the sources bring\n", others)
	}
	return nil
}

// writeFile lets f write to a file, which appears only when it is whole, or to out if the name is "-".
func writeFile(name string, out io.Writer, f func(io.Writer) error) error {
	if name == "-" {
		return f(out)
	}
	part := name + ".part"
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return usage("%v", err)
	}
	err = f(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		_ = os.Remove(part)
	}
	return err
}

func exportTo(e *env, w io.Writer, s *store.Store, channels []config.Channel) (written, others int, err error) {
	out := csv.NewWriter(w)
	_ = out.Write(mapColumns) // the error comes again at the end
	for _, ch := range channels {
		id := ch.Token.ChannelID()
		n, err := s.EachMapping(e.ctx, id, func(m store.Mapping) error {
			written++
			own := ""
			if m.Own {
				own = "own"
			}
			return out.Write([]string{id, m.NetworkItemID, m.TicketID, m.Source, string(m.State), m.WantedHash, m.DeliveredHash,
				quoted(m.RootID), quoted(m.Ref), own})
		})
		others += n
		if err != nil {
			return written, others, err
		}
	}
	out.Flush()
	return written, others, out.Error()
}

// quoted makes a JSON text of what would not come back from a CSV as it was, because of its line ends.
func quoted(text string) string {
	if !strings.Contains(text, "\r") && !strings.HasPrefix(text, `"`) {
		return text
	}
	data, _ := json.Marshal(text) // a text always can
	return string(data)
}

func unquoted(text string) (string, error) {
	if !strings.HasPrefix(text, `"`) {
		return text, nil
	}
	var plain string
	err := json.Unmarshal([]byte(text), &plain)
	return plain, err
}

// mapReader reads what export has written, or lines of partialColumns.
type mapReader struct {
	*csv.Reader
	name    string
	partial bool
	assume  bool
	// channel is that of the lines which name none; empty if they must.
	channel string
	// channels are the channelIds of the config, sources its sources with their channel's.
	channels map[string]bool
	sources  map[string]string
}

func newMapReader(in io.Reader, name string) *mapReader {
	buffered := bufio.NewReader(in)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\uFEFF" { // spreadsheets like to begin with it
		_, _ = buffered.Discard(len(mark))
	}
	r := &mapReader{Reader: csv.NewReader(buffered), name: name}
	r.ReuseRecord = true
	return r
}

// next returns the next line; the error is io.EOF at the end.
func (r *mapReader) next() (channelID string, m store.Mapping, err error) {
	for {
		record, err := r.Read()
		if err == io.EOF {
			return "", m, err
		}
		if err != nil {
			return "", m, usage("%s: %v", r.name, err)
		}
		line, _ := r.FieldPos(0)
		r.partial = len(record) == len(partialColumns)
		if !r.partial && len(record) != len(mapColumns) {
			return "", m, usage("%s:%d: want the columns %s, or %s", r.name, line, strings.Join(mapColumns, ","), strings.Join(partialColumns, ","))
		}
		if line == 1 && (record[1] == "_id" || record[2] == "_id") {
			continue
		}
		if channelID, m, err = r.mapping(record); err != nil {
			return "", m, usage("%s:%d: %v", r.name, line, err)
		}
		return channelID, m, nil
	}
}

func (r *mapReader) mapping(record []string) (channelID string, m store.Mapping, err error) {
	if r.partial {
		m = store.Mapping{NetworkItemID: record[0], TicketID: record[1], Source: record[2], State: store.Synced, Partial: true, Assumed: r.assume}
		channelID = r.sources[m.Source]
		if channelID == "" || r.channel != "" && r.channel != channelID {
			return "", m, fmt.Errorf("no source %q in the config, or not in this channel", m.Source)
		}
		return channelID, m, validMapping(&m)
	}
	channelID = record[0]
	m = store.Mapping{
		NetworkItemID: record[1], TicketID: record[2], Source: record[3], State: store.State(record[4]),
		WantedHash: record[5], DeliveredHash: record[6], Own: record[9] == "own",
	}
	if !r.channels[channelID] {
		return "", m, fmt.Errorf("the channelId %q is that of no channel in the config", channelID)
	}
	if r.channel != "" && r.channel != channelID {
		return "", m, fmt.Errorf("the channelId %q is that of another channel", channelID)
	}
	if m.RootID, err = unquoted(record[7]); err == nil {
		m.Ref, err = unquoted(record[8])
	}
	if err != nil {
		return "", m, fmt.Errorf("root or ref begins with a quote, but is no JSON text: %w", err)
	}
	return channelID, m, validMapping(&m)
}

func validMapping(m *store.Mapping) error {
	switch m.State {
	case store.Synced, store.Unlinked, store.Gone, store.Skipped:
	default:
		return fmt.Errorf("the state is %q; want synced, unlinked, gone or skipped", m.State)
	}
	missing := m.TicketID == "" && m.State != store.Synced
	if !socialhub.ValidItemID(m.NetworkItemID) || !missing && !socialhub.ValidTicketID(m.TicketID) {
		return fmt.Errorf("want a networkItemId and SocialHub's _id, which is 24 hex digits")
	}
	return nil
}
