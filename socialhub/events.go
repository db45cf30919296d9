package socialhub

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Events is what one request to the webhook brings, all of one channel.
type Events struct {
	ChannelID string
	// Actions are what the team did with tickets, in SocialHub's order.
	Actions []TicketAction
	// Disabled is when the channel was deactivated, in UTC; zero if it was not.
	Disabled time.Time
	// Strange are reasons why events were passed over: of a kind that is not documented, or without what they need. They
	// have no content.
	Strange []string
}

// ActionType is what the team did.
type ActionType string

const (
	ActionReply         ActionType = "reply"
	ActionTemplateReply ActionType = "template_reply"
	ActionButton        ActionType = "button"
	ActionDelete        ActionType = "delete"
)

// TicketAction is one thing that somebody did with a ticket.
type TicketAction struct {
	TicketID      string          `json:"ticketId"`
	NetworkItemID string          `json:"networkItemId"`
	Type          ActionType      `json:"type"`
	ActionID      string          `json:"actionId"`
	Payload       json.RawMessage `json:"payload"`
	// Milliseconds is when it was done, since the Unix epoch.
	Milliseconds int64  `json:"time"`
	UUID         string `json:"uuid"`
}

// Time is when it was done, in UTC; zero if the event names no time that makes sense.
func (a *TicketAction) Time() time.Time {
	if !validTime(a.Milliseconds) {
		return time.Time{}
	}
	return time.UnixMilli(a.Milliseconds).UTC()
}

// Key tells actions apart: the same key is the same action, delivered again. A reply keeps its followupId when
// SocialHub sends it anew.
func (a *TicketAction) Key() string {
	if p, err := a.Reply(); err == nil {
		return p.FollowupID
	}
	return a.UUID
}

// ReplyPayload is what a reply or a template reply says.
type ReplyPayload struct {
	FollowupID  string             `json:"followupId"`
	Text        string             `json:"text"`
	Attachments []ActionAttachment `json:"attachments"`
	// Option is the id of the option that was chosen, if the action has options.
	Option string `json:"option"`
	// Name, NetworkID (the template's own id), Variables and Language are those of a template reply.
	Name      string         `json:"name"`
	NetworkID string         `json:"networkId"`
	Variables map[string]any `json:"variables"`
	Language  string         `json:"language"`
}

// ActionAttachment is a file that the team put into a reply. SocialHub: at most one today.
type ActionAttachment struct {
	URL       string `json:"url"`
	Name      string `json:"name"`
	Extension string `json:"extension"`
	MimeType  string `json:"mimetype"`
	// Size is in bytes.
	Size int64 `json:"size"`
}

var errNoReply = errors.New("the action is no reply")

// Reply is the payload of a reply or a template reply.
func (a *TicketAction) Reply() (ReplyPayload, error) {
	var p ReplyPayload
	if a.Type != ActionReply && a.Type != ActionTemplateReply {
		return p, errNoReply
	}
	if err := json.Unmarshal(a.Payload, &p); err != nil {
		return p, errors.New("the payload of the reply is not the documented JSON")
	}
	if !ValidActionID(p.FollowupID) {
		return p, errors.New("the reply has no usable followupId")
	}
	return p, nil
}

// ParseEvents reads the body of a request whose signature was verified. What is wrong with single events is told in
// [Events.Strange] and costs the others nothing; an error says that the body is none of SocialHub's.
func ParseEvents(body []byte) (*Events, error) {
	var in struct {
		ChannelID string                     `json:"channelId"`
		Events    map[string]json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, errors.New("the body is not the documented JSON")
	}
	if !ValidTicketID(in.ChannelID) {
		return nil, errors.New("the body names no channel")
	}
	out := &Events{ChannelID: in.ChannelID}
	for _, kind := range slices.Sorted(maps.Keys(in.Events)) {
		var list []json.RawMessage
		if json.Unmarshal(in.Events[kind], &list) != nil {
			out.passOver(kind, "not a list of events")
		}
		for _, raw := range list {
			if reason := out.add(kind, raw); reason != "" {
				out.passOver(kind, reason)
			}
		}
	}
	return out, nil
}

func (e *Events) passOver(kind, reason string) {
	e.Strange = append(e.Strange, shorten(oneLine(kind), 40)+": "+reason)
}

// add takes one event in, or says why it is passed over.
func (e *Events) add(kind string, raw json.RawMessage) (strange string) {
	switch kind {
	case "ticket_action":
		var a TicketAction
		if json.Unmarshal(raw, &a) != nil {
			return "not the documented JSON"
		}
		if err := a.check(); err != nil {
			return err.Error()
		}
		e.Actions = append(e.Actions, a)
	case "channel_action":
		var c struct {
			ChannelID    string `json:"channelId"`
			Type         string `json:"type"`
			Milliseconds int64  `json:"time"`
		}
		switch {
		case json.Unmarshal(raw, &c) != nil || c.Type != "disabled":
			return "not a type that is documented"
		case c.ChannelID != "" && c.ChannelID != e.ChannelID:
			return "of another channel"
		case !validTime(c.Milliseconds):
			return "without a usable time"
		}
		// The latest one of a request: that the channel was active in between does not count.
		if at := time.UnixMilli(c.Milliseconds).UTC(); at.After(e.Disabled) {
			e.Disabled = at
		}
	default:
		return "not a kind of event that is documented"
	}
	return ""
}

// check tells whether an action has what is needed to do it and to answer for it.
func (a *TicketAction) check() error {
	switch a.Type {
	case ActionReply, ActionTemplateReply:
		if _, err := a.Reply(); err != nil {
			return err
		}
	case ActionButton, ActionDelete:
	default:
		return errors.New("not a type of action that is documented")
	}
	for _, need := range []struct {
		name string
		ok   bool
	}{
		{"ticketId", ValidTicketID(a.TicketID)}, {"networkItemId", ValidItemID(a.NetworkItemID)},
		{"actionId", ValidActionID(a.ActionID)}, {"uuid", validUUID(a.UUID)},
	} {
		if !need.ok {
			return fmt.Errorf("without a usable %s", need.name)
		}
	}
	return nil
}

// validUUID tells whether a uuid can be a key: SocialHub does not document its form, so any one line of 1 to 256 bytes will do.
func validUUID(id string) bool {
	return id != "" && len(id) <= 256 && !strings.ContainsFunc(id, unicode.IsControl)
}

// validTime tells whether a time in milliseconds is one that every database can keep: 1970 to 9999.
func validTime(ms int64) bool { return ms > 0 && ms < 253_402_300_800_000 }
