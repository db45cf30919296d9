package sync

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store"
)

// wanted is what the model knows of an item.
type wanted struct {
	entry
	redacted bool
	// first is the number of the batch that brought it first, refused tells that it ever had a refusedContent, good that it
	// ever had another.
	first         int
	refused, good bool
}

// model folds what was committed.
func (a *arena) model() map[int]*wanted {
	model := make(map[int]*wanted)
	for n, f := range a.feeds {
		cursor, _, err := a.store.Progress(a.t.Context(), store.PollKey{ChannelID: a.channel.ID, Source: a.options.Sources[n].Name})
		if err != nil {
			a.t.Fatal(err)
		}
		batches, err := f.committed(cursor)
		if err != nil {
			a.t.Fatal(err)
		}
		for number, batch := range batches { // of several editions in a batch the last counts
			if !a.plan.Redact { // a deletion leaves what came before, also in its batch
				batch = slices.DeleteFunc(slices.Clone(batch), func(e entry) bool { return e.deleted })
			}
			for i, e := range batch {
				if !slices.ContainsFunc(batch[i+1:], func(later entry) bool { return later.item == e.item }) {
					fold(model, e, number)
				}
			}
		}
	}
	return model
}

func fold(model map[int]*wanted, e entry, number int) {
	w := model[e.item]
	switch {
	case e.deleted && w == nil:
		return
	case w == nil:
		w = &wanted{first: number}
		model[e.item] = w
	}
	w.entry, w.redacted = e, e.deleted
	w.refused = w.refused || e.variant == refusedContent && !e.deleted
	w.good = w.good || e.variant != refusedContent && !e.deleted
}

// content is what SocialHub should show; only what counts as content.
func (w *wanted) content() socialhub.Interaction {
	if w.redacted {
		return socialhub.Interaction{Message: redactedMessage}
	}
	return contentOf(w.item, w.variant)
}

// compareContent ignores what is no content.
var compareContent = cmp.Options{
	cmpopts.IgnoreFields(socialhub.Interaction{}, "NetworkItemID", "Interactor", "Root", "CreatedTime", "Type"), cmpopts.EquateEmpty(),
}

// check compares the store and SocialHub with the model and returns the rows.
func (a *arena) check() map[string]*store.Ticket {
	a.t.Helper()
	var ids []string
	for _, it := range items {
		ids = append(ids, it.id)
	}
	rows, err := a.store.Tickets(a.t.Context(), a.channel.ID, ids)
	if err != nil {
		a.t.Fatal(err)
	}
	model := a.model()
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, it := range items {
		ticket, _ := a.box.Ticket(a.channel.ID, it.id)
		for _, wrong := range []string{a.checkRead(n, model[n]), a.checkRow(n, model[n], rows[it.id], ticket), a.checkRevisions(n, ticket), a.checkRoot(n, model)} {
			if wrong != "" {
				a.t.Errorf("%s: %s; the store has %+v", it.id, wrong, rows[it.id])
			}
		}
	}
	return rows
}

// checkRead tells whether the last edition of an item was read and stored, whatever else the source has.
func (a *arena) checkRead(n int, w *wanted) string {
	f := a.feeds[0]
	if n >= galleryFirst {
		f = a.feeds[1]
	}
	switch e := f.current(n); {
	case e == nil, e.deleted && (w == nil || !a.plan.Redact):
		return ""
	case w == nil || w.variant != e.variant || w.redacted != e.deleted:
		return "its last edition was not stored"
	}
	return ""
}

// checkRow tells what is wrong with an item's row and ticket.
func (a *arena) checkRow(n int, w *wanted, row *store.Ticket, ticket sandbox.Ticket) string {
	visible := ticket.ID != "" && ticket.Folder != sandbox.FolderHidden
	switch {
	case w == nil && (row != nil || visible):
		return "it is there, and was never committed"
	case w == nil:
		return ""
	case row == nil:
		return "it was committed and is not in the store"
	case row.TicketID != "" && row.TicketID != ticket.ID:
		return fmt.Sprintf("its ticket is %q", ticket.ID)
	case row.Payload != "" && (row.State == store.Synced || row.State == store.Gone || row.State == store.Skipped || row.Delivered && row.WantedHash == row.DeliveredHash):
		return "its content is kept"
	}
	// A state that waits for a person, as after a mass change, would have its case here, and its end in resume.
	diff := cmp.Diff(w.content(), ticket.Interaction, compareContent)
	switch {
	case row.State == store.Gone && a.removed[ticket.ID]:
		return ""
	case w.variant == refusedContent && !w.redacted:
		return unless(row.State == store.Rejected, "SocialHub takes no such content")
	case w.redacted && w.refused && row.State == store.Rejected && (!w.good || items[n].own && !a.plan.NetworkID):
		return "" // SocialHub never had it, so that there is nothing to redact
	case items[n].own && !a.plan.NetworkID:
		return unless(row.State == store.Skipped && ticket.ID == "" || row.State == store.Skipped && !visible, "it is our own post, and the channel has no networkId")
	case row.State == store.Unlinked:
		teller := a.tellers[items[n].id]
		return unless(a.lost[items[n].id] || a.hidden[items[n].id] || teller != nil && teller.dead, "nothing explains why it is unlinked")
	case row.State != store.Synced || row.TicketID == "" || row.WantedHash != row.DeliveredHash:
		return "it should be synced"
	}
	if a.hidden[items[n].id] {
		return "" // SocialHub has the empty ticket that a reply made, and said that it has the item
	}
	return unless(diff == "", "it does not show its last content (-want +got):\n"+diff)
}

