package sqlsource

import (
	"bytes"
	"encoding/json"
	"strings"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sql/engine"
)

// The names of parameters: those of every action, and those that replies have beside. :ref.NAME and :root_ref.NAME are
// members of the objects.
var (
	itemNames     = []string{"key", "action", "time", "id", "item", "ref", "root_id", "root", "root_ref"}
	replyNames    = []string{"text", "option"}
	templateNames = []string{"template", "template_name", "language", "variables"}
)

// timeLayout is how databases take a time, in UTC.
const timeLayout = "2006-01-02 15:04:05.000"

// errNoRow says that it is not known which row of the database an item is.
var errNoRow = &sources.RefusedError{Reason: "it is not known which row of the database this is; write to the source itself"}

// values are those of an action's parameters.
type values struct {
	plain   map[string]any
	ref     map[string]any
	rootRef map[string]any
	// booleans: the database has them; else they are 1 and 0.
	booleans bool
}

func (s *source) valuesOf(a *sources.Action) *values {
	v := &values{ref: members(a.Ref), rootRef: members(a.RootRef), booleans: s.engine.Booleans()}
	v.plain = map[string]any{
		"key": a.Key, "action": a.ID, "time": a.Time.UTC().Format(timeLayout), "item": a.NetworkItemID, "root": orNull(a.RootID),
		"ref": orNull(string(a.Ref)), "root_ref": orNull(string(a.RootRef)),
		"id": s.native(a.NetworkItemID, v.ref), "root_id": s.native(a.RootID, v.rootRef),
	}
	return v
}

// native is the id of the row that an item was made of: what its ref says, or what its networkItemId was made of; nil if
// neither tells.
func (s *source) native(itemID string, ref map[string]any) any {
	if id, ok := ref[idColumn]; ok && id != nil {
		return textOrNumber(id)
	}
	if id, ok := strings.CutPrefix(itemID, s.prefix+"-"); ok && sources.ItemID(s.prefix, id) == itemID {
		return id
	}
	return nil
}

// bind returns the arguments of a statement.
func (v *values) bind(s *engine.Statement) ([]any, error) {
	args := make([]any, 0, len(s.Names()))
	for _, name := range s.Names() {
		arg, err := v.value(name)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

func (v *values) value(name string) (any, error) {
	group, field, dotted := strings.Cut(name, ".")
	switch {
	case !dotted && name == "id" && v.plain[name] == nil:
		return nil, errNoRow
	case !dotted:
		return v.plain[name], nil
	case group == "root_ref":
		return v.scalar(v.rootRef[field]), nil
	}
	found, ok := v.ref[field]
	if !ok {
		return nil, errNoRow
	}
	return v.scalar(found), nil
}

// scalar is a member of a ref as a database takes it; objects and lists are JSON.
func (v *values) scalar(value any) any {
	switch value := value.(type) {
	case nil:
		return nil
	case bool:
		switch {
		case !v.booleans && value:
			return int64(1)
		case !v.booleans:
			return int64(0)
		}
		return value
	}
	return textOrNumber(value)
}

// textOrNumber writes what is no truth value as a text, which databases take for a number too.
func textOrNumber(value any) any {
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	text, err := json.Marshal(value)
	if err != nil { // it came out of JSON
		return nil
	}
	return string(text)
}

// members are those of a JSON object; none if it is something else.
func members(text json.RawMessage) map[string]any {
	var found map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&found) != nil {
		return nil
	}
	return found
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
