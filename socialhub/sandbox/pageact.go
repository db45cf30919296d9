package sandbox

import (
	"cmp"
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"socialhub-sync/socialhub"
)

// maxForm is the most bytes that a form of the page may have.
const maxForm = 1 << 20

// deed is something that the team did, as a card shows it.
type deed struct {
	Action
	// Label is what the manifest calls it.
	Label string
}

// Badge is how far it is, in a word.
func (d deed) Badge() string {
	if d.State == ActionPending && d.Taken && d.FollowupID == "" {
		return "sent" // nothing more is heard of one that works
	}
	return string(d.State)
}

// Note says more than the badge.
func (d deed) Note() string {
	switch {
	case d.Reason != "":
		return d.Reason
	case d.State != ActionPending:
		return ""
	case !d.Taken:
		return "on its way to the webhook"
	case d.FollowupID != "":
		return "the webhook has it"
	}
	return ""
}

// work is what the team can do and did.
type work struct {
	version uint64
	webhook bool
	offers  []socialhub.ManifestAction
	deeds   map[string][]deed
	// answers has the _id of the ticket that was answered, by the answer's networkItemId.
	answers map[string]string
	ids     *idSource
	now     time.Time
}

func (p *page) work(c *channel) *work {
	w := &work{deeds: map[string][]deed{}, answers: map[string]string{}, ids: &p.server.ids, now: time.Now()}
	t := &c.team
	t.mu.Lock()
	w.version, w.webhook = t.version, t.hook != nil
	var actions []Action
	for _, a := range t.actions {
		actions = append(actions, *a)
	}
	t.mu.Unlock()
	w.offers = t.ticketActions()
	for _, a := range actions {
		d := deed{Action: a, Label: a.ActionID}
		if i := slices.IndexFunc(w.offers, func(o socialhub.ManifestAction) bool { return o.ID == a.ActionID }); i >= 0 {
			d.Label = w.offers[i].Label.EN
		}
		w.deeds[a.TicketID] = append(w.deeds[a.TicketID], d)
		if a.Reply != "" {
			w.answers[a.Reply] = a.TicketID
		}
	}
	return w
}

// complete adds to a card what can be done with it and what was done.
func (w *work) complete(c *card) {
	c.Form, c.Deeds = w.ids.next(), w.deeds[c.ID]
	if c.Folder == FolderHidden {
		return
	}
	for _, o := range w.offers {
		answering := o.Type == socialhub.ActionReply || o.Type == socialhub.ActionTemplateReply
		if !(c.Own && answering) && !over(&o, &c.Ticket, w.now) {
			c.Offers = append(c.Offers, o)
		}
	}
}

// formView is one action with one ticket, before it is done.
type formView struct {
	Channel Channel
	Folder  Folder
	Card    card
	Offer   socialhub.ManifestAction
	// Page is where the list was, Back leads there.
	Page, Back string
	// Form names the form, so that it is done once however often it is sent.
	Form    string
	Problem string
	// What was typed.
	Text, File, Option string
	// Templates are those of a template reply; Template is the chosen one.
	Templates []socialhub.Template
	Template  *templateView
}

// templateView is a template that is being filled in.
type templateView struct {
	socialhub.Template
	Language  string
	Languages []string
	Fields    []gapField
	Preview   string
}

// Opening is the start of a template's text in its first language.
func (formView) Opening(t socialhub.Template) string {
	languages, byLanguage := texts(&t)
	if len(languages) == 0 {
		return ""
	}
	return byLanguage[languages[0]]
}

