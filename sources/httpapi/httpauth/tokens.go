package httpauth

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	oauth2jwt "golang.org/x/oauth2/jwt"

	"socialhub-sync/sources"
)

// signer makes tokens that we sign ourselves.
type signer struct {
	settings *JWT
	method   jwt.SigningMethod
	key      any
}

// defaultLifetime is how long a signed token is valid.
const defaultLifetime = 10 * time.Minute

// clockSkew is how far the server's clock may be behind ours: a token from its future would be refused.
const clockSkew = 20 * time.Second

func newSigner(j *JWT) (tokenSource, error) {
	method, key, err := j.signer()
	if err != nil {
		return nil, &sources.SettingError{Key: "auth.jwt.key", Problem: err.Error()}
	}
	return &signer{settings: j, method: method, key: key}, nil
}

// signer returns the method that the key is for, RFC 7518, 3.1.
func (j *JWT) signer() (jwt.SigningMethod, any, error) {
	text := []byte(j.Key.Reveal())
	if len(text) == 0 {
		return nil, nil, errors.New("missing; write the private key, or its file as key_file")
	}
	if key, err := jwt.ParseECPrivateKeyFromPEM(text); err == nil {
		if key.Curve != elliptic.P256() {
			return nil, nil, errors.New("is on another curve than P-256, which ES256 wants")
		}
		return jwt.SigningMethodES256, key, nil
	}
	if key, err := jwt.ParseRSAPrivateKeyFromPEM(text); err == nil {
		return jwt.SigningMethodRS256, key, nil
	}
	return nil, nil, errors.New("is no private RSA or P-256 key in PEM, which begins with -----BEGIN PRIVATE KEY-----")
}

func (s *signer) new(context.Context) (string, time.Time, error) {
	lifetime := s.settings.Lifetime
	if lifetime == 0 {
		lifetime = defaultLifetime
	}
	issued := time.Now().Add(-clockSkew)
	claims := jwt.RegisteredClaims{
		Issuer: s.settings.Issuer, Subject: s.settings.Subject,
		IssuedAt: jwt.NewNumericDate(issued), ExpiresAt: jwt.NewNumericDate(issued.Add(lifetime)),
	}
	if s.settings.Audience != "" {
		claims.Audience = jwt.ClaimStrings{s.settings.Audience}
	}
	t := jwt.NewWithClaims(s.method, singleAudience{claims})
	if s.settings.KeyID != "" {
		t.Header["kid"] = s.settings.KeyID
	}
	text, err := t.SignedString(s.key)
	if err != nil {
		return "", time.Time{}, errors.New("sign a token with auth.jwt.key: the key can't be used")
	}
	return text, issued.Add(lifetime / 2), nil
}

func (s *signer) close() {}

// singleAudience writes the claim aud as a text, which every server takes, and not as a list, which some do not.
type singleAudience struct{ jwt.RegisteredClaims }

func (s singleAudience) MarshalJSON() ([]byte, error) {
	audience := ""
	if len(s.Audience) > 0 {
		audience = s.Audience[0]
	}
	s.RegisteredClaims.Audience = nil
	return json.Marshal(struct {
		jwt.RegisteredClaims
		Audience string `json:"aud,omitempty"`
	}{s.RegisteredClaims, audience})
}

// exchange gets tokens from a token endpoint.
type exchange struct {
	url, key  string // key is the setting that a refusal is about
	client    *http.Client
	transport *http.Transport
	agent     string
	failure   error // why the last request had no answer
	fetch     func(context.Context) (*oauth2.Token, error)
}

func newExchange(address, key string, timeout time.Duration, agent string) *exchange {
	e := &exchange{url: address, key: key, agent: agent, transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
	e.client = &http.Client{
		Transport: e, Timeout: timeout,
		// The credentials must not go elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return e
}

func newClientCredentials(o *OAuth2, timeout time.Duration, agent string) *exchange {
	e := newExchange(o.TokenURL, "auth.oauth2.client_secret", timeout, agent)
	config := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), TokenURL: o.TokenURL, Scopes: o.Scopes}
	e.fetch = config.Token
	return e
}

func newRefresher(o *OAuth2, timeout time.Duration, agent string) *exchange {
	e := newExchange(o.TokenURL, "auth.oauth2.refresh_token", timeout, agent)
	config := oauth2.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), Endpoint: oauth2.Endpoint{TokenURL: o.TokenURL}}
	e.fetch = func(ctx context.Context) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: o.RefreshToken.Reveal()}).Token()
	}
	return e
}

