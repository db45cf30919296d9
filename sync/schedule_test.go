package sync

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"socialhub-sync/sources"
)

func scheduled(t testing.TB, name, text string) *Source {
	t.Helper()
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		t.Fatal(err)
	}
	return &Source{Name: name, Schedule: schedule, ScheduleText: text}
}

func TestACronLineFiresWithinItsJitterAlwaysAtTheSamePlace(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 7, 0, 0, time.UTC)
	for _, test := range []struct {
		name, text string
		earliest   time.Duration
		jitter     time.Duration
	}{
		{"every hour: at most 30 s late", "0 * * * *", 53 * time.Minute, 30 * time.Second},
		{"every minute: at most a tenth of it", "* * * * *", 0, 6 * time.Second},
		{"in another zone", "CRON_TZ=Asia/Tokyo 0 22 * * *", 53 * time.Minute, 30 * time.Second},
		{"once a year", "0 0 1 1 *", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Sub(now), 30 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			offsets := make(map[time.Duration]bool)
			for n := range 50 {
				src := scheduled(t, fmt.Sprintf("source %d", n), test.text)
				at := now
				if test.earliest == 0 {
					at = now.Add(7 * time.Second) // behind the jitter
				}
				wait := untilNext(src, at)
				offset := at.Add(wait).Sub(now.Add(test.earliest))
				if test.earliest == 0 {
					offset -= time.Minute
				}
				if offset < 0 || offset > test.jitter {
					t.Fatalf("%s: %v late, want at most %v", src.Name, offset, test.jitter)
				}
				offsets[offset] = true
				if again := untilNext(src, at.Add(time.Second)); again != wait-time.Second {
					t.Errorf("%s: a second later %v, want %v", src.Name, again, wait-time.Second)
				}
				// The next poll is a whole interval later, at the same place.
				if next := untilNext(src, at.Add(wait)); next <= 0 || test.jitter == 6*time.Second && next != time.Minute {
					t.Errorf("%s: then %v", src.Name, next)
				}
			}
			if len(offsets) < 40 {
				t.Errorf("50 sources fire at %d moments", len(offsets))
			}
		})
	}
}

func TestAnUnevenCronLinePollsOncePerFiring(t *testing.T) {
	t.Parallel()
	for text, firings := range map[string]int{"0,1 * * * *": 48, "0,30,31 9-17 * * *": 27, "* 8 * * *": 60, "59 * * * *": 24, "0 6 * * *": 1} {
		for n := range 20 {
			src := scheduled(t, fmt.Sprintf("source %d", n), text)
			begin := time.Date(2026, 5, 1, 3, 0, 0, 0, time.UTC)
			now, polls, late := begin, 0, time.Duration(-1)
			for {
				now = now.Add(untilNext(src, now))
				if now.Sub(begin) > 24*time.Hour {
					break
				}
				polls++
				if offset := now.Sub(now.Truncate(time.Minute)); late >= 0 && offset != late {
					t.Fatalf("%s, %s: %v late, then %v", text, src.Name, late, offset)
				} else {
					late = offset
				}
				if again := now.Add(time.Second); untilNext(src, now)-untilNext(src, again) != time.Second {
					t.Fatalf("%s, %s: the next poll after %v is not fixed", text, src.Name, now)
				}
			}
			if polls != firings {
				t.Errorf("%s, %s: %d polls a day, want %d", text, src.Name, polls, firings)
			}
		}
	}
}

func TestEveryIsSpreadOverItsWholeInterval(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 7, 13, 0, time.UTC)
	early, late := 0, 0
	for n := range 200 {
		src := scheduled(t, fmt.Sprintf("source %d", n), "@every 5m")
		wait := untilNext(src, now)
		if wait <= 0 || wait > 5*time.Minute {
			t.Fatalf("wait %v", wait)
		}
		if next := untilNext(src, now.Add(wait)); next != 5*time.Minute {
			t.Fatalf("then %v", next)
		}
		if wait < time.Minute {
			early++
		}
		if wait > 4*time.Minute {
			late++
		}
	}
	if early < 20 || late < 20 {
		t.Errorf("%d of 200 in the first minute, %d in the last", early, late)
	}
}

func TestADateThatNeverComesIsNeverPolled(t *testing.T) {
	t.Parallel()
	if got := untilNext(scheduled(t, "s", "0 0 30 2 *"), time.Now()); got != never {
		t.Errorf("got %v", got)
	}
}

func TestWhenASourceIsPolledAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	src := scheduled(t, "s", "@every 5m")
	trouble := errors.New("trouble")
	for _, test := range []struct {
		name      string
		err       error
		failures  int
		notBefore time.Time
		low, high time.Duration
		pause     string
	}{
		{name: "after a success by the schedule", high: 5 * time.Minute},
		{name: "a wish to wait is granted", notBefore: now.Add(time.Hour), low: time.Hour, high: time.Hour},
		{name: "a wish that is over changes nothing", notBefore: now.Add(-time.Hour), high: 5 * time.Minute},
		{name: "a wish for the year 9999 is bounded", notBefore: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), low: maxWish, high: maxWish},
		{name: "soon after the first failure", err: trouble, low: time.Second / 10, high: 1100 * time.Millisecond},
		{name: "later after the tenth", err: trouble, failures: 9, low: time.Second / 10, high: lastRetry + time.Second},
		{name: "when the source says so", err: fmt.Errorf("x: %w", &sources.RetryAfterError{After: 2 * time.Hour, Err: trouble}), low: 2 * time.Hour, high: 2 * time.Hour},
		{name: "no earlier than the backoff", err: &sources.RetryAfterError{After: 0, Err: trouble}, failures: 3, low: time.Second / 10, high: 9 * time.Second},
		{name: "a source's absurd word is bounded", err: &sources.RetryAfterError{After: 1 << 62, Err: trouble}, low: maxWish, high: maxWish},
		{name: "not before a person has resumed it", err: fmt.Errorf("x: %w", &sources.StopError{Err: trouble}), low: time.Second / 10, high: 1100 * time.Millisecond, pause: "trouble"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := pollResult(src, Counts{New: 1, Changed: 2, Unchanged: 3, Rejected: 4, Mended: 5}, test.err, test.failures, test.notBefore, now)
			if r.Next < test.low || r.Next > test.high {
				t.Errorf("after %v, want %v to %v", r.Next, test.low, test.high)
			}
			if r.Pause != test.pause || (r.Error != "") != (test.err != nil) || r.New != 1 || r.Mended != 5 {
				t.Errorf("%+v", r)
			}
		})
	}
}
