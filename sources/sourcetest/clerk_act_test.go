package sourcetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// Done implements [Actor].
func (o *office) Done() []Deed {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.deeds)
}

// order is what an office is asked to do; one with a key that it knows is done already.
type order struct{ Key, Text, Template string }

// takeActions adds what an office can do: /items/{id}/replies, which also lists them, /items/{id}/press/{button}, and DELETE.
func (o *office) takeActions(mux *http.ServeMux) {
	do := func(pattern string, f func(w http.ResponseWriter, r *http.Request, item int)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			item, _ := strconv.Atoi(r.PathValue("id"))
			if !slices.ContainsFunc(o.Items(), func(i Item) bool { return i.ID == item }) {
				http.Error(w, "no such item", http.StatusNotFound)
				return
			}
			f(w, r, item)
		})
	}
	do("POST /items/{id}/replies", o.takeReply)
	do("GET /items/{id}/replies", func(w http.ResponseWriter, _ *http.Request, item int) {
		o.mu.Lock()
		defer o.mu.Unlock()
		_ = json.NewEncoder(w).Encode(slices.DeleteFunc(slices.Clone(o.replies), func(r entry) bool { return r.To != item }))
	})
	do("POST /items/{id}/press/{button}", func(w http.ResponseWriter, r *http.Request, item int) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.deeds = append(o.deeds, Deed{Type: socialhub.ActionButton, Item: item, Button: r.PathValue("button")})
		_, _ = w.Write([]byte("{}"))
	})
	do("DELETE /items/{id}", func(w http.ResponseWriter, _ *http.Request, item int) {
		o.Remove(item)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.deeds = append(o.deeds, Deed{Type: socialhub.ActionDelete, Item: item})
		_, _ = w.Write([]byte("{}"))
	})
}

func (o *office) takeReply(w http.ResponseWriter, r *http.Request, item int) {
	var ordered order
	_ = json.NewDecoder(r.Body).Decode(&ordered)
	o.mu.Lock()
	defer o.mu.Unlock()
	at := slices.IndexFunc(o.replies, func(r entry) bool { return r.Key == ordered.Key && ordered.Key != "" })
	if at < 0 {
		at = len(o.replies)
		now := time.Now().UTC().Truncate(time.Second)
		text := ordered.Text + ordered.Template
		o.replies = append(o.replies, entry{Item: Item{ID: 1_000_000 + at, Text: text, Created: now, Updated: now}, To: item, Key: ordered.Key})
		o.deeds = append(o.deeds, Deed{Type: socialhub.ActionReply, Item: item, Text: text})
	}
	_ = json.NewEncoder(w).Encode(o.replies[at])
}

// What a clerk can do beside reading.
var (
	_ sources.Replier         = (*clerkSource)(nil)
	_ sources.TemplateReplier = (*clerkSource)(nil)
	_ sources.ButtonPresser   = (*clerkSource)(nil)
	_ sources.Deleter         = (*clerkSource)(nil)
	_ sources.Repeater        = (*clerkSource)(nil)
	_ sources.Finder          = (*clerkSource)(nil)
	_ sources.Chooser         = (*clerkSource)(nil)
)

func (s *clerkSource) Can(t socialhub.ActionType, id string) bool {
	return !s.is("can't reply") && (t != socialhub.ActionButton || id == "hide" || s.is("presses any button"))
}

func (s *clerkSource) RepeatableFor(a *sources.Action) time.Duration {
	switch {
	case s.is("may repeat for less than nothing"):
		return -1
	case a.Type == socialhub.ActionButton || a.Type == socialhub.ActionDelete:
		return 0
	}
	return sources.Always
}

func (s *clerkSource) Reply(ctx context.Context, r *sources.Reply) (sources.Posted, error) {
	if len(r.Attachments) > 0 && !s.is("drops files") {
		return sources.Posted{}, &sources.RefusedError{Reason: "the office takes no files"}
	}
	s.mu.Lock()
	if s.first == nil {
		s.first = r
	}
	if s.is("keeps the first reply") {
		r = s.first
	}
	s.mu.Unlock()
	ordered := order{Key: r.Key, Text: r.Text}
	switch {
	case s.is("panics in an action"):
		panic("what is this?")
	case s.is("shortens replies"):
		ordered.Text = r.Text[:strings.Index(r.Text, " says")]
	case s.is("forgets the key"):
		ordered.Key = ""
	case s.is("takes equal replies for one"):
		ordered.Key = r.Text
	case s.is("hides its replies"):
		ordered.Text = strings.ToUpper(r.Text)
	case s.is("logs what the team wrote"):
		s.env.Logger.Info("reply", "text", r.Text)
	}
	posted, err := s.post(ctx, &r.Action, ordered)
	if err != nil && s.is("tries again by itself") {
		ordered.Key += "again"
		return s.post(ctx, &r.Action, ordered)
	}
	if err != nil && s.is("shows what the team wrote") {
		err = fmt.Errorf("%s: %w", r.Text, err)
	}
	return posted, err
}