func unless(fine bool, wrong string) string {
	if fine {
		return ""
	}
	return wrong
}

// checkRevisions looks at the requests that a ticket took: made once, no update older than the one before, back to the
// inbox as the source says.
func (a *arena) checkRevisions(n int, ticket sandbox.Ticket) string {
	var last time.Time
	for i, r := range ticket.Revisions {
		text := string(r.Body)
		redacted := strings.Contains(text, redactedMessage)
		if r.Method == http.MethodPatch && r.Reset != (a.plan.Reset && !items[n].own && !redacted) {
			return fmt.Sprintf("its request %d has reset=%v", i+1, r.Reset)
		}
		if i > 0 && r.Method == http.MethodPost && !a.plan.FillHidden {
			return "it was made twice"
		}
		updated := updatedIn(r.Body)
		if updated.Before(last) {
			return fmt.Sprintf("its request %d went back from the edition of %v to that of %v", i+1, last, updated)
		}
		last = updated
	}
	return ""
}

// checkRoot finds hidden roots that we made for roots that we knew.
func (a *arena) checkRoot(n int, model map[int]*wanted) string {
	reply := slices.IndexFunc(items[:], func(it struct {
		id, root string
		own      bool
	}) bool {
		return it.id == a.hiddenBy[items[n].id]
	})
	root := model[n]
	switch {
	case reply < 0 || root == nil || model[reply] == nil: // nobody knew it
	case (reply < galleryFirst) != (n < galleryFirst): // nobody knows which came first
	case root.refused, items[n].own && !a.plan.NetworkID: // it never comes
	case root.first <= model[reply].first:
		return fmt.Sprintf("its reply %s was sent before it and made a hidden ticket", items[reply].id)
	}
	return ""
}

// checkQuiet polls everything once more, some of it with another name of its author, and expects that nothing happens.
func (a *arena) checkQuiet() {
	a.t.Helper()
	rows, sent := a.dump("tickets"), a.requestsSent()
	for n := range items {
		f := a.feeds[0]
		if n >= galleryFirst {
			f = a.feeds[1]
		}
		if e := f.current(n); e != nil {
			again := *e
			if again.variant == 0 {
				again.variant = sameContent
			}
			f.put(again)
		}
	}
	a.pass(12 * time.Second)
	if n := a.requestsSent() - sent; n != 0 {
		a.t.Errorf("%d requests were sent for unchanged content", n)
	}
	if diff := cmp.Diff(rows, a.dump("tickets")); diff != "" {
		a.t.Errorf("unchanged content wrote rows (-before +after):\n%s", diff)
	}
}

// figures are what the plans came to.
type figures struct {
	Plans, Steps, Processes, Killed, Cut, Posts, Patches, Conflicts, Faults, Tickets, Unlinked, Gone, Rejected, Skipped int
}

func (f *figures) add(a *arena) {
	f.Plans++
	if a.world == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f.Steps += len(a.plan.Steps) - a.idle
	for _, r := range a.all {
		f.Processes++
		if r.dead {
			f.Killed++
		}
		if r.wasCut {
			f.Cut++
		}
	}
	for c, n := range a.box.Counts() {
		switch {
		case c.Status == http.StatusConflict:
			f.Conflicts += n
		case c.Status == http.StatusCreated:
			f.Posts += n
		case c.Status == http.StatusOK && c.Route == sandbox.RoutePatch:
			f.Patches += n
		}
	}
	f.Faults += a.met
	f.Tickets += len(a.rows)
	for _, row := range a.rows {
		switch row.State {
		case store.Unlinked:
			f.Unlinked++
		case store.Gone:
			f.Gone++
		case store.Rejected:
			f.Rejected++
		case store.Skipped:
			f.Skipped++
		}
	}
}
