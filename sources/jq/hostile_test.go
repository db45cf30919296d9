package jq

import (
	"strings"
	"testing"
	"time"
)

// A jq program that calculates with a number of 8 MB takes minutes, whatever its context says.
func TestANumberOfManyDigitsIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, around := range []string{"%", `[1,{"a":[%]}]`, `{"a":%}`} {
		if _, err := Decode([]byte(strings.Replace(around, "%", strings.Repeat("9", maxDigits), 1))); err != nil {
			t.Error(err)
		}
		_, err := Decode([]byte(strings.Replace(around, "%", strings.Repeat("9", maxDigits+1), 1)))
		if err == nil || err.Error() != "not usable JSON: it has a number of more than 1000 digits" {
			t.Error(around, err)
		}
	}
}

func TestATimeIsOfTheZoneThatItNamesOrNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-01-31 12:00:00 UTC":           "2026-01-31T12:00:00Z",
		"2026-01-31 12:00:00 pst":           "2026-01-31T20:00:00Z",
		"Sat, 31 Jan 2026 12:00:00 EST":     "2026-01-31T17:00:00Z",
		"Sat, 31 Jan 2026 12:00:00 GMT":     "2026-01-31T12:00:00Z",
		"Sat, 31 Jan 2026 12:00 +0100 (ME)": "2026-01-31T11:00:00Z",
		"2026-01-31 12:00:00 IST":           "", // of India, Israel or Ireland
		"Sat, 31 Jan 2026 12:00:00 CEST":    "",
	} {
		got, ok := ParseTime(text)
		if ok != (want != "") || ok && got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: %s %t", text, got, ok)
		}
	}
}
