package mastodon

import (
	"slices"
	"strconv"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/sources"
)

// maxRoots bounds how many roots a run remembers, to about 4 MB. When there are more it asks again.
const maxRoots = 20_000

// status hands out a status after those above it, and if wanted those below it.
func (r *run) status(s *gomastodon.Status, below bool) error {
	if s.Reblog != nil || r.tooYoung(s) {
		return nil
	}
	wanted := r.req.Wants(s.CreatedAt, s.EditedAt)
	below = below && s.RepliesCount > 0 && !r.covered[string(s.ID)]
	if !wanted && !below {
		return nil
	}
	root, known := r.rootOf(s)
	if known && !below {
		return r.add(s, root)
	}
	t, err := r.api.thread(r.ctx, s.ID)
	if err != nil {
		return err
	}
	if !known {
		root = rootIn(t, s)
	}
	var replies []*gomastodon.Status
	if below {
		replies = r.wantedBelow(t)
	}
	if wanted || len(replies) > 0 {
		err = r.addAll(slices.Concat(t.above, []*gomastodon.Status{s}, replies), root)
	}
	for _, bad := range t.faults {
		if err == nil {
			err = r.out.add(sources.Item{Fault: bad.fault})
		}
	}
	return err
}

// tooYoung tells that a backfill wants neither this status nor what is below it.
func (r *run) tooYoung(s *gomastodon.Status) bool {
	return r.req.Backfill && !r.req.Until.IsZero() && !s.CreatedAt.Before(r.req.Until)
}

// wantedBelow returns the replies that belong to the request.
func (r *run) wantedBelow(t *thread) []*gomastodon.Status {
	var wanted []*gomastodon.Status
	for _, s := range t.below {
		if s == nil {
			continue
		}
		r.covered[string(s.ID)] = true
		if r.req.Wants(s.CreatedAt, s.EditedAt) {
			wanted = append(wanted, s)
		}
	}
	return wanted
}

func (r *run) addAll(list []*gomastodon.Status, root string) error {
	for _, s := range list {
		if err := r.add(s, root); err != nil {
			return err
		}
	}
	return nil
}

// rootOf returns the root of a status if it is known without asking.
func (r *run) rootOf(s *gomastodon.Status) (root string, known bool) {
	parent := parentID(s)
	if parent == "" {
		return string(s.ID), true
	}
	if root, known = r.roots[string(s.ID)]; !known {
		root, known = r.roots[parent]
	}
	return root, known
}

// rootIn is the topmost status above, or the status itself if there is none that the account may see.
func rootIn(t *thread, s *gomastodon.Status) string {
	for _, above := range t.above {
		if above != nil && above.ID != "" {
			return string(above.ID)
		}
	}
	return string(s.ID)
}

// parentID is what the status answers to. go-mastodon leaves its type open: old servers send a number.
func parentID(s *gomastodon.Status) string {
	switch id := s.InReplyToID.(type) {
	case string:
		return id
	case float64:
		return strconv.FormatFloat(id, 'f', 0, 64)
	}
	return ""
}

// add hands out one status.
func (r *run) add(s *gomastodon.Status, root string) error {
	if s == nil {
		return nil
	}
	if s.ID == "" {
		return r.out.add(sources.Item{Fault: noID("status")})
	}
	if len(r.roots) >= r.maxRoots {
		clear(r.roots)
	}
	r.roots[string(s.ID)] = root
	return r.out.add(r.item(s, root))
}
