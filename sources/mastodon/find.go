package mastodon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/sources"
)

const (
	// clockError is how much a server's clock may be behind ours.
	clockError = 2 * time.Minute
	// maxOwnPages bounds how many pages of own posts are looked through.
	maxOwnPages = 20
)

// FindReply implements [sources.Finder]: it looks among the answers to the post, or among our own posts if the post is gone
// meanwhile, for one of ours with the same text since then.
func (s *source) FindReply(ctx context.Context, r *sources.Reply, since time.Time) (sources.Posted, bool, error) {
	id, err := s.statusID(&r.Action)
	if err != nil {
		return sources.Posted{}, false, err
	}
	me, err := s.account(ctx)
	if err != nil {
		return sources.Posted{}, false, err
	}
	wanted := &search{source: s, text: essence(r.Text), to: id, me: me, since: since.Add(-clockError)}
	_, err = s.status(ctx, id)
	var found *gomastodon.Status
	switch {
	case errors.Is(err, errGone):
		found, err = wanted.amongOwn(ctx)
	case err == nil:
		found, err = wanted.below(ctx)
	}
	if err != nil || found == nil {
		return sources.Posted{}, false, err
	}
	return s.posted(found), true, nil
}

// search is for a reply of ours.
type search struct {
	*source
	text  string // the essence of it
	to    gomastodon.ID
	me    gomastodon.ID
	since time.Time
}

// below looks through what stands below the post.
func (w *search) below(ctx context.Context) (*gomastodon.Status, error) {
	t, err := w.api.thread(ctx, w.to)
	if err != nil {
		return nil, err
	}
	if len(t.faults) > 0 {
		return nil, fmt.Errorf("look for a reply: %s sends posts that can't be read", w.api.shown)
	}
	return w.oldest(ctx, slices.DeleteFunc(t.below, func(s *gomastodon.Status) bool {
		return s == nil || parentID(s) != string(w.to)
	}))
}

// amongOwn looks through the account's posts since then. A server forgets what they answered when that is deleted.
func (w *search) amongOwn(ctx context.Context) (*gomastodon.Status, error) {
	var list []*gomastodon.Status
	var at gomastodon.Pagination
	for range maxOwnPages {
		p, err := w.api.own(ctx, w.me, at)
		if err != nil {
			return nil, err
		}
		done := p.next == ""
		for _, e := range p.entries {
			if e.fault != nil {
				return nil, fmt.Errorf("look for a reply: %s sends posts that can't be read", w.api.shown)
			}
			if list = append(list, e.status); e.at.Before(w.since) {
				done = true
			}
		}
		if done {
			return w.oldest(ctx, list)
		}
		at = gomastodon.Pagination{MaxID: gomastodon.ID(p.next)}
	}
	return nil, errors.New("look for a reply: there are too many posts since")
}

// oldest is the first one that may be the reply. Files do not count: who looks for a reply does not have its files.
func (w *search) oldest(ctx context.Context, list []*gomastodon.Status) (*gomastodon.Status, error) {
	slices.SortFunc(list, func(a, b *gomastodon.Status) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, s := range list {
		if s.Account.ID != w.me || s.CreatedAt.Before(w.since) {
			continue
		}
		text, err := w.written(ctx, s)
		if err != nil {
			return nil, err
		}
		if essence(text) == w.text {
			return s, nil
		}
	}
	return nil, nil
}

// written is a status as it was written. Servers without a route for that show it as HTML only.
func (w *search) written(ctx context.Context, s *gomastodon.Status) (string, error) {
	var raw struct {
		Text *string `json:"text"`
	}
	_, err := w.api.getJSON(ctx, statusPath(s.ID)+"/source", &raw)
	if err != nil && !isRefused(err) {
		return "", err
	}
	if err != nil || raw.Text == nil {
		return sources.Text(s.Content), nil
	}
	return *raw.Text, nil
}

func isRefused(err error) bool {
	_, refused := errors.AsType[*sources.RefusedError](err)
	return refused
}

// essence is what is compared of a text: without the names that it begins with, which change with the answered post, and
// without spaces and the domains of names, which are not where HTML shows a text.
func essence(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, farName.ReplaceAllString(withoutNames(text), "$1"))
}

// withoutNames cuts the names that a text begins with.
func withoutNames(text string) string {
	text = strings.TrimSpace(text)
	for strings.HasPrefix(text, "@") {
		end := strings.IndexFunc(text, unicode.IsSpace)
		if end < 0 {
			return ""
		}
		text = strings.TrimSpace(text[end:])
	}
	return text
}
