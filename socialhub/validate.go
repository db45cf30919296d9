package socialhub

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"
)

// FieldError is one rule of SocialHub that a field breaks.
type FieldError struct {
	// Field is the path in SocialHub's own names: "attachments[2].mimeType".
	Field string
	// Problem says what is wrong and what is wanted instead, in lower case and without the field's content.
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Validate reports every rule of POST /inbox/tickets that the interaction breaks, joined, each as a [*FieldError]; nil if
// SocialHub should take it. It can't tell whether the networkItemId is still free or the channel may send a type.
func (i *Interaction) Validate() error {
	var f faults
	f.itemID("networkItemId", i.NetworkItemID)
	f.content(i.Message, i.Pictures, i.Attachments, i.Link, i.Rating)
	f.webURL("url", i.URL)
	f.time("createdTime", i.CreatedTime)
	if i.Root != nil {
		f.itemID("root.rootId", i.Root.RootID)
	}
	if i.Interactor != nil {
		if utf8.RuneCountInString(i.Interactor.InteractorID) < MinInteractorID {
			f.add("interactor.interactorId", fmt.Sprintf("must have at least %d characters", MinInteractorID))
		}
		f.interactor(i.Interactor)
	}
	if i.Type != "" && !ValidType(i.Type) {
		f.add("type", "is none of SocialHub's types, such as TICKET, COMMENT or REVIEW")
	}
	return errors.Join(f...)
}

// Validate is [Interaction.Validate] for the rules of PATCH /inbox/tickets/:id.
func (u *Update) Validate() error {
	var f faults
	f.content(u.Message, u.Pictures, u.Attachments, u.Link, u.Rating)
	f.webURL("url", u.URL)
	f.time("updatedTime", u.UpdatedTime)
	if u.Interactor != nil {
		if u.Interactor.InteractorID != "" {
			f.add("interactor.interactorId", "can't be changed: leave it out")
		}
		f.interactor(u.Interactor)
	}
	return errors.Join(f...)
}

// faults gathers broken rules. Field names with an index are made only for a fault, so that
// a valid interaction costs no allocation.
type faults []error

func (f *faults) add(field, problem string) {
	*f = append(*f, &FieldError{Field: field, Problem: problem})
}

func (f *faults) content(message string, pictures []Picture, attachments []Attachment, link string, rating *Rating) {
	if message == "" && len(pictures) == 0 && len(attachments) == 0 && link == "" && rating == nil {
		f.add("message", "is empty: one of message, pictures, attachments, link and rating is needed")
	}
	// No text has more code units than bytes.
	if len(message) > MaxMessage {
		if n := MessageLength(message); n > MaxMessage {
			f.add("message", fmt.Sprintf("has %d UTF-16 code units, at most %d are allowed: shorten it", n, MaxMessage))
		}
	}
	for n := range pictures {
		f.picture(n, &pictures[n])
	}
	for n := range attachments {
		f.attachment(n, &attachments[n])
	}
	f.webURL("link", link)
	if rating != nil {
		f.rating(rating)
	}
}

const wantHTTPS = "must be a complete https:// address"

func (f *faults) picture(n int, p *Picture) {
	if !HTTPS(p.Small) {
		f.add(fmt.Sprintf("pictures[%d].small", n), wantHTTPS)
	}
	if p.Large != "" && !HTTPS(p.Large) {
		f.add(fmt.Sprintf("pictures[%d].large", n), wantHTTPS)
	}
}

func (f *faults) attachment(n int, a *Attachment) {
	if !HTTPS(a.URL) {
		f.add(fmt.Sprintf("attachments[%d].url", n), wantHTTPS)
	}
	if a.Size < 0 {
		f.add(fmt.Sprintf("attachments[%d].size", n), "must not be below 0: leave it out if it is unknown")
	}
	if a.MimeType != "" && !ValidMimeType(a.MimeType) {
		f.add(fmt.Sprintf("attachments[%d].mimeType", n), "must look like image/png, without parameters: leave it out if it is unknown")
	}
}

func (f *faults) rating(r *Rating) {
	// Written so that NaN, which JSON can't carry either, is a fault.
	if !(r.Value >= 0 && r.Value <= math.MaxFloat64) {
		f.add("rating.value", "must be a number from 0 up")
	}
	if !(r.Scale >= 0 && r.Scale <= MaxRatingScale) {
		f.add("rating.scale", fmt.Sprintf("must be a number from 0 to %d", MaxRatingScale))
	}
}

// interactor checks what creation and update share: all but the id.
func (f *faults) interactor(who *Interactor) {
	if who.Name == "" {
		f.add("interactor.name", "is required")
	}
	f.webURL("interactor.url", who.URL)
	if who.Picture != "" && !HTTPS(who.Picture) {
		f.add("interactor.picture", wantHTTPS)
	}
}

func (f *faults) itemID(field, id string) {
	if !ValidItemID(id) {
		f.add(field, fmt.Sprintf("must be %d to %d of the characters a-z A-Z 0-9 / | @ & $ ! ? ( ) [ ] { } + * ~ , ; . : = _ -",
			MinItemID, MaxItemID))
	}
}

func (f *faults) webURL(field, rawURL string) {
	if rawURL != "" && !WebURL(rawURL) {
		f.add(field, "must be a complete https:// or http:// address")
	}
}

func (f *faults) time(field string, t time.Time) {
	if year := t.Year(); year < 1 || year > 9999 {
		f.add(field, "must be between the years 1 and 9999")
	}
}
