package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// mapped is an item with the size of its JSON.
type mapped struct {
	item sources.Item
	text []byte
}

// mapItem makes interactions of one of the API's items. What can't be made one is a fault at its place, and the rest
// goes on; an error is ctx's cause.
func (s *source) mapItem(ctx context.Context, l *list, native any, place string, vars jq.Vars) (made []mapped, err error) {
	n := 0
	fault := func(reason string) {
		at := place
		if n > 0 {
			at = fmt.Sprintf("%s, output %d", place, n+1)
		}
		made = append(made, mapped{item: faultAt(at, l.key+"map: "+reason)})
	}
	for out, err := range l.mapping.Run(ctx, native, vars) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var text []byte
		if err == nil {
			text, err = jq.Encode(out)
		}
		var item sources.Item
		if err == nil {
			item, err = s.decoder.Decode(text)
		}
		if err != nil {
			fault(err.Error())
		} else {
			made = append(made, mapped{item: item, text: text})
		}
		n++
	}
	return made, nil
}

func faultAt(place, reason string) sources.Item {
	return sources.Item{Fault: &sources.Fault{Place: place, Reason: reason}}
}

// anyPlace begins the place of every fault. That of an item has an end, so that it is not the beginning of another's.
const anyPlace = "item "

// placeOf names an item by its id, or if it has none by a hash, so that it has the same name every time.
func placeOf(native any) string {
	if object, ok := native.(map[string]any); ok {
		for _, key := range []string{"id", "uuid", "guid", "_id", "key"} {
			switch v := object[key]; jq.TypeOf(v) {
			case "string", "number":
				const most = 100
				if text, err := jq.Text(v); err == nil && text != "" && len(text) <= most {
					return strconv.Quote(text)
				}
			}
		}
	}
	text, err := jq.Encode(native)
	if err != nil {
		return "too large"
	}
	sum := sha256.Sum256(text)
	return "#" + hex.EncodeToString(sum[:8])
}
