package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
	"socialhub-sync/web/browsertest"
)

// station is a world of many channels and sources that has run for a day.
type station struct{ *world }

// live returns the page of a station with these channels and their sources by its path, as a browser gets it. Its clock is a
// bubble's, in which no browser can be.
func live(t *testing.T, channels map[string][]string, history func(*station)) (answers map[string]*http.Response) {
	t.Helper()
	answers = make(map[string]*http.Response)
	limits := map[string]socialhub.RateLimit{
		"id-support": {Known: true, Limit: 1200, Remaining: 1143}, "id-press": {Known: true, Limit: 1200, Remaining: 1200},
		"id-reviews-of-the-southern-branches": {Known: true, Limit: 1200},
	}
	synctest.Test(t, func(t *testing.T) {
		s := &station{newWorld(t)}
		var list []Channel
		names := make(map[string]string)
		for name, sources := range channels {
			if list = append(list, Channel{"id-" + name, name, sources}); sources != nil {
				names["id-"+name] = name
			}
		}
		s.must(s.store.Register(t.Context(), names, nil))
		history(s)
		s.handler = New(Options{Store: s.store, Channels: list, Version: "1.2.3",
			RateLimits: func() map[string]socialhub.RateLimit { return limits }, Logger: nopLog})
		for _, path := range []string{"/", "/?refresh=off"} {
			answers[path] = s.ask(http.MethodGet, path)
		}
		s.handler.(*Handler).Close()
		s.must(s.store.Close())
	})
	return answers
}

// day lets the sources bring something for a day. Polls that find nothing are left out but for the last one, which saves time.
func (s *station) day(polls map[store.PollKey]func(hour int) store.PollResult) {
	for hour := range 24 {
		for k, result := range polls {
			r := result(hour)
			r.Next = 5 * time.Minute
			if r.New+r.Changed > 0 || r.Error != "" || hour == 23 {
				s.poll(k, r)
			}
		}
		if hour < 23 {
			time.Sleep(time.Hour)
		}
	}
}

func busyDay(scale int) func(int) store.PollResult {
	return func(hour int) store.PollResult {
		n := max(0, 14-(hour-13)*(hour-13)/3)
		return store.PollResult{New: n * scale, Changed: n * scale / 4, Unchanged: 40}
	}
}

func healthy(s *station) {
	s.day(map[store.PollKey]func(int) store.PollResult{
		key("id-support", "app-reviews"):    busyDay(3),
		key("id-support", "shop-questions"): busyDay(1),
		key("id-press", "mails"): func(hour int) store.PollResult {
			return store.PollResult{New: hour % 3, Unchanged: 2}
		},
		key("id-press", "newsletter"): func(int) store.PollResult { return store.PollResult{Unchanged: 12} },
	})
	s.poll(store.PollKey{ChannelID: "id-support", Source: "app-reviews", Backfill: "2024-01-01T00:00:00Z..all"}, store.PollResult{New: 8123, Finished: true})
	var tickets []store.Ticket
	for i := range 40 {
		tickets = append(tickets, ticket(fmt.Sprint("ok-", i), store.Synced, ""))
	}
	s.poll(key("id-support", "app-reviews"), store.PollResult{New: 40, Next: 5 * time.Minute}, tickets...)
	time.Sleep(42 * time.Second)
	s.claim(key("id-press", "mails"))
}

