package execsource

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"socialhub-sync/sources"
)

// protocolVersion changes when a program that was written for another one would not do.
const protocolVersion = 1

// request is what the program gets on standard input: one JSON object and a line end.
type request struct {
	Version int    `json:"version"`
	Source  string `json:"source"`
	// Cursor is what the program wrote last in a run whose items are stored; empty the first time.
	Cursor   string    `json:"cursor"`
	Backfill bool      `json:"backfill"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
}

func requestText(source string, r *sources.Request) ([]byte, error) {
	text, err := stdjson.Marshal(request{
		Version: protocolVersion, Source: source, Cursor: r.Cursor, Backfill: r.Backfill, Since: r.Since.UTC(), Until: r.Until.UTC(),
	})
	return append(text, '\n'), err
}

// message is one line of the program's output: an object with one of interaction, cursor, log and error.
type message struct {
	// Interaction is what [sources.ItemDecoder] reads.
	Interaction jsontext.Value `json:"interaction"`
	// Cursor tells that what was written so far need not be written again by a run that gets this cursor.
	Cursor *string `json:"cursor"`
	// Log is a line for the log at Level: debug, info (if left out), warn or error.
	Log   *string `json:"log"`
	Level string  `json:"level"`
	// Error ends the run. Stop: nobody should try again until a person has mended it. RetryAfter: seconds to wait.
	Error      *string `json:"error"`
	Stop       bool    `json:"stop"`
	RetryAfter float64 `json:"retry_after"`
}

// lenient takes what an interaction must not have: that is then one broken item, not broken output.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true), json.RejectUnknownMembers(true))

const known = "a line is an object with one of interaction, cursor, log (and level), error (and stop, retry_after)"

// decode reads a line. The error shows nothing of it but names of keys.
func (m *message) decode(text []byte) error {
	*m = message{Interaction: m.Interaction[:0]}
	if err := json.Unmarshal(text, m, lenient); err != nil {
		return explain(err)
	}
	kinds := 0
	for _, is := range []bool{len(m.Interaction) > 0, m.Cursor != nil, m.Log != nil, m.Error != nil} {
		if is {
			kinds++
		}
	}
	if kinds != 1 {
		return errors.New(known)
	}
	if _, ok := levelOf(m.Level); !ok {
		return errors.New("level: want debug, info, warn or error")
	}
	return nil
}

func explain(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d; write what is meant for people to standard error", syntax.ByteOffset+1)
	}
	wrong, ok := errors.AsType[*json.SemanticError](err)
	if !ok || wrong.JSONPointer == "" {
		return errors.New("not an object; " + known)
	}
	key := shorten(wrong.JSONPointer.LastToken(), 100)
	if errors.Is(wrong.Err, json.ErrUnknownName) {
		return fmt.Errorf("unknown key %q; %s", key, known)
	}
	want := map[string]string{"stop": "true or false", "retry_after": "a number of seconds"}[key]
	if want == "" {
		want = "a text in quotes"
	}
	return fmt.Errorf("%s: want %s", key, want)
}

// failure is the error that the program reports.
func (m *message) failure(secrets *redactor) error {
	text := cmp.Or(shorten(secrets.clean(*m.Error), maxQuoted), "an error without a text")
	err := commandError("the program reports: " + text)
	switch {
	case m.Stop:
		return &sources.StopError{Err: err}
	case m.RetryAfter > 0:
		seconds := min(m.RetryAfter, sources.MaxRetryAfter.Seconds())
		return &sources.RetryAfterError{After: time.Duration(seconds * float64(time.Second)), Err: err}
	}
	return err
}

// placePrefix begins the place of every item that can't be read. After it come at most maxPlace bytes.
const (
	placePrefix = "output:"
	maxPlace    = 300
)

// faultOf is an item that can't be read. Its place is its id, or a hash of it if that can't be found: a number
// of a line would mean another item in the next run.
func faultOf(l line, text []byte, reason string) *sources.Fault {
	var found struct {
		ID string `json:"networkItemId"`
	}
	lax := json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err := json.Unmarshal(text, &found, lax); err == nil && found.ID != "" {
		return &sources.Fault{Place: placePrefix + shorten(found.ID, maxPlace), Reason: reason}
	}
	sum := sha256.Sum256(text)
	return &sources.Fault{
		Place:  placePrefix + "#" + hex.EncodeToString(sum[:8]),
		Reason: fmt.Sprintf("line %d of the output: %s", l.number, reason),
	}
}

// shorten bounds a text from the outside that is shown, in bytes.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
