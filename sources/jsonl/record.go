package jsonl

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// record is what a line may hold.
type record struct {
	socialhub.Interaction
	UpdatedTime time.Time      `json:"updatedTime"`
	Own         bool           `json:"own"`
	Deleted     bool           `json:"deleted"`
	Ref         jsontext.Value `json:"ref"`
}

// fields are the members of a record, for people.
const fields = "networkItemId, message, pictures, attachments, link, rating, createdTime, url, root, interactor, type, " +
	"updatedTime, own, deleted, ref"

// strict refuses members that a record does not have, such as a typing error.
var strict = json.RejectUnknownMembers(true)

// decoder decodes lines. It holds what would otherwise be allocated anew for each.
type decoder struct{ record record }

// decode reads a line. The error is for people and shows nothing of the line but names of fields and a wrong id.
func (d *decoder) decode(l line) (sources.Item, error) {
	if l.long {
		return sources.Item{}, fmt.Errorf("longer than %d MiB; make it shorter", maxLine>>20)
	}
	r := &d.record
	*r = record{}
	if err := json.Unmarshal(l.text, r, strict); err != nil {
		return sources.Item{}, explain(err)
	}
	switch id := r.NetworkItemID; {
	case id == "":
		return sources.Item{}, errors.New("networkItemId is missing; give each item an id that never changes")
	case !socialhub.ValidItemID(id):
		return sources.Item{}, fmt.Errorf("networkItemId %q: want %d to %d characters out of a-z A-Z 0-9 and /|@&$!?()[]{}+*~,;.:=_-",
			shorten(id), socialhub.MinItemID, socialhub.MaxItemID)
	}
	r.CreatedTime, r.UpdatedTime = r.CreatedTime.UTC(), r.UpdatedTime.UTC()
	if r.CreatedTime.Year() > 9999 || r.UpdatedTime.Year() > 9999 {
		return sources.Item{}, errors.New("createdTime or updatedTime is after the year 9999")
	}
	item := sources.Item{Interaction: r.Interaction, UpdatedTime: r.UpdatedTime, Own: r.Own, Deleted: r.Deleted}
	if len(r.Ref) > 0 && r.Ref.Kind() != 'n' {
		item.Ref = stdjson.RawMessage(r.Ref)
	}
	return item, nil
}

var (
	idKey  = []byte(`"networkItemId"`)
	refKey = []byte(`"ref"`)
)

// idOf returns the networkItemId of a line without decoding the rest if it can: nil if there is none. Of a valid line
// it is the id that decode finds; a broken one may have any.
func (d *decoder) idOf(l line) []byte {
	before, after, found := bytes.Cut(l.text, idKey)
	// Inside of ref the key could be somebody else's. Inside of a text it can't be: quotes are escaped there.
	if found && !bytes.Contains(before, refKey) {
		after = bytes.TrimLeft(after, " \t")
		if value, ok := bytes.CutPrefix(after, []byte{':'}); ok {
			value = bytes.TrimLeft(value, " \t")
			if end := bytes.IndexByte(value[min(1, len(value)):], '"'); end >= 0 && value[0] == '"' {
				if id := value[1 : 1+end]; bytes.IndexByte(id, '\\') < 0 {
					return id
				}
			}
		}
	}
	item, err := d.decode(l)
	if err != nil {
		return nil
	}
	return []byte(item.Interaction.NetworkItemID)
}

// explain says in plain words what is wrong with a line.
func explain(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d: %s", syntax.ByteOffset+1, shorten(syntax.Err.Error()))
	}
	wrong, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return errors.New("not a valid item")
	}
	field := shorten(fieldName(wrong.JSONPointer))
	if errors.Is(wrong.Err, json.ErrUnknownName) {
		return fmt.Errorf("unknown field %q; an item has %s", field, fields)
	}
	if field == "" {
		return errors.New(`want an object, such as {"networkItemId":"…","message":"…"}`)
	}
	return fmt.Errorf("%s: want %s", field, wanted(wrong.GoType))
}

// fieldName writes a JSON pointer the way people do: pictures.0.small.
func fieldName(p jsontext.Pointer) string {
	var names []string
	for name := range p.Tokens() {
		names = append(names, name)
	}
	return strings.Join(names, ".")
}

func wanted(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return `a time such as "2026-01-31T12:00:00Z"`
	}
	switch t.Kind() {
	case reflect.String:
		return "a text in quotes"
	case reflect.Float64:
		return "a number"
	case reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list […]"
	}
	return "an object {…}"
}

// shorten bounds a text from the outside that is shown.
func shorten(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