func troubled(s *station) {
	day := make(map[store.PollKey]func(int) store.PollResult)
	for n := range 9 {
		day[key("id-support", fmt.Sprintf("market-%02d", n+1))] = busyDay(n)
	}
	day[key("id-support", "app-reviews")] = func(hour int) store.PollResult {
		if hour > 19 {
			return store.PollResult{Error: "GET https://example.com/reviews.xml: dial tcp: lookup example.com on 127.0.0.53:53: server misbehaving"}
		}
		return busyDay(20)(hour)
	}
	day[key("id-reviews-of-the-southern-branches", "a-source-with-a-name-that-somebody-took-much-longer-than-needed-1")] = busyDay(2)
	s.day(day)
	s.poll(key("id-press", "mails"), store.PollResult{Error: "imap: wrong password", Pause: "imap: wrong password"})
	s.poll(key("id-support", "app-reviews"), store.PollResult{Error: "GET https://example.com/reviews.xml: 503", Next: 9 * time.Minute},
		ticket("review-4711", store.Rejected, "message: longer than 10,000 characters"),
		ticket("app-1f3870be274f6c49b3e31a0c6728957f8d04a0de2ca1f7c1b1c2a55e8bb3f6a1", store.Unlinked, "SocialHub has a ticket for it already (409), whose _id is not known"),
		ticket("a-1", store.Pending, ""), ticket("a-3", store.Gone, ""))
	s.hold(key("id-support", "market-04"), 3)
	s.pause("id-support", store.Pause{Kind: store.Unauthorized, Reason: "401: invalid access token"})
	s.pause("id-reviews-of-the-southern-branches", store.Pause{Kind: store.RateLimited, Reason: "429: too many requests", For: 42 * time.Second})
	uncertain := store.ActionStep{From: store.ActionReceived, To: store.ActionUncertain, Reason: "the source's answer was lost; it may have been posted"}
	s.act("id-support", "5cc1b08ad62ec72e8388cb47-6d9f4d8e-1c1b-4b0e-9d55-8a4e1f6f2b10", uncertain)
	s.act("id-support", "f-3", store.ActionStep{From: store.ActionReceived, To: store.ActionConfirmed})
	s.claim(key("id-support", "market-03"))
	time.Sleep(12 * time.Second)
}

// hold runs a poll that changes more tickets than it may.
func (s *station) hold(k store.PollKey, n int) {
	lease := s.claim(k)
	in := store.Intake{Decide: func(i int, _ *store.Ticket) *store.Ticket {
		held := ticket(fmt.Sprint("held-", i), store.Held, "")
		held.Source = k.Source
		return &held
	}}
	for i := range n {
		in.IDs = append(in.IDs, fmt.Sprint("held-", i))
	}
	s.must(s.store.Ingest(s.t.Context(), lease, in))
	_, _, err := s.store.JudgeHeld(s.t.Context(), lease, n-1)
	s.must(err)
	s.must(s.store.FinishPoll(s.t.Context(), lease, store.PollResult{Changed: n, Next: 5 * time.Minute}))
}

// served is an address at which a browser finds the answers.
func served(t *testing.T, answers map[string]*http.Response) string {
	t.Helper()
	bodies := make(map[string]string)
	for path, a := range answers {
		body, err := io.ReadAll(a.Body)
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, a.Status, err)
		}
		bodies[path] = string(body)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := answers[r.URL.RequestURI()]; a != nil {
			for name, values := range a.Header {
				w.Header()[name] = values
			}
			_, _ = io.WriteString(w, bodies[r.URL.RequestURI()])
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestThePageFitsPhonesAndDesktopsLightAndDark(t *testing.T) {
	t.Parallel()
	ctx := browsertest.New(t)
	for name, answers := range map[string]map[string]*http.Response{
		"healthy": live(t, map[string][]string{"support": {"app-reviews", "shop-questions"}, "press": {"mails", "newsletter"}}, healthy),
		"troubled": live(t, map[string][]string{
			"support": {"app-reviews", "market-01", "market-02", "market-03", "market-04", "market-05", "market-06", "market-07", "market-08", "market-09"},
			"press":   {"mails"}, "not-started": nil,
			"reviews-of-the-southern-branches": {"a-source-with-a-name-that-somebody-took-much-longer-than-needed-1"},
		}, troubled),
	} {
		address := served(t, answers) + "/?refresh=off"
		browsertest.Photograph(ctx, t, address, name)
		if found := browsertest.See(ctx, t, unnamed()); len(found) > 0 {
			t.Errorf("%s: without a name for those who hear the page: %s", name, strings.Join(found, ", "))
		}
	}
}

// unnamed reads the page as a screen reader does and returns what has no name there.
func unnamed() chromedp.Action[[]string] {
	return func(ctx context.Context, _ *chromedp.Target) (found []string, err error) {
		tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			return nil, err
		}
		seen := make(map[string]int)
		for _, n := range tree.Nodes {
			if n.Ignored {
				continue
			}
			role, name := word(n.Role), word(n.Name)
			seen[role]++
			if slices.Contains([]string{"table", "image", "link", "columnheader", "rowheader", "heading"}, role) && name == "" {
				found = append(found, role)
			}
		}
		for _, role := range []string{"main", "banner", "contentinfo", "table", "columnheader", "rowheader", "cell", "image", "link", "heading"} {
			if seen[role] == 0 {
				found = append(found, "no "+role+" at all")
			}
		}
		return found, nil
	}
}

// word is the text of a value.
func word(v *accessibility.Value) (text string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &text) // anything else is no text
	}
	return text
}
