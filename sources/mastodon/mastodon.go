// Package mastodon reads an account's part of the fediverse from its server, by the API that Mastodon, GoToSocial,
// Pleroma, Akkoma and others share: posts that mention the account, the replies below its own posts, and hashtags.
//
// A status becomes an interaction; its networkItemId is the prefix and the status' id on that server. A reply comes
// after the statuses above it, and its root is the first of them that the account may see. Boosts are no interactions.
//
// A poll asks each stream for what has a higher id than what it has, page by page. The API tells nobody of edits, and
// a status that reaches the server late has the id of an old one. So every poll also looks back: it pages from
// the newest status down to those that are older than a setting, as far as a fixed number of requests allows, and the
// next poll goes on from there.
package mastodon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"socialhub-sync/sources"
)

// New returns the adapter.
func New() sources.Adapter {
	return sources.Adapter{
		Name:    "mastodon",
		Summary: "mentions, own threads and hashtags from Mastodon and servers with its API",
		Settings: func() sources.Settings {
			return &Settings{
				Mentions: true, Threads: true, History: defaultSpan, Rescan: defaultSpan,
				Timeout: sources.DefaultHTTPTimeout, MaxSize: defaultMaxSize, ReplyVisibility: inherit,
			}
		},
	}
}

const (
	defaultSpan = 72 * time.Hour // of history and rescan
	maxSpan     = 366 * 24 * time.Hour
	maxTimeout  = 10 * time.Minute
	// defaultMaxSize has room for the largest thread that Mastodon sends, of 8,192 statuses.
	defaultMaxSize = 32 << 20
	maxMaxSize     = 256 << 20
	maxHashtags    = 20
)

// Settings say whose posts to read and which.
type Settings struct {
	Server          string         `yaml:"server" doc:"Needed. The https address of the account's server, such as https://mastodon.example; http only for a server on this machine."`
	AccessToken     sources.Secret `yaml:"access_token" doc:"Needed. A token of the account with the scopes read:accounts, read:notifications and read:statuses (or read); for replies and buttons also write:statuses, write:media and write:favourites (or write)."`
	Mentions        bool           `yaml:"mentions" doc:"Whether to read posts that mention the account, direct messages too."`
	Threads         bool           `yaml:"threads" doc:"Whether to read the account's own posts and all replies below them."`
	Hashtags        []string       `yaml:"hashtags" doc:"Hashtags to read, such as [coffee, tea]; at most 20."`
	History         time.Duration  `yaml:"history" doc:"Where the first poll begins: this long before the newest post of each stream, such as 72h. A backfill reads older posts."`
	Rescan          time.Duration  `yaml:"rescan" doc:"Posts from this long before the newest one are read again for edits, late arrivals and new replies, such as 72h."`
	ReplyVisibility string         `yaml:"reply_visibility" doc:"Who may see replies: inherit (as the answered post), public, unlisted, private or direct. A reply is never more public than the post that it answers."`
	ReplyLanguage   string         `yaml:"reply_language" doc:"The language of replies as a code such as de; the account's own default if empty."`
	Prefix          string         `yaml:"prefix" doc:"What the networkItemId of each status begins with; the source's name if empty. Set it before you rename a source, or its statuses become new tickets."`
	Timeout         time.Duration  `yaml:"timeout" doc:"How long one request may take, such as 30s."`
	MaxSize         int64          `yaml:"max_size" doc:"The largest answer that is read, in bytes after decompression."`
}

// hashtag is what may stand behind the #; the servers differ, none takes less. Its length is bounded apart: a
// counted repetition of these classes takes four megabytes.
var hashtag = regexp.MustCompile(`^[\p{L}\p{M}\p{N}_·]+$`)

const maxHashtag = 100 // ours

// language is a code of ISO 639, with or without a region.
var language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z]{2,4})?$`)

// Validate implements [sources.Settings].
func (s *Settings) Validate() error {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, &sources.SettingError{Key: key, Problem: problem}) }
	if problem := checkServer(s.Server); problem != "" {
		fault("server", problem)
	}
	switch token := s.AccessToken.Reveal(); {
	case token == "":
		fault("access_token", "missing; make one on the server, under Development in the account's preferences")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		fault("access_token", "has a space or a character that no token has")
	}
	if !s.Mentions && !s.Threads && len(s.Hashtags) == 0 {
		fault("hashtags", "nothing to read; name hashtags, or turn on mentions or threads")
	}
	if problem := checkHashtags(s.Hashtags); problem != "" {
		fault("hashtags", problem)
	}
	if s.History < 0 || s.History > maxSpan {
		fault("history", "want 0s to 8784h")
	}
	if s.Rescan < time.Minute || s.Rescan > maxSpan {
		fault("rescan", "want 1m to 8784h")
	}
	if _, known := openness[s.ReplyVisibility]; !known && s.ReplyVisibility != inherit {
		fault("reply_visibility", "want inherit, public, unlisted, private or direct")
	}
	if s.ReplyLanguage != "" && !language.MatchString(s.ReplyLanguage) {
		fault("reply_language", "want a code of two or three small letters, such as de")
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

// checkServer says what is wrong with a server's address. The address may be shown, so it must not hold a password.
func checkServer(address string) string {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return "missing; write the server's address, such as https://mastodon.example"
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "not an https address, such as https://mastodon.example"
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return "want the server's address alone, such as https://mastodon.example"
	case u.Scheme == "http" && !isThisMachine(u.Hostname()):
		return "want https: http would show the access token to everybody on the way"
	}
	return ""
}

func isThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

func checkHashtags(tags []string) string {
	if len(tags) > maxHashtags {
		return fmt.Sprintf("want at most %d", maxHashtags)
	}
	seen := map[string]bool{}
	for _, tag := range tags {
		name := tagName(tag)
		if !hashtag.MatchString(name) || utf8.RuneCountInString(name) > maxHashtag {
			return fmt.Sprintf("%q is no hashtag; want at most %d letters, digits and _", tag, maxHashtag)
		}
		if seen[name] {
			return fmt.Sprintf("%q is there twice", tag)
		}
		seen[name] = true
	}
	return ""
}

// tagName is a hashtag without its #, in lower case, as servers compare them.
func tagName(tag string) string { return strings.ToLower(strings.TrimPrefix(tag, "#")) }

// Open implements [sources.Settings].
func (s *Settings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	server, err := url.Parse(s.Server)
	if err != nil {
		return nil, &sources.SettingError{Key: "server", Problem: "not an https address"}
	}
	prefix := s.Prefix
	if prefix == "" {
		prefix = env.Name
	}
	return &source{
		settings: s, prefix: prefix, server: server, logger: env.Logger, api: newAPI(s, server, env.UserAgent),
		maxRoots: maxRoots, mediaPause: mediaPause,
	}, nil
}

type source struct {
	settings *Settings
	prefix   string
	server   *url.URL
	logger   *slog.Logger
	api      *api
	learned  learned
	maxRoots int // of one run
	// mediaPause is how long to wait before a file that the server works on is asked for.
	mediaPause time.Duration
}

// Close implements [sources.Source].
func (s *source) Close() error {
	s.api.close()
	return nil
}
