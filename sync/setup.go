package sync

import (
	"reflect"

	"socialhub-sync/store"
	"socialhub-sync/sync/manifest"
)

// setup is what the engine works on at a time. It never changes: [Engine.Update] puts another in its place, and whoever
// needs two answers that go together takes both from one.
type setup struct {
	// deliverers are by channelId, sources by name.
	deliverers map[string]*deliverer
	sources    map[string]*Source
	retention  store.Retention
}

// current is what the engine works on now.
func (e *Engine) current() *setup { return e.setup.Load() }

// deliverer is that of a channel; nil if the channel is not one of the engine's.
func (e *Engine) deliverer(channelID string) *deliverer { return e.current().deliverers[channelID] }

// arrange makes a setup. What was in the one before with the same version is taken from there.
func (e *Engine) arrange(u *Update, before *setup) *setup {
	s := &setup{deliverers: make(map[string]*deliverer), sources: make(map[string]*Source), retention: u.Retention}
	for _, src := range u.Sources {
		if was := before.sources[src.Name]; was != nil && was.Version == src.Version {
			src = *was
		}
		src.keep = u.Retention.Tickets
		s.sources[src.Name] = &src
	}
	for _, c := range u.Channels {
		var want *manifest.Desired
		if desired, ok := u.Manifests[c.ID]; ok {
			want = &desired
		}
		was := before.deliverers[c.ID]
		if was == nil || was.channel.Version != c.Version || !reflect.DeepEqual(was.manifest, want) {
			was = newDeliverer(e, &c, want)
		}
		s.deliverers[c.ID] = was
	}
	return s
}

// has tells whether a source is in the setup as it is.
func (s *setup) has(src *Source) bool {
	now := s.sources[src.Name]
	return now != nil && now.Version == src.Version
}

// mayPoll tells whether a stream is one of the setup's.
func (s *setup) mayPoll(k store.PollKey) bool {
	src := s.sources[k.Source]
	return src != nil && src.ChannelID == k.ChannelID
}
