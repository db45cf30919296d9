package mastodon

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/sources"
)

// Sizes of a page. Mastodon gives at most 80 notifications and 40 statuses. Own posts come in fewer because each may
// need a request for its thread.
const (
	mentionsPerPage = 80
	statusesPerPage = 40
	ownPerPage      = 20
)

// otherNotifications are those that are no mentions, as far as all servers know them. A server may have more.
var otherNotifications = []string{"follow", "follow_request", "favourite", "reblog", "poll", "status", "update"}

// api makes the calls. It counts them. It is safe for use by several goroutines.
type api struct {
	client    *gomastodon.Client
	transport *transport
	timeout   time.Duration
	shown     string
	calls     atomic.Int64
}

func newAPI(s *Settings, server *url.URL, agent string) *api {
	t := newTransport(agent, s.MaxSize)
	client := gomastodon.NewClient(&gomastodon.Config{
		Server: (&url.URL{Scheme: server.Scheme, Host: server.Host}).String(), AccessToken: s.AccessToken.Reveal(),
	})
	client.Client = http.Client{Transport: t}
	client.UserAgent = agent
	return &api{client: client, transport: t, timeout: s.Timeout, shown: sources.ShownURL(server)}
}

func (a *api) close() { a.transport.base.CloseIdleConnections() }

// entry is one line of a page.
type entry struct {
	// id is what the server pages by: a notification's own, not its status'.
	id string
	// at is the time that goes with id; zero if it can't be read.
	at time.Time
	// status is nil if there is none to read.
	status *gomastodon.Status
	fault  *sources.Fault
}

// page is a part of a stream, the lowest id first.
type page struct {
	entries []entry
	// oldest and newest are the ids at its ends; both are empty if there is no entry with an id.
	oldest, newest string
	// newestAt is the latest time in it that is not in the future: some clocks are wrong.
	newestAt time.Time
	// next is the max_id of the page of older entries; empty if this is the last one.
	next string
}

// call makes one request within the time limit. decoded tells whether the answer is the JSON that go-mastodon wants;
// if not, answer.body is there to read what can be read.
func (a *api) call(ctx context.Context, f func(context.Context) error) (got *answer, decoded bool, err error) {
	limited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	a.calls.Add(1)
	got = &answer{}
	err = f(context.WithValue(limited, answerKey{}, got))
	if err == nil {
		return got, true, nil
	}
	if got.body != nil && ctx.Err() == nil {
		return got, false, nil
	}
	return nil, false, a.callError(ctx, limited, err)
}