func (s *clerkSource) ReplyWithTemplate(ctx context.Context, r *sources.TemplateReply) (sources.Posted, error) {
	return s.post(ctx, &r.Action, order{Key: r.Key, Template: r.TemplateID})
}

func (s *clerkSource) post(ctx context.Context, a *sources.Action, ordered order) (sources.Posted, error) {
	body, err := json.Marshal(ordered)
	if err != nil {
		return sources.Posted{}, err
	}
	if s.is("does more than it should") {
		if err := s.send(ctx, http.MethodPost, a, "/press/hide", nil, nil); err != nil {
			return sources.Posted{}, err
		}
	}
	var made entry
	if err := s.send(ctx, http.MethodPost, a, "/replies", body, &made); err != nil {
		return sources.Posted{}, err
	}
	return s.posted(made), nil
}

func (s *clerkSource) posted(made entry) sources.Posted {
	native := strconv.Itoa(made.ID)
	p := sources.Posted{NetworkItemID: sources.ItemID("office", native), URL: "https://office.example/" + native, CreatedTime: made.Created}
	switch {
	case s.is("does not say what it posted"):
		p.NetworkItemID = ""
	case s.is("names a reply otherwise"):
		p.NetworkItemID = "office-r" + native
	case s.is("posts before its time"):
		p.CreatedTime = made.Created.Add(-time.Hour)
	case s.is("posts at a local time"):
		p.CreatedTime = made.Created.In(time.FixedZone("CET", 3600))
	case s.is("shows a secret in an address"):
		p.URL = "office " + s.Token.Reveal()
	case s.is("gives something else the second time"):
		p.URL += "?at=" + strconv.FormatInt(time.Now().UnixNano(), 10)
	}
	return p
}

func (s *clerkSource) PressButton(ctx context.Context, a *sources.Action) error {
	return s.send(ctx, http.MethodPost, a, "/press/"+a.ID, nil, nil)
}

func (s *clerkSource) Delete(ctx context.Context, a *sources.Action) error {
	err := s.send(ctx, http.MethodDelete, a, "", nil, nil)
	if _, gone := errors.AsType[*sources.RefusedError](err); gone && !s.is("can't delete what is gone") {
		return nil
	}
	return err
}

func (s *clerkSource) FindReply(ctx context.Context, r *sources.Reply, _ time.Time) (sources.Posted, bool, error) {
	var all []entry
	if err := s.send(ctx, http.MethodGet, &r.Action, "/replies", nil, &all); err != nil {
		return sources.Posted{}, false, err
	}
	if s.is("finds what was not posted") {
		return sources.Posted{}, true, nil
	}
	for _, reply := range all {
		if (reply.Key == r.Key || s.is("finds any reply")) && !s.is("does not find its reply") {
			return s.posted(reply), true, nil
		}
	}
	return sources.Posted{}, false, nil
}

// send asks the office to do something with an item; into takes its answer.
func (s *clerkSource) send(ctx context.Context, method string, a *sources.Action, path string, body []byte, into any) error {
	if s.is("does not stop its actions") || s.is("acts after its end") {
		ctx = context.WithoutCancel(ctx)
	}
	item := strings.TrimPrefix(a.NetworkItemID, "office-")
	if s.is("answers another item") {
		item = "9"
	}
	answer, err := s.client.Do(ctx, sources.HTTPRequest{Method: method, URL: s.URL + "/items/" + item + path, Body: body})
	if err != nil {
		return s.actError(err)
	}
	if into == nil {
		into = &struct{}{}
	}
	if err := json.Unmarshal(answer.Body, into); err != nil && !s.is("takes any answer for a success") {
		return errors.New("the office answered with something that is not its JSON")
	}
	return nil
}

// actError is what an error of a request means for an action.
func (s *clerkSource) actError(err error) error {
	status, _ := errors.AsType[*sources.StatusError](err)
	_, stop := errors.AsType[*sources.StopError](err)
	switch {
	case status != nil && status.Status == http.StatusNotFound:
		return s.missing(err)
	case s.is("tells the team a secret"):
		return fmt.Errorf("with %s: %w", s.Token.Reveal(), err)
	case s.is("waits for a person for ever") && stop:
		return errors.New(err.Error())
	case s.is("gives up in trouble"), s.is("gives up when it is stopped"):
		return &sources.RefusedError{Reason: err.Error()}
	case s.is("says too early that nothing was done"), s.is("takes a lost answer for a refusal"):
		return &sources.NotDoneError{Err: err}
	}
	return err
}

func (s *clerkSource) missing(err error) error {
	switch {
	case s.is("takes a missing item for trouble"):
		return err
	case s.is("takes a missing item for a success"):
		return nil
	case s.is("refuses without a reason"):
		return &sources.RefusedError{}
	}
	return &sources.RefusedError{Reason: "the item is not there any more"}
}
