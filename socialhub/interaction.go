package socialhub

import "time"

// Interaction is the content of a ticket in SocialHub's own field names: the body of
// POST /inbox/tickets. The zero value of a field means "not sent".
// [Interaction.Validate] tells whether SocialHub would take it.
type Interaction struct {
	// NetworkItemID is unique in a channel; SocialHub: 6 to 256 characters of a fixed set, see [ValidItemID].
	NetworkItemID string `json:"networkItemId,omitempty"`
	// Message is plain text, at most [MaxMessage] UTF-16 code units.
	Message     string       `json:"message,omitempty"`
	Pictures    []Picture    `json:"pictures,omitempty"`
	Attachments []Attachment `json:"attachments,omitempty"`
	// Link is the URL that the interaction shares, not the interaction's own address.
	Link   string  `json:"link,omitempty"`
	Rating *Rating `json:"rating,omitempty"`
	// CreatedTime is when the interaction was made on its network; SocialHub takes its own clock if it is missing.
	CreatedTime time.Time `json:"createdTime,omitzero"`
	// URL is the interaction's own address on its network.
	URL        string      `json:"url,omitempty"`
	Root       *Root       `json:"root,omitempty"`
	Interactor *Interactor `json:"interactor,omitempty"`
	// Type is for channels of reusable manifests only; empty means TICKET.
	Type string `json:"type,omitempty"`
}

// Picture is one image; both addresses must be https, Small is required.
type Picture struct {
	Small string `json:"small"`
	Large string `json:"large,omitempty"`
}

// Attachment is one file; URL must be https, Size is in bytes, 0 if unknown.
type Attachment struct {
	URL      string `json:"url"`
	Name     string `json:"name,omitempty"`
	Size     int64  `json:"size,omitempty"`
	MimeType string `json:"mimeType,omitempty"`
}

// Rating is Value out of Scale: 7/10 is Value 7, Scale 10.
type Rating struct {
	Value float64 `json:"value"`
	Scale float64 `json:"scale"`
}

// Root names the first item of the thread. SocialHub makes an empty hidden ticket for a
// RootID that it does not know, and the root of a ticket can never be changed.
type Root struct {
	RootID string `json:"rootId"`
}

// Interactor is the person behind an interaction. Equal ids link the tickets of one person; the id
// of the channel itself (its networkId) means "our own post", which never shows as unread.
type Interactor struct {
	// InteractorID is required, at least [MinInteractorID] characters.
	InteractorID string `json:"interactorId,omitempty"`
	Name         string `json:"name"`
	URL          string `json:"url,omitempty"`
	// Picture is the avatar's https address.
	Picture string `json:"picture,omitempty"`
}

// Update is the body of PATCH /inbox/tickets/:id: the full wanted content, so that sending it twice
// does no harm. Message, Pictures and Attachments are always sent, empty ones clear what the ticket
// had. SocialHub documents no way to take away a link, rating or URL: those that are empty stay.
type Update struct {
	Message     string       `json:"message"`
	Pictures    []Picture    `json:"pictures"`
	Attachments []Attachment `json:"attachments"`
	Link        string       `json:"link,omitempty"`
	Rating      *Rating      `json:"rating,omitempty"`
	URL         string       `json:"url,omitempty"`
	// Interactor is sent without its id, which can't be changed.
	Interactor *Interactor `json:"interactor,omitempty"`
	// UpdatedTime is when the item changed on its network.
	UpdatedTime time.Time `json:"updatedTime,omitzero"`
}

// UpdateOf returns the PATCH that makes an existing ticket equal to the interaction.
func UpdateOf(i *Interaction, updated time.Time) *Update {
	u := &Update{
		Message: i.Message, Pictures: i.Pictures, Attachments: i.Attachments,
		Link: i.Link, Rating: i.Rating, URL: i.URL, UpdatedTime: updated,
	}
	if u.Pictures == nil {
		u.Pictures = []Picture{}
	}
	if u.Attachments == nil {
		u.Attachments = []Attachment{}
	}
	if i.Interactor != nil {
		who := *i.Interactor
		who.InteractorID = ""
		u.Interactor = &who
	}
	return u
}
