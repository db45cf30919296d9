// Package sqlsource reads the rows of a query on Postgres, MySQL, MariaDB or SQLite.
//
// The query is the user's own SELECT, whose columns are named as SocialHub's fields. It stands as a subselect in a
// query of ours that pages by keyset: ordered by the cursor column and, where that has ties, by the id. So the user
// writes no placeholder, and the databases move our conditions into the user's query, where an index serves them.
//
// Each page is a read-only transaction of its own. A poll reads
//
//  1. the rows whose cursor column is NULL: nothing tells whether they changed;
//  2. the rows of the last while before the stored cursor again, see [Settings].Rescan;
//  3. the rows after the stored cursor. Only these move it.
//
// What the team does is statements of the user's own, see [Actions], each action in one transaction on a connection that is
// made for it.
package sqlsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sql/engine"
)

// New returns the adapter.
func New() sources.Adapter {
	return sources.Adapter{
		Name:    "sql",
		Summary: "a query on Postgres, MySQL, MariaDB or SQLite",
		Settings: func() sources.Settings {
			return &Settings{Rescan: defaultRescan, Timeout: defaultTimeout, TimeZone: "UTC"}
		},
	}
}

const (
	defaultRescan  = 10 * time.Minute
	maxRescan      = 366 * 24 * time.Hour
	defaultTimeout = time.Minute
	maxTimeout     = time.Hour
)

// Settings say which database to ask, and what.
type Settings struct {
	Database sources.Secret `yaml:"database" doc:"Needed. postgres://user:password@host:5432/name, mysql://user:password@host:3306/name (MariaDB too) or sqlite:FILE, relative to the config file."`
	Query    string         `yaml:"query" doc:"Needed. One SELECT whose columns are named as SocialHub's fields, with an id column or a networkItemId."`
	Cursor   string         `yaml:"cursor" doc:"The column of the query that grows when a row is new or changes, such as updated_at. If empty, every poll reads all rows."`
	Rescan   time.Duration  `yaml:"rescan" doc:"How far before the cursor each poll begins. It finds rows that were committed late and, with 72h, changes of the last three days that the cursor column does not show."`
	TimeZone string         `yaml:"time_zone" doc:"The zone of times that are stored without one, such as Europe/Berlin."`
	Prefix   string         `yaml:"prefix" doc:"What the networkItemId made of an id begins with; the source's name if empty. Set it before you rename a source, or its rows become new tickets."`
	Timeout  time.Duration  `yaml:"timeout" doc:"How long one page of the query (500 rows) may take, the connection included; and one action."`

	Actions Actions `yaml:"actions" doc:"What the team can do with an item, as SQL. For it alone the source gets a connection that may write."`
}

// Validate implements [sources.Settings].
func (s *Settings) Validate() error {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, &sources.SettingError{Key: key, Problem: problem}) }
	if address, err := engine.Parse(s.Database.Reveal()); err != nil {
		faults = append(faults, err)
	} else if _, err := s.Actions.read(address); err != nil {
		faults = append(faults, err)
	}
	if problem := queryProblem(trimQuery(s.Query)); problem != "" {
		fault("query", problem)
	}
	if s.Rescan < 0 || s.Rescan > maxRescan {
		fault("rescan", fmt.Sprintf("want 0s to %dh", maxRescan/time.Hour))
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
		fault("time_zone", "not the name of a zone, such as UTC or Europe/Berlin")
	}
	faults = append(faults, sources.CheckPrefix(s.Prefix))
	if s.Timeout < time.Millisecond || s.Timeout > maxTimeout {
		fault("timeout", fmt.Sprintf("want 1ms to %s", maxTimeout))
	}
	return errors.Join(faults...)
}

// trimQuery leaves out what may stand at the end of a statement but not of a subselect.
func trimQuery(query string) string { return strings.TrimSpace(strings.TrimRight(query, "; \t\r\n")) }

// queryProblem tells what is wrong with a query at first sight. It need not find everything: the databases refuse
// writes by themselves. But one of them would run several statements.
func queryProblem(query string) string {
	first, _, _ := strings.Cut(strings.NewReplacer("\t", " ", "\r", " ", "\n", " ", "*", " ").Replace(query), " ")
	switch {
	case first == "":
		return "missing; write a SELECT"
	case !strings.EqualFold(first, "select") && !strings.EqualFold(first, "with"):
		return "want one SELECT; it may begin with WITH"
	case strings.Contains(query, ";"):
		return "has a semicolon inside; want one SELECT alone (within a text write chr(59), or char(59) for MySQL and SQLite)"
	case strings.ContainsRune(query, 0):
		return "has a zero byte inside"
	}
	return ""
}

// Open implements [sources.Settings].
func (s *Settings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	address, err := engine.Parse(s.Database.Reveal())
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, &sources.SettingError{Key: "time_zone", Problem: "not known on this machine"}
	}
	src := &source{settings: *s, query: trimQuery(s.Query), zone: zone, prefix: s.Prefix, logger: env.Logger}
	if src.prefix == "" {
		src.prefix = env.Name
	}
	if src.engine, err = address.Open(env.Dir, s.Timeout); err != nil {
		return nil, err
	}
	if s.Actions.isZero() {
		return src, nil
	}
	src.plan, err = s.Actions.read(address)
	if err == nil {
		src.writer, err = address.OpenWriter(env.Dir, s.Timeout)
	}
	if err != nil {
		return nil, errors.Join(err, src.engine.Close())
	}
	return src, nil
}

type source struct {
	settings Settings
	query    string
	zone     *time.Location
	prefix   string
	logger   *slog.Logger
	engine   *engine.Engine
	plan     plan
	writer   *engine.Engine // nil if nothing is to be written
}

// Close implements [sources.Source].
func (s *source) Close() error {
	if s.writer == nil {
		return s.engine.Close()
	}
	return errors.Join(s.engine.Close(), s.writer.Close())
}
