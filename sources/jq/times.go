package jq

import (
	"encoding/json"
	"math"
	"math/big"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Numbers from here on are ms and µs since 1970; in seconds they would be after the year 5000.
const (
	leastMilli = 1e11
	leastMicro = 1e14
)

// layouts are RFC 3339 and what is often written instead. Without a zone it is UTC.
var layouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z0700", "2006-01-02 15:04:05",
	time.DateOnly,
}

// zones are the names of zones that mean one zone everywhere, RFC 5322, 4.3.
var zones = map[string]string{
	"UTC": "+0000", "GMT": "+0000", "UT": "+0000", "Z": "+0000", "EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
	"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
}

// letters are the name of a zone at the end of a time.
var letters = regexp.MustCompile(` [A-Za-z]+$`)

// timeOf is the function `time`.
func timeOf(v any, _ []any) any {
	var t time.Time
	ok := false
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if strings.TrimSpace(v) == "" {
			return nil
		}
		t, ok = ParseTime(v)
	case int, float64, json.Number, *big.Int:
		number, _ := Text(v)
		t, ok = epoch(number)
	}
	if !ok {
		return &misuse{"time", "a time such as 2026-01-31T12:00:00Z, Sat, 31 Jan 2026 12:00:00 +0000 or 1769860800", v}
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// ParseTime reads a time as the function `time` does. The zone is UTC if the text has none. A zone by a name that
// is not of everywhere, such as IST, is not understood.
func ParseTime(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if name := letters.FindString(s); name != "" {
		offset, known := zones[strings.ToUpper(name[1:])]
		if !known {
			return time.Time{}, false
		}
		s = s[:len(s)-len(name)] + " " + offset
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if t, err := mail.ParseDate(s); err == nil {
		return t, true
	}
	return epoch(s)
}

// epoch reads seconds, ms or µs since 1970, up to the year 9999.
func epoch(s string) (time.Time, bool) {
	number, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(number) || math.Abs(number) >= 253402300800*1e6 {
		return time.Time{}, false
	}
	whole := int64(number)
	switch size := math.Abs(number); {
	case size >= leastMicro:
		return time.UnixMicro(whole), true
	case size >= leastMilli:
		return time.UnixMilli(whole), true
	}
	return time.Unix(whole, int64((number-float64(whole))*1e9)), true
}
