// Package sourcetest tests adapters: [Run] holds one against the whole contract of package sources, with the
// author's double of the system that it reads, and [Cases] runs folders of input and expected items.
//
// A test of an adapter that reads over HTTP needs no more than a handler:
//
//	type world struct {
//		sourcetest.Shelf   // holds the items: Put, Remove, Items
//		*sourcetest.Server // answers, breaks and counts: Break, OnRequest, URL
//	}
//
//	func newWorld(t testing.TB) sourcetest.World {
//		w := &world{}
//		w.Server = sourcetest.NewServer(t, http.HandlerFunc(w.answer)) // answer pages through w.Items()
//		return w
//	}
//
//	func (w *world) Settings() string { return "url: " + w.URL() + "\ntoken: s3cret-token\n" }
//
//	func TestContract(t *testing.T) {
//		sourcetest.Run(t, sourcetest.Suite{Adapter: New(), World: newWorld, Incremental: true, Edits: sourcetest.Always})
//	}
//
//	func TestCases(t *testing.T) { sourcetest.Cases(t, New(), "testdata") }
//
// An adapter that replies, too, names its [Ability] in [Suite.Actions], and its world is an [Actor]: it tells what was
// done. The checks then post, lose answers, repeat, and cancel, and count what came of it.
package sourcetest

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"socialhub-sync/sources"
)

// Always is a span of time that has no end, for [Suite.Edits] and [Suite.Late].
const Always time.Duration = math.MaxInt64

// Suite says what to test, and what the adapter promises beyond the contract. The zero value of a promise
// promises nothing.
type Suite struct {
	Adapter sources.Adapter
	// World starts a double of the system that the adapter reads, with nothing in it. Each check gets its own; what
	// must end with it is a t.Cleanup.
	World func(t testing.TB) World
	// Items is how many items a check puts into the world; 0 means [DefaultItems]. It should make at least
	// three pages.
	Items int

	// Incremental promises that a poll does not hand out everything again when nothing or little changed.
	Incremental bool
	// Edits promises that a poll finds an edit just made, if the item was created at most this long before the newest one.
	Edits time.Duration
	// Late promises that a poll finds a new item whose times (both) are up to this long before those of the
	// newest item read: a row that was committed late, a server whose clock is behind.
	Late time.Duration
	// Deletes promises that a poll hands out an item that was removed, as deleted. The World must be a [Remover].
	Deletes bool
	// Undated says that the adapter sees no times, or others than [Item] has; a backfill is of everything then.
	Undated bool

	// Actions are what the adapter promises to do with an item for the team, see [sources.Replier] and its like; none
	// is tested if empty. The World must be an [Actor].
	Actions []Ability
	// Unseen says that a reply which was posted does not come out of Pull.
	Unseen bool

	// Timeout is a line of settings that makes the adapter wait 100 ms for an answer, such as "timeout: 100ms". It
	// must not be in World.Settings. Empty: no test of the adapter's own time limit.
	Timeout string
	// Secrets must appear in no error, log, cursor, fault or Ref. Texts of the settings' [sources.Secret]
	// fields, and the passwords and query values in those that are addresses, are known already.
	Secrets []string
	// Wrong are settings that must be refused.
	Wrong []Wrong
	// Except names checks that can't hold for this adapter, and why. A check is named as Run's subtest is, with spaces.
	Except map[string]string
}

// Wrong is a line of settings that Validate must refuse.
type Wrong struct {
	// Line replaces the setting of the same key in World.Settings, or is added to them: "timeout: -1s". It may be several.
	Line string
	// Key is what the [*sources.SettingError] must name; the line's first key if empty.
	Key string
}

// DefaultItems makes three full batches, the last of one item.
const DefaultItems = 2*sources.MaxBatch + 1

// World is a double of the system that an adapter reads: a server, a database, files. It must be safe for use by
// several goroutines, because items change while they are read.
//
// It may also be a [Remover], a [Breaker] and a [Watcher]; checks that need more than it can do are left out.
type World interface {
	// Settings are a source's `settings:` as YAML, one line per key, that lead here. Equal every time.
	Settings() string
	// Put adds items, or changes those that are there. Items are changed only if [Suite.Edits] is not 0.
	Put(items ...Item)
}

