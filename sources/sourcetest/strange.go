package sourcetest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// takesStrangeCursors pulls with cursors that a newer or an older program may have written, or nobody. An
// error is fine, reading again is fine; a pull that finds nothing and says nothing is not.
func takesStrangeCursors(c *checker) {
	cursor := c.poll("")
	strange := append([]string{"nonsense", "{}", "[]", "null", "7", `"x"`, `{"v":999}`, "\x00\xff", strings.Repeat("9", 1000)}, altered(cursor)...)
	for _, text := range strange {
		c.forget()
		s := c.open()
		_, err := s.pull(c.context(), sources.Request{Cursor: text}, nil)
		s.close()
		if err == nil && len(c.ids.seen) == 0 {
			c.Errorf("with the cursor %.100q nothing is read and nothing said; want everything again, or an error", text)
		}
	}
	// One from the future must not hide what comes.
	for _, text := range shifted(cursor) {
		c.forget()
		item := c.add()
		s := c.open()
		_, err := s.pull(c.context(), sources.Request{Cursor: text}, nil)
		s.close()
		if err == nil {
			c.expect("with a cursor from the future", func(i Item) bool { return i.ID == item.ID })
		}
	}
}

// altered returns a cursor with other versions, and cut off.
func altered(cursor string) []string {
	if cursor == "" {
		return nil
	}
	var found []string
	for _, version := range []float64{0, 999} {
		if text, ok := rewrite(cursor, func(key string, v any) (any, bool) {
			_, number := v.(json.Number)
			return version, number && slices.Contains([]string{"v", "version"}, strings.ToLower(key))
		}); ok {
			found = append(found, text)
		}
	}
	return found
}

// shifted returns a cursor whose times lie ten years ahead.
func shifted(cursor string) []string {
	text, ok := rewrite(cursor, func(_ string, v any) (any, bool) {
		switch v := v.(type) {
		case string:
			at, err := time.Parse(time.RFC3339Nano, v)
			return at.AddDate(10, 0, 0).Format(time.RFC3339Nano), err == nil
		case json.Number:
			return shiftNumber(v)
		}
		return nil, false
	})
	if !ok {
		return nil
	}
	return []string{text}
}

// shiftNumber moves a number that looks like a time since 1970 in seconds, or thousandths, millionths or milliardths
// of one.
func shiftNumber(n json.Number) (any, bool) {
	value, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil {
		return nil, false
	}
	const year = 365 * 24 * 60 * 60
	for unit := int64(1); unit <= 1e9; unit *= 1000 {
		if value > 40*year*unit && value < 100*year*unit {
			return value + 10*year*unit, true
		}
	}
	return nil, false
}

// rewrite changes values in a cursor that is JSON; not ok if it is not, or if nothing changed.
func rewrite(cursor string, change func(key string, v any) (any, bool)) (string, bool) {
	decoder := json.NewDecoder(strings.NewReader(cursor))
	decoder.UseNumber()
	var document any
	if decoder.Decode(&document) != nil {
		return "", false
	}
	changed := false
	var walk func(key string, v any) any
	walk = func(key string, v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = walk(k, v[k])
			}
		case []any:
			for i := range v {
				v[i] = walk(key, v[i])
			}
		}
		if other, ok := change(key, v); ok {
			changed = true
			return other
		}
		return v
	}
	text, err := json.Marshal(walk("", document))
	return string(text), err == nil && changed
}
