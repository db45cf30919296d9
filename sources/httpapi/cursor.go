package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"socialhub-sync/sources/jq"
)

// Orders of [Cursor.Order].
const (
	orderOldest = "oldest"
	orderNewest = "newest"
)

const cursorVersion = 1

// leastWalk is how many pages a walk must have behind it to be stored: a shorter one is soon done again, unless there are
// details, a request for each item.
const leastWalk = 10

// maxAhead is how far a stored time may be ahead of our clock before it is not believed.
const maxAhead = 24 * time.Hour

// cursor is what is stored. Mark is as far as everything was read and stored; it moves when a walk through the pages is
// over, and after each page if those come oldest first. Walk is a long walk that is not over.
type cursor struct {
	Version int `json:"v"`
	// Of is a hash of the settings that the rest belongs to.
	Of   string `json:"of"`
	Mark mark   `json:"mark,omitzero"`
	Walk *walk  `json:"walk,omitempty"`
	// Faults are the places of items that could not be read, see [pull.settle].
	Faults []string `json:"faults,omitempty"`
}

// maxFaults bounds [cursor.Faults].
const maxFaults = 200

// walk is how far a walk has come.
type walk struct {
	// Of is a hash of what was asked: with another number of items to a page, At would be another place.
	Of string `json:"of"`
	// Began is when, and Since what it asked for; zero is everything.
	Began time.Time `json:"began"`
	Since time.Time `json:"since,omitzero"`
	// Top is the largest value seen so far; without [Cursor.Value] when the walk began by the API's clock.
	Top mark `json:"top,omitzero"`
	// At is where to go on. Size is how many items the last page had, Pages how many pages there were.
	At    position `json:"at"`
	Size  int      `json:"size,omitempty"`
	Pages int      `json:"pages"`
}

// mark is a value of [Cursor.Value]: a time, or an id. The zero value is none.
type mark struct {
	time time.Time
	id   any // string or json.Number, nil if it is a time
}

var errMark = errors.New("want a time in RFC 3339, or an id that is a text or a whole number")

// markOf reads what the jq program gives; nothing, null and an empty text are no mark.
func markOf(v any) (mark, error) {
	switch v := v.(type) {
	case nil:
		return mark{}, nil
	case string:
		if v == "" {
			return mark{}, nil
		}
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return mark{time: t.UTC()}, nil
		}
		return mark{id: v}, nil
	}
	if jq.TypeOf(v) == "number" {
		if text, err := jq.Text(v); err == nil && !strings.ContainsAny(text, ".eE") {
			return mark{id: json.Number(text)}, nil
		}
	}
	return mark{}, errMark
}

// IsZero tells whether there is no mark.
func (m mark) IsZero() bool { return m.id == nil && m.time.IsZero() }

// like tells whether both are times, or both ids.
func (m mark) like(other mark) bool {
	return !m.IsZero() && !other.IsZero() && (m.id == nil) == (other.id == nil)
}

// value is the mark for jq.
func (m mark) value() any {
	switch {
	case m.id != nil:
		return m.id
	case m.time.IsZero():
		return nil
	}
	return m.time.Format(time.RFC3339Nano)
}

// before tells whether m is smaller. Nothing is smaller than everything; ids made of digits compare as numbers, also as
// texts; a time and an id compare as jq does.
func (m mark) before(other mark) bool {
	switch {
	case other.IsZero():
		return false
	case m.IsZero():
		return true
	case m.id == nil && other.id == nil:
		return m.time.Before(other.time)
	}
	a, b := m.value(), other.value()
	if x, ok := digits(a); ok {
		if y, ok := digits(b); ok {
			return len(x) < len(y) || len(x) == len(y) && x < y
		}
	}
	return jq.Compare(a, b) < 0
}

// digits is the whole number, not negative, that an id is.
func digits(v any) (string, bool) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = v.String()
	}
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return "", false
	}
	return strings.TrimLeft(s, "0"), true
}

// MarshalJSON implements [json.Marshaler].
func (m mark) MarshalJSON() ([]byte, error) { return json.Marshal(m.value()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (m *mark) UnmarshalJSON(text []byte) error {
	v, err := jq.Decode(text)
	if err == nil {
		*m, err = markOf(v)
	}
	return err
}

func (c *cursor) text() string {
	text, err := json.Marshal(c)
	if err != nil { // texts, numbers and times: can't be
		return ""
	}
	return string(text)
}

// readCursor returns what the stored cursor says: nothing if it is of another address or another [Cursor.Value]. Of another version, or
// from the future, it is not understood: everything is read again.
func (s *source) readCursor(text string, now time.Time) cursor {
	fresh := cursor{Version: cursorVersion, Of: s.identity()}
	if text == "" {
		return fresh
	}
	var c cursor
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || c.Version != cursorVersion || c.ahead(now) {
		s.logger.Warn("cursor is not understood, everything is read again")
		return fresh
	}
	if c.Of != fresh.Of {
		s.logger.Info("url or cursor.value has changed, everything is read again")
		return fresh
	}
	if c.Walk != nil && c.Walk.Of != s.walkIdentity() {
		s.logger.Info("what is asked for has changed, reading does not go on where it ended")
		c.Walk = nil
	}
	return c
}

func (c *cursor) ahead(now time.Time) bool {
	latest := now.Add(maxAhead)
	return c.Mark.time.After(latest) ||
		c.Walk != nil && (c.Walk.Began.After(latest) || c.Walk.Since.After(latest) || c.Walk.Top.time.After(latest))
}

// identity tells apart what cursors may be of. Parameters of the address do not count: they may hold a key that changes.
func (s *source) identity() string {
	address, _, _ := strings.Cut(s.settings.URL.String(), "?")
	return identityOf(address + "\x00" + s.settings.Cursor.Value.String())
}

// walkIdentity tells apart what walks may be of.
func (s *source) walkIdentity() string {
	r, p := &s.settings.Request, &s.settings.Paging
	return identityOf(fmt.Sprintf("%q %q %q %q %q %q %q %q %q",
		r.URL, r.Method, r.Headers, r.Query, r.Body, p.Kind, p.Next, s.settings.Items, s.settings.Cursor.Order))
}

func identityOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
