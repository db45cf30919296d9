package config

import (
	"errors"
	"time"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// DefaultTolerance is how far the time of a webhook's request may be off.
const DefaultTolerance = socialhub.MaxWebhookSkew

// The bounds of a tolerance: a shorter one is broken by any clock, a longer one lets old requests be sent again.
const (
	minTolerance = time.Second
	maxTolerance = time.Hour
)

// Webhook is how SocialHub tells what the team does.
type Webhook struct {
	// Secret is what SocialHub signs with.
	Secret socialhub.WebhookSecret
	// URL is where SocialHub sends to; empty if the file does not say and nothing has to know.
	URL string
	// Manage tells that the program registers the webhook and keeps it registered.
	Manage bool
	// Tolerance is how far the time of a request may be off, either way.
	Tolerance time.Duration
}

// webhookKeys are the keys under a channel's `webhook` as they are written.
type webhookKeys struct {
	Secret    sources.Secret `yaml:"secret" doc:"Needed. What SocialHub signs with, such as the output of openssl rand -hex 32."`
	URL       string         `yaml:"url" doc:"Where SocialHub sends to, if that is not public_url with /webhook/ and the channelId."`
	Manage    bool           `yaml:"manage" doc:"Whether to register the webhook in SocialHub, and again whenever it is gone."`
	Tolerance time.Duration  `yaml:"tolerance" doc:"How far the time of a request may be from this machine's clock."`
}

func usualWebhook() webhookKeys { return webhookKeys{Tolerance: DefaultTolerance} }

// webhook reads a channel's webhook; c has what the top level says.
func (r *reader) webhook(channel *strictyaml.Node, channelID string, c *Config) *Webhook {
	n := channel.Get("webhook")
	if n == nil {
		return nil
	}
	keys := usualWebhook()
	r.Decode(n, &keys)
	if n.Kind != strictyaml.Mapping && n.Kind != strictyaml.Empty {
		return nil
	}
	w := &Webhook{Manage: keys.Manage, Tolerance: keys.Tolerance}
	var err error
	if w.Secret, err = socialhub.ParseWebhookSecret(keys.Secret.Reveal()); !n.Has("secret") {
		err = errors.New("is missing; write secret: ${NAME} or secret_file: PATH, with the output of `openssl rand -hex 32`")
	}
	r.Check(n, "secret", err)
	w.URL, err = publicURL(keys.URL)
	r.Check(n, "url", err)
	if w.URL == "" && c.PublicURL != "" {
		w.URL = c.PublicURL + "/webhook/" + channelID
	}
	if keys.Tolerance < minTolerance || keys.Tolerance > maxTolerance {
		r.Check(n, "tolerance", errors.New("must be 1s to 1h"))
	}
	if c.Listen == "" {
		r.Fault(n.Place, "nothing listens for it; set listen to an address, or take webhook out")
	}
	if w.Manage && keys.URL == "" && c.PublicURL == "" {
		r.Check(n, "manage", errors.New("needs to know where SocialHub reaches this program; write public_url: https://… at the top level, or url here"))
	}
	return w
}
