// Package app puts the parts together: [New] binds what must be bound, [App.Start] opens the store and runs
// the engine, [App.Stop] ends what Start began, the last thing first. An app is started once; a process may
// have any number of apps, one after the other or side by side: they share nothing global.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
	"socialhub-sync/sync"
	"socialhub-sync/web"
	"socialhub-sync/web/listen"
)

// App is the daemon as a value.
type App struct {
	// Tell, if set before Start, hears in a few words what Start waits for.
	Tell func(words string)

	config   *config.Config
	log      *slog.Logger
	store    *store.Store
	server   *listen.Server
	cleanups []cleanup
	engine   *sync.Engine
	stop     context.CancelFunc
	stopped  chan error
}

// cleanup ends one thing that was begun.
type cleanup struct {
	name string
	run  func(context.Context) error
}

// New binds the listener of the config, if it wants one, so that a taken port or a bad certificate is told before
// anything runs.
func New(c *config.Config, log *slog.Logger) (*App, error) {
	a := &App{config: c, log: log}
	if c.Listen == "" {
		return a, nil
	}
	server, err := listen.New(a.listenOptions())
	if _, bound := errors.AsType[*listen.AddressError](err); bound {
		err = fmt.Errorf("%w; choose another address in %s, or listen: \"\" for none", err, c.File)
	}
	if err != nil {
		return nil, err
	}
	a.server = server
	return a, nil
}

// Addr is where the status page is, or empty.
func (a *App) Addr() string {
	if a.server == nil {
		return ""
	}
	return a.server.Addr().String()
}

// Start opens and migrates the database, waiting for it as long as ctx lasts, and starts the engine and the status
// page. It may be called once. If it fails, what it had begun is ended already.
func (a *App) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, a.clean(context.WithoutCancel(ctx)))
		}
	}()
	if a.server != nil {
		a.later("listener", a.server.Close)
	}
	release, err := store.Reserve(a.config.Database.Reveal())
	if err != nil {
		return err
	}
	a.later("reservation", func(context.Context) error { return release() })
	s, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	a.store = s
	a.later("database", func(context.Context) error { return s.Close() })
	engine, closeClients, err := NewEngine(a.config, s, a.log, nil)
	if err != nil {
		return err
	}
	a.later("connections", func(context.Context) error { closeClients(); return nil })
	a.engine = engine
	// Before the engine runs: whoever registers a webhook has it tried at once.
	if a.server != nil {
		handler := web.New(web.Options{Store: s, Channels: a.shown(), Receiver: a.receiver(s), Version: Version(), Logger: a.log})
		a.later("counts", func(context.Context) error { handler.Close(); return nil })
		a.server.Serve(handler)
		a.warnOfReaders()
		engine.Manifests = a.manifests()
		a.later("listener", a.server.Close)
	}
	a.run(ctx)
	return nil
}

// run starts the engine.
func (a *App) run(ctx context.Context) {
	ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	a.stopped = make(chan error, 1)
	go func() { a.stopped <- a.engine.Run(ctx) }()
	a.later("engine", func(context.Context) error {
		a.stop()
		return <-a.stopped
	})
}

// Stop ends what Start began: no new work, what is under way finishes within the grace period. The errors
// tell what could not be ended well.
func (a *App) Stop(ctx context.Context) error { return a.clean(ctx) }

// Engine is nil before Start.
func (a *App) Engine() *sync.Engine { return a.engine }

func (a *App) later(name string, run func(context.Context) error) {
	a.cleanups = append(a.cleanups, cleanup{name, run})
}

// clean runs the clean-ups, the last first.
func (a *App) clean(ctx context.Context) error {
	var errs []error
	for i := len(a.cleanups) - 1; i >= 0; i-- {
		if err := a.cleanups[i].run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop the %s: %w", a.cleanups[i].name, err))
		}
	}
	a.cleanups = nil
	return errors.Join(errs...)
}

// openStore opens and migrates the database. One that does not answer is waited for; it is logged once.
func (a *App) openStore(ctx context.Context) (*store.Store, error) {
	url, tell := a.config.Database.Reveal(), a.Tell
	if tell == nil {
		tell = func(string) {}
	}
	tell("connecting to the database")
	for failures := 0; ; failures++ {
		s, err := openStore(ctx, url, tell)
		if err == nil || !store.Unreachable(err) {
			return s, err
		}
		tell("the database does not answer; waiting for it")
		if failures == 0 {
			a.log.Error("database can't be reached, trying again until it answers", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(min(5*time.Second, 100*time.Millisecond<<min(failures, 10))):
		}
	}
}

// OpenStore opens a database and migrates it.
func OpenStore(ctx context.Context, url string) (*store.Store, error) {
	return openStore(ctx, url, func(string) {})
}

func openStore(ctx context.Context, url string, tell func(words string)) (*store.Store, error) {
	s, err := store.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	tell("bringing the database up to date")
	if _, err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
