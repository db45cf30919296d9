package mastodon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rivo/uniseg"

	"socialhub-sync/sources"
)

// rules are what a server says of itself that matters to a post.
type rules struct {
	// mastodon tells that it is Mastodon itself, not another server with its API.
	mastodon bool
	// maxLength is in characters as [rules.length] counts them; 0: not said.
	maxLength int
	perURL    int
}

// rulesAge is how long what a server said of itself counts: an administrator may change it.
const rulesAge = time.Hour

// defaultPerURL is for how many characters a link counts. Mastodon: "All links are counted as 23 characters"
// (docs.joinmastodon.org/user/posting).
const defaultPerURL = 23

// rules asks the server what it takes, now and then.
func (s *source) rules(ctx context.Context) (*rules, error) {
	s.learned.mu.Lock()
	known, asked := s.learned.rules, s.learned.asked
	s.learned.mu.Unlock()
	if known != nil && time.Since(asked) < rulesAge {
		return known, nil
	}
	fresh, err := s.askRules(ctx)
	if err != nil {
		return nil, err
	}
	s.learned.mu.Lock()
	defer s.learned.mu.Unlock()
	s.learned.rules, s.learned.asked = fresh, time.Now()
	return fresh, nil
}

// askRules asks for the server's description: version 2 since Mastodon 4.0, version 1 elsewhere. A server that has neither
// may refuse what is too long by itself.
func (s *source) askRules(ctx context.Context) (*rules, error) {
	var instance struct {
		Version       string `json:"version"`
		Configuration struct {
			Statuses struct {
				MaxCharacters int `json:"max_characters"`
				PerURL        int `json:"characters_reserved_per_url"`
			} `json:"statuses"`
		} `json:"configuration"`
	}
	_, err := s.api.getJSON(ctx, "/api/v2/instance", &instance)
	if errors.Is(err, errGone) {
		_, err = s.api.getJSON(ctx, "/api/v1/instance", &instance)
	}
	if err != nil && !errors.Is(err, errGone) {
		return nil, err
	}
	said := instance.Configuration.Statuses
	return &rules{
		mastodon: isMastodon(instance.Version), maxLength: max(said.MaxCharacters, 0), perURL: cmp.Or(max(said.PerURL, 0), defaultPerURL),
	}, nil
}

// versionOnly is how Mastodon writes its version, forks that change little too: 4.3.1, 4.4.0-nightly.2025-01-01+glitch.
var versionOnly = regexp.MustCompile(`^[1-9][0-9]*\.[0-9]+\.[0-9]+[-+a-zA-Z0-9.]*$`)

// isMastodon knows Mastodon by its version. Other servers write "2.7.2 (compatible; Pleroma 2.6.0)", and GoToSocial begins
// with a 0.
func isMastodon(version string) bool { return versionOnly.MatchString(version) }

var (
	webAddress = regexp.MustCompile(`(?i)\bhttps?://\S+`)
	// farName is somebody's name on another server. Mastodon: the domain does not count.
	farName = regexp.MustCompile(`(@[\pL\pN_.-]+)@[\pL\pN.-]+[\pL\pN]`)
)

// length is how many characters a server counts: of what people see as one it counts one, links count alike and the
// domains in names not at all. Where a link ends is not certain; what we count too few the server still refuses.
func (r *rules) length(text string) int {
	text = webAddress.ReplaceAllString(text, strings.Repeat("x", r.perURL))
	return uniseg.GraphemeClusterCount(farName.ReplaceAllString(text, "$1"))
}

// check refuses what is too long together.
func (r *rules) check(warning, text string) error {
	n := r.length(warning) + r.length(text)
	if r.maxLength == 0 || n <= r.maxLength {
		return nil
	}
	return &sources.RefusedError{Reason: fmt.Sprintf(
		"the reply is too long: the server takes %d characters, and with the names of those who are answered it has %d", r.maxLength, n)}
}
