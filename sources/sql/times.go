package sqlsource

import (
	"strings"
	"time"
)

// Times as texts, as Postgres, MySQL, SQLite and programs that write into SQLite have them. Fractions of a second may
// follow the second.
var (
	zonedLayouts = []string{
		"2006-01-02 15:04:05Z07", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700",
		"2006-01-02 15:04:05 -0700 MST", "2006-01-02 15:04:05 UTC",
	}
	bareLayouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly}
)

// moment is a time that was read as a text.
type moment struct {
	time.Time
	// bare: the text has no zone.
	bare bool
	// layout writes a time, to the second, that can be compared with the text, be it as times or as texts.
	layout string
}

// parseMoment reads a time; one without a zone is in zone.
func parseMoment(text string, zone *time.Location) (moment, bool) {
	if len(text) < len(time.DateOnly) || text[4] != '-' {
		return moment{}, false
	}
	m := moment{layout: time.DateOnly}
	if len(text) > len(time.DateOnly) {
		m.layout += text[10:11] + "15:04:05"
	}
	var err error
	for _, layout := range zonedLayouts {
		if m.Time, err = time.Parse(layout, text); err == nil {
			_, offset := m.Zone()
			m.Time = m.In(time.FixedZone("", offset)) // not the machine's, which may have summer time
			return m, true
		}
	}
	m.bare = true
	for _, layout := range bareLayouts {
		if m.Time, err = time.ParseInLocation(layout, text, zone); err == nil {
			return m, true
		}
	}
	return moment{}, false
}

// summerTime is how far a clock on the wall is set back, at most.
const summerTime = time.Hour

// back writes the time that is so long before, in the way of the moment's own text.
func (m moment) back(by time.Duration) string {
	if m.bare && m.Location() != time.UTC {
		by += summerTime
	}
	return m.at(m.Add(-by))
}

// at writes another time in the way of the moment's own text.
func (m moment) at(t time.Time) string { return t.In(m.Location()).Format(m.layout) }

// isNoDate tells MySQL's "0000-00-00" and the like, which stand for no date at all.
func isNoDate(text string) bool { return strings.HasPrefix(text, "0000-00-00") }

// fromEpoch reads the time that a whole number means: seconds since 1970 or, from the year 5138 on, milliseconds, and
// so on to nanoseconds.
func fromEpoch(n int64) time.Time {
	const bound = 100_000_000_000
	switch {
	case n < bound:
		return time.Unix(n, 0)
	case n < bound*1000:
		return time.UnixMilli(n)
	case n < bound*1_000_000:
		return time.UnixMicro(n)
	}
	return time.Unix(0, n)
}
