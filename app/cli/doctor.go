package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
)

// doctorCommand looks at everything that the database should be and changes nothing.
type doctorCommand struct{}

// diagnosis is one thing that the doctor says.
type diagnosis struct {
	// wrong is false for what is only good to know.
	wrong      bool
	what, mend string
}

func (doctorCommand) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	if err := mustExist(c); err != nil {
		return err
	}
	s, err := store.OpenReadOnly(e.ctx, c.Database.Reveal())
	if err != nil {
		return err
	}
	defer s.Close()
	var all []diagnosis
	if bad, err := schemaOf(e.ctx, s); err != nil {
		return err
	} else if bad != nil { // of another schema nothing else can be said
		all = []diagnosis{*bad}
	} else if all, err = examine(e, c, s); err != nil {
		return err
	}
	return tellAll(e, all)
}

func tellAll(e *env, all []diagnosis) error {
	wrong := 0
	for _, d := range all {
		label := "note:  "
		if d.wrong {
			wrong++
			label = "WRONG: "
		}
		fmt.Fprintln(e.Out, label+oneLine(d.what))
		fmt.Fprintln(e.Out, "  mend:", oneLine(d.mend))
	}
	if wrong > 0 {
		fmt.Fprintf(e.Out, "\n%s wrong\n", countOf(wrong, "thing is", "things are"))
		return errSaid
	}
	fmt.Fprintln(e.Out, "nothing is wrong with the database")
	return nil
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// schemaOf returns what is wrong with the schema, nil if nothing is.
func schemaOf(ctx context.Context, s *store.Store) (*diagnosis, error) {
	switch err := s.CheckSchema(ctx); {
	case errors.Is(err, store.ErrOlder):
		return &diagnosis{true, "the schema is older than this version's", "run `socialhub-sync migrate`, or start the daemon once"}, nil
	case errors.Is(err, store.ErrNewer):
		return &diagnosis{true, "the schema is newer than this version's", "install the version that wrote it, or a later one"}, nil
	default:
		return nil, err
	}
}

func examine(e *env, c *config.Config, s *store.Store) ([]diagnosis, error) {
	found, tickets, err := s.Examine(e.ctx)
	if err != nil {
		return nil, err
	}
	ahead, err := s.Clock(e.ctx)
	if err != nil {
		return nil, err
	}
	p := placesIn(c)
	all := clockDiagnosis(ahead)
	for _, f := range found {
		all = append(all, p.diagnose(&f))
	}
	return append(all, p.strangers(tickets)...), nil
}

// clockTolerance is how far two clocks may differ: most of SocialHub's requests still pass the check of their time.
const clockTolerance = 10 * time.Second

func clockDiagnosis(ahead time.Duration) []diagnosis {
	if ahead.Abs() <= clockTolerance {
		return nil
	}
	text := fmt.Sprintf("the database's clock is %s ahead of this machine's", ahead.Abs().Round(time.Second))
	if ahead < 0 {
		text = fmt.Sprintf("the database's clock is %s behind this machine's", ahead.Abs().Round(time.Second))
	}
	return []diagnosis{{true, text, "let both be set by NTP: requests of the webhook are refused by this machine's clock"}}
}

// places are the names that the config has for what is in the database.
type places struct {
	channels map[string]string
	// sources are those of a channel, by its id.
	sources map[string]map[string]bool
}

func placesIn(c *config.Config) *places {
	p := &places{make(map[string]string), make(map[string]map[string]bool)}
	for _, ch := range c.Channels {
		id := ch.Token.ChannelID()
		p.channels[id], p.sources[id] = ch.Name, make(map[string]bool)
		for _, src := range c.Sources {
			if src.Channel == ch.Name {
				p.sources[id][src.Name] = true
			}
		}
	}
	return p
}

// channel is the name of a channel, or what can be said of one that the config does not have.
func (p *places) channel(id string) string {
	if name := p.channels[id]; name != "" {
		return name
	}
	return "the channel " + id + ", which is not in the config,"
}

// strangers tells of tickets whose source is not in the config.
func (p *places) strangers(tickets []store.TicketsOf) (all []diagnosis) {
	for _, t := range tickets {
		if p.sources[t.ChannelID][t.Source] {
			continue
		}
		what := fmt.Sprintf("%s of %s in %s: the source is not in the config", plural(t.Tickets, "ticket"), t.Source, p.channel(t.ChannelID))
		if t.Open > 0 {
			what += fmt.Sprintf("; %d of them wait for something", t.Open)
		}
		all = append(all, diagnosis{false, what, "nothing, if the source was taken out; under a new name it takes over the tickets that it yields"})
	}
	return all
}

// diagnose says a finding in words.
func (p *places) diagnose(f *store.Finding) diagnosis {
	in := p.channel(f.ChannelID)
	tickets := fmt.Sprintf("%s of %s in %s, such as %s", plural(f.Count, "ticket"), f.Source, in, f.Example)
	actions := fmt.Sprintf("%s in %s, such as %s", plural(f.Count, "action"), in, f.Example)
	switch f.Kind {
	case store.FindNothingToSend:
		return diagnosis{true, tickets + ": to be sent, but the content is not there", "change the items in their source, by which they are read again; please report it"}
	case store.FindWrongDue:
		return diagnosis{true, tickets + ": due without being pending, or the other way round", "restore a backup: the database was changed by something else"}
	case store.FindContentLeft:
		return diagnosis{true, tickets + ": content left here that SocialHub has", "delete it in the database: UPDATE tickets SET payload = NULL WHERE state IN ('synced', 'gone', 'skipped'); please report it"}
	case store.FindNoID:
		return diagnosis{true, tickets + ": synced without an _id, so that later content can't be sent", "`socialhub-sync import --overwrite` with a CSV of networkItemId,_id,source"}
	case store.FindUnlinked:
		return diagnosis{false, tickets + ": the _id is unknown", "`socialhub-sync adopt` with a CSV of networkItemId,_id"}
	case store.FindUnlinkedWaiting:
		return diagnosis{true, tickets + ": changed, but the _id is unknown, so that the change can't be sent", "`socialhub-sync adopt` with a CSV of networkItemId,_id"}
	case store.FindLeftPerforming:
		return diagnosis{true, actions + ": begun by a process that has ended", "start the daemon; it repeats what can be repeated safely, and tells the team of the rest"}
	case store.FindActionContentLeft:
		return diagnosis{true, actions + ": content left here that is not needed any more", "delete it in the database: UPDATE actions SET payload = NULL WHERE state NOT IN ('received', 'performing', 'uncertain'); please report it"}
	case store.FindActionsWaiting:
		return diagnosis{false, actions + ": a person is needed", "see `socialhub-sync actions`"}
	default:
		return p.diagnoseRunning(f, in)
	}
}

// diagnoseRunning is for what is about processes and the database itself.
func (p *places) diagnoseRunning(f *store.Finding, in string) diagnosis {
	where := in
	if f.Source != "" {
		where = f.Source + " in " + in
	}
	switch f.Kind {
	case store.FindUndelivered:
		return diagnosis{p.channels[f.ChannelID] != "", fmt.Sprintf("%s in %s due for more than 15 minutes, and no process delivers", plural(f.Count, "ticket"), in), "start the daemon, or see in its log why it does not deliver"}
	case store.FindUnpolled:
		if !p.sources[f.ChannelID][f.Source] {
			return diagnosis{false, where + ": was polled once, and is not in the config", "nothing, if it was taken out"}
		}
		return diagnosis{false, where + ": due for more than 15 minutes, and no process polls it", "start the daemon, or see in its log why it does not poll; nothing, if `run --once` comes now and then"}
	case store.FindDeadOwner:
		return diagnosis{false, fmt.Sprintf("%s: the process %s ended without giving its lease back", where, f.Detail), "nothing: the next process takes it over"}
	case store.FindStatistics:
		return diagnosis{true, "the table " + f.Detail + " has no statistics, or wrong ones, so that the database may be slow", mendStatistics(f.Detail)}
	case store.FindBrokenIndex:
		return diagnosis{true, "the index " + f.Detail + " is not in use", "REINDEX INDEX " + f.Detail}
	case store.FindDamage:
		return diagnosis{true, "the file is damaged: " + f.Detail, "stop the daemon and restore a backup, or try `sqlite3 FILE .recover`; mend the disk first"}
	case store.FindUpkeepLate:
		return diagnosis{false, "what is kept for a time only was not deleted for days", "start the daemon: it does so once a day"}
	default:
		return diagnosis{true, fmt.Sprintf("%s: %s", where, f.Kind), "please report it"}
	}
}

func mendStatistics(table string) string {
	return "on Postgres run ANALYZE " + table + "; on SQLite leave ANALYZE and PRAGMA optimize to this program, and put back what they replaced: " +
		"DELETE FROM sqlite_stat1 WHERE tbl = 'tickets'; INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES " +
		"('tickets', 'tickets', '1000000 500000 1'), ('tickets', 'tickets_open', '10000 5000 2000 1000 2'); then restart the daemon"
}
