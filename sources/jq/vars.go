package jq

import "time"

// Vars are what programs see beside their input. What an adapter does not set is null.
type Vars struct {
	// Prefix is $prefix, the text that ids begin with.
	Prefix string
	// Cursor is $cursor, the source's own mark of how far it was read.
	Cursor any
	// Since, Until and Now are $since, $until and $now, in RFC 3339, in UTC and whole seconds (rounded down).
	Since, Until, Now time.Time
	// Page is $page, where a source that comes in pages is.
	Page any
	// Item is $item, the outer item where items have inner ones.
	Item any
	// Stream is $stream, the name of the stream that a record is of.
	Stream string
	// Action is $action, what the team did, Ref and Root are $ref and $root, the notes on its item and on the thread's first.
	Action, Ref, Root any
	// Status and Headers are $status and $headers of an HTTP answer. Names of headers are in lower case.
	Status  int
	Headers map[string]any
}

// variables are the names with their values, in a fixed order.
var variables = []struct {
	name  string
	value func(*Vars) any
}{
	{"$prefix", func(v *Vars) any { return text(v.Prefix) }},
	{"$cursor", func(v *Vars) any { return v.Cursor }},
	{"$since", func(v *Vars) any { return timeText(v.Since) }},
	{"$until", func(v *Vars) any { return timeText(v.Until) }},
	{"$now", func(v *Vars) any { return timeText(v.Now) }},
	{"$page", func(v *Vars) any { return v.Page }},
	{"$item", func(v *Vars) any { return v.Item }},
	{"$stream", func(v *Vars) any { return text(v.Stream) }},
	{"$action", func(v *Vars) any { return v.Action }},
	{"$ref", func(v *Vars) any { return v.Ref }},
	{"$root", func(v *Vars) any { return v.Root }},
	{"$status", func(v *Vars) any {
		if v.Status == 0 {
			return nil
		}
		return v.Status
	}},
	{"$headers", func(v *Vars) any {
		if v.Headers == nil {
			return nil
		}
		return v.Headers
	}},
}

func variableNames() []string {
	names := make([]string, len(variables))
	for i, v := range variables {
		names[i] = v.name
	}
	return names
}

func (v *Vars) values() []any {
	values := make([]any, len(variables))
	for i, variable := range variables {
		values[i] = variable.value(v)
	}
	return values
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func timeText(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
