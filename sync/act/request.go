package act

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"path"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
	"socialhub-sync/sync/act/fetch"
)

// actionOf is an action as an adapter sees it.
func actionOf(a *store.Action) sources.Action {
	return sources.Action{
		Key: a.Key, Type: socialhub.ActionType(a.Type), ID: a.ActionID,
		NetworkItemID: a.NetworkItemID, Ref: raw(a.Ref), RootID: a.RootID, RootRef: raw(a.RootRef), Time: a.Time,
	}
}

func raw(note string) json.RawMessage {
	if note == "" {
		return nil
	}
	return json.RawMessage(note)
}

// payloadOf reads what a reply says.
func payloadOf(a *store.Action) (socialhub.ReplyPayload, error) {
	event := socialhub.TicketAction{Type: socialhub.ActionType(a.Type), Payload: json.RawMessage(a.Payload)}
	p, err := event.Reply()
	if err != nil {
		return p, &sources.RefusedError{Reason: "what SocialHub sent can't be read: " + err.Error()}
	}
	return p, nil
}

// replyOf is a reply without its files, templateOf one that is made of a template.
func replyOf(a *store.Action, p *socialhub.ReplyPayload) *sources.Reply {
	return &sources.Reply{Action: actionOf(a), Text: p.Text, Option: p.Option}
}

func templateOf(a *store.Action, p *socialhub.ReplyPayload) *sources.TemplateReply {
	return &sources.TemplateReply{
		Action: actionOf(a), TemplateID: p.NetworkID, Name: p.Name, Language: p.Language, Variables: p.Variables,
	}
}

// isReply tells whether an action posts something.
func isReply(a *store.Action) bool {
	t := socialhub.ActionType(a.Type)
	return t == socialhub.ActionReply || t == socialhub.ActionTemplateReply
}

// files downloads the files of a reply. close gives them back, also after an error.
func (s *session) files(ctx context.Context, p *socialhub.ReplyPayload) (files []sources.Attachment, close func(), err error) {
	var open []io.Closer
	close = func() {
		for _, f := range open {
			_ = f.Close()
		}
	}
	for i := range p.Attachments {
		file, err := s.file(ctx, &p.Attachments[i])
		if err != nil {
			return nil, close, err
		}
		open = append(open, file)
		files = append(files, attachmentOf(&p.Attachments[i], file))
	}
	return files, close, nil
}

func (s *session) file(ctx context.Context, a *socialhub.ActionAttachment) (*fetch.File, error) {
	if a.Size > fetch.MaxSize {
		return nil, &sources.RefusedError{Reason: fmt.Sprintf("the file is larger than %d MiB", fetch.MaxSize>>20)}
	}
	file, err := s.Files.Get(ctx, a.URL)
	if refused, ok := errors.AsType[*fetch.RefusedError](err); ok {
		return nil, &sources.RefusedError{Reason: refused.Reason}
	}
	return file, err
}

// attachmentOf names a file as the team did. The name comes from outside and is no path.
func attachmentOf(a *socialhub.ActionAttachment, file *fetch.File) sources.Attachment {
	name := path.Base("/" + strings.ReplaceAll(bounded(a.Name), `\`, "/"))
	if name == "/" || name == "." || name == ".." {
		name = "file"
	}
	if ending := strings.TrimPrefix(a.Extension, "."); path.Ext(name) == "" && ending != "" && !strings.ContainsAny(ending, `/\`) {
		name += "." + bounded(ending)
	}
	said, _, _ := mime.ParseMediaType(file.MimeType)
	kind := "application/octet-stream"
	for _, k := range []string{said, a.MimeType} { // the team's own word counts most
		if socialhub.ValidMimeType(k) {
			kind = k
		}
	}
	return sources.Attachment{Name: name, MimeType: kind, Size: file.Size, Open: file.Open}
}

// note is what is kept of a posted reply until SocialHub is told of it.
type note struct {
	CreatedTime time.Time `json:"createdTime,omitzero"`
	URL         string    `json:"url,omitempty"`
}

// postedOf is the reply for the store. What SocialHub would refuse of it is left out: the reply stands, and the team must be told.
func postedOf(a *store.Action, posted sources.Posted) *store.PostedReply {
	id := posted.NetworkItemID
	if !socialhub.ValidItemID(id) {
		id = sources.ItemID("reply", a.Key)
	}
	var n note
	if year := posted.CreatedTime.UTC().Year(); year > 1 && year <= 9999 {
		n.CreatedTime = posted.CreatedTime.UTC()
	}
	if socialhub.WebURL(posted.URL) {
		n.URL = posted.URL
	}
	text, _ := json.Marshal(n) // a time and a string
	ref := ""
	if json.Valid(posted.Ref) {
		ref = string(posted.Ref)
	}
	return &store.PostedReply{NetworkItemID: id, RootID: cmp.Or(a.RootID, a.NetworkItemID), Ref: ref, Note: string(text)}
}

// confirmationOf is what SocialHub is told of a posted reply.
func confirmationOf(a *store.Action) *socialhub.PostedReply {
	var n note
	_ = json.Unmarshal([]byte(a.Reply), &n) // without a note the id alone is enough
	return &socialhub.PostedReply{NetworkItemID: a.ReplyID, CreatedTime: n.CreatedTime, URL: n.URL}
}
