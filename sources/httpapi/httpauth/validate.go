package httpauth

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// faults collects what is wrong with the settings.
type faults []error

func (f *faults) add(key, problem string) {
	*f = append(*f, &sources.SettingError{Key: key, Problem: problem})
}

// token is a name of a header, RFC 9110, 5.6.2.
var token = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// Validate reports what is wrong, each fault as a [*sources.SettingError] whose key begins with "auth".
func (s *Settings) Validate() error {
	var f faults
	s.validate(&f)
	return errors.Join(f...)
}

func (s *Settings) validate(f *faults) {
	var kinds []string
	for kind, used := range map[string]bool{
		"bearer": !s.Bearer.IsZero(), "basic": s.Basic != Basic{}, "oauth2": s.OAuth2.used(), "jwt": s.JWT != JWT{}, "google": s.Google.used(),
	} {
		if used {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	if len(kinds) > 1 {
		f.add("auth", "has "+strings.Join(kinds, " and ")+", which exclude each other; keep one")
	}
	if s.Basic != (Basic{}) && s.Basic.User == "" {
		f.add("auth.basic.user", "missing")
	}
	if strings.ContainsAny(s.Bearer.Reveal(), "\r\n\x00") {
		f.add("auth.bearer", "has more than one line")
	}
	s.Header.validate(f, "auth.header")
	s.Query.validate(f, "auth.query")
	if s.OAuth2.used() {
		s.OAuth2.validate(f)
	}
	if s.JWT != (JWT{}) {
		s.JWT.validate(f)
	}
	if s.Google.used() {
		if _, err := s.Google.account(); err != nil {
			f.add("auth.google.key", err.Error())
		}
		if len(s.Google.Scopes) == 0 {
			f.add("auth.google.scopes", "missing; write what the API wants, such as https://www.googleapis.com/auth/androidpublisher")
		}
	}
}

func (k *Key) validate(f *faults, prefix string) {
	switch {
	case *k == Key{}:
	case !token.MatchString(k.Name):
		f.add(prefix+".name", "want the name that the API gives to the key, such as X-Api-Key")
	case k.Value.IsZero():
		f.add(prefix+".value", "missing; write the key")
	case strings.ContainsAny(k.Value.Reveal(), "\r\n\x00"):
		f.add(prefix+".value", "has more than one line")
	}
}

func (o *OAuth2) used() bool {
	return o.TokenURL != "" || o.ClientID != "" || !o.ClientSecret.IsZero() || !o.RefreshToken.IsZero() || len(o.Scopes) > 0
}

func (o *OAuth2) validate(f *faults) {
	if u, err := url.Parse(o.TokenURL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		f.add("auth.oauth2.token_url", "want an http or https address, without a user")
	}
	if o.ClientID == "" {
		f.add("auth.oauth2.client_id", "missing")
	}
	if o.ClientSecret.IsZero() {
		f.add("auth.oauth2.client_secret", "missing")
	}
	if !o.RefreshToken.IsZero() && len(o.Scopes) > 0 {
		f.add("auth.oauth2.scopes", "can't be chosen with a refresh token, which has its own; take them out")
	}
}

func (j *JWT) validate(f *faults) {
	if _, _, err := j.signer(); err != nil {
		f.add("auth.jwt.key", err.Error())
	}
	if j.Lifetime != 0 && (j.Lifetime < time.Minute || j.Lifetime > time.Hour) {
		f.add("auth.jwt.lifetime", "want 1m to 1h")
	}
}

func (g *Google) used() bool { return !g.Key.IsZero() || len(g.Scopes) > 0 || g.Subject != "" }
