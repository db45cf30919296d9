package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// FindingKind says what is odd about a database.
type FindingKind string

// What [Store.Examine] looks for.
const (
	// FindNothingToSend: tickets are to be sent, but their content is not there.
	FindNothingToSend FindingKind = "nothing to send"
	// FindWrongDue: tickets are due that are not pending, or pending ones are never due.
	FindWrongDue FindingKind = "wrong due"
	// FindContentLeft: SocialHub has the content, and it was not deleted here.
	FindContentLeft FindingKind = "content left"
	// FindNoID: tickets count as synced without an _id, so that no later content can be sent.
	FindNoID FindingKind = "no id"
	// FindUnlinked: SocialHub has the tickets, but their _id is unknown; FindUnlinkedWaiting: and later content waits for it.
	FindUnlinked        FindingKind = "unlinked"
	FindUnlinkedWaiting FindingKind = "unlinked waiting"
	// FindUndelivered: tickets are due for a while, the channel is not paused, and nobody delivers.
	FindUndelivered FindingKind = "undelivered"
	// FindUnpolled: a source is due for a while and does not wait for a person, and nobody polls it.
	FindUnpolled FindingKind = "unpolled"
	// FindDeadOwner: a process ended without giving back its lease on a channel or a source.
	FindDeadOwner FindingKind = "dead owner"
	// FindLeftPerforming: actions were begun by a process that has ended since.
	FindLeftPerforming FindingKind = "left performing"
	// FindActionContentLeft: actions are done, and their content was not deleted.
	FindActionContentLeft FindingKind = "action content left"
	// FindActionsWaiting: actions need a person.
	FindActionsWaiting FindingKind = "actions waiting"
	// FindStatistics: the database plans its work without knowing its tables.
	FindStatistics FindingKind = "statistics"
	// FindBrokenIndex: an index is not in use, because its making was cut off.
	FindBrokenIndex FindingKind = "broken index"
	// FindDamage: the file is damaged.
	FindDamage FindingKind = "damage"
	// FindUpkeepLate: what is not kept any longer was not deleted for days.
	FindUpkeepLate FindingKind = "upkeep late"
)

// Finding is one odd thing.
type Finding struct {
	Kind FindingKind
	// ChannelID and Source say where it is; empty if that is nowhere or all over.
	ChannelID, Source string
	// Count is how many rows are concerned, and Example the id of one of them.
	Count   int
	Example string
	// Detail is what else there is to say: the owner of a lease, a table, what is damaged.
	Detail string
}

// TicketsOf is how many tickets a source has, and how many of them wait for something.
type TicketsOf struct {
	ChannelID, Source string
	Tickets, Open     int
}

// late is after how long it is odd that nobody does what is due.
const late = 15 * time.Minute

// Examine reads the whole database, which may take minutes, and returns what is odd about it, and whose the tickets are.
// It changes nothing.
func (s *Store) Examine(ctx context.Context) (found []Finding, tickets []TicketsOf, err error) {
	x := examiner{Store: s.within(bulkLimit), ctx: ctx}
	if s.file != "" && x.damaged() { // whatever else is asked for may fail
		return x.found, nil, nil
	}
	tickets = x.tickets()
	x.leases()
	x.actions()
	x.list(FindUpkeepLate, `SELECT '', '', 1, '', task FROM upkeep WHERE due > 0 AND due < {now} - $1`, millis(3*upkeepEvery))
	if s.file != "" {
		x.sqlite()
	} else {
		x.postgres()
	}
	if x.err != nil {
		return nil, nil, fmt.Errorf("examine the database: %w", x.err)
	}
	return x.found, tickets, nil
}

// Clock is how far the database's clock is ahead of this process's, give or take the time that the answer took.
func (s *Store) Clock(ctx context.Context) (ahead time.Duration, err error) {
	asked := time.Now()
	var now int64
	err = s.query(ctx, s.read, func(r *sql.Rows) error { return r.Scan(&now) }, `SELECT {now}`)
	if err != nil {
		return 0, fmt.Errorf("ask the database for the time: %w", err)
	}
	took := time.Since(asked)
	return time.UnixMilli(now).Sub(asked.Add(took / 2)).Round(time.Millisecond), nil
}

// examiner collects findings until the first error.
type examiner struct {
	*Store
	ctx   context.Context
	found []Finding
	err   error
}

func (x *examiner) rows(scan func(*sql.Rows) error, text string, args ...any) {
	if x.err == nil {
		x.err = x.query(x.ctx, x.read, scan, text, args...)
	}
}

// list makes a finding of every row of channel, source, count, example and detail.
func (x *examiner) list(kind FindingKind, text string, args ...any) {
	x.rows(func(r *sql.Rows) error {
		f := Finding{Kind: kind}
		var example sql.NullString
		err := r.Scan(&f.ChannelID, &f.Source, &f.Count, &example, &f.Detail)
		if f.Example = example.String; f.Count > 0 {
			x.found = append(x.found, f)
		}
		return err
	}, text, args...)
}

// fault is something that may be odd about tickets or actions.
type fault struct {
	kind      FindingKind
	condition string
}

