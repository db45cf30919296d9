package torture

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub/sandbox"
)

// excuse says why a ticket may end unlinked.
type excuse string

const (
	// answerLost: SocialHub made the ticket, but no whole answer came to a client that was there.
	answerLost excuse = "answer lost"
	// notSettled: the answer was given, and the process was killed (or frozen) before it was stored.
	notSettled excuse = "not settled"
)

// ticketID is the _id of an item's ticket; empty if it has none that is visible.
func (w *world) ticketID(item string) string {
	t, ok := w.box.Ticket(w.channel.ID, item)
	if !ok || t.Folder == sandbox.FolderHidden {
		return ""
	}
	return t.ID
}

// excuseUnsettled excuses the tickets that were made through a process's door and whose _id is not stored now:
// call it when the process can't store it any more.
func (p *process) excuseUnsettled() (n int) {
	p.world.Helper()
	w := p.world
	rows := w.rows()
	p.door.mu.Lock()
	defer p.door.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, told := range p.door.made {
		if told && rows[id].ticketID == "" && w.excused[id] == "" {
			w.excused[id] = notSettled
			n++
		}
	}
	return n
}

// excuseLost excuses the tickets whose answer was lost on its way.
func (w *world) excuseLost() {
	for _, p := range w.all() {
		p.door.mu.Lock()
		for id, told := range p.door.made {
			if !told {
				w.excused[id] = answerLost
			}
		}
		p.door.mu.Unlock()
	}
}

// figures are what a torture came to.
type figures struct {
	items, kills, faults, posts, patches, conflicts int
	// duplicates are tickets that took a request twice or out of order; losses are items without a ticket or, if it is linked, with an old one.
	duplicates, losses int
	// unlinked tickets, and how many there may be by the answers that were lost and those not settled at kills.
	unlinked, lost, unsettled int
	byFault                   map[sandbox.Kind]int
}

func (f figures) String() string {
	var faults []string
	for _, kind := range slices.Sorted(maps.Keys(f.byFault)) {
		faults = append(faults, fmt.Sprintf("%s %d", kind, f.byFault[kind]))
	}
	return fmt.Sprintf("%d kills, %d faults (%s), %d items, %d creations and %d updates accepted, %d refused as duplicates, "+
		"%d duplicates, %d losses, %d unlinked (%d answers lost, %d not settled at kills)", f.kills, f.faults, strings.Join(faults, ", "),
		f.items, f.posts, f.patches, f.conflicts, f.duplicates, f.losses, f.unlinked, f.lost, f.unsettled)
}

// plus adds the figures of two tests.
func (f figures) plus(o figures) figures {
	f.items, f.kills, f.faults, f.posts, f.patches = f.items+o.items, f.kills+o.kills, f.faults+o.faults, f.posts+o.posts, f.patches+o.patches
	f.conflicts, f.duplicates, f.losses = f.conflicts+o.conflicts, f.duplicates+o.duplicates, f.losses+o.losses
	f.unlinked, f.lost, f.unsettled = f.unlinked+o.unlinked, f.lost+o.lost, f.unsettled+o.unsettled
	all := maps.Clone(o.byFault)
	for kind, n := range f.byFault {
		all[kind] += n
	}
	f.byFault = all
	return f
}

// converged ends the trouble, lets the work be finished and checks that nothing was lost and nothing came twice.
// Processes that still run are stopped in good order. The test fails for whatever is not as it should be.
func (w *world) converged() figures {
	w.Helper()
	w.calm()
	for _, p := range w.all() {
		if p.running() {
			p.stop()
		}
	}
	w.flush()
	w.free()
	w.finish()
	w.excuseLost()
	f := w.figures()
	f.duplicates, f.losses = w.checkTickets()
	w.checkStore()
	w.checkRest()
	w.checkAdoption()
	return f
}

// finish runs the program until nothing is pending. Waits between retries are cut short: the clock is put forward.
func (w *world) finish() {
	w.Helper()
	for round := 1; ; round++ {
		out, code := w.run("run", "--once")
		pending := w.number(`SELECT count(*) FROM tickets WHERE state = 'pending'`)
		if code == 0 && pending == 0 {
			return
		}
		if round == 10 {
			w.Fatalf("after %d runs without trouble %d tickets are pending; the last exit code was %d:\n%s", round, pending, code, out)
		}
		if far := w.number(`SELECT count(*) FROM tickets WHERE due > $1`, time.Now().Add(11*time.Minute).UnixMilli()); far > 0 {
			w.Errorf("%d tickets are due later than any retry may be", far)
		}
		w.write(`UPDATE tickets SET due = 0 WHERE state = 'pending'`)
		w.write(`UPDATE channels SET paused_until = 1 WHERE paused_until IS NOT NULL`)
	}
}

// figures counts.
func (w *world) figures() figures {
	f := figures{
		items: len(w.ledger.ids), kills: w.kills, byFault: maps.Clone(w.faults), conflicts: w.requests(http.StatusConflict),
		unlinked: w.number(`SELECT count(*) FROM tickets WHERE state = 'unlinked'`),
	}
	for _, n := range f.byFault {
		f.faults += n
	}
	for _, t := range w.tickets() {
		for _, r := range t.Revisions {
			if r.Method == http.MethodPost {
				f.posts++
			} else {
				f.patches++
			}
		}
	}
	for _, why := range w.excused {
		if why == answerLost {
			f.lost++
		} else {
			f.unsettled++
		}
	}
	return f
}

