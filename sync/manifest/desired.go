// Package manifest keeps what a channel can do in SocialHub (its actions, its sidebar, its webhook) as the config has
// it: [Want] says how it should be, [Diff] how it is otherwise, [Apply] sends what differs, and [Keeper.Run] does so
// again and again. What the config does not mention is left as SocialHub has it.
package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"

	"socialhub-sync/socialhub"
)

// Desired is how a channel's manifest should be. What is nil is left as it is.
type Desired struct {
	// Actions and Sidebar are whole lists in the team's order; an empty one wants none.
	Actions []socialhub.ManifestAction
	Sidebar []socialhub.Sidebar
	// Webhook has the address as it is registered, see [Want].
	Webhook *socialhub.Webhook
}

// IsZero tells whether nothing is wanted.
func (d *Desired) IsZero() bool { return d.Actions == nil && d.Sidebar == nil && d.Webhook == nil }

// templatesPath is where, below the webhook's address, SocialHub asks for templates.
const templatesPath = "/templates"

// secretMark is the parameter of the webhook's address that changes with the secret.
const secretMark = "v"

// Want says how a manifest should be by what the config has of it. A webhook without an address is left as it is.
//
// SocialHub does not tell which secret a webhook has. So the address that is registered ends with a mark that is made of
// the secret, ?v=1a2b3c: another secret is another address, which is seen without storing anything. The receiver does
// not look at it.
func Want(actions []socialhub.ManifestAction, sidebar []socialhub.Sidebar, hook *socialhub.Webhook) Desired {
	d := Desired{Sidebar: sidebar}
	if actions != nil {
		d.Actions = make([]socialhub.ManifestAction, len(actions))
	}
	for i, a := range actions {
		if a.Type == socialhub.ActionTemplateReply && hook != nil {
			config := socialhub.ActionConfig{}
			if a.Config != nil {
				config = *a.Config
			}
			config.Templates = &socialhub.TemplatesAddress{URL: below(hook.URL, templatesPath)}
			a.Config = &config
		}
		d.Actions[i] = a
	}
	if hook != nil && hook.URL != "" {
		d.Webhook = &socialhub.Webhook{URL: marked(hook.URL, hook.Secret), Secret: hook.Secret}
	}
	return d
}

// below is an address with more path.
func below(address, path string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // the config was checked
	}
	return u.JoinPath(path).String()
}

// marked is an address with the mark of a secret.
func marked(address string, secret socialhub.WebhookSecret) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // the config was checked
	}
	q := u.Query()
	q.Set(secretMark, mark(secret))
	u.RawQuery = q.Encode()
	return u.String()
}

// mark is made of a secret and does not give it away: 24 bits of a hash, enough to see a change.
func mark(secret socialhub.WebhookSecret) string {
	sum := sha256.Sum256([]byte("socialhub-sync/webhook-secret/v1\x00" + secret.Reveal()))
	return hex.EncodeToString(sum[:3])
}

// unmarked is an address without the mark of a secret.
func unmarked(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	if !q.Has(secretMark) {
		return address
	}
	q.Del(secretMark)
	u.RawQuery = q.Encode()
	return u.String()
}
