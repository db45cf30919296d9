// Package sources is the contract between the engine and the code that reads one kind of data
// source. An [Adapter] names its settings; the settings open a [Source]; the engine pulls batches
// from it and stores each batch together with its cursor.
package sources

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"time"

	"socialhub-sync/socialhub"
)

// Adapter is the code for one kind of source.
type Adapter struct {
	// Name is what the config's `adapter:` says; lower case, no spaces.
	Name string
	// Summary is one line for the list of adapters.
	Summary string
	// Settings returns a pointer to a new settings struct that holds the defaults. The config decodes
	// the source's `settings:` into it strictly: an unknown key is an error.
	Settings func() Settings
}

// Settings are one source's settings. They are checked when the config is read, with no side effect,
// and opened when the source is about to be used.
type Settings interface {
	// Validate reports what is wrong with the values, each fault as a [*SettingError] (errors.Join for several).
	Validate() error
	// Open returns the source. It makes no request; ctx bounds only the opening.
	Open(ctx context.Context, env Env) (Source, error)
}

// Env is what the engine lends to a source.
type Env struct {
	// Name is the source's name in the config.
	Name string
	// Dir is the folder of the config file; relative paths in settings are relative to it.
	Dir string
	// Logger carries the source's name already. Content of interactions must not be logged.
	Logger *slog.Logger
	// UserAgent is what HTTP requests must send.
	UserAgent string
}

// Source is one opened source. The engine never pulls from it twice at a time.
type Source interface {
	// Pull yields what is new since the request's cursor, in the order in which the source wants it
	// stored, as batches of at most [MaxBatch] items. An error ends the pull: batches yielded before it
	// are stored. It returns soon after ctx is done. See [StopError] and [RetryAfterError] for errors that say what to do.
	Pull(ctx context.Context, req Request) iter.Seq2[Batch, error]
	// Close frees what the source holds. It is called once, when no Pull runs.
	Close() error
}

// Sizes of a batch.
const (
	// MaxBatch is the largest number of items in a batch.
	MaxBatch = 500
	// BatchBytes is about the most content that a batch should hold, see [Batch].
	BatchBytes = 1 << 20
)

// Request says from where to read.
type Request struct {
	// Cursor is what the last stored batch carried; empty the first time.
	Cursor string
	// Backfill asks for history: items created or changed in [Since, Until). A zero time is no bound.
	// A backfill has a cursor of its own, apart from the polls' one.
	Backfill     bool
	Since, Until time.Time
}

// Batch is a run of items and the cursor after them. Both are committed in one transaction.
//
// A batch stays in memory, as read and as it is stored, until it is committed. An adapter whose items may be large
// should end a batch before their content passes [BatchBytes], and hand out a larger item alone.
type Batch struct {
	Items []Item
	// Cursor is opaque to the engine; empty means "keep the stored one".
	Cursor string
	// Rereads names the place ([Fault.Place] prefix) that is being read anew from its start: faults
	// remembered for that place are forgotten before this batch is stored.
	Rereads string
	// NotBefore asks that the next poll be no earlier than this (Cache-Control, a quota). Zero: no wish.
	NotBefore time.Time
}

// Item is one interaction as the source shows it now.
type Item struct {
	Interaction socialhub.Interaction
	// UpdatedTime is when the item last changed in the source; zero if the source does not say.
	UpdatedTime time.Time
	// Own marks what we posted ourselves.
	Own bool
	// Deleted marks an item that the source says is gone. Only NetworkItemID is needed then.
	Deleted bool
	// Ref is the adapter's own note, needed to act on the item later. It is stored and handed back.
	Ref json.RawMessage
	// Fault is set instead of the rest when the source holds an item that can't be read.
	Fault *Fault
}

// Fault is one item that can't be read. It is counted and shown as rejected; the rest goes on.
type Fault struct {
	// Place is where to look, unique in the source and stable: "reviews.jsonl:17".
	Place string
	// Reason says what is wrong and what to write instead.
	Reason string
}
