package jq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/itchyny/gojq"
)

// maxDigits is how long a number may be as text. gojq calculates with all digits, and can't be ended while it does: a
// number of some MB takes minutes.
const maxDigits = 1000

// Decode reads one JSON value: nil, bool, json.Number (of at most 1000 bytes), string, []any or map[string]any. Errors say
// where it is wrong and show nothing of the text.
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // an id may have more digits than a float64
	var value any
	err := d.Decode(&value)
	if end := d.InputOffset(); err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return nil, fmt.Errorf("not valid JSON: something follows the value, after byte %d", end)
		}
		if hasLongNumber(value) {
			return nil, fmt.Errorf("not usable JSON: it has a number of more than %d digits", maxDigits)
		}
		return value, nil
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("not valid JSON at byte %d", syntax.Offset)
	}
	return nil, errors.New("not valid JSON: it ends too early")
}

func hasLongNumber(value any) bool {
	switch v := value.(type) {
	case json.Number:
		return len(v) > maxDigits
	case []any:
		return slices.ContainsFunc(v, hasLongNumber)
	case map[string]any:
		for _, inner := range v {
			if hasLongNumber(inner) {
				return true
			}
		}
	}
	return false
}

// Encode writes a value as JSON.
func Encode(value any) ([]byte, error) {
	text, err := gojq.Marshal(value)
	switch {
	case err != nil: // can't be: Run's outputs have types that can be written
		return nil, errors.New("the jq program gives something that is no JSON")
	case len(text) > MaxOutput:
		return nil, fmt.Errorf("the jq program gives an output of more than %d MiB", MaxOutput>>20)
	}
	return text, nil
}

// Compare orders values as jq's sort does: null, false, true, numbers, texts, lists, objects.
func Compare(a, b any) int { return gojq.Compare(a, b) }

// TypeOf is the jq name of a value's type, for errors.
func TypeOf(v any) string { return gojq.TypeOf(v) }

// Text is a value as jq's tostring writes it: a text as it is, anything else as JSON.
func Text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	text, err := Encode(v)
	return string(text), err
}