// tickets counts all faults in one pass.
func (x *examiner) tickets() (all []TicketsOf) {
	faults := [...]fault{
		{FindNothingToSend, `state IN ('pending', 'held') AND payload IS NULL AND (ticket_id IS NULL OR coalesce(delivered_hash, '') <> wanted_hash)`},
		{FindWrongDue, `(state = 'pending') <> (due IS NOT NULL)`},
		{FindContentLeft, `state IN ('synced', 'gone', 'skipped') AND payload IS NOT NULL`},
		{FindNoID, `state = 'synced' AND ticket_id IS NULL`},
		{FindUnlinked, `state = 'unlinked' AND payload IS NULL`},
		{FindUnlinkedWaiting, `state = 'unlinked' AND payload IS NOT NULL`},
	}
	text := `SELECT channel_id, source, count(*), count(CASE WHEN state IN ('pending', 'held', 'unlinked', 'rejected') THEN 1 END)`
	for _, f := range faults {
		text += `, count(CASE WHEN ` + f.condition + ` THEN 1 END), min(CASE WHEN ` + f.condition + ` THEN network_item_id END)`
	}
	x.rows(func(r *sql.Rows) error {
		var of TicketsOf
		var counts [len(faults)]int
		var examples [len(faults)]sql.NullString
		into := []any{&of.ChannelID, &of.Source, &of.Tickets, &of.Open}
		for i := range counts {
			into = append(into, &counts[i], &examples[i])
		}
		err := r.Scan(into...)
		all = append(all, of)
		for i, n := range counts {
			if n > 0 {
				x.found = append(x.found, Finding{
					Kind: faults[i].kind, ChannelID: of.ChannelID, Source: of.Source, Count: n, Example: examples[i].String,
				})
			}
		}
		return err
	}, text+` FROM tickets GROUP BY channel_id, source ORDER BY channel_id, source`)
	return all
}

func (x *examiner) leases() {
	x.list(FindUndelivered, `SELECT c.channel_id, '', count(*), min(t.network_item_id), ''
		FROM channels c JOIN tickets t ON t.channel_id = c.channel_id AND t.state = 'pending' AND t.state <> 'synced' AND t.due < {now} - $1
		WHERE c.lease_until <= {now} AND (c.pause = '' OR c.paused_until <= {now}) GROUP BY c.channel_id ORDER BY c.channel_id`, millis(late))
	x.list(FindUnpolled, `SELECT channel_id, name, 1, '', '' FROM sources
		WHERE backfill = '' AND pause = '' AND next_poll < {now} - $1 AND lease_until <= {now} ORDER BY channel_id, name`, millis(late))
	x.list(FindDeadOwner, `SELECT channel_id, '', 1, '', lease_owner FROM channels
		WHERE lease_owner <> '' AND lease_until <= {now} ORDER BY channel_id`)
	x.list(FindDeadOwner, `SELECT channel_id, name, 1, '', lease_owner FROM sources
		WHERE lease_owner <> '' AND lease_until <= {now} ORDER BY channel_id, name`)
}

func (x *examiner) actions() {
	for _, f := range []fault{
		{FindLeftPerforming, `a.state = 'performing' AND NOT EXISTS (SELECT 1 FROM channels c
			WHERE c.channel_id = a.channel_id AND c.lease_until > {now})`},
		{FindActionContentLeft, `a.payload IS NOT NULL AND a.state NOT IN ('received', 'performing', 'uncertain')`},
		{FindActionsWaiting, `a.state IN ('performed', 'failed', 'uncertain') AND a.due IS NULL`},
	} {
		x.list(f.kind, `SELECT a.channel_id, '', count(*), min(a.action_key), '' FROM actions a
			WHERE `+f.condition+` GROUP BY a.channel_id ORDER BY a.channel_id`)
	}
}

// damaged examines the file.
func (x *examiner) damaged() bool {
	x.rows(func(r *sql.Rows) error {
		var line string
		err := r.Scan(&line)
		if line != "ok" {
			x.found = append(x.found, Finding{Kind: FindDamage, Count: 1, Detail: line})
		}
		return err
	}, `PRAGMA integrity_check(5)`)
	return len(x.found) > 0
}

// sqlite compares the statistics with those that the migrations wrote: SQLite's own make it walk through all tickets.
func (x *examiner) sqlite() {
	x.list(FindStatistics, `SELECT '', '', 1, '', 'tickets' FROM (SELECT count(*) AS n FROM sqlite_stat1
		WHERE tbl = 'tickets' AND (idx = 'tickets' AND stat = '1000000 500000 1' OR idx = 'tickets_open' AND stat = '10000 5000 2000 1000 2'))
		WHERE n <> 2`)
}

// analysable is how many bytes a table of Postgres may have without statistics.
const analysable = 4 << 20

func (x *examiner) postgres() {
	x.list(FindStatistics, `SELECT '', '', 1, '', c.relname FROM pg_class c
		WHERE c.oid IN ('tickets'::regclass, 'actions'::regclass, 'polls'::regclass) AND c.reltuples < 0 AND pg_relation_size(c.oid) > $1
		ORDER BY c.relname`, analysable)
	x.list(FindBrokenIndex, `SELECT '', '', 1, '', i.indexrelid::regclass::text FROM pg_index i
		WHERE i.indrelid IN ('tickets'::regclass, 'actions'::regclass, 'polls'::regclass, 'sources'::regclass, 'channels'::regclass)
			AND NOT i.indisvalid ORDER BY 5`)
}
