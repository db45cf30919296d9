package sync

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	stdjson "encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/go-json-experiment/json"

	"socialhub-sync/socialhub"
)

// hashVersion is the first character of every content hash. A change in what is hashed takes the next
// letter: rows with an older one take the new hash as their baseline and nothing is sent.
const hashVersion = 'a'

// contentHash is over what a person would call the content of the request that would be sent: message,
// pictures, attachments, link, rating, url. A new avatar or display name changes nothing, since reopening
// a ticket that is done costs somebody time.
func contentHash(i *socialhub.Interaction) string {
	buf := make([]byte, 0, 1024)
	buf = appendText(buf, i.Message, i.Link, i.URL)
	buf = binary.AppendUvarint(buf, uint64(len(i.Pictures)))
	for _, p := range i.Pictures {
		buf = appendText(buf, p.Small, p.Large)
	}
	buf = binary.AppendUvarint(buf, uint64(len(i.Attachments)))
	for _, a := range i.Attachments {
		buf = appendText(buf, a.URL, a.Name, a.MimeType)
		buf = binary.LittleEndian.AppendUint64(buf, uint64(a.Size))
	}
	if i.Rating != nil {
		buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(i.Rating.Value))
		buf = binary.LittleEndian.AppendUint64(buf, math.Float64bits(i.Rating.Scale))
	}
	sum := sha256.Sum256(buf)
	out := make([]byte, 1, 23)
	out[0] = hashVersion
	return string(base64.RawURLEncoding.AppendEncode(out, sum[:16]))
}

// appendText puts the length before each text: no two contents give the same bytes.
func appendText(buf []byte, texts ...string) []byte {
	for _, t := range texts {
		buf = binary.AppendUvarint(buf, uint64(len(t)))
		buf = append(buf, t...)
	}
	return buf
}

// payload is the wanted content as the store keeps it until it is delivered.
type payload struct {
	Interaction socialhub.Interaction `json:"interaction"`
	// Updated is when the item changed, or when the change was seen if the source does not say.
	Updated time.Time `json:"updated,omitzero"`
	// Seen tells that the source does not say.
	Seen bool `json:"seen,omitempty"`
	// Own is sent only if the channel has a networkId, and with that as its interactor.
	Own bool `json:"own,omitempty"`
	// Reset brings the ticket back to the inbox.
	Reset bool `json:"reset,omitempty"`
}

// since is when the source had the content first, as far as it says; an update says nothing of when it was created.
func (p *payload) since(update bool) time.Time {
	switch {
	case !p.Seen:
		return p.Updated
	case !update:
		return p.Interaction.CreatedTime
	}
	return time.Time{}
}

// encode replaces invalid UTF-8, which is why it is the standard library's.
func (p *payload) encode() (string, error) {
	data, err := stdjson.Marshal(p)
	return string(data), err
}

// decodePayload reads what encode wrote, with a quarter of the standard library's allocations: every ticket that is
// sent comes by.
func decodePayload(text string) (*payload, error) {
	var p payload
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("the stored content can't be read: %w", err)
	}
	return &p, nil
}
