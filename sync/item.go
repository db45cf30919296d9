package sync

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// item is one thing that an adapter yielded, made ready for the decision.
type item struct {
	// key is the row's id: the networkItemId, or the place of an item that has no usable one.
	key string
	// hash is empty for an item that can't be read.
	hash    string
	payload payload
	root    string
	ref     string
	deleted bool
	mended  bool
	// refusal says why the item can't be sent; empty if it can.
	refusal string
}

// redactedMessage stands in a ticket whose item was deleted in the source, with `on_delete: redact`.
const redactedMessage = "[deleted at the source]"

// prepare turns what an adapter yielded into what SocialHub should show. Times that the source does not
// give are now.
func prepare(src *Source, in *sources.Item, now time.Time) item {
	if in.Fault != nil {
		return item{key: placeKey(in.Fault.Place), refusal: in.Fault.Reason}
	}
	id := in.Interaction.NetworkItemID
	if !socialhub.ValidItemID(id) {
		return item{key: placeKey(fmt.Sprintf("%q", id)), refusal: refusal(&socialhub.Interaction{NetworkItemID: id, Message: "x"})}
	}
	it := item{key: id, ref: string(in.Ref), deleted: in.Deleted, payload: payload{
		Interaction: in.Interaction, Updated: in.UpdatedTime, Own: in.Own, Reset: src.Reset && !in.Own && !in.Deleted,
	}}
	content := &it.payload.Interaction
	if in.Deleted {
		*content = socialhub.Interaction{NetworkItemID: id, Message: redactedMessage}
	}
	it.mended = mend(content)
	if mendTime(&it.payload.Updated); it.payload.Updated.IsZero() {
		it.payload.Updated, it.payload.Seen = now.UTC().Truncate(time.Millisecond), true
	}
	it.refusal = refusal(content)
	it.hash = contentHash(content)
	if content.Root != nil {
		it.root = content.Root.RootID
	}
	return it
}

// prepareAll prepares a batch; of several items with one id the last counts.
func prepareAll(src *Source, in []sources.Item, now time.Time) []item {
	items := make([]item, 0, len(in))
	at := make(map[string]int, len(in))
	for n := range in {
		it := prepare(src, &in[n], now)
		if earlier, ok := at[it.key]; ok {
			if !it.deleted || src.OnDelete == Redact { // else the ticket stays as it is, and that is what came before
				items[earlier] = it
			}
			continue
		}
		at[it.key] = len(items)
		items = append(items, it)
	}
	return items
}

// encode returns what the store keeps of the item, or why it can't be sent.
func (it *item) encode() (content, reason string) {
	if it.refusal != "" {
		return "", it.refusal
	}
	content, err := it.payload.encode()
	if err != nil {
		return "", err.Error()
	}
	return content, ""
}

// placePrefix has a character that no networkItemId may have, so that a place never is a ticket's id.
const placePrefix = "at "

// placeKey is the row id of an item without a usable id. Long places keep their beginning, which
// [sources.Batch.Rereads] looks for.
func placeKey(place string) string {
	place = strings.ReplaceAll(strings.ToValidUTF8(place, "\uFFFD"), "\x00", "\uFFFD")
	if len(place) > 400 {
		sum := sha256.Sum256([]byte(place))
		place = strings.ToValidUTF8(place[:400], "") + "…" + hex.EncodeToString(sum[:8])
	}
	return placePrefix + place
}
