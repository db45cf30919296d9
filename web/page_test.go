package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

func TestAHealthyDaemon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.poll(key("id-support", "reviews"), store.PollResult{New: 1234, Changed: 2, Unchanged: 3, Mended: 4, Next: 5 * time.Minute},
			ticket("a-1", store.Synced, ""), ticket("a-2", store.Gone, "removed"))
		w.claim(key("id-press", "mails"))
		time.Sleep(12 * time.Second)
		page := w.page()
		wantWords(t, text(page), "All is well.", "Version v1.2.3", "refreshed every 10 seconds")
		if diff := cmp.Diff([]string{
			"Channel State Pending Synced Rejected Unlinked Gone Rate limit", "press in step 0 0 0 0 0 –", "support in step 0 1 0 0 1 –",
		}, rows(page, "Channels")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{
			"Source, adapter Channel State Last poll Last success Next poll Last 24 hours",
			"mails rss press polling never never now nothing new",
			"reviews rss support waiting 12 s ago 1,234 new, 2 changed, 3 unchanged, 4 mended 12 s ago in 5 min 1,234 new, 2 changed",
		}, rows(page, "Sources")); diff != "" {
			t.Error(diff)
		}
		for _, heading := range []string{"Backfills", "Tickets that need a look"} {
			if got := rows(page, heading); got != nil {
				t.Errorf("%s: %q, want no such section", heading, got)
			}
		}
		polled := elements(page, "time")[1]
		if attribute(polled, "datetime") != "2000-01-01T00:00:00Z" || attribute(polled, "title") != "2000-01-01 00:00:00 UTC" {
			t.Errorf("the time of the poll is %+v", polled.Attr)
		}
		w.must(w.store.Close())
	})
}

func TestADaemonInTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.pause("id-support", store.Pause{Kind: store.Forbidden, Reason: "403: no permission", Fingerprint: "token-fingerprint"})
		w.pause("id-press", store.Pause{Kind: store.RateLimited, Reason: "429: slow down", For: 30 * time.Second})
		w.poll(key("id-support", "reviews"), store.PollResult{Error: "connection refused", Next: 20 * time.Second, Rejected: 1},
			ticket("a-1", store.Rejected, "message: longer than 10,000 characters"), ticket("a-2", store.Unlinked, "409"), ticket("a-3", store.Pending, ""))
		w.poll(key("id-press", "mails"), store.PollResult{Error: "wrong password", Pause: "wrong password", Next: time.Hour})
		time.Sleep(5 * time.Second)
		raw, page := w.get("/", 200), w.page()
		wantNoWords(t, raw, "token-fingerprint", "private content")
		wantWords(t, raw, "<title>(3) socialhub-sync</title>")
		wantWords(t, text(page), "3 things need a look: Channel support : access denied Source mails : stopped Source reviews : in trouble")
		if diff := cmp.Diff([]string{
			"press rate limited 429: slow down SocialHub asked for a break; it goes on in 25 s. 0 0 0 0 0 –",
			"support access denied 403: no permission Give the channel its rights in SocialHub, or put another token into the config, " +
				"then reload or restart. Until then the tickets wait. If the token stays the same, say socialhub-sync resume support 1 0 1 1 0 –",
		}, rows(page, "Channels")[1:]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{
			"mails rss press stopped wrong password Last error: 5 s ago It waits for resume. Mend the cause, then say " +
				"socialhub-sync resume mails 5 s ago never after resume nothing new; polls failed in 1 of 24 hours",
			"reviews rss support in trouble connection refused Last error: 5 s ago It is tried again by itself; if it lasts, " +
				"mend what the error names. 5 s ago 1 rejected never in 15 s nothing new; polls failed in 1 of 24 hours",
		}, rows(page, "Sources")[1:]); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{
			"a-1 support reviews rejected message: longer than 10,000 characters", "a-2 support reviews unlinked 409",
		}, rows(page, "Tickets that need a look")[1:]); diff != "" {
			t.Error(diff)
		}
		w.must(w.store.Close())
	})
}

func TestOnlyConfiguredChannelsAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.store.Register(t.Context(), map[string]string{"id-other": "stranger"}, nil))
	w.poll(key("id-other", "foreign-source"), store.PollResult{}, ticket("foreign-item", store.Rejected, "foreign-reason"))
	w.poll(store.PollKey{ChannelID: "id-other", Source: "foreign-source", Backfill: "all..all"}, store.PollResult{})
	for _, path := range []string{"/", "/metrics"} {
		wantNoWords(t, w.get(path, 200), "stranger", "foreign", "Backfills")
	}
	wantWords(t, w.get("/", 200), "No source is known yet.")
}

func TestAChannelHasItsConfiguredName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.store.Register(t.Context(), map[string]string{"id-press": "name-of-another-config"}, nil))
	w.poll(key("id-press", "mails"), store.PollResult{}, ticket("a-1", store.Rejected, "why"))
	for _, path := range []string{"/", "/metrics"} {
		wantNoWords(t, w.get(path, 200), "name-of-another-config")
	}
	wantWords(t, rows(w.page(), "Sources")[1], "mails rss press ")
}

func TestBackfillsHaveATableOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		backfill := func(source, span string) store.PollKey {
			return store.PollKey{ChannelID: "id-support", Source: source, Backfill: span}
		}
		w.poll(backfill("a", "2024-01-01T00:00:00Z..all"), store.PollResult{New: 5, Finished: true})
		w.poll(backfill("b", "all..all"), store.PollResult{Error: "no route to host"})
		w.claim(backfill("c", "all..2025-02-03T04:05:06Z"))
		w.poll(backfill("d", "all..all"), store.PollResult{})
		page := w.page()
		if diff := cmp.Diff([]string{
			"Source Channel Range State Last run",
			"a support 2024-01-01 .. all finished just now 5 new",
			"b support all .. all in trouble no route to host Last error: just now just now",
			"c support all .. 2025-02-03T04:05:06Z running never",
			"d support all .. all not finished Start it again with the same range, and it goes on where it was. just now found nothing",
		}, rows(page, "Backfills")); diff != "" {
			t.Error(diff)
		}
		wantWords(t, text(page), "No source is known yet.", "All is well.")
		wantNoWords(t, w.get("/metrics", 200), "socialhub_sync_source_failing{")
		w.must(w.store.Close())
	})
}

func TestTwentyTicketsOfAKindAreListedPerChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, source := range map[string]string{"id-support": "reviews", "id-press": "mails"} {
		var tickets []store.Ticket
		for i := range 25 {
			tickets = append(tickets, ticket(fmt.Sprintf("%s-r-%02d", source, i), store.Rejected, "why"),
				ticket(fmt.Sprintf("%s-u-%02d", source, i), store.Unlinked, "409"))
		}
		w.poll(key(id, source), store.PollResult{}, tickets...)
	}
	page := w.page()
	if n := len(rows(page, "Tickets that need a look")); n != 1+2*2*problemLimit {
		t.Errorf("%d rows", n)
	}
	wantWords(t, text(page), "At most 20 of each kind per channel.", "support in step 0 0 25 25 0 –")
}

func TestWhatComesFromOutsideIsEscaped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poll(key("id-support", evil("source")), store.PollResult{Error: evil("error")},
		ticket(evil("rejected"), store.Rejected, evil("reason")), ticket(evil("unlinked"), store.Unlinked, evil("why")))
	w.poll(store.PollKey{ChannelID: "id-support", Source: "x", Backfill: evil("range")}, store.PollResult{Error: evil("failed")})
	w.poll(key("id-press", "stopped"), store.PollResult{Error: "e", Pause: evil("stop")})
	w.pause("id-support", store.Pause{Kind: store.Unauthorized, Reason: evil("pause")})
	page := w.page()
	for _, name := range []string{"script", "img"} {
		if found := elements(page, name); len(found) > 0 {
			t.Errorf("<%s> got in after %q", name, text(found[0].Parent))
		}
	}
	for _, where := range []string{"source", "error", "rejected", "reason", "unlinked", "why", "range", "failed", "stop", "pause"} {
		wantWords(t, text(page), "<script>"+where+"</script>")
	}
	wantWords(t, w.get("/metrics", 200), "socialhub_sync_store_up 1\n")
}

func TestALongReasonIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.poll(key("id-support", "reviews"), store.PollResult{Error: strings.Repeat("é", 100_000)})
	if page := w.get("/", 200); len(page) > 30_000 || !strings.Contains(page, strings.Repeat("é", longest)+"…") {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestCountsAreKeptForSecondsAndStatesAreFresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.get("/metrics", 200)
		w.poll(key("id-support", "reviews"), store.PollResult{}, ticket("a-1", store.Synced, ""))
		w.pause("id-support", store.Pause{Kind: store.RateLimited, For: time.Hour})
		const now, later = `tickets{channel="support",state="synced"} 0`, `tickets{channel="support",state="synced"} 1`
		wantWords(t, w.get("/metrics", 200), now, `channel_paused{channel="support",kind="rate_limited"} 1`)
		wantWords(t, text(w.page()), "rate limited", "reviews")
		time.Sleep(tallyLife - time.Millisecond)
		wantWords(t, w.get("/metrics", 200), now)
		time.Sleep(time.Millisecond)
		wantWords(t, w.get("/metrics", 200), later)
		w.must(w.store.Close())
	})
}

func TestALongCountServesLonger(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: 10 * time.Second, 4 * time.Second: 40 * time.Second} {
		if got := lifeOf(tallyLife, took); got != want {
			t.Errorf("after %v: %v, want %v", took, got, want)
		}
	}
}

// counting makes a world's page and metrics ones whose first count is under way until finish is called.
func counting(w *world) (finish func(*counted)) {
	r := newReader(w.store, configured(), nopLog)
	r.tally.done = make(chan struct{})
	mux := http.NewServeMux()
	mux.Handle("/", &statusPage{reader: r, log: nopLog})
	mux.Handle("/metrics", metricsHandler(r, "", nopLog))
	w.handler = mux
	return func(counts *counted) {
		r.tally.mu.Lock()
		defer r.tally.mu.Unlock()
		close(r.tally.done)
		r.tally.counts, r.tally.until, r.tally.done = counts, time.Now().Add(tallyLife), nil
	}
}

func tallyOf(s *store.Store) *tally[*counted] { return newReader(s, nil, nopLog).tally }

var fiveSynced = &counted{tickets: map[string]map[store.State]int{"id-press": {store.Synced: 5}}}

func TestWhileTicketsAreCountedAllTheRestIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		finish := counting(w)
		for range 2 {
			began := time.Now()
			wantWords(t, strings.Join(rows(w.page(), "Channels"), "\n"), "\npress in step counting… … … … … –\n")
			if took := time.Since(began); took != tallyPatience {
				t.Errorf("it took %v", took)
			}
		}
		metrics := w.get("/metrics", 200)
		wantWords(t, metrics, "socialhub_sync_store_up 1\n", "socialhub_sync_channel_paused{")
		wantNoWords(t, metrics, "socialhub_sync_tickets{")
		finish(fiveSynced)
		wantWords(t, strings.Join(rows(w.page(), "Channels"), "\n"), "\npress in step 0 5 0 0 0 –\n", "support in step 0 0 0 0 0 –")
		w.must(w.store.Close())
	})
}

func TestTheLastCountServesWhileTheNextIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tally := tallyOf(w.store)
		tally.counts, tally.done = fiveSynced, make(chan struct{})
		if got := tally.read(t.Context()); got.tickets["id-press"][store.Synced] != 5 {
			t.Errorf("%v", got)
		}
		w.must(w.store.Close())
	})
}

