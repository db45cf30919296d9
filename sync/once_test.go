package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

func TestOneRoundDoesNotWaitForASocialHubThatIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute("", sandbox.Fault{Kind: sandbox.Reset})}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 5)
		began := time.Now()
		w.once()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		status, err := w.store.ChannelStatuses(t.Context())
		if err != nil || status[0].Counts[store.Pending] != 5 {
			t.Errorf("%+v %v", status, err)
		}
		w.noLeases()
	})
}

func TestOneRoundGivesUpASocialHubThatDiesAfterTheGreeting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.BadGateway})}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 2000)
		began := time.Now()
		e := w.engine()
		if err := e.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		if got := e.Trouble(w.channel.ID); !strings.Contains(got, "502") {
			t.Errorf("the reason is %q", got)
		}
		status, err := w.store.ChannelStatuses(t.Context())
		if err != nil || status[0].Counts[store.Pending] != 2000 {
			t.Errorf("%+v %v", status, err)
		}
		w.noLeases()
		w.box.SetFaults(nil)
		pass(time.Hour)
		e = w.engine()
		if err := e.RunOnce(t.Context()); err != nil || w.delivered() != 2000 || e.Trouble(w.channel.ID) != "" {
			t.Errorf("then %d tickets, trouble %q, %v", w.delivered(), e.Trouble(w.channel.ID), err)
		}
	})
}

func TestOneRoundSaysWhyItWasNotGreeted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute(sandbox.RouteRoot, sandbox.Fault{Kind: sandbox.BadGateway})}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 1)
		e := w.engine()
		if err := e.RunOnce(t.Context()); err != nil || !strings.Contains(e.Trouble(w.channel.ID), "502") {
			t.Errorf("%q %v", e.Trouble(w.channel.ID), err)
		}
	})
}

func TestOneRoundWaitsForAnotherProcessOnlyWhileThatGetsOn(t *testing.T) {
	t.Run("a slow one is waited for", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
			stop := w.start(func(o *Options) { o.Channels[0].RateLimit = 0.05 })
			pass(3 * time.Second)
			w.shelf.fill("item", 4)
			e := w.engine()
			if err := e.RunOnce(t.Context()); err != nil || w.delivered() != 4 || e.Trouble(w.channel.ID) != "" || !e.Elsewhere() {
				t.Errorf("%d are delivered, trouble %q, %v", w.delivered(), e.Trouble(w.channel.ID), err)
			}
			stop()
		})
	})
	t.Run("one that can't be greeted is not", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, sandbox.Options{Faults: onRoute("", sandbox.Fault{Kind: sandbox.Reset})}, sandbox.ChannelOptions{})
			stop := w.start()
			pass(3 * time.Second)
			w.shelf.fill("item", 4)
			began := time.Now()
			e := w.engine()
			if err := e.RunOnce(t.Context()); err != nil || !strings.Contains(e.Trouble(w.channel.ID), "another process") {
				t.Errorf("trouble %q, %v", e.Trouble(w.channel.ID), err)
			}
			if took := time.Since(began); took < othersPatience || took > othersPatience+10*time.Second {
				t.Errorf("it took %v", took)
			}
			stop()
		})
	})
}