// Item is something in a [World].
type Item struct {
	// ID is unique in the world: 1, 2, 3.
	ID int
	// Text must be, as it is, somewhere in the interaction's message. It is one line, without HTML.
	Text string
	// Created and Updated are whole seconds, UTC. Several items share them.
	Created, Updated time.Time
}

// Remover is a [World] from which items can go. What they leave behind is its business: nothing, or a mark.
type Remover interface {
	Remove(ids ...int)
}

// Breaker is a [World] that can get into trouble.
type Breaker interface {
	// Break begins a trouble, [Fine] ends it. It tells whether this world knows such a trouble.
	Break(Trouble) bool
}

// Watcher is a [World] that tells of requests, so that checks can act in the middle of a pull.
type Watcher interface {
	// OnRequest has f called at the beginning of each request, with how many there have been since this call, from
	// 1. Nil ends it. f may use all of the World.
	OnRequest(f func(n int))
}

// Trouble is what can go wrong in a [World].
type Trouble string

// Troubles, and what the pull's error must be.
const (
	// Fine is no trouble.
	Fine Trouble = ""
	// Unauthorized: the credentials are refused. A [*sources.StopError] that holds a [*sources.SettingError].
	Unauthorized Trouble = "unauthorized"
	// Throttled: too many requests, with a request to come back after [RetryAfter]. A [*sources.RetryAfterError].
	Throttled Trouble = "throttled"
	// Unavailable: down for [RetryAfter], as the server says. A [*sources.RetryAfterError].
	Unavailable Trouble = "unavailable"
	// Failing: an error inside the system that may heal by itself. Neither of both.
	Failing Trouble = "failing"
	// Dropped: the connection ends without an answer. Neither of both.
	Dropped Trouble = "dropped"
	// CutOff: the answer ends in its middle. Neither of both.
	CutOff Trouble = "cut off"
	// Hanging: no answer comes. The cause of the context when that is cancelled; when the adapter's own time is
	// over, neither of both.
	Hanging Trouble = "hanging"
	// LoginPage: an HTML page instead of data. One error in plain words.
	LoginPage Trouble = "login page"
	// Garbage: bytes that mean nothing. One error in plain words.
	Garbage Trouble = "garbage"
	// TooLarge: an answer without end. One error in plain words.
	TooLarge Trouble = "too large"
	// Repeating: every answer is the same page, with the same link to the next one. If the adapter pages, one
	// error in plain words after at most [MaxRequests] requests.
	Repeating Trouble = "repeating"
	// Lost: what the team did is done, but the answer that says so is lost. For actions only; a request that only
	// reads is answered. An error after which it is not known whether it was done.
	Lost Trouble = "lost"
)

// RetryAfter is what a [Throttled] or [Unavailable] system asks for.
const RetryAfter = 7 * time.Second

// MaxRequests is how many requests a pull from a [Repeating] system may take.
const MaxRequests = 300

// Run holds an adapter against the contract, one subtest per check. They run in parallel.
func Run(t *testing.T, suite Suite) {
	t.Helper()
	for _, name := range suite.unknownExceptions() {
		t.Errorf("Suite.Except names %q, which is no check", name)
	}
	for _, check := range suite.checks() {
		if reason, ok := suite.Except[check.name]; ok {
			t.Logf("left out: %s: %s", check.name, reason)
			continue
		}
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			check.run(newChecker(t, check.suite(suite)))
		})
	}
}

// checks are those for what the suite promises.
func (s *Suite) checks() []check {
	if len(s.Actions) == 0 {
		return checks()
	}
	return slices.Concat(checks(), actionChecks())
}

// unknownExceptions returns the names in Except that no check has.
func (s *Suite) unknownExceptions() []string {
	unknown := maps.Clone(s.Except)
	for _, check := range slices.Concat(checks(), actionChecks()) {
		delete(unknown, check.name)
	}
	return slices.Sorted(maps.Keys(unknown))
}
