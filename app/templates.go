package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	gosync "sync"

	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// templates lists what the team of a channel may make template replies of: what the config says, and what those sources
// of the channel know that can tell. Such a source is opened anew each time: it is seldom that somebody asks.
type templates struct {
	config  *config.Config
	channel *config.Channel
	log     *slog.Logger

	mu gosync.Mutex
	// mute has the sources that can't tell, by name.
	mute map[string]bool
}

// list leaves out a source in trouble, unless there is nothing else to show.
func (t *templates) list(ctx context.Context) ([]socialhub.Template, error) {
	list := append([]socialhub.Template{}, t.channel.Templates...)
	var errs []error
	for _, src := range t.config.Sources {
		if src.Channel != t.channel.Name || t.isMute(src.Name) {
			continue
		}
		more, err := t.of(ctx, &src)
		if err != nil {
			errs = append(errs, fmt.Errorf("source %s: %w", src.Name, err))
			t.log.Warn("templates of a source", slog.String("source", src.Name), slog.Any("error", err))
		}
		list = append(list, more...)
	}
	if len(list) == 0 {
		return nil, errors.Join(errs...)
	}
	return list, nil
}

func (t *templates) isMute(source string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mute[source]
}

// of asks one source.
func (t *templates) of(ctx context.Context, src *config.Source) (list []socialhub.Template, err error) {
	source, err := OpenSource(ctx, t.config, src, t.log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	lister, ok := source.(sources.TemplateLister)
	if !ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.mute[src.Name] = true
		return nil, nil
	}
	return lister.Templates(ctx)
}
