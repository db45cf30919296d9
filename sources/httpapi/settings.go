// Package httpapi reads JSON APIs over http or https that a source's settings describe: no code is needed for one more.
//
// A poll asks for pages. Of each answer `items` gives the API's own items, `map` turns each into interactions in the
// format of [sources.ItemDecoder], and `details` asks for what hangs below an item. `actions` carry out what the team does,
// a request each. Settings that are jq programs or
// templates are compiled when the config is read, see package jq for what they may use.
//
// The cursor is the largest value of a jq expression over the items, and while a walk through the pages is not over the
// place where it goes on, see [cursor].
package httpapi

import (
	"context"
	"log/slog"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/httpapi/httpauth"
	"socialhub-sync/sources/jq"
)

// New returns the adapter.
func New() sources.Adapter {
	return sources.Adapter{
		Name:    "http",
		Summary: "any JSON API, described by jq expressions",
		Settings: func() sources.Settings {
			return &Settings{
				Cursor:  Cursor{Lookback: defaultLookback},
				Timeout: sources.DefaultHTTPTimeout,
				MaxSize: sources.DefaultHTTPSize,
			}
		},
	}
}

const (
	maxTimeout      = 10 * time.Minute
	maxMaxSize      = 256 << 20
	maxInterval     = time.Minute
	defaultLookback = 5 * time.Minute
)

// Settings describe an API.
type Settings struct {
	Request  `yaml:",inline" doc:"How to ask for a page."`
	Auth     httpauth.Settings `yaml:"auth" doc:"Who we are. It is sent to the hosts that are written in url, details[].url and the url of actions only."`
	Paging   Paging            `yaml:"paging" doc:"How to get the next page."`
	Items    jq.Program        `yaml:"items" doc:"Needed. jq: the items in an answer, one output each, such as .reviews[]."`
	Map      jq.Program        `yaml:"map" doc:"Needed. jq: the interactions made of an item, none to several."`
	Cursor   Cursor            `yaml:"cursor" doc:"How to ask for what is new only."`
	Rescan   time.Duration     `yaml:"rescan" doc:"Makes $since at least this long ago, for an API that does not say what changed, such as 72h."`
	Details  []Detail          `yaml:"details" doc:"What to ask for about each item, such as the comments of an issue."`
	Actions  Actions           `yaml:"actions" doc:"How to carry out what the team does with an item."`
	Errors   []Rule            `yaml:"errors" doc:"What answers mean that are not what they seem; the first that holds counts."`
	Pause    jq.Program        `yaml:"pause" doc:"jq: how many seconds an answer asks to wait, such as .backoff. Headers like X-RateLimit-Remaining are understood anyway."`
	Interval time.Duration     `yaml:"interval" doc:"The least time between two requests."`
	Prefix   string            `yaml:"prefix" doc:"What $prefix is, the beginning of ids; the source's name if empty. Set it before you rename a source, or its items become new tickets."`
	Timeout  time.Duration     `yaml:"timeout" doc:"How long one request may take, such as 30s."`
	MaxSize  int64             `yaml:"max_size" doc:"The largest answer that is read, in bytes after decompression."`
}

// Request is how to ask for a page. Templates hold jq as \(expression).
type Request struct {
	URL     jq.Template            `yaml:"url" doc:"Needed. Template: the address. What an expression gives is percent-encoded, unless it is the whole address."`
	Method  string                 `yaml:"method" doc:"GET if empty, or POST. In actions POST if empty, and DELETE for delete; PUT and PATCH too."`
	Headers map[string]jq.Template `yaml:"headers" doc:"Templates: what to send; secrets belong into auth. What gives null is left out."`
	Query   map[string]jq.Template `yaml:"query" doc:"Templates: parameters of the address, encoded as needed. What gives null is left out."`
	Body    jq.Program             `yaml:"body" doc:"jq: the body; a text is sent as it is, anything else as JSON."`
}

// Paging says how to get the next page.
type Paging struct {
	Kind  string     `yaml:"kind" doc:"link (the header Link), url (an address in the answer), token ($page.token), page ($page.number), offset ($page.offset); one page only if empty."`
	Next  jq.Program `yaml:"next" doc:"jq, for url and token: the next one in an answer. null, false or an empty text ends the pages."`
	First *int       `yaml:"first" doc:"The first $page.number, 1 if left out and kind is page, or the first $page.offset."`
	Stop  jq.Program `yaml:"stop" doc:"jq: true on the last page. Pages by number or offset end at a page without items anyway."`
}

// Cursor says how to ask for what is new only.
type Cursor struct {
	Value    jq.Program    `yaml:"value" doc:"jq on an item: when it changed, as RFC 3339, or its growing id. The largest is $cursor. Left out: when the last complete poll began."`
	Order    string        `yaml:"order" doc:"How the API sorts the items by that: oldest or newest first; neither if empty."`
	Lookback time.Duration `yaml:"lookback" doc:"$since is this long before $cursor, if that is a time."`
}

// Detail asks for what hangs below an item. Its programs see the outer item as $item.
type Detail struct {
	When    jq.Program `yaml:"when" doc:"jq on the outer item: whether to ask; always if empty."`
	Request `yaml:",inline" doc:"How to ask for a page."`
	Paging  Paging     `yaml:"paging" doc:"How to get the next page."`
	Items   jq.Program `yaml:"items" doc:"Needed. jq: the inner items in an answer."`
	Map     jq.Program `yaml:"map" doc:"Needed. jq: the interactions made of an inner item."`
}

// Rule says what an answer means.
type Rule struct {
	When    jq.Program `yaml:"when" doc:"Needed. jq on an answer's body, with $status and $headers: whether the rule holds."`
	Do      string     `yaml:"do" doc:"Needed. stop (a person must act), retry, wait (see after), skip (take the answer as a last page without items; not in actions), or refuse (in actions only: it can't be done)."`
	After   jq.Program `yaml:"after" doc:"jq: how many seconds to wait; 60 if left out."`
	Message string     `yaml:"message" doc:"What to tell the user; for an action, the team."`
}

// Open implements [sources.Settings].
func (s *Settings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	prefix := s.Prefix
	if prefix == "" {
		prefix = env.Name
	}
	auth, err := s.Auth.Open(s.Timeout, env.UserAgent)
	if err != nil {
		return nil, err
	}
	opened := &source{
		settings: s, prefix: prefix, logger: env.Logger, auth: auth, wait: wait, turn: make(chan struct{}, 1),
		client: sources.NewHTTPClient(sources.HTTPOptions{UserAgent: env.UserAgent, Timeout: s.Timeout, MaxSize: s.MaxSize}),
	}
	if s.Actions.Reply.Find.given() {
		return finder{opened}, nil
	}
	return opened, nil
}

type source struct {
	settings *Settings
	prefix   string
	logger   *slog.Logger
	auth     *httpauth.Authorizer
	client   *sources.HTTPClient
	// wait waits that long or until ctx is done, then with its cause.
	wait func(ctx context.Context, d time.Duration) error
	// notBefore is when the next request may be made.
	notBefore time.Time
	decoder   sources.ItemDecoder
	// turn is full while an action is carried out: the rest of the source serves one at a time.
	turn chan struct{}
}

// Close implements [sources.Source].
func (s *source) Close() error {
	s.client.Close()
	s.auth.Close()
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