// me returns the account that the token belongs to.
func (a *api) me(ctx context.Context) (*gomastodon.Account, error) {
	var account *gomastodon.Account
	_, decoded, err := a.call(ctx, func(ctx context.Context) (err error) {
		account, err = a.client.GetAccountCurrentUser(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !decoded || account.ID == "" {
		return nil, a.unreadable("the account")
	}
	return account, nil
}

// mentions returns notifications about mentions.
func (a *api) mentions(ctx context.Context, at gomastodon.Pagination) (*page, error) {
	at.Limit = mentionsPerPage
	var list []*gomastodon.Notification
	got, decoded, err := a.call(ctx, func(ctx context.Context) (err error) {
		list, err = a.client.GetNotificationsExclude(ctx, &otherNotifications, &at)
		return err
	})
	if err != nil {
		return nil, err
	}
	var bad []entry
	if !decoded {
		if list, bad, err = readEach[gomastodon.Notification](got.body, "notification"); err != nil {
			return nil, a.unreadable("the notifications")
		}
	}
	entries := bad
	for _, n := range list {
		switch {
		case n == nil || n.ID == "":
			entries = append(entries, entry{fault: noID("notification")})
		case n.Type != "mention":
			entries = append(entries, entry{id: string(n.ID), at: n.CreatedAt})
		default:
			entries = append(entries, entry{id: string(n.ID), at: n.CreatedAt, status: n.Status})
		}
	}
	return newPage(entries, &at, got), nil
}

// own returns what the account posted, without boosts.
func (a *api) own(ctx context.Context, account gomastodon.ID, at gomastodon.Pagination) (*page, error) {
	at.Limit = ownPerPage
	return a.statuses(ctx, &at, func(ctx context.Context) ([]*gomastodon.Status, error) {
		return a.client.GetAccountStatusesParams(ctx, account, url.Values{"exclude_reblogs": {"true"}}, &at)
	})
}

// tagged returns the posts with a hashtag.
func (a *api) tagged(ctx context.Context, tag string, at gomastodon.Pagination) (*page, error) {
	at.Limit = statusesPerPage
	return a.statuses(ctx, &at, func(ctx context.Context) ([]*gomastodon.Status, error) {
		return a.client.GetTimelineHashtag(ctx, tag, false, &at)
	})
}

func (a *api) statuses(ctx context.Context, at *gomastodon.Pagination, f func(context.Context) ([]*gomastodon.Status, error)) (*page, error) {
	var list []*gomastodon.Status
	got, decoded, err := a.call(ctx, func(ctx context.Context) (err error) {
		list, err = f(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	var entries []entry
	if !decoded {
		if list, entries, err = readEach[gomastodon.Status](got.body, "status"); err != nil {
			return nil, a.unreadable("the statuses")
		}
	}
	for _, s := range list {
		if s == nil || s.ID == "" {
			entries = append(entries, entry{fault: noID("status")})
			continue
		}
		entries = append(entries, entry{id: string(s.ID), at: s.CreatedAt, status: s})
	}
	return newPage(entries, at, got), nil
}

// newPage sorts a page: servers agree on what it holds, not on its order.
func newPage(entries []entry, next *gomastodon.Pagination, got *answer) *page {
	slices.SortStableFunc(entries, func(a, b entry) int { return compareIDs(a.id, b.id) })
	p := &page{entries: entries}
	now := time.Now()
	for _, e := range entries {
		if p.newest = e.id; p.oldest == "" {
			p.oldest = e.id
		}
		if e.at.After(p.newestAt) && !e.at.After(now) {
			p.newestAt = e.at
		}
	}
	if p.next = string(next.MaxID); !got.linked || len(entries) == 0 {
		p.next = p.oldest
	}
	return p
}

// thread is what stands above and below a status.
type thread struct {
	above, below []*gomastodon.Status
	faults       []entry
}

// thread returns nothing if the status is gone.
func (a *api) thread(ctx context.Context, id gomastodon.ID) (*thread, error) {
	var whole *gomastodon.Context
	got, decoded, err := a.call(ctx, func(ctx context.Context) (err error) {
		whole, err = a.client.GetStatusContext(ctx, gomastodon.ID(url.PathEscape(string(id))))
		return err
	})
	switch {
	case isGone(err):
		return &thread{}, nil
	case err != nil:
		return nil, err
	case decoded:
		return &thread{above: whole.Ancestors, below: whole.Descendants}, nil
	}
	var parts struct{ Ancestors, Descendants json.RawMessage }
	if err := json.Unmarshal(got.body, &parts); err != nil {
		return nil, a.unreadable("a thread")
	}
	var t thread
	for _, part := range []struct {
		text []byte
		into *[]*gomastodon.Status
	}{{parts.Ancestors, &t.above}, {parts.Descendants, &t.below}} {
		list, faults, err := readEach[gomastodon.Status](part.text, "status")
		if err != nil {
			return nil, a.unreadable("a thread")
		}
		*part.into, t.faults = list, append(t.faults, faults...)
	}
	return &t, nil
}

func (a *api) unreadable(what string) error {
	return &sources.SettingError{Key: "server", Problem: fmt.Sprintf(
		"%s answered with something else than %s; check that it is a server with Mastodon's API", a.shown, what)}
}

// readEach reads a list of which some element is not as go-mastodon wants it: one bad status must not hold up the
// others. It gives the good ones, and an entry with a fault for each bad one.
func readEach[T any](text []byte, kind string) (good []*T, bad []entry, err error) {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, nil, err
	}
	for _, raw := range list {
		one := new(T)
		if err := json.Unmarshal(raw, one); err != nil {
			bad = append(bad, badEntry(raw, kind, err))
			continue
		}
		good = append(good, one)
	}
	return good, bad, nil
}

func badEntry(raw []byte, kind string, err error) entry {
	var known struct {
		ID gomastodon.ID `json:"id"`
	}
	_ = json.Unmarshal(raw, &known) // as much as there is
	sum := sha256.Sum256(raw)
	return entry{id: string(known.ID), fault: &sources.Fault{
		Place:  kind + " " + cmp.Or(string(known.ID), hex.EncodeToString(sum[:8])),
		Reason: "the server sends it in a form that can't be read: " + reason(err),
	}}
}

func noID(kind string) *sources.Fault {
	return &sources.Fault{Place: kind + " without an id", Reason: "the server sends one that can't be told from others"}
}

// reason tells a JSON error without content.
func reason(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(wrong.Value, " ") // "number 17"
		return fmt.Sprintf("%s is a %s", cmp.Or(wrong.Field, "it"), kind)
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return "a time is not one as the API has them"
	}
	return sources.ShownReason(err)
}

// compareIDs orders ids as the servers do: numbers that grow longer, and ULIDs and flake ids of equal length.
func compareIDs(a, b string) int { return gomastodon.ID(a).Compare(gomastodon.ID(b)) }
