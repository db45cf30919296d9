package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
)

// statusCommand reads; it never changes anything.
type statusCommand struct {
	JSON bool `help:"Print JSON for scripts."`
}

// status is the contract of status --json.
type status struct {
	Channels []channelStatus `json:"channels"`
	Sources  []sourceStatus  `json:"sources"`
}

type channelStatus struct {
	Name      string `json:"name"`
	ChannelID string `json:"channel_id"`
	// Paused is why no request is sent; empty while the channel works.
	Paused   string `json:"paused"`
	Pending  int    `json:"pending"`
	Synced   int    `json:"synced"`
	Rejected int    `json:"rejected"`
	Unlinked int    `json:"unlinked"`
	Gone     int    `json:"gone"`
	// Actions counts what the team did in SocialHub by how far it is; every state is there.
	Actions map[store.ActionState]int `json:"actions"`
}

// Times are RFC 3339 in UTC, null for never.
type sourceStatus struct {
	Name        string     `json:"name"`
	Adapter     string     `json:"adapter"`
	Channel     string     `json:"channel"`
	Paused      string     `json:"paused"`
	LastPoll    *time.Time `json:"last_poll"`
	LastSuccess *time.Time `json:"last_success"`
	LastError   string     `json:"last_error"`
	NextPoll    *time.Time `json:"next_poll"`
	// What the last poll found.
	New       int `json:"new"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Rejected  int `json:"rejected"`
	Mended    int `json:"mended"`
	// Held is how many changes wait for `resume`, because one poll brought more than mass_change_limit.
	Held int `json:"held"`
}

func (cmd *statusCommand) Run(e *env) error {
	c, s, err := e.openForReading()
	if err != nil {
		return err
	}
	defer s.Close()
	st, err := readStatus(e, c, s)
	if err != nil {
		return err
	}
	if cmd.JSON {
		enc := json.NewEncoder(e.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(st)
	}
	st.print(e, time.Now())
	return e.printProblems(c, s)
}

// readStatus joins what the store knows with what the config names; what was never polled is shown empty.
func readStatus(e *env, c *config.Config, s *store.Store) (*status, error) {
	channels, err := s.ChannelStatuses(e.ctx)
	if err != nil {
		return nil, err
	}
	polls, err := s.SourceStatuses(e.ctx)
	if err != nil {
		return nil, err
	}
	actions, err := s.ActionCounts(e.ctx)
	if err != nil {
		return nil, err
	}
	st := &status{Channels: []channelStatus{}, Sources: []sourceStatus{}}
	ids := make(map[string]string)
	for _, ch := range c.Channels {
		out := channelStatus{Name: ch.Name, ChannelID: ch.Token.ChannelID()}
		ids[ch.Name] = out.ChannelID
		out.Actions = make(map[store.ActionState]int)
		for _, state := range store.ActionStates {
			out.Actions[state] = actions[out.ChannelID][state]
		}
		for _, x := range channels {
			if x.ID == out.ChannelID {
				out.Paused = pauseText(ch, x.Pause)
				out.Pending, out.Synced, out.Rejected = x.Counts[store.Pending], x.Counts[store.Synced], x.Counts[store.Rejected]
				out.Unlinked, out.Gone = x.Counts[store.Unlinked], x.Counts[store.Gone]
			}
		}
		st.Channels = append(st.Channels, out)
	}
	for _, src := range c.Sources {
		out := sourceStatus{Name: src.Name, Adapter: src.Adapter.Name, Channel: src.Channel}
		for _, x := range polls {
			if x.Source == src.Name && x.ChannelID == ids[src.Channel] && x.Backfill == "" {
				out.fill(x)
			}
		}
		st.Sources = append(st.Sources, out)
	}
	return st, nil
}

func (s *sourceStatus) fill(x store.SourceStatus) {
	s.Paused, s.LastError = x.Pause, x.LastError
	s.LastPoll, s.LastSuccess, s.NextPoll = orNull(x.LastPoll), orNull(x.LastSuccess), orNull(x.NextPoll)
	s.New, s.Changed, s.Unchanged, s.Rejected, s.Mended, s.Held = x.New, x.Changed, x.Unchanged, x.Rejected, x.Mended, x.Held
}

// pauseText is the pause in words; one that was for another token than the config's ends by itself.
func pauseText(ch config.Channel, p store.Pause) string {
	switch {
	case p.Kind == "":
		return ""
	case p.Kind == store.RateLimited:
		return fmt.Sprintf("rate limited, goes on in %s", short(p.For))
	case p.Fingerprint != ch.Token.Fingerprint():
		return ""
	case p.Kind == store.Unauthorized:
		return "access token refused, put the new one into the config: " + p.Reason
	default:
		return fmt.Sprintf("access denied, mend it in SocialHub, then `socialhub-sync resume %s`: %s", ch.Name, p.Reason)
	}
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (st *status) print(e *env, now time.Time) {
	t := newTable(e.Out, "CHANNEL", "PENDING", "SYNCED", "REJECTED", "UNLINKED", "GONE", "STATE")
	for _, c := range st.Channels {
		state := "ok"
		if c.Paused != "" {
			state = "paused: " + c.Paused
		}
		t.row(c.Name, c.Pending, c.Synced, c.Rejected, c.Unlinked, c.Gone, state)
	}
	t.flush()
	fmt.Fprintln(e.Out)
	t = newTable(e.Out, "SOURCE", "ADAPTER", "CHANNEL", "LAST POLL", "NEXT POLL", "NEW", "CHANGED", "UNCHANGED", "STATE")
	for _, s := range st.Sources {
		t.row(s.Name, s.Adapter, s.Channel, ago(value(s.LastPoll), now), s.next(now), s.New, s.Changed, s.Unchanged, s.state(now))
	}
	t.flush()
	st.printActions(e)
}

func (s *sourceStatus) next(now time.Time) string {
	switch next := value(s.NextPoll); {
	case s.Paused != "" || next.IsZero():
		return "-"
	case next.Before(now):
		return "due"
	default:
		return ago(next, now)
	}
}

func (s *sourceStatus) state(now time.Time) string {
	switch {
	case s.Paused != "" && s.Held > 0:
		// To resume it does both, so whoever resumes it must know of both.
		return fmt.Sprintf("stopped, and %s: %s", heldText(s.Name, s.Held), s.Paused)
	case s.Paused != "":
		return fmt.Sprintf("stopped, mend it, then `socialhub-sync resume %s`: %s", s.Name, s.Paused)
	case s.Held > 0:
		return heldText(s.Name, s.Held)
	case s.LastError != "":
		return fmt.Sprintf("in trouble (last success %s): %s", ago(value(s.LastSuccess), now), s.LastError)
	default:
		return "ok"
	}
}

// heldText says that a source waits because it brought so many changes, and how it goes on.
func heldText(source string, held int) string {
	return fmt.Sprintf("holds %s, more than mass_change_limit: `socialhub-sync resume %s` sends them, with --discard it drops them",
		plural(held, "change"), source)
}

func value(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// maxProblems is how many tickets of a kind are listed per channel.
const maxProblems = 20

// printProblems lists the tickets that wait for a person.
func (e *env) printProblems(c *config.Config, s *store.Store) error {
	for _, ch := range c.Channels {
		for _, state := range []store.State{store.Rejected, store.Held, store.Unlinked} {
			tickets, err := s.Problems(e.ctx, ch.Token.ChannelID(), state, maxProblems+1)
			if err != nil {
				return err
			}
			if len(tickets) == 0 {
				continue
			}
			fmt.Fprintf(e.Out, "\n%s in %s:\n", state, ch.Name)
			t := table{newTabs(e.Out)}
			for _, ticket := range tickets[:min(len(tickets), maxProblems)] {
				t.row("  "+ticket.NetworkItemID, ticket.Source, ticket.Reason)
			}
			t.flush()
			if len(tickets) > maxProblems {
				fmt.Fprintln(e.Out, "  … and more")
			}
		}
		if err := e.printStuck(ch, s); err != nil {
			return err
		}
	}
	return nil
}
