package sources

import (
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
)

// record is what an item written as JSON may hold.
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

// ItemDecoder reads items that a source writes as JSON. It holds what would otherwise be allocated anew for each,
// so it serves one goroutine at a time.
type ItemDecoder struct{ record record }

// Decode reads an item: an object with SocialHub's field names and, if wanted, updatedTime, own, deleted and ref. An
// unknown field is an error. The error is for people and shows nothing of the text but names of fields and a wrong id.
func (d *ItemDecoder) Decode(text []byte) (Item, error) {
	r := &d.record
	*r = record{}
	if err := json.Unmarshal(text, r, strict); err != nil {
		return Item{}, explain(err)
	}
	switch id := r.NetworkItemID; {
	case id == "":
		return Item{}, errors.New("networkItemId is missing; give each item an id that never changes")
	case !socialhub.ValidItemID(id):
		return Item{}, fmt.Errorf("networkItemId %q: want %d to %d characters out of a-z A-Z 0-9 and /|@&$!?()[]{}+*~,;.:=_-",
			shorten(id), socialhub.MinItemID, socialhub.MaxItemID)
	}
	r.CreatedTime, r.UpdatedTime = r.CreatedTime.UTC(), r.UpdatedTime.UTC()
	if r.CreatedTime.Year() > 9999 || r.UpdatedTime.Year() > 9999 {
		return Item{}, errors.New("createdTime or updatedTime is after the year 9999")
	}
	item := Item{Interaction: r.Interaction, UpdatedTime: r.UpdatedTime, Own: r.Own, Deleted: r.Deleted}
	if len(r.Ref) > 0 && r.Ref.Kind() != 'n' {
		item.Ref = stdjson.RawMessage(r.Ref)
	}
	return item, nil
}

// explain says in plain words what is wrong with an item.
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
