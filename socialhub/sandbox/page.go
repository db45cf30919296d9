package sandbox

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"socialhub-sync/socialhub"
)

//go:embed ui
var uiFiles embed.FS

// pageSize is how many tickets a page shows.
const pageSize = 50

// policy lets the page load its own style and script and nothing else: no picture, no frame, no foreign address.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// page is the inbox page. Only its POST routes change anything, and they take no request from another site.
type page struct {
	server *Server
	tmpl   *template.Template
	guard  *http.CrossOriginProtection
}

func newPage(s *Server) http.Handler {
	p := &page{
		server: s,
		tmpl:   template.Must(template.New("").Funcs(cardFuncs).ParseFS(uiFiles, "ui/*.html")),
		guard:  http.NewCrossOriginProtection(),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ui/{$}", p.first)
	mux.HandleFunc("GET /ui/{channel}/{folder}", p.list)
	mux.HandleFunc("POST /ui/{channel}/{folder}/move", p.move)
	mux.HandleFunc("GET /ui/{channel}/{folder}/act/{ticket}/{action}", p.form)
	mux.HandleFunc("POST /ui/{channel}/{folder}/act/{ticket}/{action}", p.act)
	for file, kind := range map[string]string{"style.css": "text/css", "inbox.js": "text/javascript"} {
		body, _ := uiFiles.ReadFile("ui/" + file) // embedded, so it is there
		mux.HandleFunc("GET /ui/"+file, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind+"; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(body) // a client that went needs no answer
		})
	}
	return p.secured(mux)
}

// secured sets the headers that every answer of the page has.
func (p *page) secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// first shows the first channel's inbox, or that there is none.
func (p *page) first(w http.ResponseWriter, r *http.Request) {
	if all := p.server.Channels(); len(all) > 0 {
		http.Redirect(w, r, folderPath(all[0].ID, FolderInbox), http.StatusSeeOther)
		return
	}
	p.render(w, "empty.html", nil)
}

func folderPath(channelID string, f Folder) string { return "/ui/" + channelID + "/" + string(f) }

// place finds what the path names.
func (p *page) place(r *http.Request) (*channel, Folder, bool) {
	c, f := p.server.find(r.PathValue("channel")), Folder(r.PathValue("folder"))
	return c, f, c != nil && slices.Contains(Folders, f)
}

// list shows a folder. With part=list it is only the part that changes, and 304 while nothing did.
func (p *page) list(w http.ResponseWriter, r *http.Request) {
	c, f, ok := p.place(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	number, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("page"), "1"))
	if err != nil || number < 1 {
		http.Error(w, "page must be a number from 1", http.StatusBadRequest)
		return
	}
	view := p.view(c, f, number)
	h := w.Header()
	h.Set("ETag", view.ETag)
	h.Set("Cache-Control", "no-store")
	if r.URL.Query().Get("part") != "list" {
		p.render(w, "page.html", view)
		return
	}
	if r.Header.Get("If-None-Match") == view.ETag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	p.render(w, "list.html", view)
}

func (p *page) render(w http.ResponseWriter, name string, view any) {
	p.renderAs(w, http.StatusOK, name, view)
}

