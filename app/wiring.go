package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"

	"socialhub-sync/app/config"
	"socialhub-sync/app/meter"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
	"socialhub-sync/sync"
	"socialhub-sync/web"
	"socialhub-sync/web/listen"
)

// NewEngine makes the engine that a config describes, on an open store. The returned function closes the
// connections to SocialHub; call it when the engine has stopped.
func NewEngine(c *config.Config, s *store.Store, log *slog.Logger, backfill *sync.Backfill) (*sync.Engine, func(), error) {
	return newEngine(c, sync.Options{Store: s, Logger: log, Backfill: backfill}, nil)
}

// newEngine adds to the options what the config says; m, which may be nil, counts what the engine does.
func newEngine(c *config.Config, o sync.Options, m *meter.Meter) (*sync.Engine, func(), error) {
	channels, err := newChannels(c, nil, m)
	if err != nil {
		return nil, nil, err
	}
	o.Owner, o.LeaseTTL, o.Retention = owner(), c.Lease, c.Retention
	o.Channels, o.Sources = channels, newSources(c, o.Logger)
	if m != nil {
		o.Observer = m
	}
	return sync.New(o), func() { closeClients(channels) }, nil
}

// newChannels are the engine's channels, each with a client, which m, if not nil, counts. Those of have that are the
// same still are taken as they are.
func newChannels(c *config.Config, have []sync.Channel, m *meter.Meter) (channels []sync.Channel, err error) {
	for _, ch := range c.Channels {
		version := channelVersion(c, &ch)
		if i := slices.IndexFunc(have, func(h sync.Channel) bool { return h.Name == ch.Name && h.Version == version }); i >= 0 {
			channels = append(channels, have[i])
			continue
		}
		client, err := newClient(c, &ch, m)
		if err != nil {
			return nil, fmt.Errorf("channel %s: %w", ch.Name, err)
		}
		channels = append(channels, sync.Channel{
			ID: ch.Token.ChannelID(), Name: ch.Name, Fingerprint: ch.Token.Fingerprint(), Client: client,
			Concurrency: ch.Concurrency, RateLimit: ch.RateLimit, Version: version,
		})
	}
	return channels, nil
}

// closeClients closes the connections of the channels.
func closeClients(channels []sync.Channel) {
	for _, ch := range channels {
		ch.Client.Close()
	}
}

// newSources are the engine's sources.
func newSources(c *config.Config, log *slog.Logger) (all []sync.Source) {
	ids := channelIDs(c)
	for _, src := range c.Sources {
		all = append(all, sync.Source{
			Name: src.Name, Adapter: src.Adapter.Name, ChannelID: ids[src.Channel],
			Schedule: src.Schedule, ScheduleText: src.ScheduleText, Reset: src.Reset, OnDelete: src.OnDelete,
			MassChangeLimit: src.MassChangeLimit, Version: sourceVersion(&src, ids),
			Open: func(ctx context.Context) (sources.Source, error) { return OpenSource(ctx, c, &src, log) },
		})
	}
	return all
}

// channelIDs are those of the config's channels by name.
func channelIDs(c *config.Config) map[string]string {
	ids := make(map[string]string)
	for _, ch := range c.Channels {
		ids[ch.Name] = ch.Token.ChannelID()
	}
	return ids
}

// channelVersion changes with whatever the engine has to know of a channel.
func channelVersion(c *config.Config, ch *config.Channel) string {
	return fmt.Sprintf("%s %x %s", ch.Name, ch.Digest, c.APIURL)
}

// sourceVersion is the same for a source; ids are the channelIds by name.
func sourceVersion(src *config.Source, ids map[string]string) string {
	return fmt.Sprintf("%x %s", src.Digest, ids[src.Channel])
}

// NewClient is the client for a channel of the config.
func NewClient(c *config.Config, ch *config.Channel) (*socialhub.Client, error) {
	return newClient(c, ch, nil)
}

