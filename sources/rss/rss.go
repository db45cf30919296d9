// Package rss reads feeds: RSS 0.9x, 1.0 and 2.0, Atom and JSON Feed, over http or https.
//
// An entry becomes an interaction: its title and readable text are the message, its pictures are pictures,
// its enclosures are attachments. Its networkItemId is the prefix and the entry's own id (guid, id), else its
// link, else a hash of title and date. A feed holds its latest entries only, so a backfill sees no more than a poll.
package rss

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"socialhub-sync/sources"
)

// New returns the adapter.
func New() sources.Adapter {
	return sources.Adapter{
		Name:    "rss",
		Summary: "RSS, Atom and JSON feeds",
		Settings: func() sources.Settings {
			return &Settings{Timeout: sources.DefaultHTTPTimeout, MaxSize: sources.DefaultHTTPSize}
		},
	}
}

const (
	maxTimeout = 10 * time.Minute
	maxMaxSize = 256 << 20
	// parseTime bounds the reading of a feed that was fetched: some take gofeed time that grows with the square of their size.
	parseTime = time.Minute
)

// Settings say which feed to read and how.
//
// The default of Prefix is the source's name, not something of the address: a feed may move to another host or to
// https and keeps its tickets, and two feeds whose entries are numbered 1, 2, 3 don't meet.
type Settings struct {
	URL     sources.Secret `yaml:"url" doc:"Needed. The feed's http or https address; it may hold a user and password."`
	Prefix  string         `yaml:"prefix" doc:"What the networkItemId of each entry begins with; the source's name if empty. Set it before you rename a source, or its entries become new tickets."`
	Timeout time.Duration  `yaml:"timeout" doc:"How long one request may take, such as 30s."`
	MaxSize int64          `yaml:"max_size" doc:"The largest feed that is read, in bytes after decompression."`
}

// Validate implements [sources.Settings].
func (s *Settings) Validate() error {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, &sources.SettingError{Key: key, Problem: problem}) }
	// Not the parser's error, which would show a password.
	switch u, err := url.Parse(s.URL.Reveal()); {
	case s.URL.IsZero():
		fault("url", "missing; write the feed's http or https address")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		fault("url", "not an http or https address, such as https://example.com/feed.xml")
	}
	faults = append(faults, sources.CheckPrefix(s.Prefix))
	if s.Timeout <= 0 || s.Timeout > maxTimeout {
		fault("timeout", fmt.Sprintf("want more than 0s and at most %s", maxTimeout))
	}
	if s.MaxSize <= 0 || s.MaxSize > maxMaxSize {
		fault("max_size", fmt.Sprintf("want 1 to %d bytes", maxMaxSize))
	}
	return errors.Join(faults...)
}

// Open implements [sources.Settings].
func (s *Settings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	prefix := s.Prefix
	if prefix == "" {
		prefix = env.Name
	}
	return &source{
		url:       s.URL,
		prefix:    prefix,
		logger:    env.Logger,
		parseTime: parseTime,
		client:    sources.NewHTTPClient(sources.HTTPOptions{UserAgent: env.UserAgent, Timeout: s.Timeout, MaxSize: s.MaxSize}),
	}, nil
}

type source struct {
	url       sources.Secret
	prefix    string
	logger    *slog.Logger
	client    *sources.HTTPClient
	parseTime time.Duration
}

// Close implements [sources.Source].
func (s *source) Close() error {
	s.client.Close()
	return nil
}

const accept = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.8"

