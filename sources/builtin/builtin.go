// Package builtin is the list of the adapters that come with the program.
package builtin

import (
	"socialhub-sync/sources"
	execsource "socialhub-sync/sources/exec"
	"socialhub-sync/sources/httpapi"
	"socialhub-sync/sources/imap"
	"socialhub-sync/sources/jsonl"
	"socialhub-sync/sources/mastodon"
	"socialhub-sync/sources/rss"
	sqlsource "socialhub-sync/sources/sql"
)

// Adapters returns the adapters in the order of their names.
func Adapters() []sources.Adapter {
	return []sources.Adapter{
		execsource.New(),
		httpapi.New(),
		imap.New(),
		jsonl.New(),
		mastodon.New(),
		rss.New(),
		sqlsource.New(),
	}
}