func TestASourceThatIsCutByTheEndOfTheRunSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Sources[0] = w.source("shelf", pullFunc(func(ctx context.Context, _ sources.Request, yield func(sources.Batch, error) bool) {
			yield(sources.Batch{Items: []sources.Item{text("item-1", "A")}, Cursor: "1"}, nil)
			<-ctx.Done()
		}))
		e := w.engine()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("interrupt"))
		defer cancel()
		if err := e.RunOnce(ctx); err != nil {
			t.Fatal(err)
		}
		if got := e.Tally().Sources["shelf"]; !errors.Is(got.Err, errCut) || got.New != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestOneRoundWaitsForARateLimit(t *testing.T) {
	for name, fault := range map[string]sandbox.Faults{
		"at the first ticket": sandbox.Script(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.TooMany, Wait: 3 * time.Second}),
		"at the greeting":     sandbox.Script(sandbox.RouteRoot, sandbox.Fault{Kind: sandbox.TooMany, Wait: 2500 * time.Millisecond}),
		"twice":               sandbox.Script(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.TooMany}, sandbox.Fault{}, sandbox.Fault{Kind: sandbox.TooMany, Wait: 2 * time.Second}),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{Faults: fault}, sandbox.ChannelOptions{})
				w.options.Channels[0].Concurrency = 1
				w.shelf.fill("item", 5)
				if got := w.once(); got != (ChannelTally{Created: 5}) {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestOneRoundBesideADaemonLeavesTheDeliveriesToIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: time.Second}, sandbox.ChannelOptions{})
		stop := w.start()
		pass(3 * time.Second)
		w.shelf.fill("item", 20)
		if got := w.once(); got != (ChannelTally{}) || w.delivered() != 20 {
			t.Errorf("%+v, and %d are delivered", got, w.delivered())
		}
		w.box.Deactivate(w.channel.ID)
		w.shelf.fill("later", 1)
		w.once()
		began := time.Now()
		w.once() // the channel waits for a person; nobody waits with it
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		stop()
	})
}

func TestOneRoundDeliversRepliesThatWaitedForTheirRoots(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Latency: 10 * time.Millisecond}, sandbox.ChannelOptions{})
		for n := 30; n > 0; n-- {
			w.shelf.put(reply(fmt.Sprintf("item-%02d", n), fmt.Sprintf("item-%02d", n-1), "re"))
		}
		w.shelf.put(text("item-00", "root"))
		if got := w.once(); got != (ChannelTally{Created: 31}) {
			t.Errorf("%+v", got)
		}
	})
}

// history is a source of n items whose backfill has a cursor of its own.
func history(n, batch int) pullFunc {
	return func(_ context.Context, req sources.Request, yield func(sources.Batch, error) bool) {
		from := 0
		fmt.Sscan(strings.TrimPrefix(req.Cursor, "history "), &from)
		if !req.Backfill {
			return
		}
		for ; from < n; from += batch {
			b := sources.Batch{Cursor: fmt.Sprint("history ", min(n, from+batch))}
			for i := from; i < min(n, from+batch); i++ {
				b.Items = append(b.Items, text(fmt.Sprintf("old-%05d", i), "A"))
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

func TestABackfillReadsHistoryWithACursorOfItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.fill("live", 3)
		w.once()
		live := w.status("shelf")
		b := &Backfill{Since: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)}
		var asked sources.Request
		old := history(10, 4)
		w.options.Sources[0] = w.source("shelf", pullFunc(func(ctx context.Context, req sources.Request, yield func(sources.Batch, error) bool) {
			asked = req
			old(ctx, req, yield)
		}))
		e := w.engine(func(o *Options) { o.Backfill = b })
		if err := e.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !asked.Backfill || !asked.Since.Equal(b.Since) || !asked.Until.IsZero() || asked.Cursor != "" {
			t.Errorf("asked for %+v", asked)
		}
		cursor, finished, err := w.store.Progress(t.Context(), e.key(&e.Sources[0]))
		if cursor != "history 10" || !finished || err != nil {
			t.Errorf("cursor %q finished %v %v", cursor, finished, err)
		}
		if cursor, _, _ := w.store.Progress(t.Context(), store.PollKey{ChannelID: w.channel.ID, Source: "shelf"}); cursor != "3" {
			t.Errorf("the polls' cursor is %q", cursor)
		}
		if diff := cmp.Diff(live, w.status("shelf")); diff != "" {
			t.Errorf("the polls' state changed: %s", diff)
		}
		if w.delivered() != 13 {
			t.Errorf("%d tickets", w.delivered())
		}
	})
}

func TestABackfillThatWasCutGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		var from []string
		cut := true
		old := history(10, 2)
		w.options.Backfill = &Backfill{}
		w.options.Sources[0] = w.source("shelf", pullFunc(func(ctx context.Context, req sources.Request, yield func(sources.Batch, error) bool) {
			from = append(from, req.Cursor)
			n := 0
			old(ctx, req, func(b sources.Batch, err error) bool {
				if n++; cut && n > 3 {
					return false
				}
				return yield(b, err)
			})
			if cut {
				yield(sources.Batch{}, errors.New("trouble"))
			}
		}))
		w.once()
		cut = false
		w.once()
		if diff := cmp.Diff([]string{"", "history 6"}, from); diff != "" || w.delivered() != 10 {
			t.Errorf("%d tickets; %s", w.delivered(), diff)
		}
	})
}

func TestABackfillThatReachedItsEndReadsEverythingAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		var log record
		w.options.Logger = log.logger()
		w.options.Backfill = &Backfill{}
		var from []string
		old := history(10, 4)
		w.options.Sources[0] = w.source("shelf", pullFunc(func(ctx context.Context, req sources.Request, yield func(sources.Batch, error) bool) {
			from = append(from, req.Cursor)
			old(ctx, req, yield)
		}))
		w.once()
		if strings.Contains(log.String(), "read again from the start") {
			t.Error("the first run reads again")
		}
		if _, err := w.engine().DryRun(t.Context(), func(Preview) {}); err != nil {
			t.Fatal(err)
		}
		tally := w.onceAll()
		if diff := cmp.Diff([]string{"", "", ""}, from); diff != "" {
			t.Errorf("read from other places: %s", diff)
		}
		if got := tally.Sources["shelf"].Counts; got != (Counts{Read: 10, Unchanged: 10}) || !strings.Contains(log.String(), "read again from the start") {
			t.Errorf("%+v, log %s", got, &log.buf)
		}
	})
}

func TestALimitedBackfillCountsUpToItsCut(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.put(text("old-00001", "A"), text("old-00006", "A"))
		w.once()
		w.options.Sources[0] = w.source("shelf", history(10, 10))
		got := w.onceAll(func(o *Options) { o.Backfill = &Backfill{Limit: 3} }).Sources["shelf"].Counts
		if want := (Counts{Read: 4, New: 3, Unchanged: 1}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestALimitedBackfillTakesNoMoreThanItsLimitAndGoesOn(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"over new items": func(*world) {},
		"over items of another source, which don't count": func(w *world) {
			theirs := &shelf{}
			theirs.fill("old", 10)
			w.options.Sources = append(w.options.Sources, w.source("theirs", theirs))
			w.once(func(o *Options) { o.Sources = o.Sources[1:] })
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
				w.options.Sources[0] = w.source("shelf", history(25, 10))
				prepare(w)
				limited := func(o *Options) { o.Backfill = &Backfill{Limit: 6, Sources: []string{"shelf"}} }
				for run, before := 0, w.delivered(); ; run++ {
					e := w.engine(limited)
					if err := e.RunOnce(t.Context()); err != nil {
						t.Fatal(err)
					}
					now := w.delivered()
					_, finished, err := w.store.Progress(t.Context(), e.key(&e.Sources[0]))
					if err != nil {
						t.Fatal(err)
					}
					if finished {
						break
					}
					if now-before != 6 || run > 5 {
						t.Fatalf("run %d took %d", run, now-before)
					}
					before = now
				}
				if w.delivered() != 25 {
					t.Errorf("%d tickets in the end", w.delivered())
				}
			})
		})
	}
}

