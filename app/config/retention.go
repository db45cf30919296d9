package config

import (
	"errors"
	"time"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/store"
)

// DefaultRetention is how long actions at an end and the history of the polls are kept. Tickets are kept for ever.
const DefaultRetention = 30 * 24 * time.Hour

// The least that may be kept. An action that is deleted before SocialHub delivers it once more would be done twice. SocialHub sends
// what was not taken "a few more times" (its documentation of the webhook, on errors) and does not say for how long; senders of
// webhooks that do say so give up after three days at most. A ticket that was deleted too early may be made anew.
const (
	MinActionRetention = 7 * 24 * time.Hour
	MinPollRetention   = 24 * time.Hour
	MinTicketRetention = 30 * 24 * time.Hour
)

// retentionKeys are the keys under `retention` as they are written.
type retentionKeys struct {
	Actions time.Duration `yaml:"actions" doc:"For what the team did, once it is done and SocialHub knows, such as 720h (30 days). At least 168h (7 days): until then SocialHub may deliver the same again."`
	Polls   time.Duration `yaml:"polls" doc:"For the history of the polls. At least 24h."`
	Tickets time.Duration `yaml:"tickets" doc:"For what is known of tickets whose items no poll has brought for so long. At least 720h. A later change of such an item can't reach its ticket any more, so read docs/operations.md first."`
}

func usualRetention() retentionKeys {
	return retentionKeys{Actions: DefaultRetention, Polls: DefaultRetention}
}

func (r *reader) retention(root *strictyaml.Node, keys *retentionKeys) store.Retention {
	if n := root.Get("retention"); n != nil && n.Kind == strictyaml.Mapping {
		for _, e := range []struct {
			key        string
			got, least time.Duration
			problem    string
		}{
			{"actions", keys.Actions, MinActionRetention, "must be 168h (7 days) or more, or 0 for ever"},
			{"polls", keys.Polls, MinPollRetention, "must be 24h or more, or 0 for ever"},
			{"tickets", keys.Tickets, MinTicketRetention, "must be 720h (30 days) or more, or 0 for ever"},
		} {
			if e.got != 0 && e.got < e.least {
				r.Check(n, e.key, errors.New(e.problem))
			}
		}
	}
	return store.Retention{Actions: keys.Actions, Polls: keys.Polls, Tickets: keys.Tickets}
}
