package torture

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store/storetest"
)

// point is a place in the program where it is killed: in which step of the story, and when it is there for the nth time.
type point struct {
	step int
	name string
	n    int
}

func (p point) String() string {
	return fmt.Sprintf("%s, %s, time %d", story[p.step].name, p.name, p.n)
}

// story is what the program lives through, one process after another. It has every kind of request and every write.
var story = []struct {
	name string
	// before sets the scene and returns the command.
	before func(w *world) []string
}{
	{"first run", func(w *world) []string {
		for file := range w.sources {
			root := w.ledger.create(file, "")
			w.ledger.create(file, root)
			w.ledger.create(file, "")
		}
		w.script(sandbox.Script(sandbox.RoutePost, sandbox.Fault{}, sandbox.Fault{Kind: sandbox.Lost}, sandbox.Fault{Kind: sandbox.InternalError}))
		return []string{"run", "--once"}
	}},
	{"denied", func(w *world) []string {
		w.edits(1, 5)
		w.script(sandbox.Script(sandbox.RoutePatch, sandbox.Fault{Kind: sandbox.Forbidden}))
		return []string{"run", "--once"}
	}},
	{"resume", func(w *world) []string { return []string{"resume", "support"} }},
	{"second run", func(w *world) []string {
		w.edits(1, 6)
		w.ledger.revert(w.ledger.ids[0])
		w.ledger.create(1, w.ledger.ids[3])
		w.script(sandbox.Script(sandbox.RoutePatch, sandbox.Fault{}, sandbox.Fault{Kind: sandbox.Lost}))
		return []string{"run", "--once"}
	}},
	{"adopt", func(w *world) []string { return []string{"adopt", w.links()} }},
	{"backfill", func(w *world) []string {
		w.edits(0, 6)
		w.ledger.create(1, "")
		return []string{"run", "--backfill", "--since", "all"}
	}},
}

// edits changes the items from one number to another.
func (w *world) edits(from, to int) {
	for _, id := range w.ledger.ids[from:to] {
		w.ledger.edit(id)
	}
}

// stepLimit is how long a step may take.
const stepLimit = time.Minute

// TestKillAtEveryCrashPoint has SQLite alone in its short form: the points are the same.
func TestKillAtEveryCrashPoint(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) { killAtEveryPoint(t, sqlite) })
	if long() {
		t.Run("postgres", func(t *testing.T) { killAtEveryPoint(t, storetest.Postgres) })
	}
}

func killAtEveryPoint(t *testing.T, database func(testing.TB) string) {
	var mu sync.Mutex
	var sum figures
	reached := 0
	points := listPoints(t, database(t))
	t.Run("points", func(t *testing.T) {
		for _, at := range points {
			t.Run(at.String(), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, database(t), crashOptions)
				if !w.tell(at) {
					if at.n == 1 { // how often it comes is partly chance
						t.Error("the point was not reached")
					}
					return
				}
				f := w.converged()
				mu.Lock()
				defer mu.Unlock()
				sum, reached = sum.plus(f), reached+1
			})
		}
	})
	t.Logf("figures: %s, %d of %d crash points reached, %s", t.Name(), reached, len(points), sum)
}

// crashOptions make a program that can be told where to end.
var crashOptions = options{tags: "crashpoints", sources: 2, concurrency: 2}

// tell runs the story up to a point and kills the program there; false if the point was not reached. What the sources say
// changes before the next process looks.
func (w *world) tell(at point) (killed bool) {
	w.Helper()
	for _, step := range story[:at.step] {
		args := step.before(w)
		w.flush()
		w.run(args...) // what it could not do is due again
		w.letTimePass()
	}
	args := story[at.step].before(w)
	w.flush()
	p := w.startWith([]string{fmt.Sprintf("CRASH_AT=%s:%d", at.name, at.n)}, args...)
	if p.wait(stepLimit) != -1 {
		return false
	}
	w.letTimePass() // the next one finds the dead one's leases over
	w.changeMinds()
	w.run("resume", "support") // from the story's 403, if it is still in force
	p.bury()
	return true
}

// changeMinds changes the first source while no process runs: some items go on, some go back, some stay. The others stay
// as they are, so that what their cursors have passed is not read again.
func (w *world) changeMinds() {
	for i, e := range w.ledger.files[0] {
		switch i % 3 {
		case 0:
			w.ledger.edit(e.id)
		case 1:
			w.ledger.revert(e.id)
		}
	}
	w.flush()
}

// letTimePass ends the waits that the store knows: leases and retries.
func (w *world) letTimePass() {
	w.Helper()
	if _, err := w.tryNumber(`SELECT count(*) FROM tickets`); noSchema(err) {
		return
	}
	w.write(`UPDATE channels SET lease_until = 0`)
	w.write(`UPDATE sources SET lease_until = 0`)
	w.write(`UPDATE tickets SET due = 0 WHERE state = 'pending'`)
}

// listPoints runs the story once and returns the points to kill at: in the short form each name once, else each name in
// each step, the first three times.
func listPoints(t *testing.T, database string) []point {
	t.Helper()
	w := newWorld(t, database, crashOptions)
	var points []point
	seen := make(map[string]bool)
	for i, step := range story {
		list := filepath.Join(w.dir, "points")
		args := step.before(w)
		w.flush()
		w.startWith([]string{"CRASH_LIST=" + list}, args...).wait(stepLimit)
		w.letTimePass()
		data, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(list); err != nil {
			t.Fatal(err)
		}
		times := make(map[string]int)
		for name := range strings.Lines(string(data)) {
			p := point{i, strings.TrimSpace(name), 0}
			times[p.name]++
			if p.n = times[p.name]; p.n == 1 && !seen[p.name] || p.n <= 3 && long() {
				points = append(points, p)
			}
			seen[p.name] = true
		}
	}
	w.converged()
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.step, b.step), cmp.Compare(a.name, b.name), cmp.Compare(a.n, b.n))
	})
	return points
}
