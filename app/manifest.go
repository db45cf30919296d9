package app

import (
	"context"
	"log/slog"

	"socialhub-sync/app/config"
	"socialhub-sync/socialhub"
	"socialhub-sync/sync/manifest"
)

// Manifest is how the config wants a channel's manifest.
func Manifest(ch *config.Channel) manifest.Desired {
	var hook *socialhub.Webhook
	if ch.Webhook != nil && ch.Webhook.URL != "" {
		hook = &socialhub.Webhook{URL: ch.Webhook.URL, Secret: ch.Webhook.Secret}
	}
	return manifest.Want(ch.Actions, ch.Sidebar, hook)
}

// ManifestGaps are the channel's actions that not all of its sources can do. The sources are opened for that, which makes
// no request.
func ManifestGaps(ctx context.Context, c *config.Config, ch *config.Channel, log *slog.Logger) []manifest.Gap {
	var all []manifest.Able
	for _, src := range c.Sources {
		if src.Channel != ch.Name {
			continue
		}
		able := manifest.Able{Name: src.Name}
		if opened, err := OpenSource(ctx, c, &src, log); err == nil {
			able.Source = opened
			defer opened.Close()
		}
		all = append(all, able)
	}
	return manifest.Gaps(ch.Actions, all)
}

// manifests are those that the daemon keeps as the config has them, by channelId.
func manifests(c *config.Config) map[string]manifest.Desired {
	kept := make(map[string]manifest.Desired)
	for _, ch := range c.Channels {
		if ch.Webhook != nil && ch.Webhook.Manage {
			kept[ch.Token.ChannelID()] = Manifest(&ch)
		}
	}
	return kept
}
