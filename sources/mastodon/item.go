package mastodon

import (
	"cmp"
	"encoding/json"
	"net/url"
	"path"
	"strings"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// ref is what it takes to act on a status later. Whom an answer names, who may see it and its warning are asked for
// then: they change with an edit, and the store keeps no content.
type ref struct {
	ID string `json:"id"`
}

// refOf is the note about a status.
func refOf(id gomastodon.ID) json.RawMessage {
	note, err := json.Marshal(ref{ID: string(id)})
	if err != nil { // a text: can't be
		return nil
	}
	return note
}

// item returns the status as an item. root is the id of its thread's top, which may be its own.
func (r *run) item(s *gomastodon.Status, root string) sources.Item {
	pictures, attachments := media(s.MediaAttachments)
	i := socialhub.Interaction{
		NetworkItemID: sources.ItemID(r.prefix, string(s.ID)),
		Message:       message(s),
		Pictures:      pictures,
		Attachments:   attachments,
		Link:          firstLink(s.Content),
		CreatedTime:   s.CreatedAt.UTC(),
		URL:           address(s.URL, s.URI),
		Interactor:    r.interactor(&s.Account),
	}
	if root != string(s.ID) {
		i.Root = &socialhub.Root{RootID: sources.ItemID(r.prefix, root)}
	}
	if i.Message == "" && i.Link == "" && len(i.Pictures)+len(i.Attachments) == 0 {
		i.Message = i.URL // SocialHub takes no ticket without content
	}
	return sources.Item{
		Interaction: i, UpdatedTime: s.EditedAt.UTC(), Ref: refOf(s.ID),
		Own: s.Account.ID != "" && s.Account.ID == r.me,
	}
}

// message is the content warning, the text and what a poll lets choose from. Its votes are left out: they change all the time.
func message(s *gomastodon.Status) string {
	var parts []string
	if warning := strings.TrimSpace(s.SpoilerText); warning != "" {
		parts = append(parts, "CW: "+warning)
	}
	if text := sources.Text(s.Content); text != "" {
		parts = append(parts, text)
	}
	if s.Poll != nil && len(s.Poll.Options) > 0 {
		var lines []string
		for _, option := range s.Poll.Options {
			lines = append(lines, "- "+strings.Join(strings.Fields(option.Title), " "))
		}
		parts = append(parts, strings.Join(lines, "\n"))
	}
	return strings.Join(parts, "\n\n")
}

// interactor identifies the author by name and server, which are the same from every server that has this one's posts.
func (r *run) interactor(a *gomastodon.Account) *socialhub.Interactor {
	acct := cmp.Or(a.Acct, a.Username, string(a.ID))
	if acct == "" {
		return nil
	}
	if !strings.Contains(acct, "@") {
		acct += "@" + r.server.Hostname()
	}
	return &socialhub.Interactor{
		InteractorID: sources.ItemID("mastodon", strings.ToLower(acct)),
		Name:         cmp.Or(strings.TrimSpace(a.DisplayName), a.Username, acct),
		URL:          address(a.URL, a.URI),
		Picture:      address(a.Avatar, a.AvatarStatic),
	}
}

// address is the first one that is absolute, http or https.
func address(candidates ...string) string {
	for _, candidate := range candidates {
		if candidate == "" {
			continue
		}
		if u := sources.ResolveURL(nil, candidate); u != "" {
			return u
		}
	}
	return ""
}

// media parts pictures from other files. The server's own copy is better than the original, which may be gone.
func media(list []gomastodon.Attachment) (pictures []socialhub.Picture, attachments []socialhub.Attachment) {
	for _, m := range list {
		whole := address(m.URL, m.RemoteURL)
		if whole == "" {
			continue
		}
		if m.Type == "image" {
			pictures = append(pictures, socialhub.Picture{Small: cmp.Or(address(m.PreviewURL), whole), Large: whole})
			continue
		}
		name := fileName(whole)
		attachments = append(attachments, socialhub.Attachment{
			URL: whole, Name: name, MimeType: mimeTypes[strings.ToLower(path.Ext(name))],
		})
	}
	return pictures, attachments
}

// mimeTypes of the files that servers keep; the API says no more than "video" or "audio".
var mimeTypes = map[string]string{
	".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime",
	".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav",
	".flac": "audio/flac", ".m4a": "audio/mp4", ".aac": "audio/aac",
	".gif": "image/gif", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
	".avif": "image/avif", ".pdf": "application/pdf", ".zip": "application/zip",
}

func fileName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	if name := path.Base(u.Path); name != "." && name != "/" {
		return name
	}
	return ""
}