func TestACountThatFailedLeavesNoneAndIsMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tally := tallyOf(w.store)
		if got := tally.read(t.Context()); got == nil {
			t.Error("nothing was counted")
		}
		time.Sleep(tallyLife)
		tally.count = tallyOf(closedStore(t)).count
		if got := tally.read(t.Context()); got != nil {
			t.Errorf("got %v", got)
		}
		tally.count = tallyOf(w.store).count
		time.Sleep(tallyLife)
		if got := tally.read(t.Context()); got == nil {
			t.Error("it was not counted again")
		}
		tally.close()
		time.Sleep(time.Hour)
		if got := tally.read(t.Context()); got == nil || tally.done != nil {
			t.Errorf("%v, %v: want the last count and no new one", got, tally.done)
		}
		w.must(w.store.Close())
	})
}

func closedStore(t *testing.T) *store.Store {
	t.Helper()
	w := newWorld(t)
	w.must(w.store.Close())
	return w.store
}

func TestASourceThatIsNotInTheConfigIsNotShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, backfill := range []string{"", "all..all"} {
		w.poll(store.PollKey{ChannelID: "id-support", Source: "taken-out", Backfill: backfill}, store.PollResult{Error: "e"})
		w.poll(store.PollKey{ChannelID: "id-support", Source: "reviews", Backfill: backfill}, store.PollResult{})
	}
	for _, path := range []string{"/", "/metrics"} {
		got := w.get(path, 200)
		wantNoWords(t, got, "taken-out")
		wantWords(t, got, "reviews")
	}
}

func TestWhoWantsThePageToStayStillCanStopIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, want := range map[string]struct{ words, link string }{
		"/":             {"refreshed every 10 seconds. Stop refreshing", "?refresh=off"},
		"/?refresh=no":  {"refreshed every 10 seconds. Stop refreshing", "?refresh=off"},
		"/?refresh=off": {"not refreshed. Refresh every 10 seconds", "?"},
	} {
		page, err := html.Parse(strings.NewReader(w.get(path, 200)))
		w.must(err)
		wantWords(t, text(page), want.words)
		if got := attribute(elements(page, "a")[0], "href"); got != want.link {
			t.Errorf("%s: the first link is %q", path, got)
		}
		refreshed := 0
		for _, meta := range elements(page, "meta") {
			if attribute(meta, "http-equiv") == "refresh" {
				refreshed++
			}
		}
		if (refreshed == 1) != (want.link == "?refresh=off") {
			t.Errorf("%s: refreshed %d times", path, refreshed)
		}
	}
}

func TestAChannelShowsWhatTheRateLimitLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	limits := map[string]socialhub.RateLimit{"id-support": {Known: true, Limit: 1200, Remaining: 7}, "id-press": {Limit: 3}}
	handler := New(Options{Store: w.store, Channels: configured(), RateLimits: func() map[string]socialhub.RateLimit { return limits }, Logger: nopLog})
	t.Cleanup(handler.Close)
	w.handler = handler
	if diff := cmp.Diff([]string{"press in step 0 0 0 0 0 –", "support in step 0 0 0 0 0 7 of 1,200 left"}, rows(w.page(), "Channels")[1:]); diff != "" {
		t.Error(diff)
	}
}

func TestEachTroubleLeadsToItsPlaceOnThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pause("id-press", store.Pause{Kind: store.Forbidden})
	w.poll(key("id-support", "reviews"), store.PollResult{Error: "no"})
	w.act("id-support", "f-1", store.ActionStep{From: store.ActionReceived, To: store.ActionUncertain})
	page, places := w.page(), make(map[string]bool)
	for n := range page.Descendants() {
		places["#"+attribute(n, "id")] = true
	}
	links := elements(page, "a")[1:]
	if len(links) != 3 {
		t.Errorf("%d links", len(links))
	}
	for _, a := range links {
		if href := attribute(a, "href"); !places[href] {
			t.Errorf("%q leads to %q, which is not there", text(a), href)
		}
	}
}
