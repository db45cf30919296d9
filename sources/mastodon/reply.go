package mastodon

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/sources"
)

// inherit is the reply_visibility that leaves a reply as the post that it answers.
const inherit = "inherit"

// openness are the visibilities that every server has, the most public one first.
var openness = map[string]int{"public": 0, "unlisted": 1, "private": 2, "direct": 3}

// replyVisibility is what was wished for, but never more public than what is answered. Of words that some server has for
// its own nobody knows who is meant: only those who are named see that reply.
func replyVisibility(wish, answered string) string {
	most, known := openness[answered]
	if !known {
		return "direct"
	}
	if wished, known := openness[wish]; known && wished > most {
		return wish
	}
	return answered
}

// newStatus is the body of POST /api/v1/statuses.
type newStatus struct {
	Status      string   `json:"status"`
	InReplyToID string   `json:"in_reply_to_id"`
	MediaIDs    []string `json:"media_ids,omitempty"`
	Visibility  string   `json:"visibility"`
	SpoilerText string   `json:"spoiler_text,omitempty"`
	Sensitive   bool     `json:"sensitive,omitempty"`
	Language    string   `json:"language,omitempty"`
}

// Reply implements [sources.Replier]. Everything before the last request leaves nothing that anybody sees.
func (s *source) Reply(ctx context.Context, r *sources.Reply) (sources.Posted, error) {
	reply, err := s.compose(ctx, r)
	if err != nil {
		return sources.Posted{}, err
	}
	rules, err := s.rules(ctx)
	if err != nil {
		return sources.Posted{}, err
	}
	if err := rules.check(reply.SpoilerText, reply.Status); err != nil {
		return sources.Posted{}, err
	}
	for _, file := range r.Attachments {
		id, err := s.upload(ctx, &file)
		if err != nil {
			return sources.Posted{}, err
		}
		reply.MediaIDs = append(reply.MediaIDs, id)
	}
	q := &request{method: http.MethodPost, path: "/api/v1/statuses", kind: "application/json", key: r.Key, scope: "write:statuses"}
	q.body, q.size = jsonBody(reply)
	var status gomastodon.Status
	if _, err := s.api.do(ctx, q, &status); err != nil {
		return sources.Posted{}, err
	}
	if status.ID == "" || parentID(&status) != reply.InReplyToID {
		return sources.Posted{}, errors.New("post a reply: the server answers with something else than the reply")
	}
	return s.posted(&status), nil
}

// posted is a status of ours, with the id that Pull gives it.
func (s *source) posted(status *gomastodon.Status) sources.Posted {
	return sources.Posted{
		NetworkItemID: sources.ItemID(s.prefix, string(status.ID)), URL: address(status.URL, status.URI),
		CreatedTime: status.CreatedAt.UTC(), Ref: refOf(status.ID),
	}
}

// compose makes the status that answers another one, as Mastodon's own clients do: it begins with the names of the author
// and of everybody whom the other one names, and has its content warning.
func (s *source) compose(ctx context.Context, r *sources.Reply) (*newStatus, error) {
	id, err := s.statusID(&r.Action)
	if err != nil {
		return nil, err
	}
	answered, err := s.status(ctx, id)
	if err != nil {
		return nil, err
	}
	me, err := s.account(ctx)
	if err != nil {
		return nil, err
	}
	wish := s.settings.ReplyVisibility
	if _, chosen := openness[r.Option]; chosen {
		wish = r.Option
	}
	return &newStatus{
		Status: withNames(answeredNames(answered, me), r.Text), InReplyToID: string(id),
		Visibility: replyVisibility(wish, answered.Visibility), SpoilerText: answered.SpoilerText,
		Sensitive: answered.SpoilerText != "" && len(r.Attachments) > 0, Language: s.settings.ReplyLanguage,
	}, nil
}

// answeredNames are those whom an answer names, without us, each once.
func answeredNames(answered *gomastodon.Status, me gomastodon.ID) []string {
	var names []string
	seen := map[string]bool{}
	add := func(id gomastodon.ID, name string) {
		if key := strings.ToLower(name); id != me && name != "" && !seen[key] {
			seen[key] = true
			names = append(names, name)
		}
	}
	add(answered.Account.ID, cmp.Or(answered.Account.Acct, answered.Account.Username))
	for _, m := range answered.Mentions {
		add(m.ID, cmp.Or(m.Acct, m.Username))
	}
	return names
}

// withNames puts names before a text that does not have them already.
func withNames(names []string, text string) string {
	var missing []string
	for _, name := range names {
		if there := regexp.MustCompile(`(?i)(^|[^\pL\pN_@/])@` + regexp.QuoteMeta(name) + `($|[^\pL\pN_@])`); !there.MatchString(text) {
			missing = append(missing, "@"+name)
		}
	}
	return strings.TrimSpace(strings.Join(append(missing, text), " "))
}
