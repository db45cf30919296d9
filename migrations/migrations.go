// Package migrations holds the schema of both engines as numbered goose migrations. A migration that
// has been released is never edited: a change is a new file with the same number in both folders.
package migrations

import "embed"

//go:embed postgres/*.sql
var Postgres embed.FS

//go:embed sqlite/*.sql
var SQLite embed.FS
