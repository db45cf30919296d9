package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// tone is how a state looks; the word beside it says the same.
type tone string

const (
	calm tone = "calm" // all is well
	busy tone = "busy" // at work
	wait tone = "wait" // heals by itself
	alas tone = "alas" // needs somebody's look
)

// standing says in words where a channel or a source stands.
type standing struct {
	Tone tone
	Word string
	// Note says what it means and what to do, Command what to type for it.
	Note, Command string
	// Said is the reason in the words of SocialHub or of the source.
	Said string
	// Failed is when the source said so.
	Failed moment
	// Trouble puts it into the list at the top of the page.
	Trouble bool
}

// channelStanding says whether requests are sent for a channel.
func channelStanding(c channel) standing {
	switch {
	case !c.known:
		return standing{Tone: wait, Word: "not started yet"}
	case c.Pause.Kind != "":
		return pauseStanding(c.name, c.Pause)
	case !c.Pending:
		return standing{Tone: calm, Word: "in step"}
	case c.NextDue > 0:
		return standing{Tone: wait, Word: "trying again", Note: "The next try is in " + span(roundUp(c.NextDue)) + "."}
	case c.Owner == "":
		return standing{Tone: wait, Word: "waiting", Note: "No process delivers for this channel at the moment."}
	}
	return standing{Tone: busy, Word: "delivering"}
}

func pauseStanding(name string, p store.Pause) standing {
	s := standing{Tone: alas, Said: cut(p.Reason), Trouble: true}
	resume := "socialhub-sync resume " + name
	switch {
	case p.For > 0:
		s.Tone, s.Trouble = wait, false
		s.Word, s.Note = "paused", "It goes on in "+span(roundUp(p.For))+"."
		if p.Kind == store.RateLimited {
			s.Word, s.Note = "rate limited", "SocialHub asked for a break; it goes on in "+span(roundUp(p.For))+"."
		}
	case p.Kind == store.Unauthorized:
		s.Word = "access token refused"
		s.Note = "Put the new token into the config, then reload or restart. Until then the tickets wait."
	case p.Kind == store.Forbidden:
		s.Word, s.Command = "access denied", resume
		s.Note = "Give the channel its rights in SocialHub, or put another token into the config, then reload or restart. " +
			"Until then the tickets wait. If the token stays the same, say"
	default:
		s.Word, s.Note, s.Command = "paused", "It goes on when somebody says", resume
	}
	return s
}

// overdueAfter is when a poll that did not begin needs somebody's look.
const overdueAfter = 10 * time.Minute

// sourceStanding says what a source does.
func sourceStanding(s store.SourceStatus, now time.Time) standing {
	switch {
	case s.Pause != "" && s.Held > 0:
		// To resume it does both, so whoever resumes it must know of both.
		return standing{Tone: alas, Word: "stopped, holds " + grouped(s.Held) + " changes", Said: cut(s.Pause), Trouble: true,
			Note: "One poll changed more tickets than mass_change_limit allows, and a later one stopped. Look at the source and mend the cause; " +
				"to poll again and send the changes (drop them with --discard first if they are wrong) say",
			Command: "socialhub-sync resume " + s.Source}
	case s.Pause != "":
		return standing{Tone: alas, Word: "stopped", Said: cut(s.Pause), Trouble: true,
			Note: "It waits for resume. Mend the cause, then say", Command: "socialhub-sync resume " + s.Source}
	case s.Held > 0:
		return standing{Tone: alas, Word: "holds " + grouped(s.Held) + " changes", Trouble: true, Said: cut(s.LastError),
			Note:    "One poll changed more tickets than mass_change_limit allows. Look at the source; to send the changes (--discard drops them) say",
			Command: "socialhub-sync resume " + s.Source}
	case s.LastError != "":
		note := "It is tried again by itself; if it lasts, mend what the error names."
		if s.Polling {
			note = "It is tried again right now; if it lasts, mend what the error names."
		}
		return standing{Tone: alas, Word: "in trouble", Said: cut(s.LastError), Trouble: true, Note: note}
	case s.Polling:
		return standing{Tone: busy, Word: "polling"}
	case now.Sub(s.NextPoll) > overdueAfter:
		return standing{Tone: alas, Word: "overdue", Trouble: true, Note: "Nobody polls it; the log may tell why."}
	}
	return standing{Tone: calm, Word: "waiting"}
}

