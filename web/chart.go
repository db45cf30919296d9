package web

import (
	"context"
	"fmt"
	"strings"
	"time"

	"socialhub-sync/store"
)

// chartHours is how many hours a chart shows, the one that is not over yet among them.
const chartHours = 24

// history is what the polls of the sources brought, by hour; the keys name no backfill. It is nil while nobody has asked.
type history map[store.PollKey][]store.PollHour

func readHistory(ctx context.Context, s *store.Store) (history, error) {
	hours, err := s.PollHours(ctx, chartHours*time.Hour)
	if err != nil {
		return nil, err
	}
	h := make(history)
	for _, x := range hours {
		key := store.PollKey{ChannelID: x.ChannelID, Source: x.Source}
		h[key] = append(h[key], x)
	}
	return h, nil
}

// chart is what a source brought in the last hours, drawn and in words.
type chart struct {
	// Label tells all of it, Short what stands below the drawing.
	Label, Short string
	// Counting tells that nothing is known yet; Empty that there is nothing to draw.
	Counting, Empty bool
	// New, Changed and Failed are paths within 240 by 50.
	New, Changed, Failed string
}

// Where things are in a chart: each hour has ten units, its bar eight of them. No bar that there is is lower than barLeast, so
// that one item can be seen beside a thousand.
const (
	barStep, barWidth = 10, 8
	barLeast, barMost = 3, 34
	barGround         = 40
)

// chartOf draws the hours up to the one that now is in.
func chartOf(hours []store.PollHour, now time.Time) chart {
	begin := now.UTC().Truncate(time.Hour).Add(-(chartHours - 1) * time.Hour)
	var bars [chartHours]store.PollHour
	for _, x := range hours {
		// The database's clock may be in the next hour already.
		if n := min(int(x.Began.Sub(begin)/time.Hour), chartHours-1); !x.Began.Before(begin) {
			bars[n].New += x.New
			bars[n].Changed += x.Changed
			bars[n].Failed += x.Failed
		}
	}
	var sum store.PollHour
	most, best, failing, failed := 0, 0, 0, 0
	for n, x := range bars {
		sum.New += x.New
		sum.Changed += x.Changed
		if x.New+x.Changed > most {
			most, best = x.New+x.Changed, n
		}
		if x.Failed > 0 {
			failing, failed = failing+1, n
		}
	}
	c := draw(bars, most)
	hour := func(n int) string { return begin.Add(time.Duration(n) * time.Hour).Format("15:04 UTC") }
	c.Short = "nothing new"
	if most > 0 {
		c.Short = grouped(sum.New) + " new, " + grouped(sum.Changed) + " changed"
	}
	c.Label = "last 24 hours: " + c.Short
	if most > 0 {
		c.Label += ", most at " + hour(best)
	}
	if failing > 0 {
		in := fmt.Sprintf("; polls failed in %d of %d hours", failing, chartHours)
		c.Short += in
		c.Label += in + ", the last at " + hour(failed)
	}
	c.Empty = most == 0 && failing == 0
	return c
}

// draw makes paths of the hours: full bars for what is new, hollow ones upon them for what changed, crosses below for failed polls.
func draw(bars [chartHours]store.PollHour, most int) chart {
	var full, hollow, crosses strings.Builder
	high := func(n int) int {
		if n == 0 {
			return 0
		}
		return max(barLeast, n*barMost/most)
	}
	for n, x := range bars {
		left, top := n*barStep+1, barGround-high(x.New)
		if x.New > 0 {
			fmt.Fprintf(&full, "M%d %dh%dv%dh-%dz", left, top, barWidth, high(x.New), barWidth)
		}
		if x.Changed > 0 {
			// The line is one unit wide and lies within.
			fmt.Fprintf(&hollow, "M%d.5 %d.5h%dv%dh-%dz", left, top-high(x.Changed), barWidth-1, high(x.Changed)-1, barWidth-1)
		}
		if x.Failed > 0 {
			fmt.Fprintf(&crosses, "M%d 43l6 6m0-6l-6 6", left+1)
		}
	}
	return chart{New: full.String(), Changed: hollow.String(), Failed: crosses.String()}
}