// checkTickets compares SocialHub with the sources: each item has one ticket, made once, whose content never went
// back, and which shows the last content if it is linked.
func (w *world) checkTickets() (duplicates, losses int) {
	w.Helper()
	var faults []string
	fault := func(count *int, format string, args ...any) {
		*count++
		faults = append(faults, fmt.Sprintf(format, args...))
	}
	other := 0
	rows, tickets := w.rows(), w.tickets()
	for _, id := range w.ledger.ids {
		e, t, row := w.ledger.byID[id], tickets[id], rows[id]
		delete(tickets, id)
		if t.ID == "" {
			fault(&losses, "%s is lost: it has no ticket; the store says %q", id, row.state)
			continue
		}
		if why := revisionFault(t.Revisions); why != "" {
			fault(&duplicates, "%s: %s", id, why)
		}
		switch diff := e.differs(t.Interaction); {
		case row.ticketID != "" && row.ticketID != t.ID:
			fault(&other, "%s: the store takes it for ticket %s, it is %s", id, row.ticketID, t.ID)
		case row.state == "unlinked" && w.excused[id] == "":
			fault(&other, "%s is unlinked, and neither a lost answer nor a kill explains it", id)
		case row.state == "unlinked":
		case row.state != "synced" || row.ticketID == "":
			fault(&losses, "%s is %q in the store, with the ticket %q", id, row.state, row.ticketID)
		case diff != "":
			fault(&losses, "%s does not show its last content (-want +got):\n%s", id, diff)
		case e.root != "" && t.RootID != w.ticketID(e.root):
			fault(&other, "%s is no reply to %s", id, e.root)
		}
	}
	for id := range tickets {
		fault(&duplicates, "%s is a ticket of no item", id)
	}
	if hidden := len(w.box.Tickets(w.channel.ID)) - len(w.tickets()); hidden > 0 {
		fault(&other, "%d hidden tickets: replies came before their roots", hidden)
	}
	if len(faults) > 0 {
		w.Errorf("SocialHub is not as it should be:\n%s", lines(faults))
	}
	return duplicates, losses
}

// revisionFault says what is wrong with the requests that a ticket has taken.
func revisionFault(revisions []sandbox.Revision) string {
	var last time.Time
	for i, r := range revisions {
		if posted := r.Method == http.MethodPost; posted != (i == 0) {
			return fmt.Sprintf("accepted request %d is a %s", i+1, r.Method)
		}
		var body struct {
			Interaction struct {
				UpdatedTime time.Time `json:"updatedTime"`
			} `json:"interaction"`
		}
		if err := json.Unmarshal(r.Body, &body); err != nil {
			return err.Error()
		}
		if t := body.Interaction.UpdatedTime; t.Before(last) {
			return fmt.Sprintf("accepted request %d went back from the edition of %v to that of %v", i+1, last, t)
		} else {
			last = t
		}
	}
	return ""
}

// checkStore looks for what the store should not have.
func (w *world) checkStore() {
	w.Helper()
	rows := w.rows()
	var faults []string
	for id, row := range rows {
		switch {
		case w.ledger.byID[id] == nil:
			faults = append(faults, id+" is in the store and nowhere else")
		case row.payload != "" && row.wanted == row.delivered:
			faults = append(faults, id+": content is kept although it is delivered")
		case row.state == "synced" && row.wanted != row.delivered:
			faults = append(faults, id+": synced, but wanted and delivered differ")
		}
	}
	if len(faults) > 0 {
		w.Errorf("the store is not as it should be:\n%s", lines(faults))
	}
}

// checkRest polls once more, everything from the start too, and expects that nothing changes.
func (w *world) checkRest() {
	w.Helper()
	before, requests := w.rows(), w.requests(http.StatusCreated)+w.requests(http.StatusOK)
	for _, what := range []string{"another poll", "reading everything again"} {
		if out, code := w.run("run", "--once"); code != 0 {
			w.Errorf("%s: exit code %d\n%s", what, code, out)
		}
		if diff := cmp.Diff(before, w.rows(), cmp.AllowUnexported(stored{})); diff != "" {
			w.Errorf("%s changed the store (-before +after):\n%s", what, diff)
		}
		if n := w.requests(http.StatusCreated) + w.requests(http.StatusOK) - requests; n != 0 {
			w.Errorf("%s sent %d requests", what, n)
		}
		w.ledger.touch()
		w.flush()
	}
}

// checkAdoption tells the program the _id of the unlinked tickets: then they too must show the last content.
func (w *world) checkAdoption() {
	w.Helper()
	if w.number(`SELECT count(*) FROM tickets WHERE state = 'unlinked'`) == 0 {
		return
	}
	if out, code := w.run("adopt", w.links()); code != 0 {
		w.Errorf("adopt: exit code %d\n%s", code, out)
	}
	w.finish()
	w.checkTickets()
	w.checkStore()
	if n := w.number(`SELECT count(*) FROM tickets WHERE state <> 'synced'`); n > 0 {
		w.Errorf("%d tickets are not synced after all were adopted", n)
	}
}

// links is a file with the _id of every unlinked ticket, as a person would get it from SocialHub.
func (w *world) links() (path string) {
	w.Helper()
	text := "networkItemId,_id\n"
	for id, row := range w.rows() {
		if row.state == "unlinked" {
			text += fmt.Sprintf("%s,%s\n", id, w.ticketID(id))
		}
	}
	path = filepath.Join(w.dir, "links.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}
