package sandbox

import (
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"time"

	"socialhub-sync/socialhub"
)

// ticketJSON is a ticket as SocialHub answers it.
type ticketJSON struct {
	ID          string          `json:"_id"`
	AccountID   string          `json:"accountId"`
	ChannelID   string          `json:"channelId"`
	CreatedTime string          `json:"createdTime"`
	UpdatedTime string          `json:"updatedTime,omitempty"`
	Interaction interactionJSON `json:"interaction"`
}

type interactionJSON struct {
	NetworkItemID string                 `json:"networkItemId"`
	Type          string                 `json:"type"`
	Message       string                 `json:"message,omitempty"`
	Pictures      []socialhub.Picture    `json:"pictures"`
	Attachments   []socialhub.Attachment `json:"attachments"`
	Link          string                 `json:"link,omitempty"`
	Rating        *socialhub.Rating      `json:"rating,omitempty"`
	CreatedTime   string                 `json:"createdTime"`
	UpdatedTime   string                 `json:"updatedTime,omitempty"`
	URL           string                 `json:"url,omitempty"`
	Root          *socialhub.Root        `json:"root,omitempty"`
	Interactor    *socialhub.Interactor  `json:"interactor,omitempty"`
}

// ticketBody is the answer that shows a ticket: with SocialHub's own view of root and interactor.
func ticketBody(ch *channel, t *Ticket) []byte {
	i := &t.Interaction
	view := ticketJSON{
		ID: t.ID, AccountID: ch.info.AccountID, ChannelID: ch.info.ID, CreatedTime: jsonTime(t.Received),
		Interaction: interactionJSON{
			NetworkItemID: i.NetworkItemID, Type: i.Type, Message: i.Message, Pictures: i.Pictures,
			Attachments: i.Attachments, Link: i.Link, Rating: i.Rating, CreatedTime: jsonTime(i.CreatedTime), URL: i.URL,
		},
	}
	if len(t.Revisions) > 1 {
		view.UpdatedTime = jsonTime(t.Changed)
	}
	item := &view.Interaction
	if !t.UpdatedTime.IsZero() {
		item.UpdatedTime = jsonTime(t.UpdatedTime)
	}
	if item.Type == "" {
		item.Type = socialhub.TypeTicket
	}
	if item.Pictures == nil {
		item.Pictures = []socialhub.Picture{}
	}
	if item.Attachments == nil {
		item.Attachments = []socialhub.Attachment{}
	}
	if t.RootID != "" {
		item.Root = &socialhub.Root{RootID: t.RootID}
	}
	if who := i.Interactor; who != nil {
		own := *who
		own.InteractorID = interactorID(ch.info.AccountID, who.InteractorID)
		item.Interactor = &own
	}
	body, _ := json.Marshal(&view) // the numbers came from JSON, so they marshal
	return body
}

// interactorID is SocialHub's own id for a person of a network: the same in every channel of the account.
func interactorID(accountID, networkID string) string {
	if networkID == "" {
		return ""
	}
	h := fnv.New128a()
	h.Write([]byte(accountID + "/" + networkID))
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// jsonTime writes a time as JavaScript does.
func jsonTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
