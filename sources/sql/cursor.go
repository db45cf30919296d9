package sqlsource

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const cursorVersion = 1

// state is what the stored cursor holds.
type state struct {
	Version int `json:"v"`
	// Query is a hash of the query, the cursor column and the types of both columns. Positions of another query
	// mean nothing.
	Query string `json:"q"`
	position
	// Marks are former positions, oldest first. They serve cursors that are no times.
	Marks []mark `json:"marks,omitempty"`
	// Faults are the ids of rows that could not be read. They are read again until they are mended.
	Faults []any `json:"faults,omitempty"`
	// NoID: there were rows without an id.
	NoID bool `json:"noId,omitempty"`
}

// position is a row's place in the order of the pages. At is nil where there is no cursor column, or NULL in it. Both are
// a string, int64, uint64 or float64.
type position struct {
	At any `json:"c,omitempty"`
	ID any `json:"id,omitempty"`
}

func (p position) isZero() bool { return p == position{} }

// mark says where the cursor stood at a time, in seconds since 1970.
type mark struct {
	Time int64 `json:"t"`
	position
}

// maxFaults bounds the list of rows that are read again.
const maxFaults = 200

var errOtherCursor = errors.New("the cursor is of another version or another query")

// parseState reads a stored cursor.
func parseState(text, query string) (*state, error) {
	s := &state{}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(s); err != nil || s.Version != cursorVersion || s.Query != query {
		return nil, errOtherCursor
	}
	values := []*any{&s.At, &s.ID}
	for n := range s.Marks {
		values = append(values, &s.Marks[n].At, &s.Marks[n].ID)
	}
	for n := range s.Faults {
		values = append(values, &s.Faults[n])
	}
	for _, v := range values {
		var ok bool
		if *v, ok = fromJSON(*v); !ok {
			return nil, errOtherCursor
		}
	}
	return s, nil
}

// fromJSON undoes what JSON does to a value.
func fromJSON(v any) (any, bool) {
	switch v := v.(type) {
	case nil, string:
		return v, true
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, true
		}
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n, true
		}
		f, err := v.Float64()
		return f, err == nil
	}
	return nil, false
}

// text is what is stored.
func (s *state) text() string {
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(s); err != nil { // numbers and texts: can't be
		return ""
	}
	return strings.TrimSpace(out.String())
}

// remember notes rows that could not be read.
func (s *state) remember(id any) {
	if len(s.Faults) < maxFaults && !slices.Contains(s.Faults, id) {
		s.Faults = append(slices.Clip(s.Faults), id)
	}
}

// forget drops a row that can be read, or is gone.
func (s *state) forget(id any) {
	s.Faults = slices.DeleteFunc(slices.Clone(s.Faults), func(v any) bool { return v == id })
}

// setMark notes where the cursor stands now, often enough to tell where it stood a while ago, and drops the marks that
// serve no more. The rows before it must have been read again, see [state.since].
func (s *state) setMark(now time.Time, rescan time.Duration) {
	last := len(s.Marks) - 1
	if last >= 0 && now.Unix() >= s.Marks[last].Time && now.Unix()-s.Marks[last].Time < int64(rescan/(8*time.Second)) {
		return
	}
	s.Marks = append(slices.Clip(s.Marks), mark{Time: now.Unix(), position: s.position})
	s.Marks = s.Marks[max(0, s.markBefore(rescan)):]
}

// since returns where the cursor stood that long before the last mark, or zero if that is not known. It is not counted
// back from now: if no poll succeeded for longer than that, what came late lies before the last one that did.
func (s *state) since(rescan time.Duration) position {
	if n := s.markBefore(rescan); n >= 0 {
		return s.Marks[n].position
	}
	return position{}
}

// markBefore finds the newest mark that is that much older than the last one; -1 if there is none.
func (s *state) markBefore(rescan time.Duration) int {
	for n, m := range slices.Backward(s.Marks) {
		if m.Time <= s.Marks[len(s.Marks)-1].Time-int64(rescan/time.Second) {
			return n
		}
	}
	return -1
}

// queryHash tells queries apart, for [state].Query.
func queryHash(parts ...string) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", parts)))
	return hex.EncodeToString(sum[:8])
}