func newServiceAccount(g *Google, timeout time.Duration, agent string) (tokenSource, error) {
	account, err := g.account()
	if err != nil {
		return nil, &sources.SettingError{Key: "auth.google.key", Problem: err.Error()}
	}
	e := newExchange(account.TokenURI, "auth.google.key", timeout, agent)
	config := oauth2jwt.Config{
		Email: account.ClientEmail, PrivateKey: []byte(account.PrivateKey), PrivateKeyID: account.PrivateKeyID,
		Subject: g.Subject, Scopes: g.Scopes, TokenURL: account.TokenURI,
	}
	e.fetch = func(ctx context.Context) (*oauth2.Token, error) { return config.TokenSource(ctx).Token() }
	return e, nil
}

// account is what a service account's key file holds.
type account struct {
	Type         string `json:"type"`
	ClientEmail  string `json:"client_email"`
	PrivateKey   string `json:"private_key"`
	PrivateKeyID string `json:"private_key_id"`
	TokenURI     string `json:"token_uri"`
}

// account reads the key. The error continues a sentence that begins with its setting.
func (g *Google) account() (*account, error) {
	if g.Key.IsZero() {
		return nil, errors.New("missing; write the JSON key, or its file as key_file")
	}
	var a account
	if json.Unmarshal([]byte(g.Key.Reveal()), &a) != nil || a.Type != "service_account" {
		return nil, errors.New(`is no key of a service account, which is JSON with "type": "service_account"`)
	}
	_, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(a.PrivateKey))
	u, urlErr := url.Parse(a.TokenURI)
	if err != nil || urlErr != nil || u.Host == "" || a.ClientEmail == "" {
		return nil, errors.New("has no usable client_email, private_key or token_uri; make a new key")
	}
	return &a, nil
}

// RoundTrip implements [http.RoundTripper].
func (e *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", e.agent)
	resp, err := e.transport.RoundTrip(r)
	e.failure = err
	return resp, err
}

func (e *exchange) new(ctx context.Context) (string, time.Time, error) {
	e.failure = nil
	t, err := e.fetch(context.WithValue(ctx, oauth2.HTTPClient, e.client))
	if err != nil {
		return "", time.Time{}, e.explain(ctx, err)
	}
	if t.AccessToken == "" {
		return "", time.Time{}, fmt.Errorf("get a token from %s: the answer has none", e.shown())
	}
	if t.Expiry.IsZero() {
		return t.AccessToken, time.Now().Add(noExpiry), nil
	}
	return t.AccessToken, t.Expiry.Add(-clockSkew), nil
}

func (e *exchange) close() { e.transport.CloseIdleConnections() }

// refusals are the errors of RFC 6749, 5.2, that waiting does not mend.
var refusals = []string{"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}

// explain tells why there is no token. Nothing of the answer is shown but a known error: it may repeat what was sent.
func (e *exchange) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("get a token from %s: %w", e.shown(), context.Cause(ctx))
	}
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok && e.failure != nil:
		return fmt.Errorf("get a token from %s: no answer", e.shown())
	case !ok:
		return fmt.Errorf("get a token from %s: the answer is no token", e.shown())
	}
	said := refused.ErrorCode
	if said == "" {
		var body struct {
			Error string `json:"error"`
		}
		_ = json.Unmarshal(refused.Body, &body)
		said = body.Error
	}
	status := refused.Response.StatusCode
	switch {
	case said == "invalid_scope":
		parent := e.key[:strings.LastIndexByte(e.key, '.')]
		return stop(parent+".scopes", fmt.Sprintf("%s refuses them: %s", e.shown(), said))
	case slices.Contains(refusals, said):
		return stop(e.key, fmt.Sprintf("%s refuses it: %s; check the credentials and what they may ask for", e.shown(), said))
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return stop(e.key, fmt.Sprintf("%s refuses it: %d; check the credentials", e.shown(), status))
	}
	return fmt.Errorf("get a token from %s: it answered %d %s", e.shown(), status, http.StatusText(status))
}

func (e *exchange) shown() string {
	u, err := url.Parse(e.url)
	if err != nil {
		return "the token endpoint"
	}
	return sources.ShownURL(u)
}