// Pull implements [sources.Source]. Entries come oldest first; the cursor, which holds the server's validators,
// travels with the last batch, so that a feed which was not stored as a whole is fetched again.
func (s *source) Pull(ctx context.Context, req sources.Request) iter.Seq2[sources.Batch, error] {
	return func(yield func(sources.Batch, error) bool) {
		request := sources.HTTPRequest{URL: s.url.Reveal(), Header: http.Header{"Accept": {accept}}}
		if !req.Backfill {
			request.Have = s.validators(req.Cursor)
		}
		answer, err := s.client.Do(ctx, request)
		if err != nil {
			yield(sources.Batch{}, err)
			return
		}
		if answer.NotModified {
			if !answer.NotBefore.IsZero() {
				yield(sources.Batch{NotBefore: answer.NotBefore}, nil)
			}
			return
		}
		entries, err := s.parse(ctx, answer)
		if err != nil {
			yield(sources.Batch{}, err)
			return
		}
		last := sources.Batch{NotBefore: answer.NotBefore}
		if !req.Backfill {
			last.Cursor = s.cursor(answer.Validators)
		}
		send(ctx, s.items(entries, &req), last, yield)
	}
}

// parse reads a feed within [parseTime].
func (s *source) parse(ctx context.Context, answer *sources.HTTPAnswer) ([]entry, error) {
	tooSlow := fmt.Errorf("answered with a feed that takes more than %s to read", s.parseTime)
	limited, cancel := context.WithTimeoutCause(ctx, s.parseTime, tooSlow)
	defer cancel()
	entries, err := parse(limited, answer)
	if err != nil && ctx.Err() == nil {
		if limited.Err() != nil {
			err = tooSlow
		}
		return nil, &sources.SettingError{Key: "url", Problem: sources.ShownURL(answer.URL) + " " + err.Error()}
	}
	return entries, err
}

// send yields the items in batches; the last one is like last.
func send(ctx context.Context, items []sources.Item, last sources.Batch, yield func(sources.Batch, error) bool) {
	for len(items) > sources.MaxBatch {
		if ctx.Err() != nil {
			yield(sources.Batch{}, context.Cause(ctx))
			return
		}
		if !yield(sources.Batch{Items: items[:sources.MaxBatch:sources.MaxBatch]}, nil) {
			return
		}
		items = items[sources.MaxBatch:]
	}
	last.Items = items
	yield(last, nil)
}

// items turns a feed's entries into items, each id once: of entries that share an id the newest one counts.
func (s *source) items(entries []entry, req *sources.Request) []sources.Item {
	oldestFirst(entries)
	seen := make(map[string]bool, len(entries))
	var items []sources.Item
	for _, e := range slices.Backward(entries) {
		item, ok := e.item(s.prefix)
		if !ok || seen[item.Interaction.NetworkItemID] {
			continue
		}
		seen[item.Interaction.NetworkItemID] = true
		if req.Wants(item.Interaction.CreatedTime, item.UpdatedTime) {
			items = append(items, item)
		}
	}
	slices.Reverse(items)
	return items
}

const cursorVersion = 1

// cursor is what is stored.
type cursor struct {
	Version int `json:"v"`
	// URL is a hash of the address that the validators belong to: the address itself may hold a key.
	URL string `json:"url"`
	sources.Validators
}

func (s *source) cursor(v sources.Validators) string {
	text, err := json.Marshal(cursor{Version: cursorVersion, URL: s.urlHash(), Validators: v})
	if err != nil { // texts and a number: can't be
		return ""
	}
	return string(text)
}

// validators returns what the stored cursor has for this address: nothing if it is of another address or version.
func (s *source) validators(text string) sources.Validators {
	if text == "" {
		return sources.Validators{}
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.Version != cursorVersion {
		s.logger.Warn("cursor is not understood, the whole feed is read again")
		return sources.Validators{}
	}
	if c.URL != s.urlHash() {
		return sources.Validators{}
	}
	return c.Validators
}

// urlHash tells addresses apart. User and password don't count.
func (s *source) urlHash() string {
	u, err := url.Parse(s.url.Reveal())
	if err != nil {
		return ""
	}
	u.User = nil
	sum := sha256.Sum256([]byte(u.String()))
	return hex.EncodeToString(sum[:8])
}
