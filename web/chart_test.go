package web

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/store"
)

// noon is the middle of a chart's last hour.
var noon = time.Date(2026, 1, 2, 12, 34, 56, 0, time.UTC)

// ago is an hour of a chart that is over since so many hours.
func ago(hours, fresh, changed, failed int) store.PollHour {
	return store.PollHour{Began: noon.Truncate(time.Hour).Add(-time.Duration(hours) * time.Hour), New: fresh, Changed: changed, Failed: failed}
}

func TestAChartInWords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		hours        []store.PollHour
		short, label string
		empty        bool
	}{
		{"nothing", nil, "nothing new", "last 24 hours: nothing new", true},
		{"much", []store.PollHour{ago(23, 1, 1, 0), ago(2, 1200, 3, 0), ago(0, 4, 0, 0)}, "1,205 new, 4 changed",
			"last 24 hours: 1,205 new, 4 changed, most at 10:00 UTC", false},
		{"failures", []store.PollHour{ago(5, 0, 0, 7), ago(1, 0, 0, 1)}, "nothing new; polls failed in 2 of 24 hours",
			"last 24 hours: nothing new; polls failed in 2 of 24 hours, the last at 11:00 UTC", false},
		{"both", []store.PollHour{ago(13, 0, 2, 1)}, "0 new, 2 changed; polls failed in 1 of 24 hours",
			"last 24 hours: 0 new, 2 changed, most at 23:00 UTC; polls failed in 1 of 24 hours, the last at 23:00 UTC", false},
		{"what is older or comes from a clock that is ahead", []store.PollHour{ago(24, 9, 0, 0), ago(-1, 1, 0, 0)}, "1 new, 0 changed",
			"last 24 hours: 1 new, 0 changed, most at 12:00 UTC", false},
	} {
		if c := chartOf(test.hours, noon); c.Short != test.short || c.Label != test.label || c.Empty != test.empty {
			t.Errorf("%s: got %+v", test.name, c)
		}
	}
}

func TestAChartIsDrawnToScale(t *testing.T) {
	t.Parallel()
	got := chartOf([]store.PollHour{ago(23, 50, 50, 0), ago(1, 1, 0, 0), ago(0, 0, 1, 2)}, noon)
	want := chart{
		New:     "M1 23h8v17h-8z" + "M221 37h8v3h-8z",
		Changed: "M1.5 6.5h7v16h-7z" + "M231.5 37.5h7v2h-7z",
		Failed:  "M232 43l6 6m0-6l-6 6",
	}
	got.Short, got.Label = "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASourceHasAChartOfItsLastDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.poll(key("id-support", "reviews"), store.PollResult{New: 1000})
		time.Sleep(24 * time.Hour)
		for _, r := range []store.PollResult{{New: 3, Changed: 1}, {New: 2}, {Error: "no"}} {
			w.poll(key("id-support", "reviews"), r)
			time.Sleep(time.Hour)
		}
		w.poll(store.PollKey{ChannelID: "id-support", Source: "reviews", Backfill: "all..all"}, store.PollResult{New: 77})
		w.poll(key("id-press", "mails"), store.PollResult{})
		page := w.page()
		charts := elements(page, "svg")
		if len(charts) != 1 || attribute(charts[0], "role") != "img" ||
			attribute(charts[0], "aria-label") != "last 24 hours: 5 new, 1 changed, most at 00:00 UTC; polls failed in 1 of 24 hours, the last at 02:00 UTC" {
			t.Errorf("%d charts: %+v", len(charts), charts)
		}
		sources := strings.Join(rows(page, "Sources"), "\n")
		wantWords(t, sources, "5 new, 1 changed; polls failed in 1 of 24 hours")
		wantNoWords(t, sources, "77", "1,0")
		// What is drawn is kept for a while.
		w.poll(key("id-support", "reviews"), store.PollResult{New: 4})
		wantWords(t, rows(w.page(), "Sources")[2], "5 new, 1 changed")
		time.Sleep(chartLife)
		wantWords(t, rows(w.page(), "Sources")[2], "9 new, 1 changed")
		w.must(w.store.Close())
	})
}

func TestWhileTheHistoryIsReadThePageDoesWithout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.poll(key("id-support", "reviews"), store.PollResult{New: 3})
		r := newReader(w.store, configured(), nopLog)
		r.charts.done = make(chan struct{})
		w.handler = &statusPage{reader: r, log: nopLog}
		wantWords(t, rows(w.page(), "Sources")[1], "reviews rss support waiting", "counting…")
		r.charts.done = nil
		r.close()
		w.must(w.store.Close())
	})
}
