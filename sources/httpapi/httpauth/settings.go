// Package httpauth says who we are to HTTP APIs: by a token, user and password, a key, OAuth 2.0 client credentials, tokens that we
// sign ourselves, and Google service accounts. [Settings] are the part of an adapter's settings under the key auth.
package httpauth

import (
	"time"

	"socialhub-sync/sources"
)

// Settings say who we are. Bearer, Basic, OAuth2, JWT and Google exclude each other, Header and Query go with any.
type Settings struct {
	Bearer sources.Secret `yaml:"bearer" doc:"A token, sent as Authorization: Bearer."`
	Basic  Basic          `yaml:"basic" doc:"User and password."`
	Header Key            `yaml:"header" doc:"A key in a header."`
	Query  Key            `yaml:"query" doc:"A key in a parameter of the address."`
	OAuth2 OAuth2         `yaml:"oauth2" doc:"OAuth 2.0 with client credentials, or with a refresh token."`
	JWT    JWT            `yaml:"jwt" doc:"A token that we sign ourselves, RS256 or ES256 as the key is, sent as bearer."`
	Google Google         `yaml:"google" doc:"A Google service account."`
}

// Basic is HTTP's own way of user and password.
type Basic struct {
	User     string         `yaml:"user" doc:"The user."`
	Password sources.Secret `yaml:"password" doc:"The password; may be left out."`
}

// Key is a secret with a name.
type Key struct {
	Name  string         `yaml:"name" doc:"The name of the header or parameter."`
	Value sources.Secret `yaml:"value" doc:"The key."`
}

// OAuth2 gets tokens by client credentials, RFC 6749, 4.4, or by a refresh token, 6. A refresh token that the server replaces by
// another one each time it is used can't be kept.
type OAuth2 struct {
	TokenURL     string         `yaml:"token_url" doc:"Where to get a token."`
	ClientID     string         `yaml:"client_id" doc:"The client's id."`
	ClientSecret sources.Secret `yaml:"client_secret" doc:"The client's secret."`
	RefreshToken sources.Secret `yaml:"refresh_token" doc:"A refresh token of a person who lets us act for them; it must stay valid when it is used."`
	Scopes       []string       `yaml:"scopes" doc:"What to ask for."`
}

// JWT signs tokens with a private key.
type JWT struct {
	Key      sources.Secret `yaml:"key" doc:"A private RSA or P-256 key in PEM; key_file names its file."`
	KeyID    string         `yaml:"key_id" doc:"The kid in the token's header."`
	Issuer   string         `yaml:"issuer" doc:"The claim iss."`
	Subject  string         `yaml:"subject" doc:"The claim sub."`
	Audience string         `yaml:"audience" doc:"The claim aud."`
	Lifetime time.Duration  `yaml:"lifetime" doc:"How long a token is valid, 1m to 1h; 10m if left out."`
}

// Google is a service account's key.
type Google struct {
	Key     sources.Secret `yaml:"key" doc:"The JSON key of the service account; key_file names its file."`
	Scopes  []string       `yaml:"scopes" doc:"What to ask for, such as https://www.googleapis.com/auth/androidpublisher."`
	Subject string         `yaml:"subject" doc:"The user to act for, if any."`
}
