package sourcetest

import (
	"fmt"
	"regexp"

	"socialhub-sync/socialhub"
)

// Ability is something that the adapter promises to do with an item of the [World], see [Suite.Actions].
type Ability struct {
	Type socialhub.ActionType
	// ID is that of the manifest's action, such as a button's; the type's own name if empty.
	ID string
	// Files tells that a reply may have attachments. Without it one with an attachment must be refused, not posted
	// without it.
	Files bool
	// TemplateID, Language and Variables are those of a template reply.
	TemplateID, Language string
	Variables            map[string]any
}

// Actor is a [World] in which one can see what was done. A reply that was posted must also be there for Pull, unless
// [Suite.Unseen] says otherwise.
type Actor interface {
	// Done returns what was done since the world began, each thing as often as it was done.
	Done() []Deed
}

// Deed is something that was done in a [World].
type Deed struct {
	// Type may be reply for a template reply too.
	Type socialhub.ActionType
	// Item is the [Item.ID] of the item that it was done to, Button the id of the button.
	Item   int
	Button string
	// Text is what a reply says, in which the text of [sources.Reply] must be found as it is; Files is what its
	// attachments hold.
	Text  string
	Files []string
}

func (a Ability) id() string {
	if a.ID == "" {
		return string(a.Type)
	}
	return a.ID
}

// isReply tells whether the ability leaves a reply.
func (a Ability) isReply() bool {
	return a.Type == socialhub.ActionReply || a.Type == socialhub.ActionTemplateReply
}

// matches tells whether a deed is what this ability does to an item.
func (a Ability) matches(d Deed, item int) bool {
	switch {
	case d.Item != item:
		return false
	case a.Type == socialhub.ActionTemplateReply && d.Type == socialhub.ActionReply:
		return true
	}
	return d.Type == a.Type && (a.Type != socialhub.ActionButton || d.Button == a.id())
}

// replyPattern finds the mark of a reply, by which it is known whatever became of the rest of its text.
var replyPattern = regexp.MustCompile(`\bsourcetest reply \d+\b`)

func markOf(n int) string { return fmt.Sprintf("sourcetest reply %d", n) }

// replyText is a reply that is easily broken on its way.
func replyText(n int) string {
	return markOf(n) + ` says "yes" & 'no', <b>100%</b> \n :key $1 {{x}} ü 🙂` + "\n\nin two paragraphs"
}
