package sandbox

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"socialhub-sync/socialhub"
)

// manifestFields are the members of a manifest that PATCH /manifest takes.
var manifestFields = map[string]bool{"inbox": true, "branding": true, "webhook": true}

// patchManifest carries PATCH /manifest out: the members that the body has replace those of the manifest. A new webhook
// is tried first; the manifest changes only if it answers as it must.
func (s *Server) patchManifest(ctx context.Context, ch *channel, body []byte) reply {
	if ch.reusable {
		return failure(http.StatusForbidden, "AccessDenied", "Error: The channel's manifest is reusable")
	}
	var sent map[string]json.RawMessage
	if err := json.Unmarshal(body, &sent); err != nil || sent == nil {
		return badRequest(&fieldError{"body", "must be a JSON object"})
	}
	for name := range sent {
		if !manifestFields[name] {
			return badRequest(&fieldError{shorten(name), "is not a known field"})
		}
	}
	change := make(map[string]any)
	for name, raw := range sent {
		if name == "webhook" {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal(raw, &v); err != nil || v == nil {
			return badRequest(&fieldError{name, "must be an object"})
		}
		change[name] = v
	}
	if err := checkInbox(sent["inbox"]); err != nil {
		return badRequest(err)
	}
	hook, rep, ok := s.newHook(ctx, ch, sent["webhook"])
	if !ok {
		return rep
	}
	ch.team.mu.Lock()
	defer ch.team.mu.Unlock()
	manifest := maps.Clone(ch.team.manifest)
	maps.Copy(manifest, change)
	ch.team.manifest = manifest
	ch.team.version++
	if sent["webhook"] != nil {
		ch.team.hook = hook
	}
	return reply{status: http.StatusOK, body: ch.team.manifestBody()}
}

// manifestBody is the manifest as SocialHub shows it, without the webhook's secret; mu is held.
func (t *team) manifestBody() []byte {
	shown := maps.Clone(t.manifest)
	if t.hook != nil {
		shown["webhook"] = map[string]string{"url": t.hook.url}
	}
	body, _ := json.Marshal(shown) // it came from JSON
	return body
}

// checkInbox holds the ticket actions to the documented rules.
func checkInbox(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var inbox socialhub.Inbox
	if json.Unmarshal(raw, &inbox) != nil {
		return &fieldError{"inbox", "must have lists of ticketActions and of rightSidebar"}
	}
	seen := make(map[string]bool)
	for _, a := range inbox.TicketActions {
		if problem := checkAction(&a); problem != "" {
			return &fieldError{"inbox.ticketActions", "of " + shorten(a.ID) + ": " + problem}
		}
		if seen[a.ID] {
			return &fieldError{"inbox.ticketActions", "has the id " + shorten(a.ID) + " twice"}
		}
		seen[a.ID] = true
	}
	return nil
}

func checkAction(a *socialhub.ManifestAction) (problem string) {
	config := a.Config
	if config == nil {
		config = &socialhub.ActionConfig{}
	}
	switch a.Type {
	case socialhub.ActionReply, socialhub.ActionTemplateReply, socialhub.ActionButton, socialhub.ActionDelete:
	default:
		return "type must be reply, template_reply, button or delete"
	}
	for _, text := range []string{a.Label.EN, a.Label.DE, a.Label.FR} {
		if n := utf8.RuneCountInString(text); n < 1 || n > socialhub.MaxLabel {
			return "label must have en, de and fr of 1 to 256 characters"
		}
	}
	switch {
	case !socialhub.ValidActionID(a.ID):
		return "id must match ^[a-zA-Z0-9-_]{1,256}$"
	case config.MaxLength != 0 && a.Type != socialhub.ActionReply:
		return "config.maxLength is for a reply"
	case a.Type == socialhub.ActionTemplateReply && (config.Templates == nil || !hookable(config.Templates.URL)):
		return "config.templates.url must be a https:// URL"
	}
	return ""
}

// newHook reads the webhook member of a manifest and tries the webhook; nil without an error removes the one there is.
func (s *Server) newHook(ctx context.Context, ch *channel, raw json.RawMessage) (*hook, reply, bool) {
	if raw == nil || string(raw) == "null" {
		return nil, reply{}, true
	}
	var in struct{ URL, Secret string }
	if json.Unmarshal(raw, &in) != nil {
		return nil, badRequest(&fieldError{"webhook", "must be an object with url and secret, or null"}), false
	}
	if !hookable(in.URL) {
		return nil, badRequest(&fieldError{"webhook.url", "must be a https:// URL (the sandbox takes http:// of this machine too)"}), false
	}
	secret, err := socialhub.ParseWebhookSecret(in.Secret)
	if err != nil {
		return nil, badRequest(&fieldError{"webhook.secret", "must have 32 to 512 characters"}), false
	}
	h := &hook{url: in.URL, secret: secret}
	if err := s.post(ctx, h, ch.envelope(nil)); err != nil {
		body, _ := json.Marshal(map[string]any{ // strings marshal
			"code": "WebhookValidationError", "message": "Error: The webhook's test request failed", "data": map[string]string{"reason": err.Error()},
		})
		return nil, reply{status: http.StatusUnprocessableEntity, body: body}, false
	}
	return h, reply{}, true
}

// hookable tells whether requests may go to an address: https, or plain http on this machine.
func hookable(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := strings.EqualFold(u.Hostname(), "localhost") || err == nil && ip.Unmap().IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && local
}
