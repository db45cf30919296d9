package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"socialhub-sync/app/config"
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
	o := sync.Options{Store: s, Logger: log, Owner: owner(), LeaseTTL: c.Lease, Retention: c.Retention, Backfill: backfill}
	ids := make(map[string]string)
	for _, ch := range c.Channels {
		client, err := NewClient(c, &ch)
		if err != nil {
			return nil, nil, fmt.Errorf("channel %s: %w", ch.Name, err)
		}
		ids[ch.Name] = ch.Token.ChannelID()
		o.Channels = append(o.Channels, sync.Channel{
			ID: ch.Token.ChannelID(), Name: ch.Name, Fingerprint: ch.Token.Fingerprint(), Client: client,
			Concurrency: ch.Concurrency, RateLimit: ch.RateLimit,
		})
	}
	for _, src := range c.Sources {
		o.Sources = append(o.Sources, sync.Source{
			Name: src.Name, Adapter: src.Adapter.Name, ChannelID: ids[src.Channel],
			Schedule: src.Schedule, ScheduleText: src.ScheduleText, Reset: src.Reset, OnDelete: src.OnDelete,
			MassChangeLimit: src.MassChangeLimit,
			Open:            func(ctx context.Context) (sources.Source, error) { return OpenSource(ctx, c, &src, log) },
		})
	}
	closeClients := func() {
		for _, ch := range o.Channels {
			ch.Client.Close()
		}
	}
	return sync.New(o), closeClients, nil
}

// NewClient is the client for a channel of the config.
func NewClient(c *config.Config, ch *config.Channel) (*socialhub.Client, error) {
	return socialhub.NewClient(socialhub.Options{
		BaseURL: c.APIURL, Token: ch.Token, UserAgent: UserAgent(), Concurrency: ch.Concurrency,
	})
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
func (a *App) shown() []web.Channel {
	var channels []web.Channel
	for _, ch := range a.config.Channels {
		shown := web.Channel{ID: ch.Token.ChannelID(), Name: ch.Name}
		for _, src := range a.config.Sources {
			if src.Channel == ch.Name {
				shown.Sources = append(shown.Sources, src.Name)
			}
		}
		channels = append(channels, shown)
	}
	return channels
}

// listenOptions are what the config says of the listener.
func (a *App) listenOptions() listen.Options {
	o := listen.Options{Address: a.config.Listen, CertFile: a.config.TLS.CertFile, KeyFile: a.config.TLS.KeyFile, Logger: a.log}
	if acme := a.config.TLS.ACME; acme != nil {
		o.ACME = &listen.ACME{
			Domains: acme.Domains, Email: acme.Email, Cache: acme.Cache, Directory: acme.Directory, UserAgent: UserAgent(),
		}
	}
	return o
}

// warnOfReaders tells whoever started the daemon that strangers may read what it shows.
func (a *App) warnOfReaders() {
	if tcp, ok := a.server.Addr().(*net.TCPAddr); ok && foreign(tcp.AddrPort().Addr().Unmap()) {
		a.log.Warn("whoever reaches `listen` can read the status page and the metrics, which have names and ids; let only /webhook/ through from outside",
			slog.String("listen", a.Addr()))
	}
}

// foreign tells whether an address that is listened on can be reached from other networks than a private one. Of all
// addresses of a machine one may be.
func foreign(addr netip.Addr) bool {
	return !addr.IsLoopback() && !addr.IsPrivate() && !addr.IsLinkLocalUnicast()
}

// receiver takes what SocialHub tells of the channels that have a webhook. The engine must be there already.
func (a *App) receiver(s *store.Store) *web.Receiver {
	return web.NewReceiver(web.ReceiverOptions{
		Inbox: s, Webhooks: a.webhooks(), TrustedProxies: a.config.TrustedProxies, Logger: a.log, Wake: a.engine.WakeActions,
	})
}

func (a *App) webhooks() (all []web.Webhook) {
	for _, ch := range a.config.Channels {
		if ch.Webhook != nil {
			all = append(all, web.Webhook{
				ChannelID: ch.Token.ChannelID(), Name: ch.Name, Secret: ch.Webhook.Secret, Tolerance: ch.Webhook.Tolerance,
				Fingerprint: ch.Token.Fingerprint(),
				Templates:   (&templates{config: a.config, channel: &ch, log: a.log, mute: make(map[string]bool)}).list,
			})
		}
	}
	return all
}
