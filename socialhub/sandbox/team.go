package sandbox

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"socialhub-sync/socialhub"
)

// team is what the people of a channel have done, and how their doings reach the channel.
type team struct {
	mu       sync.Mutex
	manifest map[string]any
	hook     *hook
	actions  []*Action
	version  uint64
}

// Action is something that a member of the team did with a ticket.
type Action struct {
	UUID, TicketID, ActionID string
	Type                     socialhub.ActionType
	// FollowupID names a reply; empty for a button and a delete.
	FollowupID string
	// Text is a reply's, see [Act].
	Text  string
	Time  time.Time
	State ActionState
	// Taken says that the webhook took the event.
	Taken bool
	// Reason is why it failed, as the team is told, or why it did not reach the webhook.
	Reason string
	// ReplyTo is the networkItemId of the ticket that was acted on, Reply that of the reply's own ticket.
	ReplyTo, Reply string

	// form is the page's form that it came from, so that one that is sent twice does it once.
	form string
}

// ActionState is how far an action is, as the team sees it.
type ActionState string

const (
	// ActionPending: sent to the webhook, or about to be; nothing was heard of it.
	ActionPending ActionState = "pending"
	// ActionConfirmed: a reply was posted and has a ticket of its own.
	ActionConfirmed ActionState = "confirmed"
	// ActionFailed: the team was told that it failed.
	ActionFailed ActionState = "failed"
	// ActionLost: the webhook did not take it, however often it was sent.
	ActionLost ActionState = "lost"
)

// Resend delivers an action's event once more, as SocialHub does when an answer was lost on its way. It returns false if
// there is no such action or no webhook.
func (s *Server) Resend(channelID, uuid string, a Act) bool {
	c := s.find(channelID)
	if c == nil {
		return false
	}
	made := c.team.find(func(x *Action) bool { return x.UUID == uuid })
	if made == nil {
		return false
	}
	s.emit(c, "ticket_action", eventOf(made, &a), func(error) {})
	return true
}

// Actions returns what the team has done, in order.
func (s *Server) Actions(channelID string) (all []Action) {
	c := s.find(channelID)
	if c == nil {
		return nil
	}
	c.team.mu.Lock()
	defer c.team.mu.Unlock()
	for _, a := range c.team.actions {
		all = append(all, *a)
	}
	return all
}

// Webhook is the address of the channel's webhook; empty if it has none.
func (s *Server) Webhook(channelID string) string {
	c := s.find(channelID)
	if c == nil {
		return ""
	}
	if h := c.team.webhook(); h != nil {
		return h.url
	}
	return ""
}

// add takes an action in; false if the form that it comes from was sent before.
func (t *team) add(a *Action) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.form != "" && slices.ContainsFunc(t.actions, func(o *Action) bool { return o.form == a.form }) {
		return false
	}
	t.actions = append(t.actions, a)
	t.version++
	return true
}

func (t *team) find(is func(*Action) bool) *Action {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.IndexFunc(t.actions, is); i >= 0 {
		return t.actions[i]
	}
	return nil
}

func (t *team) webhook() *hook {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hook
}

func (t *team) removeHook(h *hook) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hook == h {
		t.hook = nil
		t.version++
	}
}

// delivered notes that an event reached the webhook, or never will.
func (t *team) delivered(a *Action, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version++
	if err == nil {
		a.Taken = true
	} else if a.State == ActionPending {
		a.State, a.Reason = ActionLost, err.Error()
	}
}

// end settles an action; false if there is none that it could be.
func (t *team) end(is func(*Action) bool, change func(*Action)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range slices.Backward(t.actions) {
		if is(a) {
			change(a)
			t.version++
			return true
		}
	}
	return false
}

// actionType is what the manifest says of an action; empty if it has none of that id.
func (t *team) actionType(id string) socialhub.ActionType {
	a, _ := t.ticketAction(id)
	return a.Type
}

// ticketAction is what the manifest says of an action; false if it has none of that id.
func (t *team) ticketAction(id string) (socialhub.ManifestAction, bool) {
	all := t.ticketActions()
	if i := slices.IndexFunc(all, func(a socialhub.ManifestAction) bool { return a.ID == id }); i >= 0 {
		return all[i], true
	}
	return socialhub.ManifestAction{}, false
}

