package mastodon

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

var (
	_ sources.Replier       = (*source)(nil)
	_ sources.Repeater      = (*source)(nil)
	_ sources.Finder        = (*source)(nil)
	_ sources.ButtonPresser = (*source)(nil)
	_ sources.Deleter       = (*source)(nil)
	_ sources.Chooser       = (*source)(nil)
)

// button is what a button does: a POST to this part of a status, which needs this scope.
type button struct{ verb, scope string }

// buttons are by the ids that the manifest may have. The server does the same with a status that is so already.
var buttons = map[string]button{
	"favourite":   {"favourite", "write:favourites"},
	"unfavourite": {"unfavourite", "write:favourites"},
	"boost":       {"reblog", "write:statuses"},
	"unboost":     {"unreblog", "write:statuses"},
}

// Can implements [sources.Chooser].
func (s *source) Can(t socialhub.ActionType, actionID string) bool {
	if t == socialhub.ActionButton {
		_, known := buttons[actionID]
		return known
	}
	return t == socialhub.ActionReply || t == socialhub.ActionDelete
}

// keyLife is for how long the same Idempotency-Key gives the same status. Mastodon: "Idempotency keys are stored for up
// to 1 hour" (docs.joinmastodon.org/methods/statuses, headers of POST /api/v1/statuses); the rest is for clocks and
// slow answers.
const keyLife = 50 * time.Minute

// RepeatableFor implements [sources.Repeater]. Replies can be repeated on a server that is known to be Mastodon: some of
// those with its API have no idempotency keys. What is known is forgotten with the source; see [source.FindReply] then.
func (s *source) RepeatableFor(a *sources.Action) time.Duration {
	switch {
	case a.Type != socialhub.ActionReply:
		return sources.Always
	case s.learned.knowsMastodon():
		return keyLife
	}
	return 0
}

// PressButton implements [sources.ButtonPresser].
func (s *source) PressButton(ctx context.Context, a *sources.Action) error {
	pressed, known := buttons[a.ID]
	if !known {
		return &sources.RefusedError{Reason: "this source has no such button"}
	}
	id, err := s.statusID(a)
	if err != nil {
		return err
	}
	var status gomastodon.Status
	_, err = s.api.do(ctx, &request{method: http.MethodPost, path: statusPath(id) + "/" + pressed.verb, scope: pressed.scope}, &status)
	if err == nil && status.ID == "" {
		return s.api.unreadable("a status")
	}
	return err
}

// Delete implements [sources.Deleter]. A server deletes nobody's statuses but the account's own.
func (s *source) Delete(ctx context.Context, a *sources.Action) error {
	id, err := s.statusID(a)
	if err != nil {
		return err
	}
	status, err := s.status(ctx, id)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	me, err := s.account(ctx)
	if err != nil {
		return err
	}
	if status.Account.ID != me {
		return &sources.RefusedError{Reason: "only posts of our own account can be deleted"}
	}
	_, err = s.api.do(ctx, &request{method: http.MethodDelete, path: statusPath(id), scope: "write:statuses"}, &struct{}{})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// statusID is the id of the status that an action is about: the ref's, or what the item's id is made of.
func (s *source) statusID(a *sources.Action) (gomastodon.ID, error) {
	var note ref
	if json.Unmarshal(a.Ref, &note) == nil && note.ID != "" {
		return gomastodon.ID(note.ID), nil
	}
	if id, ours := strings.CutPrefix(a.NetworkItemID, s.prefix+"-"); ours && id != "" && sources.ItemID(s.prefix, id) == a.NetworkItemID {
		return gomastodon.ID(id), nil
	}
	return "", &sources.RefusedError{Reason: "it is not known which post this ticket is of"}
}

func statusPath(id gomastodon.ID) string { return "/api/v1/statuses/" + url.PathEscape(string(id)) }

// status asks for a status as it is now. [errGone] says that there is none.
func (s *source) status(ctx context.Context, id gomastodon.ID) (*gomastodon.Status, error) {
	var status gomastodon.Status
	if _, err := s.api.getJSON(ctx, statusPath(id), &status); err != nil {
		return nil, err
	}
	if status.ID == "" {
		return nil, &sources.NotDoneError{Err: s.api.unreadable("a status")}
	}
	return &status, nil
}

// learned is what a source has asked its server, for actions to come.
type learned struct {
	mu    sync.Mutex
	me    gomastodon.ID
	rules *rules
	asked time.Time // for the rules
}

func (l *learned) knowsMastodon() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rules != nil && l.rules.mastodon
}

// account is the id of the account that the token belongs to.
func (s *source) account(ctx context.Context) (gomastodon.ID, error) {
	s.learned.mu.Lock()
	me := s.learned.me
	s.learned.mu.Unlock()
	if me != "" {
		return me, nil
	}
	var account gomastodon.Account
	if _, err := s.api.getJSON(ctx, "/api/v1/accounts/verify_credentials", &account); err != nil {
		return "", notAPost(err, s.api)
	}
	if account.ID == "" || account.Username == "" {
		return "", &sources.NotDoneError{Err: s.api.unreadable("the account")}
	}
	s.learned.mu.Lock()
	defer s.learned.mu.Unlock()
	s.learned.me = account.ID
	return account.ID, nil
}

// notAPost is the error for what a server with Mastodon's API must have: a 404 is not about a post.
func notAPost(err error, a *api) error {
	if errors.Is(err, errGone) {
		return &sources.NotDoneError{Err: a.unreadable("the account")}
	}
	return err
}