func (p *page) renderAs(w http.ResponseWriter, status int, name string, view any) {
	var b bytes.Buffer
	if err := p.tmpl.ExecuteTemplate(&b, name, view); err != nil {
		http.Error(w, "the page can't be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // a client that went needs no answer
}

// fromHere tells whether a form comes from the page itself; if not the answer says so.
func (p *page) fromHere(w http.ResponseWriter, r *http.Request) bool {
	err := p.guard.Check(r)
	if err != nil {
		http.Error(w, "this form was sent by another site", http.StatusForbidden)
	}
	return err == nil
}

// move takes a ticket out of the folder: to Done from the inbox, to the inbox from Done.
func (p *page) move(w http.ResponseWriter, r *http.Request) {
	if !p.fromHere(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	c, from, ok := p.place(r)
	to := map[Folder]Folder{FolderInbox: FolderDone, FolderDone: FolderInbox}[from]
	if !ok || to == "" {
		http.NotFound(w, r)
		return
	}
	// A ticket that has moved meanwhile is where the person wanted it, so the list is the answer either way.
	c.tickets.move(r.PostFormValue("ticket"), from, to, time.Now())
	http.Redirect(w, r, folderPath(c.info.ID, from)+pageQuery(r.PostFormValue("page")), http.StatusSeeOther)
}

// pageQuery leads back to a page of a list; empty for the first.
func pageQuery(number string) string {
	if n, err := strconv.Atoi(number); err == nil && n > 1 {
		return "?page=" + strconv.Itoa(n)
	}
	return ""
}

// view is what the templates show.
type view struct {
	Channel  Channel
	Channels []Channel
	Folder   Folder
	Tabs     []tab
	Cards    []card
	Page     int
	More     bool
	ETag     string
	// NoWebhook: the manifest has actions, but what the team does reaches nobody.
	NoWebhook bool
}

// tab is one folder and how many tickets it has.
type tab struct {
	Folder Folder
	Count  int
	Unread bool
}

// card is one ticket in the list.
type card struct {
	Ticket
	// Reply marks a ticket that stands below its root.
	Reply bool
	// RootItem is the root's networkItemId when it stands elsewhere, RootFolder where.
	RootItem   string
	RootFolder Folder
	// Guest is an answer of ours that is shown with its thread, in a folder that is not its own.
	Guest bool
	// Beside is the _id of the ticket that a guest stands below if its root is elsewhere.
	Beside string
	// Offers is what the team can do with the ticket, Deeds what it did.
	Offers []socialhub.ManifestAction
	Deeds  []deed
	// Form is a new name for a form.
	Form string
}

// view gathers what a page needs; a lock is held for the copying only.
func (p *page) view(c *channel, f Folder, number int) *view {
	v := &view{Channels: p.server.Channels(), Folder: f, Page: number}
	v.Channel = v.Channels[slices.IndexFunc(v.Channels, func(o Channel) bool { return o.ID == c.info.ID })]
	// Before the tickets: what changes in between makes the next ETag another.
	work := p.work(c)
	v.NoWebhook = len(work.offers) > 0 && !work.webhook
	s := &c.tickets
	s.mu.Lock()
	v.ETag = fmt.Sprintf(`"%s-%s-%d-%d-%d-%t"`, c.info.ID, f, number, s.version, work.version, v.Channel.Active)
	for _, name := range Folders {
		v.Tabs = append(v.Tabs, tab{Folder: name, Count: s.folders[name].count})
	}
	t := s.folders[f].newest
	for range (number - 1) * pageSize {
		if t == nil {
			break
		}
		t = t.older
	}
	for ; t != nil && len(v.Cards) < pageSize; t = t.older {
		v.Cards = append(v.Cards, s.card(t))
	}
	v.More = t != nil
	v.Cards = s.withAnswers(v.Cards, work)
	s.mu.Unlock()
	v.Cards = byThread(v.Cards)
	for i := range v.Cards {
		work.complete(&v.Cards[i])
	}
	return v
}

// card is a ticket and where its root is; mu is held.
func (s *store) card(t *ticket) card {
	one := card{Ticket: t.copy()}
	if root := s.byID[t.RootID]; root != nil && root != t {
		one.RootItem, one.RootFolder = root.Interaction.NetworkItemID, root.Folder
	}
	return one
}

// withAnswers adds our own answers to what is in a list, which are in Done; mu is held.
func (s *store) withAnswers(cards []card, work *work) []card {
	here := make(map[string]bool, len(cards))
	for i := range cards {
		here[cards[i].ID] = true
	}
	for _, c := range slices.Clone(cards) {
		if c.Folder == FolderHidden {
			continue
		}
		for _, t := range s.answers[cmp.Or(c.RootID, c.ID)] {
			// Below the root, or if that is elsewhere below what was answered.
			if !here[t.ID] && (t.RootID == c.ID || !here[t.RootID] && work.answers[t.Interaction.NetworkItemID] == c.ID) {
				here[t.ID] = true
				guest := s.card(t)
				guest.Guest = true
				if t.RootID != c.ID {
					guest.Beside = c.ID
				}
				cards = append(cards, guest)
			}
		}
	}
	return cards
}

// byThread puts replies below their root where the list has it, oldest first. A thread stands where its
// latest ticket stood.
func byThread(cards []card) []card {
	here := make(map[string]bool, len(cards))
	for i := range cards {
		here[cards[i].ID] = true
	}
	threads := map[string][]card{}
	var order []string
	for _, c := range cards {
		root := c.ID
		switch {
		case c.Beside != "":
			root, c.Reply, c.RootItem = c.Beside, true, ""
		case c.RootItem != "" && here[c.RootID]:
			root, c.Reply, c.RootItem = c.RootID, true, ""
		}
		if threads[root] == nil {
			order = append(order, root)
		}
		threads[root] = append(threads[root], c)
	}
	sorted := make([]card, 0, len(cards))
	for _, root := range order {
		slices.SortStableFunc(threads[root], func(a, b card) int {
			if a.Reply != b.Reply {
				return map[bool]int{true: 1, false: -1}[a.Reply]
			}
			return a.Interaction.CreatedTime.Compare(b.Interaction.CreatedTime)
		})
		sorted = append(sorted, threads[root]...)
	}
	return sorted
}

// Updates is how many accepted PATCHes the ticket remembers.
func (c card) Updates() int {
	n := 0
	for i := range c.Revisions {
		if c.Revisions[i].Method == http.MethodPatch {
			n++
		}
	}
	return n
}

// Who is the author as shown; never nil.
func (c card) Who() socialhub.Interactor {
	if c.Interaction.Interactor != nil {
		return *c.Interaction.Interactor
	}
	return socialhub.Interactor{Name: "Unknown author"}
}