// ticketActions are what the manifest lets the team do.
func (t *team) ticketActions() []socialhub.ManifestAction {
	t.mu.Lock()
	defer t.mu.Unlock()
	var inbox socialhub.Inbox
	raw, _ := json.Marshal(t.manifest["inbox"]) // it came from JSON
	_ = json.Unmarshal(raw, &inbox)             // it was checked when it came
	return inbox.TicketActions
}

// replyFields are what the confirmation of a reply may say.
var replyFields = []field[change]{
	{name: "networkItemId", required: true, read: func(c *change, v any) *fieldError { return readItemID(&c.NetworkItemID, v) }},
	{name: "createdTime", read: func(c *change, v any) *fieldError { return readTime(&c.CreatedTime, v) }},
	{name: "url", read: func(c *change, v any) *fieldError { return readURL(&c.URL, v) }},
	{name: "type", read: func(c *change, v any) *fieldError {
		c.sent |= sentType
		return readText(&c.Type, v, socialhub.ValidType, "is not a known type")
	}},
}

var confirmationBody = []field[change]{
	{name: "interaction", required: true, read: func(c *change, v any) *fieldError { return readObject(v, replyFields, c) }},
}

// us is the channel as an author.
func (c *channel) us() *socialhub.Interactor {
	return &socialhub.Interactor{InteractorID: cmp.Or(c.info.NetworkID, c.info.ID), Name: c.info.Name}
}

// confirm carries POST …/replies/:followupId/success out: the reply gets a ticket of its own.
func (s *Server) confirm(c *call, body []byte) reply {
	ch := c.channel
	in, err := decode(body, confirmationBody, ch.reusable)
	if err != nil {
		return badRequest(err)
	}
	parent, ok := ch.tickets.find(c.ticketID)
	is := func(a *Action) bool {
		return a.FollowupID == c.actionID && a.TicketID == c.ticketID && a.FollowupID != ""
	}
	followup := ch.team.find(is)
	if !ok || followup == nil {
		return replyNoTicket
	}
	now := time.Now().UTC()
	if in.CreatedTime.IsZero() {
		in.CreatedTime = now
	}
	in.Message = followup.Text
	in.Interactor = ch.us()
	in.Root = parent.Interaction.Root
	if in.Root == nil {
		in.Root = &socialhub.Root{RootID: parent.Interaction.NetworkItemID}
	}
	made, ok := ch.tickets.create(&creation{
		id: s.ids.next(), hiddenID: s.ids.next(), item: in.Interaction, own: true, revision: s.revision(http.MethodPost, now, body),
	})
	if !ok {
		return replyConflict
	}
	ch.team.end(is, func(a *Action) { a.State, a.Reason, a.Reply = ActionConfirmed, "", in.NetworkItemID })
	return reply{status: http.StatusCreated, body: ticketBody(ch, &made)}
}

// fail carries POST …/reset/:actionId out: the team is told that an action failed.
func (s *Server) fail(c *call, body []byte) reply {
	var in struct {
		FollowupID *string `json:"followupId"`
		Reason     string  `json:"reason"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return badRequest(&fieldError{"body", "must be an object with reason and, for a reply, followupId"})
	}
	kind := c.channel.team.actionType(c.actionID)
	if in.FollowupID == nil && (kind == socialhub.ActionReply || kind == socialhub.ActionTemplateReply) {
		return badRequest(&fieldError{"followupId", "is required"})
	}
	ticket, ok := c.channel.tickets.find(c.ticketID)
	if !ok {
		return replyNoTicket
	}
	found := c.channel.team.end(func(a *Action) bool {
		return a.TicketID == c.ticketID && a.ActionID == c.actionID && (in.FollowupID == nil || a.FollowupID == *in.FollowupID)
	}, func(a *Action) { a.State, a.Reason = ActionFailed, in.Reason })
	if !found {
		return replyNoTicket
	}
	return reply{status: http.StatusCreated, body: ticketBody(c.channel, &ticket)}
}
