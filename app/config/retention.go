package config

import (
	"errors"
	"time"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/store"
)

// DefaultRetention is how long actions at an end and the history of the polls are kept. Tickets are kept for ever.
const DefaultRetention = 30 * 24 * time.Hour

// The least that may be kept. SocialHub delivers an action again within hours; an action that was deleted before that would
// be done twice. A ticket that was deleted too early may be made anew.
const (
	MinRetention       = 24 * time.Hour
	MinTicketRetention = 30 * 24 * time.Hour
)

// retentionKeys are the keys under `retention` as they are written.
type retentionKeys struct {
	Actions time.Duration `yaml:"actions" doc:"For what the team did, once it is done and SocialHub knows, such as 720h (30 days). At least 24h."`
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
			{"actions", keys.Actions, MinRetention, "must be 24h or more, or 0 for ever"},
			{"polls", keys.Polls, MinRetention, "must be 24h or more, or 0 for ever"},
			{"tickets", keys.Tickets, MinTicketRetention, "must be 720h (30 days) or more, or 0 for ever"},
		} {
			if e.got != 0 && e.got < e.least {
				r.Check(n, e.key, errors.New(e.problem))
			}
		}
	}
	return store.Retention{Actions: keys.Actions, Polls: keys.Polls, Tickets: keys.Tickets}
}
