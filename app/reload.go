package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/sync"
	"socialhub-sync/web/listen"
)

// reloadLimit is how long a reload waits for the database, and for what it ends to finish; systemd's patience,
// TimeoutStartSec= of the unit, must be longer.
const reloadLimit = 30 * time.Second

var (
	errReloadLimit = fmt.Errorf("it took longer than %s", reloadLimit)
	errStopped     = errors.New("the daemon stops")
)

// Reload reads the config anew, by Load, and puts it in the place of the one in force; what is the same in both goes on
// untouched. It returns when what was replaced has finished what it had under way, or takes too long. After an error, which
// is logged already, all is as before. One reload runs at a time, others wait. It may be called between Start and Stop.
func (a *App) Reload(ctx context.Context) (Changes, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(a.running, func() { cancel(errStopped) })()
	if a.running.Err() != nil {
		return Changes{}, errStopped
	}
	changes, err := a.reload(ctx)
	switch {
	case err != nil && a.running.Err() != nil: // which ctx may not have heard yet
		return Changes{}, errStopped
	case err != nil && ctx.Err() != nil:
		return Changes{}, context.Cause(ctx)
	}
	a.refused.Store(err != nil)
	a.meter.Reloaded(err == nil)
	a.meter.Keep(named(a.config.Load())) // after an error too: it has heard of the new channels
	if err != nil {
		a.logRefusal(err)
		return Changes{}, err
	}
	a.log.Info("config read anew", slog.String("changed", changes.String()))
	return changes, nil
}

// logRefusal has a line for each fault of the file, as `check` has.
func (a *App) logRefusal(err error) {
	lines := []string{err.Error()}
	if faults, ok := errors.AsType[*config.Error](err); ok {
		lines = strings.Split(faults.Error(), "\n")
	}
	for _, line := range lines {
		a.log.Error("the new config can't be used, the old one stays", slog.String("error", line))
	}
}

func (a *App) reload(ctx context.Context) (Changes, error) {
	if a.Load == nil {
		return Changes{}, errors.New("there is no file to read the config from")
	}
	before := a.config.Load()
	after, err := a.Load()
	if err != nil {
		return Changes{}, err
	}
	changes := compare(before, after)
	for _, key := range []string{"database", "lease"} {
		if slices.Contains(changes.Keys, key) {
			return Changes{}, fmt.Errorf("%s: %s can't change while the daemon runs; restart it, or put the old value back", after.File, key)
		}
	}
	if changes.None() {
		return changes, nil
	}
	return changes, a.replace(ctx, before, after)
}

// replace puts a config in the place of another. What can fail comes first, and is undone then.
func (a *App) replace(ctx context.Context, before, after *config.Config) (err error) {
	channels, err := newChannels(after, a.channels, a.meter)
	if err != nil {
		return err
	}
	old := a.channels
	defer func() {
		if err != nil {
			closeClients(without(channels, old))
			a.handler.Admit(readers(before))
		}
	}()
	// Who asks readers for a password does so before others reach it; who no longer does lets them in last.
	if asked := readers(after); !asked.Everybody() {
		a.handler.Admit(asked)
	}
	// The listener first, and the webhooks with it: whoever registers one has it tried at once.
	commit, undo, err := a.relisten(ctx, before, after)
	if err != nil {
		return err
	}
	a.receiver.Know(a.webhooks(after), after.TrustedProxies)
	if err = a.update(ctx, after, channels); err != nil {
		a.receiver.Know(a.webhooks(before), before.TrustedProxies)
		undo()
		return err
	}
	a.config.Store(after)
	a.channels = channels
	a.handler.Show(shown(after))
	commit()
	a.handler.Admit(readers(after))
	if before.Listen != after.Listen || readers(before) != readers(after) {
		a.warnOfReaders()
	}
	closeClients(without(old, channels))
	return nil
}

// update has the engine work by a config.
func (a *App) update(ctx context.Context, c *config.Config, channels []sync.Channel) error {
	ctx, cancel := context.WithTimeoutCause(ctx, reloadLimit, errReloadLimit)
	defer cancel()
	err := a.engine.Update(ctx, sync.Update{
		Channels: channels, Sources: newSources(c, a.log), Manifests: manifests(c), Retention: c.Retention,
	})
	if errors.Is(err, sync.ErrUnfinished) {
		a.log.Warn("the new config is in force, but something that it ended is still under way", slog.Any("error", err))
		return nil
	}
	return err
}

// without are the channels whose clients others do not have.
func without(channels, others []sync.Channel) []sync.Channel {
	return slices.DeleteFunc(slices.Clone(channels), func(ch sync.Channel) bool {
		return slices.ContainsFunc(others, func(o sync.Channel) bool { return o.Client == ch.Client })
	})
}

// relisten lets the listener be as a config says. If that works, either commit or undo is to be called.
func (a *App) relisten(ctx context.Context, before, after *config.Config) (commit, undo func(), err error) {
	nothing := func() {}
	server, o := a.server.Load(), a.listenOptions(after)
	switch {
	case before.Listen == after.Listen && (server == nil || o.EncryptsLike(a.listenOptions(before))):
		return nothing, nothing, nil
	case after.Listen == "":
		return func() { a.endListener(ctx) }, nothing, nil
	case server != nil:
		if err := server.Change(o); err != nil {
			return nil, nil, mendListener(after, err)
		}
		return nothing, func() { a.listenAgain(server, a.listenOptions(before)) }, nil
	}
	if server, err = listen.New(o); err != nil {
		return nil, nil, mendListener(after, err)
	}
	server.Serve(a.handler)
	a.server.Store(server)
	return nothing, func() { a.endListener(ctx) }, nil
}

// endListener lets nothing listen any more.
func (a *App) endListener(ctx context.Context) {
	if err := a.server.Swap(nil).Close(context.WithoutCancel(ctx)); err != nil {
		a.log.Warn("the old listener did not end well", slog.Any("error", err))
	}
}

// listenAgain takes a change back.
func (a *App) listenAgain(server *listen.Server, o listen.Options) {
	if err := server.Change(o); err != nil {
		a.log.Error("the listener can't be put back; restart the program", slog.Any("error", err))
	}
}
