package sync

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
)

// manySources makes the world one of many channels with as many sources each, none of which is due for an hour but those
// that are busy: these are polled every minute, and bring the same item each time.
func (w *world) manySources(channels, each, busy int) {
	w.t.Helper()
	w.options.Channels, w.options.Sources = nil, nil
	for c := range channels {
		channel, err := w.box.AddChannel(sandbox.ChannelOptions{})
		if err != nil {
			w.t.Fatal(err)
		}
		client := w.client(channel.Token)
		client.Name = fmt.Sprint("channel-", c)
		w.options.Channels = append(w.options.Channels, client)
		for range each {
			n := len(w.options.Sources)
			src := w.source(fmt.Sprint("source-", n), pullFunc(func(_ context.Context, _ sources.Request, yield func(sources.Batch, error) bool) {
				yield(sources.Batch{Items: []sources.Item{text(fmt.Sprint("item-", n), "the same")}}, nil)
			}))
			src.ChannelID, src.Schedule, src.ScheduleText = channel.ID, cron.Every(time.Hour), "@hourly"
			if n < busy {
				src.Schedule, src.ScheduleText = cron.Every(time.Minute), "@every 1m"
			}
			w.options.Sources = append(w.options.Sources, src)
		}
	}
	if err := w.engine().register(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	db := w.sql()
	defer db.Close()
	if _, err := db.Exec("UPDATE sources SET next_poll = next_poll + 3600000 WHERE schedule = '@hourly'"); err != nil {
		w.t.Fatal(err)
	}
}

// A thousand hourly polls are 16.7 in a minute, about as many as those of 17 sources.
func TestAThousandIdleSourcesCostFewStatements(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Logger = slog.New(slog.DiscardHandler)
		w.manySources(20, 50, 17)
		e := w.engine()
		stop := w.daemon(e)
		pass(30 * time.Second)
		polled, before := e.Tally().polls(), w.store.Statements()
		pass(time.Minute)
		statements := float64(w.store.Statements()-before) / time.Minute.Seconds()
		if n := e.Tally().polls() - polled; n != 17 {
			t.Errorf("%d polls, want 17", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := w.requests("") - 20 - 17; n != 0 {
			t.Errorf("%d requests beside the looks at the tokens and the new tickets", n)
		}
		t.Logf("figures: %.2f statements per second", statements)
		if statements > 5 {
			t.Errorf("%.1f statements per second, want at most 5", statements)
		}
	})
}

// polls is how many items were read, which is how many polls there were where each brings one.
func (t Tally) polls() (n int) {
	for _, src := range t.Sources {
		n += src.Read
	}
	return n
}
