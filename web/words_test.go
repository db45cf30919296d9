package web

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"socialhub-sync/store"
)

func TestSpans(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", 3*time.Minute + 56*time.Second: "4 min",
		119 * time.Minute: "119 min", 2 * time.Hour: "2 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 days",
		1500 * 24 * time.Hour: "1,500 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestNumbersAreGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 12_034: "12,034", 5_000_006: "5,000,006"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestWhenSomethingWas(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for want, when := range map[string]time.Time{
		"never": {}, "just now": now.Add(time.Minute), "5 s ago": now.Add(-5 * time.Second), "3 days ago": now.Add(-72 * time.Hour),
	} {
		if got := past(when, now); got.Words != want || (got.Machine == "") != when.IsZero() {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
}

func TestWhenASourceIsPolledNext(t *testing.T) {
	t.Parallel()
	now := time.Now()
	in := func(d time.Duration) store.SourceStatus { return store.SourceStatus{NextPoll: now.Add(d)} }
	stopped, polling := in(time.Minute), in(-time.Hour)
	stopped.Pause, polling.Polling = "why", true
	for _, test := range []struct {
		want   string
		source store.SourceStatus
	}{
		{"in 1 s", in(time.Millisecond)}, {"in 5 min", in(5 * time.Minute)}, {"now", in(-59 * time.Second)},
		{"due for 20 min", in(-20 * time.Minute)}, {"never", in(100 * 365 * 24 * time.Hour)}, {"now", store.SourceStatus{}},
		{"after resume", stopped}, {"now", polling},
	} {
		if got := nextPoll(test.source, now).Words; got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestWhereAChannelStands(t *testing.T) {
	t.Parallel()
	paused := func(kind store.PauseKind, d time.Duration) store.ChannelState {
		return store.ChannelState{Pause: store.Pause{Kind: kind, For: d}}
	}
	for _, test := range []struct {
		state   store.ChannelState
		want    string
		trouble bool
	}{
		{store.ChannelState{}, "in step: ", false},
		{store.ChannelState{Pending: true, Owner: "x"}, "delivering: ", false},
		{store.ChannelState{Pending: true}, "waiting: No process delivers for this channel at the moment.", false},
		{store.ChannelState{Pending: true, Owner: "x", NextDue: 7 * time.Second}, "trying again: The next try is in 7 s.", false},
		{paused(store.RateLimited, 11_001*time.Millisecond), "rate limited: SocialHub asked for a break; it goes on in 12 s.", false},
		{paused(store.RateLimited, 0), "paused: It goes on when somebody says socialhub-sync resume support", true},
		{paused(store.Unauthorized, 0), "access token refused: Put the new token into the config, then reload or restart. Until then the tickets wait.", true},
		{paused(store.Forbidden, 0), "access denied: Give the channel its rights in SocialHub, or put another token into the config, " +
			"then reload or restart. Until then the tickets wait. If the token stays the same, say socialhub-sync resume support", true},
		{paused("of a newer version", 3*time.Minute), "paused: It goes on in 3 min.", false},
	} {
		s := channelStanding(channel{id: "id", name: "support", ChannelState: test.state, known: true})
		if got := strings.TrimSuffix(fmt.Sprintf("%s: %s %s", s.Word, s.Note, s.Command), " "); got != test.want || s.Trouble != test.trouble {
			t.Errorf("got %q, %v; want %q, %v", got, s.Trouble, test.want, test.trouble)
		}
	}
	if got := channelStanding(channel{}).Word; got != "not started yet" {
		t.Errorf("a channel that the store does not know is %q", got)
	}
}

func TestWhereASourceStands(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct {
		source     store.SourceStatus
		word, said string
		trouble    bool
	}{
		{store.SourceStatus{NextPoll: now.Add(-time.Minute)}, "waiting", "", false},
		{store.SourceStatus{NextPoll: now.Add(-11 * time.Minute)}, "overdue", "", true},
		{store.SourceStatus{NextPoll: now.Add(-11 * time.Minute), Polling: true}, "polling", "", false},
		{store.SourceStatus{NextPoll: now, Polling: true, LastError: "e"}, "in trouble", "e", true},
		{store.SourceStatus{NextPoll: now, LastError: "e"}, "in trouble", "e", true},
		{store.SourceStatus{NextPoll: now, LastError: "e", Held: 1200}, "holds 1,200 changes", "e", true},
		{store.SourceStatus{NextPoll: now, Held: 1200, Pause: "p"}, "stopped, holds 1,200 changes", "p", true},
		{store.SourceStatus{NextPoll: now, LastError: "e", Pause: "p"}, "stopped", "p", true},
	} {
		if got := sourceStanding(test.source, now); got.Word != test.word || got.Said != test.said || got.Trouble != test.trouble {
			t.Errorf("got %+v, want %+v", got, test)
		}
	}
}

// WCAG 2.2, 1.4.3: text needs a contrast of 4.5 to 1.
func TestColoursCanBeRead(t *testing.T) {
	t.Parallel()
	light, dark, _ := strings.Cut(style, "prefers-color-scheme: dark")
	for name, part := range map[string]string{"light": light, "dark": dark} {
		colours := make(map[string]float64)
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]+);`).FindAllStringSubmatch(part, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		for ground, texts := range map[string][]string{
			"card": {"text", "quiet", "calm", "busy", "wait", "alas"}, "ground": {"text", "quiet"}, "code": {"text", "quiet"},
			"calm-soft": {"text"}, "alas-soft": {"text", "quiet", "calm", "busy", "wait", "alas"},
		} {
			for _, colour := range texts {
				a, b := colours[ground], colours[colour]
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.1f", name, colour, ground, ratio)
				}
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
