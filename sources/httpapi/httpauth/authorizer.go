package httpauth

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// Authorizer puts into a request what says who we are. It serves one goroutine at a time.
type Authorizer struct {
	auth   *Settings
	tokens tokenSource // nil if no token has to be made
	token  string
	until  time.Time // when token is to be replaced
	reused bool      // the last request had the token of an earlier one
}

// tokenSource makes bearer tokens.
type tokenSource interface {
	// new returns a token and until when it may be used.
	new(ctx context.Context) (token string, until time.Time, err error)
	close()
}

// noExpiry is for tokens that do not say how long they are valid.
const noExpiry = time.Hour

// Open returns the authorizer of settings that are valid. It makes no request. timeout is that of a request for a token, agent the
// User-Agent of that. Close it.
func (s *Settings) Open(timeout time.Duration, agent string) (*Authorizer, error) {
	tokens, err := s.tokenSource(timeout, agent)
	return &Authorizer{auth: s, tokens: tokens}, err
}

func (s *Settings) tokenSource(timeout time.Duration, agent string) (tokenSource, error) {
	switch {
	case !s.OAuth2.RefreshToken.IsZero():
		return newRefresher(&s.OAuth2, timeout, agent), nil
	case s.OAuth2.used():
		return newClientCredentials(&s.OAuth2, timeout, agent), nil
	case s.Google.used():
		return newServiceAccount(&s.Google, timeout, agent)
	case s.JWT != JWT{}:
		return newSigner(&s.JWT)
	}
	return nil, nil
}

// Close closes idle connections.
func (a *Authorizer) Close() {
	if a.tokens != nil {
		a.tokens.close()
	}
}

// Apply changes a request's header and address. It gets a token first if that is needed. Errors are a [*sources.StopError] with the
// setting to mend if the credentials for that are refused.
func (a *Authorizer) Apply(ctx context.Context, header http.Header, u *url.URL) error {
	a.reused = a.token != "" && time.Now().Before(a.until)
	if a.tokens != nil && !a.reused {
		var err error
		if a.token, a.until, err = a.tokens.new(ctx); err != nil {
			a.token = ""
			return err
		}
	}
	bearer := a.token
	if !a.auth.Bearer.IsZero() {
		bearer = a.auth.Bearer.Reveal()
	}
	if bearer != "" {
		header.Set("Authorization", "Bearer "+bearer)
	}
	if basic := a.auth.Basic; basic != (Basic{}) {
		r := http.Request{Header: header}
		r.SetBasicAuth(basic.User, basic.Password.Reveal())
	}
	if key := a.auth.Header; key != (Key{}) {
		header.Set(key.Name, key.Value.Reveal())
	}
	if key := a.auth.Query; key != (Key{}) {
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil { // would be left out, and another list be read
			return &sources.SettingError{Key: "auth.query", Problem: "the address has a parameter that can't be read: a ; or a % that is not encoded"}
		}
		query.Set(key.Name, key.Value.Reveal())
		u.RawQuery = query.Encode()
	}
	return nil
}

// Strip takes the key out of an address that an answer gave. The other parameters stay as they are written.
func (a *Authorizer) Strip(u *url.URL) {
	if a.auth.Query == (Key{}) || u.RawQuery == "" {
		return
	}
	pairs := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), func(pair string) bool {
		text, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(text)
		return err == nil && name == a.auth.Query.Name
	})
	u.RawQuery = strings.Join(pairs, "&")
}

// Renew is called when the server refuses a request. It tells whether to try once more, with a new token: the old one
// may have been taken back before its time.
func (a *Authorizer) Renew() bool {
	if a.reused {
		a.token = ""
	}
	return a.reused
}

// Setting is the key that a refusal is about, "" if there are no credentials.
func (a *Authorizer) Setting() string {
	switch {
	case !a.auth.Bearer.IsZero():
		return "auth.bearer"
	case a.auth.Basic != Basic{}:
		return "auth.basic"
	case a.auth.OAuth2.used():
		return "auth.oauth2"
	case a.auth.JWT != JWT{}:
		return "auth.jwt"
	case a.auth.Google.used():
		return "auth.google"
	case a.auth.Header != Key{}:
		return "auth.header.value"
	case a.auth.Query != Key{}:
		return "auth.query.value"
	}
	return ""
}

// stop is a fault of the credentials.
func stop(key, problem string) error {
	return &sources.StopError{Err: &sources.SettingError{Key: key, Problem: problem}}
}