func newClient(c *config.Config, ch *config.Channel, m *meter.Meter) (*socialhub.Client, error) {
	o := socialhub.Options{BaseURL: c.APIURL, Token: ch.Token, UserAgent: UserAgent(), Concurrency: ch.Concurrency}
	if m != nil {
		o.Observe = m.Exchange(ch.Name)
	}
	return socialhub.NewClient(o)
}

// OpenSource opens a source of the config.
func OpenSource(ctx context.Context, c *config.Config, src *config.Source, log *slog.Logger) (sources.Source, error) {
	return src.Settings.Open(ctx, sources.Env{
		Name: src.Name, Dir: c.Dir, Logger: log.With(slog.String("source", src.Name)), UserAgent: UserAgent(),
	})
}

// UserAgent is what the program calls itself in requests.
func UserAgent() string { return "socialhub-sync/" + Version() }

// owner is a name for this process that no other has, not even after a restart.
func owner() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8])
}

// shown is what the status page tells of: the channels and sources of the config.
func shown(c *config.Config) []web.Channel {
	var channels []web.Channel
	for _, ch := range c.Channels {
		shown := web.Channel{ID: ch.Token.ChannelID(), Name: ch.Name}
		for _, src := range c.Sources {
			if src.Channel == ch.Name {
				shown.Sources = append(shown.Sources, src.Name)
			}
		}
		channels = append(channels, shown)
	}
	return channels
}

// named are the names of the config's channels and sources.
func named(c *config.Config) (channels, sources []string) {
	for _, ch := range c.Channels {
		channels = append(channels, ch.Name)
	}
	for _, src := range c.Sources {
		sources = append(sources, src.Name)
	}
	return channels, sources
}

// listenOptions are what the config says of the listener.
func (a *App) listenOptions(c *config.Config) listen.Options {
	o := listen.Options{Address: c.Listen, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile, Logger: a.log}
	if acme := c.TLS.ACME; acme != nil {
		o.ACME = &listen.ACME{
			Domains: acme.Domains, Email: acme.Email, Cache: acme.Cache, Directory: acme.Directory, UserAgent: UserAgent(),
		}
	}
	return o
}

// mendListener says what to do about an error of the listener.
func mendListener(c *config.Config, err error) error {
	if _, bound := errors.AsType[*listen.AddressError](err); bound {
		return fmt.Errorf("%w; choose another address in %s, or listen: \"\" for none", err, c.File)
	}
	return err
}

// readers are who may read the status page and the metrics.
func readers(c *config.Config) web.Readers {
	return web.NewReaders(c.Readers.Username, c.Readers.Password.Reveal(), c.Readers.BearerToken.Reveal())
}

// warnOfReaders tells whoever started or reloaded the daemon that other machines may read what it shows.
func (a *App) warnOfReaders() {
	server := a.server.Load()
	if server == nil {
		return
	}
	tcp, ok := server.Addr().(*net.TCPAddr)
	if ok && readers(a.config.Load()).Everybody() && !tcp.AddrPort().Addr().Unmap().IsLoopback() {
		a.log.Warn("whoever reaches `listen` can read the status page and the metrics, which have names and ids; "+
			"set `readers` (a password or a token) in the config, or let only /webhook/ through from outside",
			slog.String("listen", a.Addr()))
	}
}

// newReceiver takes what SocialHub tells of the channels that have a webhook. The engine must be there already.
func (a *App) newReceiver(c *config.Config) *web.Receiver {
	return web.NewReceiver(web.ReceiverOptions{
		Inbox: a.store, Webhooks: a.webhooks(c), TrustedProxies: c.TrustedProxies, Logger: a.log, Wake: a.engine.WakeActions,
	})
}

func (a *App) webhooks(c *config.Config) (all []web.Webhook) {
	for _, ch := range c.Channels {
		if ch.Webhook != nil {
			all = append(all, web.Webhook{
				ChannelID: ch.Token.ChannelID(), Name: ch.Name, Secret: ch.Webhook.Secret, Tolerance: ch.Webhook.Tolerance,
				Fingerprint: ch.Token.Fingerprint(),
				Templates:   (&templates{config: c, channel: &ch, log: a.log, mute: make(map[string]bool)}).list,
			})
		}
	}
	return all
}
