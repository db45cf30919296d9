package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/app/systemd"
	"socialhub-sync/store"
	"socialhub-sync/sync"
)

type runCommand struct {
	Once     bool     `help:"Poll every source once, deliver until nothing is due, and exit."`
	DryRun   bool     `help:"Show what one round would send, and change nothing."`
	Watch    bool     `help:"Read the config anew when its file changes, as after SIGHUP."`
	Backfill bool     `help:"Read history once, with a cursor of its own, and exit."`
	Since    string   `help:"With --backfill: oldest item to read, such as 2026-01-31 or 2026-01-31T12:00:00Z, or all." placeholder:"DATE|all"`
	Until    string   `help:"With --backfill: read items before this time only." placeholder:"DATE"`
	Source   []string `help:"With --backfill: only this source; may be given several times." placeholder:"NAME" sep:"none"`
	Limit    *int     `help:"With --backfill: create or change at most this many tickets; the next run goes on." placeholder:"N"`

	// reasons are told by the caller: those why items were rejected.
	reasons bool
}

func (cmd *runCommand) Run(e *env) error {
	if !cmd.Once && !cmd.DryRun && !cmd.Backfill {
		if _, err := cmd.backfill(nil); err != nil {
			return err
		}
		return daemon(e, cmd.Watch)
	}
	if cmd.Watch {
		return usage("--watch is for the daemon, which --once, --dry-run and --backfill don't run")
	}
	c, err := e.config()
	if err != nil {
		return err
	}
	backfill, err := cmd.backfill(c)
	switch {
	case err != nil:
		return err
	case cmd.DryRun:
		return cmd.dryRun(e, c, backfill)
	}
	return cmd.once(e, c, backfill)
}

// daemon runs until it is told to stop.
func daemon(e *env, watch bool) error {
	reloads := newReloads(e, watch)
	defer reloads.close()
	c, err := reloads.load()
	if err != nil {
		return err
	}
	a, err := app.New(c, e.log)
	if err != nil {
		return err
	}
	a.Load = reloads.load
	service := systemd.NewService(e.LookupEnv, os.Getpid(), e.log)
	a.Tell = service.Status
	started := service.Starting()
	err = a.Start(e.ctx)
	started()
	if err != nil {
		if e.ctx.Err() != nil { // told to stop before it ran
			e.log.Info("stopped")
			return nil
		}
		return err
	}
	e.log.Info("running", slog.String("version", app.Version()), slog.Int("channels", len(c.Channels)), slog.Int("sources", len(c.Sources)),
		slog.String("listen", a.Addr()))
	stopping := service.Run(a.Check)
	reloaded := reloads.run(e.ctx, a, service)
	<-e.ctx.Done()
	stopping()
	e.log.Info("stopping; a second signal stops at once")
	err = a.Stop(context.WithoutCancel(e.ctx))
	<-reloaded
	if err != nil {
		return err
	}
	e.log.Info("stopped")
	return nil
}

// backfill checks the flags that belong to --backfill; nil without it, for which no config is needed.
func (cmd *runCommand) backfill(c *config.Config) (*sync.Backfill, error) {
	if !cmd.Backfill {
		if cmd.Since != "" || cmd.Until != "" || len(cmd.Source) > 0 || cmd.Limit != nil {
			return nil, usage("--since, --until, --source and --limit go with --backfill")
		}
		return nil, nil
	}
	if cmd.Since == "" {
		return nil, usage("--backfill needs --since, such as --since %s, or --since all", time.Now().AddDate(0, -1, 0).Format(time.DateOnly))
	}
	b := &sync.Backfill{Sources: cmd.Source}
	if cmd.Limit != nil {
		if b.Limit = *cmd.Limit; b.Limit < 1 {
			return nil, usage("--limit must be 1 or more")
		}
	}
	for _, name := range cmd.Source {
		if name == "" {
			return nil, usage("--source needs the name of a source")
		}
		if err := knownSource(c, name); err != nil {
			return nil, err
		}
	}
	var err error
	if cmd.Since != "all" {
		if b.Since, err = parseDate("--since", cmd.Since); err != nil {
			return nil, err
		}
	}
	if cmd.Until != "" {
		if b.Until, err = parseDate("--until", cmd.Until); err != nil {
			return nil, err
		}
	}
	if !b.Until.IsZero() && !b.Since.Before(b.Until) {
		return nil, usage("--until must be later than --since")
	}
	return b, nil
}