func TestABackfillHasANameByItsRange(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 2, 0, 0, 0, time.FixedZone("", 2*3600))
	for want, b := range map[string]*Backfill{
		"all..all": {}, "2026-05-01T00:00:00Z..all": {Since: at}, "all..2026-05-01T00:00:00Z": {Until: at, Limit: 5},
	} {
		if got := b.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	var none *Backfill
	if !none.Reads("a") || !(&Backfill{}).Reads("a") || (&Backfill{Sources: []string{"b"}}).Reads("a") {
		t.Error("wrong sources")
	}
}

// files are the database's files with their contents.
func (w *world) files() map[string]string {
	w.t.Helper()
	path, _ := strings.CutPrefix(w.dbURL, "sqlite:")
	names, err := filepath.Glob(path + "*")
	if err != nil {
		w.t.Fatal(err)
	}
	found := make(map[string]string)
	for _, name := range names {
		if strings.HasSuffix(name, "-shm") { // the readers' shared memory
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			w.t.Fatal(err)
		}
		found[filepath.Base(name)] = string(data)
	}
	return found
}

func TestADryRunShowsWhatARunThenDoesAndWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.put(text("same-01", "A"), text("edited-1", "A"), text("unlinked", "A"), text("deleted-1", "A"))
		w.options.Channels[0].Client.Create(t.Context(), &socialhub.Interaction{NetworkItemID: "unlinked", Message: "?"})
		w.once()
		w.shelf.put(
			text("same-01", "A"), text("edited-1", "B"), text("unlinked", "B"), text("new-001", "A"), text("bad", "A"), text("new-001", "B"),
			sources.Item{Interaction: socialhub.Interaction{NetworkItemID: "deleted-1"}, Deleted: true},
		)
		w.shelf.batch = 2 // so that new-001 comes twice
		failing := w.source("failing", &shelf{fail: errors.New("trouble")})
		w.options.Sources = append(w.options.Sources, failing)

		before, requests := w.files(), len(w.box.Requests())
		readOnly, err := store.OpenReadOnly(t.Context(), w.dbURL)
		if err != nil {
			t.Fatal(err)
		}
		var shown []string
		e := w.engine()
		e.Store = readOnly
		outcome, err := e.DryRun(t.Context(), func(p Preview) {
			line := fmt.Sprintf("%s %s %s", p.Source, p.Operation, p.NetworkItemID)
			switch {
			case p.Interaction != nil:
				line += " " + p.Interaction.Message
			case p.Update != nil:
				line += fmt.Sprintf(" %s reset=%v", p.Update.Message, p.Reset)
			case p.Reason == "":
				t.Errorf("no reason: %+v", p)
			}
			shown = append(shown, line)
		})
		if err := errors.Join(err, readOnly.Close()); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"shelf update edited-1 B reset=true", "shelf wait unlinked", "shelf create new-001 A", `shelf reject at "bad"`, "shelf create new-001 B",
		}
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Error(diff)
		}
		if errs := outcome.Errors; len(errs) != 1 || errs["failing"] == nil {
			t.Errorf("errors %v", errs)
		}
		if len(w.box.Requests()) != requests {
			t.Error("requests were sent")
		}
		if diff := cmp.Diff(before, w.files()); diff != "" {
			t.Error("the database changed")
		}
		w.shelf.batch = 0
		if got := w.once(); got != (ChannelTally{Created: 1, Updated: 1}) {
			t.Errorf("the run: %+v", got)
		}
	})
}

func TestADryRunShowsWhatWaitsInTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.put(text("edited-1", "A"), text("back-01", "A"))
		w.once()
		w.box.SetFaults(onRoute("", sandbox.Fault{Kind: sandbox.Reset}))
		w.shelf.put(text("edited-1", "B"), text("waiting", "A"), text("changed", "A"), reply("reply-1", "waiting", "A"))
		w.once() // is not greeted
		w.shelf.put(text("changed", "B"), text("new-001", "A"))
		later := w.client(w.channel.Token)
		later.ID, later.Name = "000000000000000000000009", "without tickets"
		w.options.Channels = append(w.options.Channels, later)

		var shown []string
		outcome, err := w.engine().DryRun(t.Context(), func(p Preview) {
			content := ""
			if p.Interaction != nil {
				content = p.Interaction.Message
			}
			if p.Update != nil {
				content = fmt.Sprint(p.Update.Message, " reset=", p.Reset)
			}
			shown = append(shown, fmt.Sprintf("%s %s %s %s", p.Source, p.Operation, p.NetworkItemID, content))
		})
		if err != nil || len(outcome.Errors) != 0 {
			t.Fatal(err, outcome)
		}
		slices.Sort(shown)
		want := []string{
			"shelf create changed B", "shelf create new-001 A", "shelf create reply-1 A", "shelf create waiting A",
			"shelf update edited-1 B reset=true",
		}
		if diff := cmp.Diff(want, shown); diff != "" {
			t.Error(diff)
		}
	})
}

func TestADryRunShowsEveryTicketThatWaitsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute("", sandbox.Fault{Kind: sandbox.Reset})}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 1200)
		w.once()
		shown := make(map[string]int)
		_, err := w.engine().DryRun(t.Context(), func(p Preview) { shown[p.NetworkItemID]++ })
		if err != nil || len(shown) != 1200 || shown["item-7"] > 1 {
			t.Errorf("%d shown, %v", len(shown), err)
		}
	})
}

func TestADryBackfillKeepsToItsLimit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.Sources[0] = w.source("shelf", history(25, 10))
		n := 0
		outcome, err := w.engine(func(o *Options) { o.Backfill = &Backfill{Limit: 12} }).DryRun(t.Context(), func(Preview) { n++ })
		if n != 12 || len(outcome.Errors) != 0 || err != nil {
			t.Errorf("%d shown, errors %v %v", n, outcome.Errors, err)
		}
	})
}

func TestNoSecretIsInTheLogTheErrorsOrTheDatabase(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		var plain, structured record
		debug := &slog.HandlerOptions{Level: slog.LevelDebug}
		w.options.Logger = slog.New(slog.NewMultiHandler(slog.NewTextHandler(&plain, debug), slog.NewJSONHandler(&structured, debug)))
		w.options.Channels[0].Concurrency = 2
		var shown strings.Builder
		for round, kind := range sandbox.Kinds {
			for _, route := range []string{sandbox.RouteRoot, sandbox.RoutePost, sandbox.RoutePatch} {
				w.box.SetFaults(sandbox.Script(route, sandbox.Fault{Kind: kind}))
				w.shelf.put(text(fmt.Sprintf("item-%d%s", round, route[:3]), "A"), text("changing", fmt.Sprint(round, route)))
				e := w.engine(func(o *Options) { o.Grace = 100 * time.Millisecond })
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				fmt.Fprintln(&shown, e.RunOnce(ctx), e.Healthy(), e.Tally())
				cancel()
				if _, err := w.store.ResumeChannel(t.Context(), w.channel.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.box.SetFaults(nil)
		w.box.ReplaceToken(w.channel.ID)
		pass(time.Hour)
		w.once()

		token := w.channel.Token
		signature := token[strings.LastIndexByte(token, '.')+1:]
		places := map[string]string{"text log": plain.String(), "JSON log": structured.String(), "errors": shown.String()}
		for name, data := range w.files() {
			places[name] = data
		}
		for place, content := range places {
			if len(content) == 0 && place != "test.db-wal" {
				t.Errorf("%s is empty", place)
			}
			for _, secret := range []string{token, signature, signature[:20]} {
				if strings.Contains(content, secret) {
					t.Errorf("%s holds a secret", place)
				}
			}
		}
		for _, kind := range []string{"502", "EOF", "rate limit", "denied access", "refused the access token"} {
			if !strings.Contains(places["text log"], kind) {
				t.Errorf("the log does not tell of %q, so the test proves little", kind)
			}
		}
	})
}
