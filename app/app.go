// Package app puts the parts together: [New] binds what must be bound, [App.Start] opens the store and runs
// the engine, [App.Stop] ends what Start began, the last thing first. An app is started once; a process may
// have any number of apps, one after the other or side by side: they share nothing global.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	gosync "sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"socialhub-sync/app/config"
	"socialhub-sync/app/meter"
	"socialhub-sync/store"
	"socialhub-sync/sync"
	"socialhub-sync/web"
	"socialhub-sync/web/listen"
)

// App is the daemon as a value.
type App struct {
	// Tell, if set before Start, hears in a few words what Start waits for.
	Tell func(words string)
	// Load, if set before Start, reads the config anew for Reload.
	Load func() (*config.Config, error)

	log      *slog.Logger
	meter    *meter.Meter
	store    *store.Store
	cleanups []cleanup
	engine   *sync.Engine
	handler  *web.Handler
	receiver *web.Receiver
	// running is done when the engine is to stop.
	running context.Context
	stop    context.CancelFunc
	stopped chan error

	// reloading is held by the one who changes what follows once the app has started: there is one reload at a time.
	reloading gosync.Mutex
	config    atomic.Pointer[config.Config]
	// server is nil while nothing is listened on.
	server   atomic.Pointer[listen.Server]
	channels []sync.Channel
	// refused tells that the last reload could not be done.
	refused atomic.Bool
}

// cleanup ends one thing that was begun.
type cleanup struct {
	name string
	run  func(context.Context) error
}

// New binds the listener of the config, if it wants one, so that a taken port or a bad certificate is told before
// anything runs.
func New(c *config.Config, log *slog.Logger) (*App, error) {
	a := &App{log: log, meter: meter.New()}
	a.config.Store(c)
	if c.Listen == "" {
		return a, nil
	}
	server, err := listen.New(a.listenOptions(c))
	if err != nil {
		return nil, mendListener(c, err)
	}
	a.server.Store(server)
	return a, nil
}

// Addr is where the status page is, or empty.
func (a *App) Addr() string {
	server := a.server.Load()
	if server == nil {
		return ""
	}
	return server.Addr().String()
}

// Start opens and migrates the database, waiting for it as long as ctx lasts, and starts the engine and the status
// page. It may be called once. If it fails, what it had begun is ended already.
func (a *App) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, a.clean(context.WithoutCancel(ctx)))
		}
	}()
	c := a.config.Load()
	a.later("listener", a.closeListener)
	release, err := store.Reserve(c.Database.Reveal())
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
	if a.engine, _, err = newEngine(c, sync.Options{Store: s, Logger: a.log, Manifests: manifests(c)}, a.meter); err != nil {
		return err
	}
	a.channels = slices.Clone(a.engine.Channels)
	a.later("connections", func(context.Context) error { closeClients(a.channels); return nil })
	a.answer(c)
	a.later("listener", a.closeListener)
	a.run(ctx)
	return nil
}

// answer makes what answers the listener, which a reload may turn on later, and serves it. It comes before the engine runs:
// whoever registers a webhook has it tried at once.
func (a *App) answer(c *config.Config) {
	a.receiver = a.newReceiver(c)
	a.handler = web.New(web.Options{
		Store: a.store, Channels: shown(c), Receiver: a.receiver, Readers: readers(c), RateLimits: a.engine.RateLimits,
		Metrics: []prometheus.Collector{a.meter}, Version: Version(), Logger: a.log,
	})
	a.later("counts", func(context.Context) error { a.handler.Close(); return nil })
	if server := a.server.Load(); server != nil {
		server.Serve(a.handler)
		a.warnOfReaders()
	}
}

// run starts the engine.
func (a *App) run(ctx context.Context) {
	a.running, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	a.stopped = make(chan error, 1)
	go func() { a.stopped <- a.engine.Run(a.running) }()
	a.later("engine", func(context.Context) error {
		a.stop()
		return <-a.stopped
	})
}

// Stop ends what Start began: no new work, what is under way finishes within the grace period. The errors
// tell what could not be ended well. A reload under way is given up.
func (a *App) Stop(ctx context.Context) error {
	if a.stop != nil {
		a.stop()
	}
	return a.clean(ctx)
}

func (a *App) closeListener(ctx context.Context) error {
	if server := a.server.Load(); server != nil {
		return server.Close(ctx)
	}
	return nil
}

// Engine is nil before Start.
func (a *App) Engine() *sync.Engine { return a.engine }

func (a *App) later(name string, run func(context.Context) error) {
	a.cleanups = append(a.cleanups, cleanup{name, run})
}

// clean runs the clean-ups, the last first, after a reload under way.
func (a *App) clean(ctx context.Context) error {
	a.reloading.Lock()
	all := a.cleanups
	a.cleanups = nil
	a.reloading.Unlock() // later reloads see that the app stops
	var errs []error
	for _, c := range slices.Backward(all) {
		if err := c.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop the %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// openStore opens and migrates the database. One that does not answer is waited for; it is logged once.
func (a *App) openStore(ctx context.Context) (*store.Store, error) {
	url, tell := a.config.Load().Database.Reveal(), a.Tell
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
