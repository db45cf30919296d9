package sync

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"socialhub-sync/socialhub"
)

// mend makes an interaction fit for SocialHub where that loses less than leaving the item out. It
// reports whether it changed anything. What it can't mend is left for the validation to refuse.
// Slices are copied before they change: the adapter may hold on to its own.
func mend(i *socialhub.Interaction) (mended bool) {
	note := func(changed bool) { mended = mended || changed }
	note(cutMessage(&i.Message))
	note(mendMedia(i))
	note(mendInteractor(i))
	note(dropIf(&i.Link, !socialhub.WebURL(i.Link)))
	note(dropIf(&i.URL, !socialhub.WebURL(i.URL)))
	note(dropIf(&i.Type, !socialhub.ValidType(i.Type)))
	if r := i.Rating; r != nil && (!(r.Value >= 0) || !(r.Scale >= 0) || math.IsInf(r.Value, 0) || r.Scale > socialhub.MaxRatingScale) {
		i.Rating, mended = nil, true
	}
	if i.Root != nil && (!socialhub.ValidItemID(i.Root.RootID) || i.Root.RootID == i.NetworkItemID) {
		i.Root, mended = nil, true
	}
	note(mendTime(&i.CreatedTime))
	return mended
}

// mendTime turns a time to UTC; one that has no ISO 8601 form is left out.
func mendTime(t *time.Time) bool {
	if t.IsZero() {
		return false
	}
	*t = t.UTC()
	if y := t.Year(); y < 1 || y > 9999 {
		*t = time.Time{}
		return true
	}
	return false
}

// cutMessage cuts at the border of a character as a person sees it, and marks the cut with "…".
func cutMessage(message *string) bool {
	if len(*message) <= socialhub.MaxMessage || socialhub.MessageLength(*message) <= socialhub.MaxMessage {
		return false
	}
	const mark = "…"
	room := socialhub.MaxMessage - socialhub.MessageLength(mark)
	rest, end, state := *message, 0, -1
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if room -= socialhub.MessageLength(cluster); room < 0 {
			break
		}
		end += len(cluster)
	}
	*message = (*message)[:end] + mark
	return true
}

func mendMedia(i *socialhub.Interaction) (mended bool) {
	for _, p := range i.Pictures {
		mended = mended || !socialhub.HTTPS(p.Small) || p.Large != "" && !socialhub.HTTPS(p.Large)
	}
	for _, a := range i.Attachments {
		mended = mended || !socialhub.HTTPS(a.URL) || a.Size < 0 || a.MimeType != "" && !socialhub.ValidMimeType(a.MimeType)
	}
	if !mended {
		return false
	}
	i.Pictures = slices.DeleteFunc(slices.Clone(i.Pictures), func(p socialhub.Picture) bool { return !socialhub.HTTPS(p.Small) })
	for n := range i.Pictures {
		dropIf(&i.Pictures[n].Large, !socialhub.HTTPS(i.Pictures[n].Large))
	}
	i.Attachments = slices.DeleteFunc(slices.Clone(i.Attachments), func(a socialhub.Attachment) bool { return !socialhub.HTTPS(a.URL) })
	for n := range i.Attachments {
		a := &i.Attachments[n]
		a.Size = max(0, a.Size)
		dropIf(&a.MimeType, !socialhub.ValidMimeType(a.MimeType))
	}
	return true
}

// mendInteractor keeps the person where it can: an id that is too short gets a prefix, a missing name
// is the id.
func mendInteractor(i *socialhub.Interaction) (mended bool) {
	if i.Interactor == nil {
		return false
	}
	who := *i.Interactor
	mended = dropIf(&who.Picture, !socialhub.HTTPS(who.Picture))
	mended = dropIf(&who.URL, !socialhub.WebURL(who.URL)) || mended
	if who.Name == "" {
		who.Name, mended = who.InteractorID, true
	}
	if n := utf8.RuneCountInString(who.InteractorID); n > 0 && n < socialhub.MinInteractorID {
		who.InteractorID, mended = "id-"+who.InteractorID, true
	}
	switch {
	case who.InteractorID == "":
		i.Interactor, mended = nil, true
	case mended:
		fixed := who // only a mended person is copied to the heap
		i.Interactor = &fixed
	}
	return mended
}

// dropIf empties a text that is bad; an empty text stays and counts as unchanged.
func dropIf(text *string, bad bool) bool {
	if *text == "" || !bad {
		return false
	}
	*text = ""
	return true
}

// refusal says in one line why SocialHub would not take an interaction; empty if it would.
func refusal(i *socialhub.Interaction) string {
	err := i.Validate()
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(fmt.Sprint(err), "\n", "; ")
}
