package jsonl

import (
	"bytes"
	"fmt"

	"socialhub-sync/sources"
)

// decoder decodes lines.
type decoder struct{ items sources.ItemDecoder }

// decode reads a line. The error is for people, see [sources.ItemDecoder.Decode].
func (d *decoder) decode(l line) (sources.Item, error) {
	if l.long {
		return sources.Item{}, fmt.Errorf("longer than %d MiB; make it shorter", maxLine>>20)
	}
	return d.items.Decode(l.text)
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
