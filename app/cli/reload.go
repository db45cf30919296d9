package cli

import (
	"context"
	"os"
	"time"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/app/systemd"
)

// watchEvery is how often --watch looks at the files. They are read when one look has found them changed and the next
// one the same.
const watchEvery = 2 * time.Second

// reloads has the config read anew when a signal comes and, with --watch, when a file changes.
type reloads struct {
	read    func() (*config.Config, error)
	hangups <-chan os.Signal
	close   func()
	// watcher is nil without --watch.
	watcher *watcher
}

// newReloads takes signals from now on: one that comes during the start is obeyed after it.
func newReloads(e *env, watch bool) *reloads {
	r := &reloads{read: e.config, close: func() {}}
	if e.Hangups != nil {
		r.hangups, r.close = e.Hangups()
	}
	if watch {
		r.watcher = newWatcher(e.configPath())
	}
	return r
}

func (r *reloads) load() (*config.Config, error) {
	if r.watcher == nil {
		return r.read()
	}
	return r.watcher.read(r.read)
}

// run reloads the app as often as it is told to, until ctx is done; then done is closed.
func (r *reloads) run(ctx context.Context, a *app.App, service *systemd.Service) (done <-chan struct{}) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var looks <-chan time.Time
		if r.watcher != nil {
			ticker := time.NewTicker(watchEvery)
			defer ticker.Stop()
			looks = ticker.C
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.hangups:
				reload(ctx, a, service)
			case <-looks:
				if r.watcher.changed() {
					reload(ctx, a, service)
				}
			}
		}
	}()
	return ended
}

// reload does it once; the app logs what came of it.
func reload(ctx context.Context, a *app.App, service *systemd.Service) {
	service.Reloading()
	words := "the config was read anew"
	if _, err := a.Reload(ctx); err != nil {
		words = "the new config can't be used, the old one stays"
	}
	if ctx.Err() == nil { // else it stops, and systemd is told that
		service.Ready(words)
	}
}