// form shows the form of an action.
func (p *page) form(w http.ResponseWriter, r *http.Request) {
	_, v := p.formView(w, r)
	if v == nil {
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	p.renderAs(w, http.StatusOK, "act.html", v)
}

// act does what a form says and goes back to the list. What can't be done is told in the form.
func (p *page) act(w http.ResponseWriter, r *http.Request) {
	if !p.fromHere(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	c, v := p.formView(w, r)
	if v == nil {
		return
	}
	a, err := v.act()
	if err == nil {
		_, err = p.server.act(c, a, v.Form)
	}
	if err != nil {
		v.Problem = err.Error()
		p.renderAs(w, http.StatusUnprocessableEntity, "act.html", v)
		return
	}
	http.Redirect(w, r, v.Back, http.StatusSeeOther)
}

// formView reads what a request names and what was typed; nil means that there is no such thing, and the answer is given.
func (p *page) formView(w http.ResponseWriter, r *http.Request) (*channel, *formView) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form can't be read", http.StatusBadRequest)
		return nil, nil
	}
	c, folder, ok := p.place(r)
	if !ok {
		http.NotFound(w, r)
		return nil, nil
	}
	ticket, there := c.tickets.find(r.PathValue("ticket"))
	offer, offered := c.team.ticketAction(r.PathValue("action"))
	if !there || !offered || ticket.Folder == FolderHidden {
		http.NotFound(w, r)
		return nil, nil
	}
	v := &formView{
		Channel: c.info, Folder: folder, Offer: offer, Card: card{Ticket: ticket, Deeds: p.work(c).deeds[ticket.ID]},
		Page: r.Form.Get("page"), Form: cmp.Or(r.Form.Get("form"), p.server.ids.next()),
		Text: strings.ReplaceAll(r.Form.Get("text"), "\r\n", "\n"), File: strings.TrimSpace(r.Form.Get("file")), Option: r.Form.Get("option"),
	}
	v.Back = folderPath(c.info.ID, folder) + pageQuery(v.Page) + "#t-" + ticket.ID
	if offer.Type == socialhub.ActionTemplateReply {
		v.choose(r.Context(), p.server, c, r.Form)
	}
	return c, v
}

// choose gets the templates and fills the chosen one in as far as it was typed.
func (v *formView) choose(ctx context.Context, s *Server, c *channel, typed url.Values) {
	var err error
	if v.Templates, err = s.templates(ctx, c, &v.Offer); err != nil {
		v.Problem = err.Error()
		return
	}
	wanted := typed.Get("template")
	if len(v.Templates) == 1 {
		wanted = v.Templates[0].NetworkID
	}
	i := slices.IndexFunc(v.Templates, func(t socialhub.Template) bool { return t.NetworkID == wanted })
	if i < 0 {
		return
	}
	values := make(map[string]string)
	for name, value := range typed {
		if gap, ok := strings.CutPrefix(name, "gap."); ok {
			values[gap] = value[0]
		}
	}
	t := &templateView{Template: v.Templates[i], Fields: gapFields(&v.Templates[i], values)}
	for _, f := range t.Fields {
		values[f.Name] = f.Value
	}
	languages, byLanguage := texts(&t.Template)
	t.Languages = languages
	if t.Language = typed.Get("language"); byLanguage[t.Language] == "" && len(languages) > 0 {
		t.Language = languages[0]
	}
	t.Preview = filled(byLanguage[t.Language], values)
	v.Template = t
}

// act is what the form asks for.
func (v *formView) act() (*Act, error) {
	a := &Act{TicketID: v.Card.ID, ActionID: v.Offer.ID}
	switch v.Offer.Type {
	case socialhub.ActionReply:
		a.Text, a.Option = strings.TrimSpace(v.Text), v.Option
		if v.File != "" {
			file, err := attachment(v.File)
			if err != nil {
				return nil, err
			}
			a.Attachment = file
		}
	case socialhub.ActionTemplateReply:
		if v.Problem != "" {
			return nil, errors.New(v.Problem)
		}
		if v.Template == nil {
			return nil, errors.New("choose a template")
		}
		values, err := gapValues(v.Template.Fields)
		if err != nil {
			return nil, err
		}
		a.Template, a.TemplateName, a.Language = v.Template.NetworkID, v.Template.Name, v.Template.Language
		a.Variables, a.Text = values, v.Template.Preview
	}
	return a, nil
}

// attachment is a file by its address. Its size is not known: SocialHub has the file, the sandbox does not.
func attachment(address string) (*socialhub.ActionAttachment, error) {
	if !hookable(address) {
		return nil, errors.New("the file's address must begin with https://")
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the file's address can't be read")
	}
	name := path.Base(u.Path)
	if name == "." || name == "/" {
		name = "file"
	}
	extension := path.Ext(name)
	kind, _, _ := strings.Cut(cmp.Or(mime.TypeByExtension(extension), "application/octet-stream"), ";")
	return &socialhub.ActionAttachment{URL: address, Name: name, Extension: strings.TrimPrefix(extension, "."), MimeType: kind}, nil
}
