package sync

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/robfig/cron/v3"
)

// maxJitter bounds how far a source's polls lie behind its cron line.
const maxJitter = 30 * time.Second

// never is longer than any schedule.
const never = 100 * 365 * 24 * time.Hour

// untilNext is how long after now a source is to be polled. Each source has an offset of its own, always
// the same, so that sources of one schedule do not fire together: up to a tenth of the shortest interval and 30 s
// for a cron line, the whole interval for @every, which promises no particular second.
func untilNext(src *Source, now time.Time) time.Duration {
	sum := sha256.Sum256([]byte(src.Name))
	share := float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
	if every, ok := src.Schedule.(cron.ConstantDelaySchedule); ok {
		offset := time.Duration(share * float64(every.Delay))
		next := now.Add(-offset).Truncate(every.Delay).Add(every.Delay + offset)
		return next.Sub(now)
	}
	offset := time.Duration(share * float64(min(maxJitter, shortest(src.Schedule)/10)))
	next := src.Schedule.Next(now.Add(-offset))
	if next.IsZero() { // a date that never comes, such as 30 February
		return never
	}
	return next.Add(offset).Sub(now)
}

// shortest is the shortest interval of a cron line, whatever the time is: an offset that depended on it would let one
// firing poll twice or not at all. An hour has up to 60 firings, and every line that fires in short intervals
// does so within a year.
func shortest(schedule cron.Schedule) time.Duration {
	begin := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	interval := never
	last := schedule.Next(begin)
	for n := 0; n <= 60 && !last.IsZero() && last.Sub(begin) < 366*24*time.Hour; n++ {
		next := schedule.Next(last)
		if next.IsZero() {
			break
		}
		interval, last = min(interval, next.Sub(last)), next
	}
	return interval
}
