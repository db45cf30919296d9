package sources

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"socialhub-sync/socialhub"
)

// What a [Source] may be able to do beside Pull, each by an interface of its own. The engine opens a source once more
// for it, apart from the one that it pulls from, and calls its methods from several goroutines at once, never twice at a
// time for one item.
//
// An error says what is known of the outcome:
//
//   - a [*RefusedError]: nothing was done and never will be; the team is told the reason
//   - a [*NotDoneError] or a [*RetryAfterError]: nothing was done; the same is tried again later
//   - a [*StopError]: nothing was done, a person must change the settings; the team is told
//   - any other, also that of a ctx that was done: it may have been done. It is repeated only where that is safe, see
//     [Repeater], or where a [Finder] says that it was not done.
type (
	// Replier posts replies.
	Replier interface {
		Reply(ctx context.Context, r *Reply) (Posted, error)
	}
	// TemplateReplier posts replies that are made of a template.
	TemplateReplier interface {
		ReplyWithTemplate(ctx context.Context, r *TemplateReply) (Posted, error)
	}
	// ButtonPresser does what a button of the manifest stands for; its id is [Action.ID].
	ButtonPresser interface {
		PressButton(ctx context.Context, a *Action) error
	}
	// Deleter deletes an item. One that is gone already is deleted.
	Deleter interface {
		Delete(ctx context.Context, a *Action) error
	}
	// TemplateLister knows templates for replies.
	TemplateLister interface {
		Templates(ctx context.Context) ([]socialhub.Template, error)
	}

	// Repeater is a source on which the same action may be done again: for so long after the first try a repetition
	// with the same [Action.Key] has no further effect, and a reply gives the same [Posted]. 0 is never, [Always] always.
	// A source without it can't repeat anything.
	Repeater interface {
		RepeatableFor(a *Action) time.Duration
	}
	// Finder is a source that can tell whether a reply was posted. It is asked after a try whose outcome is not known,
	// when that try can't be under way any more; since is when the first one began. r comes without its files. An error says that it is not known.
	Finder interface {
		FindReply(ctx context.Context, r *Reply, since time.Time) (posted Posted, found bool, err error)
	}
	// Chooser is a source that can do less than its methods say: it depends on its settings.
	Chooser interface {
		Can(t socialhub.ActionType, actionID string) bool
	}
)

// Always is how long an action may be repeated that has no further effect however often it is done.
const Always = time.Duration(1<<63 - 1)

// Action is something that the team did in SocialHub with an item of the source.
type Action struct {
	// Key is the same for every try of one action and differs between actions: what idempotency keys are made of. It
	// has 1 to 256 characters out of a-z A-Z 0-9 _ - for a reply, and any up to 256 for the rest.
	Key string
	// Type is what was done, ID which action of the manifest it was.
	Type socialhub.ActionType
	ID   string
	// NetworkItemID is the item's, Ref what [Item.Ref] or [Posted.Ref] said of it; nil if that is not known.
	NetworkItemID string
	Ref           json.RawMessage
	// RootID and RootRef are those of the first item of the thread; empty if the item is none's answer.
	RootID  string
	RootRef json.RawMessage
	// Time is when somebody did it, in UTC.
	Time time.Time
}

// Reply is an answer to an item.
type Reply struct {
	Action
	// Text may be empty if there is an attachment.
	Text string
	// Option is the id of the choice that was made, if the manifest's action offers some.
	Option string
	// Attachments are at most one today.
	Attachments []Attachment
}

// TemplateReply is an answer made of a template.
type TemplateReply struct {
	Action
	// TemplateID is what the source, or the config, calls the template: [socialhub.Template.NetworkID].
	TemplateID, Name string
	Language         string
	Variables        map[string]any
}

// Attachment is a file of a reply, downloaded already.
type Attachment struct {
	Name, MimeType string
	// Size is in bytes.
	Size int64
	// Open reads the file from its beginning; the caller closes it. It may be called again.
	Open func() (io.ReadCloser, error)
}

// Posted is a reply as the source has it.
type Posted struct {
	// NetworkItemID is the id that Pull will give to the reply, see [Item]; empty if the source does not say.
	NetworkItemID string
	// URL is where people see it, and CreatedTime when it was posted; either may be missing.
	URL         string
	CreatedTime time.Time
	// Ref is what [Item.Ref] would be.
	Ref json.RawMessage
}

// RefusedError says that nothing was done and that trying again does not help.
type RefusedError struct {
	// Reason is for the team, who can't see the config or the log: "the post was deleted". It holds no secret.
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// NotDoneError says that nothing was done and that trying again may help.
type NotDoneError struct{ Err error }

func (e *NotDoneError) Error() string { return e.Err.Error() }
func (e *NotDoneError) Unwrap() error { return e.Err }

// NotDone tells whether an error of an ability is one after which nothing was done for certain.
func NotDone(err error) bool {
	for _, is := range []func(error) bool{isA[*RefusedError], isA[*NotDoneError], isA[*RetryAfterError], isA[*StopError]} {
		if is(err) {
			return true
		}
	}
	return false
}

func isA[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

// Can tells whether a source can do an action of this type and id.
func Can(s Source, t socialhub.ActionType, actionID string) bool {
	able := false
	switch t {
	case socialhub.ActionReply:
		_, able = s.(Replier)
	case socialhub.ActionTemplateReply:
		_, able = s.(TemplateReplier)
	case socialhub.ActionButton:
		_, able = s.(ButtonPresser)
	case socialhub.ActionDelete:
		_, able = s.(Deleter)
	}
	if c, ok := s.(Chooser); ok {
		able = able && c.Can(t, actionID)
	}
	return able
}
