package socialhub

import (
	"context"
	"net/http"
)

// Manifest is what a channel can do, as far as this program has to do with it. SocialHub keeps the rest (branding) as it is.
type Manifest struct {
	Webhook *Webhook `json:"webhook,omitempty"`
	Inbox   *Inbox   `json:"inbox,omitempty"`
}

// Webhook is where SocialHub sends the channel's events. The secret is sent only: what an answer says of it is not read.
type Webhook struct {
	URL    string        `json:"url"`
	Secret WebhookSecret `json:"-"`
}

// Inbox is what the team sees of the channel. Both lists are sent whole, empty ones too.
type Inbox struct {
	TicketActions []ManifestAction `json:"ticketActions"`
	RightSidebar  []Sidebar        `json:"rightSidebar"`
}

// Label is a text in the team's languages. SocialHub: 1 to 256 characters each.
type Label struct {
	EN string `json:"en"`
	DE string `json:"de"`
	FR string `json:"fr"`
}

// ManifestAction is one thing that the team can do with a ticket.
type ManifestAction struct {
	Type ActionType `json:"type"`
	// ID is unique in the channel, see [ValidActionID].
	ID    string `json:"id"`
	Label Label  `json:"label"`
	// Config is nil where all is as SocialHub has it by default.
	Config *ActionConfig `json:"config,omitempty"`
	// Attachments allows a file in a reply; nil allows none.
	Attachments *ActionFiles   `json:"attachments,omitempty"`
	Options     []ActionOption `json:"options,omitempty"`
}

// ActionConfig is how an action behaves in SocialHub.
type ActionConfig struct {
	ApprovalProcess bool `json:"approvalProcess,omitempty"`
	ForceTagging    bool `json:"forceTagging,omitempty"`
	// MaxLength of a reply's text, in characters; 0 is no limit. SocialHub: for replies only.
	MaxLength int `json:"maxLength,omitempty"`
	// Templates is where SocialHub asks for the templates of a template reply, which needs it.
	Templates *TemplatesAddress `json:"templates,omitempty"`
	// Timeout is until when the action can be done; nil is for ever.
	Timeout *ActionTimeout `json:"timeout,omitempty"`
}

// ActionTimeout ends an action some time after something, such as 24h after networkCreationTime.
type ActionTimeout struct {
	Duration string `json:"duration"`
	After    string `json:"after"`
}

// TemplatesAddress is an https address that SocialHub asks with ?channelId=, signed like a webhook's request.
type TemplatesAddress struct {
	URL string `json:"url"`
}

// ActionFiles allows a file in a reply.
type ActionFiles struct {
	// NoText: a reply has a text or a file, not both.
	NoText bool `json:"noText,omitempty"`
}

// ActionOption is one of the choices that a reply offers.
type ActionOption struct {
	ID          string `json:"id"`
	Label       Label  `json:"label"`
	Description *Label `json:"description,omitempty"`
}

// Sidebar shows the tickets of a thread beside a ticket.
type Sidebar struct {
	ID          string `json:"id"`
	Label       Label  `json:"label"`
	TreeBuilder string `json:"treeBuilder"`
}

// Ways in which a [Sidebar] shows a thread.
const (
	FlatListWithoutRoot = "flatListWithoutRoot"
	FlatListWithRoot    = "flatListWithRoot"
)

// Manifest asks for the channel's manifest (PATCH /manifest without a change).
func (c *Client) Manifest(ctx context.Context) (Manifest, Answer) {
	return c.ChangeManifest(ctx, &Manifest{})
}

// ChangeManifest changes the parts of the channel's manifest that m has (PATCH /manifest) and returns the whole. To a
// new webhook SocialHub sends a test request before it answers; if that fails the outcome is [Rejected].
func (c *Client) ChangeManifest(ctx context.Context, m *Manifest) (Manifest, Answer) {
	body := make(map[string]any)
	if m.Inbox != nil {
		inbox := *m.Inbox
		if inbox.TicketActions == nil {
			inbox.TicketActions = []ManifestAction{}
		}
		if inbox.RightSidebar == nil {
			inbox.RightSidebar = []Sidebar{}
		}
		body["inbox"] = inbox
	}
	var secret WebhookSecret
	if m.Webhook != nil {
		secret = m.Webhook.Secret
		body["webhook"] = struct {
			URL    string `json:"url"`
			Secret string `json:"secret"`
		}{m.Webhook.URL, secret.Reveal()}
	}
	return c.patchManifest(ctx, body, secret)
}

// RemoveWebhook takes the channel's webhook away.
func (c *Client) RemoveWebhook(ctx context.Context) Answer {
	_, a := c.patchManifest(ctx, map[string]any{"webhook": nil}, WebhookSecret{})
	return a
}

func (c *Client) patchManifest(ctx context.Context, body any, secret WebhookSecret) (Manifest, Answer) {
	var got manifestReply
	a := c.do(ctx, call{
		operation: OpManifest, method: http.MethodPatch, path: "/manifest", body: body, secret: secret, want: http.StatusOK,
	}, &got)
	if a.Outcome != Done {
		return Manifest{}, a
	}
	return got.Manifest, a
}

// manifestReply is the answer about a manifest, of which nothing is needed.
type manifestReply struct{ Manifest }

func (*manifestReply) fault() string { return "" }
