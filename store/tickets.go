package store

import (
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// State says where a ticket stands.
type State string

const (
	// Pending: wanted and delivered differ; the deliverer takes it when it is due.
	Pending State = "pending"
	// Synced: SocialHub shows the wanted content.
	Synced State = "synced"
	// Unlinked: SocialHub has the ticket, but its _id is unknown; later content waits for it.
	Unlinked State = "unlinked"
	// Rejected: SocialHub or our own check refused the content; it waits for other content or a person.
	Rejected State = "rejected"
	// Held: a delivered ticket's content changed, and the change waits: for the end of the poll, or for a person
	// because the poll changed too many.
	Held State = "held"
	// Gone: the ticket was removed in SocialHub; it is never created again by itself.
	Gone State = "gone"
	// Skipped: known, but not for SocialHub (our own post in a channel without a networkId).
	Skipped State = "skipped"
)

// SQLite uses the index of the open tickets only where it finds the index's own condition, so these
// conditions say twice that a ticket is not synced.
const (
	pending  = `state = 'pending' AND state <> 'synced'`
	rejected = `state = 'rejected' AND state <> 'synced'`
)

// Ticket is our row about one interaction. Its texts are stored as Postgres can store them: invalid
// UTF-8 and NUL become U+FFFD, in ids too.
type Ticket struct {
	// NetworkItemID is at most 2,000 bytes long.
	NetworkItemID string
	Source        string
	// TicketID is SocialHub's _id, empty until it is known.
	TicketID string
	// WantedHash is never empty but for an item that can't be read.
	WantedHash string
	// DeliveredHash counts only if Delivered: empty then means that some content was sent, unknown which.
	DeliveredHash string
	Delivered     bool
	// Payload is the wanted content while it is not delivered, in the engine's own form.
	Payload string
	// RootID names the item that must be created first.
	RootID string
	Ref    string
	State  State
	// Backfill puts the ticket behind the live ones.
	Backfill bool
	Attempts int
	Reason   string
	// Own tells that we posted it.
	Own bool
	// StoredAt is when the wanted content came into the store, by the database's clock; only [Store.Due] tells it.
	StoredAt time.Time
}

// row is a ticket as the bulk statements read it from JSON, by position (keys would double the text):
// id, source, ticket, wanted, delivered, payload, root, ref, state, priority, due, reason, own. A nil is NULL.
type row [13]any

func rowOf(t *Ticket) row {
	var delivered *string
	if t.Delivered {
		delivered = new(clean(t.DeliveredHash))
	}
	priority, own := 0, 0
	if t.Backfill {
		priority = 1
	}
	if t.Own {
		own = 1
	}
	var due *int64
	if t.State == Pending {
		due = new(int64(0))
	}
	return row{
		clean(t.NetworkItemID), t.Source, nullable(clean(t.TicketID)), clean(t.WantedHash), delivered,
		nullable(clean(t.Payload)), nullable(clean(t.RootID)), nullable(clean(t.Ref)), t.State, priority, due, clean(t.Reason), own,
	}
}

const ticketColumns = `network_item_id, source, ticket_id, wanted_hash, delivered_hash, payload, root_id, ref, state, priority, attempts, reason, own`

// scanTicket reads the ticketColumns, and what follows them into more.
func scanTicket(rows *sql.Rows, more ...any) (*Ticket, error) {
	var t Ticket
	var ticketID, delivered, payload, root, ref sql.NullString
	var priority, own int
	err := rows.Scan(append([]any{
		&t.NetworkItemID, &t.Source, &ticketID, &t.WantedHash, &delivered, &payload, &root, &ref,
		&t.State, &priority, &t.Attempts, &t.Reason, &own,
	}, more...)...)
	t.TicketID, t.Payload, t.RootID, t.Ref = ticketID.String, payload.String, root.String, ref.String
	t.DeliveredHash, t.Delivered, t.Backfill = delivered.String, delivered.Valid, priority == 1
	t.Own = own == 1
	return &t, err
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// clean makes a text from outside fit for a text column: Postgres takes no NUL.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func cleanAll(texts []string) []string {
	cleaned := make([]string, len(texts))
	for i, text := range texts {
		cleaned[i] = clean(text)
	}
	return cleaned
}

// object is the JSON object of ids and hashes. It is on the path of every unchanged item: half as
// much work for the databases as an array of pairs.
func object(items []Seen) string {
	data := []byte{'{'}
	for i, item := range items {
		if i > 0 {
			data = append(data, ',')
		}
		// The error tells of invalid UTF-8, which clean has replaced.
		data, _ = jsontext.AppendQuote(data, clean(item.NetworkItemID))
		data = append(data, ':')
		data, _ = jsontext.AppendQuote(data, clean(item.Hash))
	}
	return string(append(data, '}'))
}

// array is the JSON of a bulk statement's parameter.
func array(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// millis rounds a duration up to the store's unit, so that "later" never becomes "now".
func millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
