// Package builtin is the list of the adapters that come with the program.
package builtin

import (
	"socialhub-sync/sources"
	"socialhub-sync/sources/jsonl"
	"socialhub-sync/sources/mastodon"
	"socialhub-sync/sources/rss"
)

// Adapters returns the adapters in the order of their names.
func Adapters() []sources.Adapter {
	return []sources.Adapter{
		jsonl.New(),
		mastodon.New(),
		rss.New(),
	}
}
