package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"socialhub-sync/socialhub"
)

// Act is what a member of the team wants.
type Act struct {
	TicketID, ActionID string
	// Text is a reply's. With a template it is only what the page shows for it, by default the template's name.
	Text       string
	Attachment *socialhub.ActionAttachment
	Option     string
	// Template is the networkId of a template, with its name, variables and language.
	Template, TemplateName, Language string
	Variables                        map[string]any
}

// Act does what a member of the team can do by the manifest's ticket actions; the event goes to the webhook in the background.
// What SocialHub would not let them do is an error.
func (s *Server) Act(channelID string, a Act) (Action, error) {
	c := s.find(channelID)
	if c == nil {
		return Action{}, errors.New("there is no such channel")
	}
	return s.act(c, &a, "")
}

// act is Act for a form of the page. A form that was sent before does nothing.
func (s *Server) act(c *channel, a *Act, form string) (Action, error) {
	ticket, ok := c.tickets.find(a.TicketID)
	if !ok {
		return Action{}, errors.New("there is no such ticket")
	}
	offer, ok := c.team.ticketAction(a.ActionID)
	if !ok {
		return Action{}, errors.New("the manifest has no such action")
	}
	now := time.Now().UTC()
	if err := checkAct(&offer, &ticket, a, now); err != nil {
		return Action{}, err
	}
	made := &Action{
		UUID: s.ids.next(), TicketID: a.TicketID, ActionID: a.ActionID, Type: offer.Type, Text: a.Text, Time: now,
		State: ActionPending, ReplyTo: ticket.Interaction.NetworkItemID, form: form,
	}
	switch offer.Type {
	case socialhub.ActionTemplateReply:
		made.FollowupID, made.Text = s.ids.next(), cmp.Or(a.Text, a.TemplateName)
	case socialhub.ActionReply:
		made.FollowupID = s.ids.next()
	}
	copied := *made
	if c.team.add(made) {
		s.emit(c, "ticket_action", eventOf(made, a), func(err error) { c.team.delivered(made, err) })
	}
	return copied, nil
}

// checkAct tells why the manifest's action does not allow what somebody wants.
func checkAct(offer *socialhub.ManifestAction, ticket *Ticket, a *Act, now time.Time) error {
	if over(offer, ticket, now) {
		return errors.New("the time for this is over")
	}
	switch offer.Type {
	case socialhub.ActionTemplateReply:
		if a.Template == "" {
			return errors.New("choose a template")
		}
	case socialhub.ActionReply:
		return checkReply(offer, a)
	}
	return nil
}

func checkReply(offer *socialhub.ManifestAction, a *Act) error {
	switch {
	case a.Text == "" && a.Attachment == nil:
		return errors.New("a reply needs a text or a file")
	case a.Attachment != nil && offer.Attachments == nil:
		return errors.New("this reply takes no file")
	case a.Attachment != nil && a.Text != "" && offer.Attachments.NoText:
		return errors.New("this reply takes a text or a file, not both")
	}
	if most := offer.Config; most != nil && most.MaxLength > 0 && utf8.RuneCountInString(a.Text) > most.MaxLength {
		return fmt.Errorf("the text has %d characters, at most %d are allowed", utf8.RuneCountInString(a.Text), most.MaxLength)
	}
	is := func(o socialhub.ActionOption) bool { return o.ID == a.Option }
	if len(offer.Options) > 0 && !slices.ContainsFunc(offer.Options, is) {
		return errors.New("choose one of the options")
	}
	return nil
}

// over tells whether an action can't be done with a ticket any more. A duration that Go can't read does not end.
func over(offer *socialhub.ManifestAction, ticket *Ticket, now time.Time) bool {
	if offer.Config == nil || offer.Config.Timeout == nil {
		return false
	}
	d, err := time.ParseDuration(offer.Config.Timeout.Duration)
	return err == nil && now.After(ticket.Interaction.CreatedTime.Add(d))
}

// eventOf is the documented event.
func eventOf(made *Action, a *Act) map[string]any {
	payload := map[string]any{}
	switch made.Type {
	case socialhub.ActionReply:
		payload["followupId"] = made.FollowupID
		if a.Text != "" {
			payload["text"] = a.Text
		}
		if a.Attachment != nil {
			payload["attachments"] = []any{a.Attachment}
		}
		if a.Option != "" {
			payload["option"] = a.Option
		}
	case socialhub.ActionTemplateReply:
		payload["followupId"], payload["name"], payload["networkId"] = made.FollowupID, a.TemplateName, a.Template
		payload["variables"], payload["language"] = a.Variables, a.Language
	}
	return map[string]any{
		"ticketId": made.TicketID, "networkItemId": made.ReplyTo, "type": made.Type, "actionId": made.ActionID,
		"payload": payload, "time": made.Time.UnixMilli(), "uuid": made.UUID,
	}
}
