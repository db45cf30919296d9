package socialhub

import (
	"context"
	"net/http"
	"time"
)

// PostedReply is a reply as it stands on its network.
type PostedReply struct {
	// NetworkItemID is the id of the reply's own ticket.
	NetworkItemID string    `json:"networkItemId"`
	CreatedTime   time.Time `json:"createdTime,omitzero"`
	URL           string    `json:"url,omitempty"`
	// Type is for channels of reusable manifests only.
	Type string `json:"type,omitempty"`
}

// Confirm tells the team that a reply was posted (POST …/replies/:followupId/success) and returns the _id of the
// reply's own ticket. [Conflict] means that the reply's networkItemId is a ticket already.
func (c *Client) Confirm(ctx context.Context, ticketID, followupID string, r *PostedReply) Answer {
	if a, ok := addressable(ticketID, followupID); !ok {
		return a
	}
	return c.doTicket(ctx, call{
		operation: OpCallback, method: http.MethodPost, path: "/inbox/tickets/" + ticketID + "/replies/" + followupID + "/success",
		body: content{r}, want: http.StatusCreated, conflict: true, missing: true,
	}, "")
}

// Fail tells the team that an action did not work (POST …/reset/:actionId). followupID is needed for replies and empty
// for the rest; reason is shown to the team.
func (c *Client) Fail(ctx context.Context, ticketID, actionID, followupID, reason string) Answer {
	if a, ok := addressable(ticketID, actionID); !ok {
		return a
	}
	body := struct {
		FollowupID string `json:"followupId,omitempty"`
		Reason     string `json:"reason"`
	}{followupID, reason}
	return c.doTicket(ctx, call{
		operation: OpCallback, method: http.MethodPost, path: "/inbox/tickets/" + ticketID + "/reset/" + actionID,
		body: body, want: http.StatusCreated, missing: true,
	}, "")
}

// addressable tells whether the ids can stand in a path.
func addressable(ticketID, other string) (Answer, bool) {
	switch {
	case !ValidTicketID(ticketID):
		return Answer{Outcome: Rejected, Reason: "the ticket's id is not 24 hex digits"}, false
	case !ValidActionID(other):
		return Answer{Outcome: Rejected, Reason: "the id of the action or the reply can't stand in an address"}, false
	}
	return Answer{}, true
}