// parseDate reads a day, which begins in the local zone, or a full time.
func parseDate(flag, text string) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usage("%s: %q is no date; write one such as 2026-01-31 or 2026-01-31T12:00:00Z", flag, text)
	}
	return t, nil
}

// once runs one round, or a backfill, and says what came of it.
func (cmd *runCommand) once(e *env, c *config.Config, backfill *sync.Backfill) error {
	s, err := app.OpenStore(e.ctx, c.Database.Reveal())
	if err != nil {
		return err
	}
	defer s.Close()
	engine, closeClients, err := app.NewEngine(c, s, e.log, backfill)
	if err != nil {
		return err
	}
	defer closeClients()
	round := round{config: c, store: s, engine: engine, backfill: backfill, began: time.Now(), reasons: cmd.reasons}
	stopProgress := func() {}
	if backfill != nil {
		stopProgress = e.showProgress(engine)
	}
	err = engine.RunOnce(e.ctx)
	stopProgress()
	round.stopped = err != nil || e.ctx.Err() != nil
	return errors.Join(err, e.summarize(round))
}

// dryRun works on the real state, opened so that it can't be changed.
func (cmd *runCommand) dryRun(e *env, c *config.Config, backfill *sync.Backfill) error {
	s, cleanUp, err := openForDryRun(e, c)
	if err != nil {
		return err
	}
	defer cleanUp()
	engine, closeClients, err := app.NewEngine(c, s, e.log, backfill)
	if err != nil {
		return err
	}
	defer closeClients()
	counts := make(map[sync.Operation]int)
	outcome, err := engine.DryRun(e.ctx, func(p sync.Preview) {
		counts[p.Operation]++
		e.printPreview(p)
	})
	fmt.Fprintf(e.Out, "\nDry run, nothing was sent or changed: %d to create, %d to update, %d that wait for an _id, %d rejected.\n",
		counts[sync.Create], counts[sync.Patch], counts[sync.Wait], counts[sync.Reject])
	for _, src := range c.Sources {
		if n := outcome.Held[src.Name]; n > 0 {
			fmt.Fprintf(e.Out, "%s changes %s, more than its mass_change_limit of %d: they will be held until somebody says `socialhub-sync resume %s`.\n",
				src.Name, plural(n, "ticket"), src.MassChangeLimit, src.Name)
		}
	}
	for name, err := range outcome.Errors {
		fmt.Fprintf(e.Err, "error: source %s: %s\n", name, oneLine(err.Error()))
	}
	if err != nil {
		return err
	}
	if len(outcome.Errors) > 0 {
		return errSaid
	}
	return nil
}

// openForDryRun opens the database read-only; where there is none yet, a new one in a temporary folder stands in.
func openForDryRun(e *env, c *config.Config) (*store.Store, func(), error) {
	if mustExist(c) != nil {
		return openStandIn(e)
	}
	s, err := store.OpenReadOnly(e.ctx, c.Database.Reveal())
	if err != nil {
		return nil, nil, err
	}
	switch err := s.CheckSchema(e.ctx); {
	case errors.Is(err, store.ErrEmpty):
		s.Close()
		return openStandIn(e)
	case err != nil:
		return nil, nil, errors.Join(err, s.Close())
	}
	return s, func() { s.Close() }, nil
}

// openStandIn is an empty database that is gone afterwards.
func openStandIn(e *env) (*store.Store, func(), error) {
	dir, err := os.MkdirTemp("", "socialhub-sync-dry-run-")
	if err != nil {
		return nil, nil, err
	}
	s, err := app.OpenStore(e.ctx, "sqlite:"+filepath.Join(dir, "empty.db"))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, func() { s.Close(); os.RemoveAll(dir) }, nil
}

// printPreview prints the request that would be sent.
func (e *env) printPreview(p sync.Preview) {
	head := fmt.Sprintf("%-7s %s  from %s", p.Operation, oneLine(p.NetworkItemID), p.Source)
	var body any
	switch {
	case p.Operation == sync.Create && p.Own:
		head += ", our own post: only if the channel has a networkId"
		body = p.Interaction
	case p.Operation == sync.Create:
		body = p.Interaction
	case p.Operation == sync.Patch:
		body = p.Update
		if p.Reset {
			head += ", back to the inbox if it is done"
		}
	}
	if p.Reason != "" {
		head += ": " + oneLine(p.Reason)
	}
	fmt.Fprintln(e.Out, head)
	if body != nil {
		if data, err := json.Marshal(body); err == nil {
			fmt.Fprintf(e.Out, "        %s\n", data)
		}
	}
}