// backfillStanding says how far a backfill is. Nobody need run it, so it is never overdue.
func backfillStanding(s store.SourceStatus) standing {
	switch {
	case !s.Finished.IsZero():
		return standing{Tone: calm, Word: "finished"}
	case s.Polling:
		return standing{Tone: busy, Word: "running", Said: cut(s.LastError)}
	case s.LastError != "":
		return standing{Tone: alas, Word: "in trouble", Said: cut(s.LastError)}
	}
	return standing{Tone: wait, Word: "not finished", Note: "Start it again with the same range, and it goes on where it was."}
}

// foundWords says what the last poll found, or nothing if there was none.
func foundWords(s store.SourceStatus) string {
	var words []string
	for _, x := range []struct {
		n    int
		what string
	}{{s.New, "new"}, {s.Changed, "changed"}, {s.Unchanged, "unchanged"}, {s.Rejected, "rejected"}, {s.Mended, "mended"}} {
		if x.n > 0 {
			words = append(words, grouped(x.n)+" "+x.what)
		}
	}
	if len(words) == 0 && s.LastError == "" && !s.LastPoll.IsZero() {
		return "found nothing"
	}
	return strings.Join(words, ", ")
}

// limitWords says how many requests SocialHub still takes; a dash until it has told.
func limitWords(l socialhub.RateLimit) string {
	if !l.Known {
		return "–"
	}
	return grouped(l.Remaining) + " of " + grouped(l.Limit) + " left"
}

// rangeWords makes the range of a backfill easier to read: days instead of midnights, and room around the dots.
func rangeWords(name string) string {
	return strings.NewReplacer("T00:00:00Z", "", "..", " .. ").Replace(name)
}

// moment is a point in time for people and, in Machine and Full, for machines and the curious. Without Machine
// it is only words.
type moment struct{ Words, Machine, Full string }

func at(t time.Time, words string) moment {
	t = t.UTC()
	return moment{words, t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05 UTC")}
}

// past says how long ago something was. The database's clock may be a little ahead of ours.
func past(t, now time.Time) moment {
	switch d := now.Sub(t); {
	case t.IsZero():
		return moment{Words: "never"}
	case d < time.Second:
		return at(t, "just now")
	default:
		return at(t, span(d)+" ago")
	}
}

// farAway is further than any schedule that ever fires.
const farAway = 10 * 365 * 24 * time.Hour

// nextPoll says when a source is polled again.
func nextPoll(s store.SourceStatus, now time.Time) moment {
	switch d := s.NextPoll.Sub(now); {
	case s.Pause != "":
		return moment{Words: "after resume"}
	case s.Polling, s.NextPoll.IsZero():
		return moment{Words: "now"}
	case d > farAway:
		return moment{Words: "never"}
	case d > 0:
		return at(s.NextPoll, "in "+span(roundUp(d)))
	case -d < time.Minute:
		return at(s.NextPoll, "now")
	default:
		return at(s.NextPoll, "due for "+span(-d))
	}
}

// span is a duration, rounded to the largest unit that says enough.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Round(time.Minute)/time.Minute)) + " min"
	case d < 2*day:
		return strconv.Itoa(int(d.Round(time.Hour)/time.Hour)) + " h"
	}
	return grouped(int(d.Round(day)/day)) + " days"
}

// roundUp keeps "in 1 s" from becoming "in 0 s".
func roundUp(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// grouped writes a number with a comma between thousands.
func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// longest is how many characters of a text from outside the page shows.
const longest = 400

// cut shortens a text that may hold a whole answer of some server.
func cut(text string) string {
	n := 0
	for i := range text {
		if n++; n > longest {
			return text[:i] + "…"
		}
	}
	return text
}
