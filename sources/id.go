package sources

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"socialhub-sync/socialhub"
)

// maxIDPrefix is how many characters of a prefix stay in an id that holds a hash.
const maxIDPrefix = 64

var idHash = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ItemID returns the networkItemId of the item that its source calls native: "<prefix>-<native>" when SocialHub
// takes that, see [socialhub.ValidItemID], else the prefix and a hash (160 bits of SHA-256) of both.
// Equal arguments give equal ids, in every version of the program.
func ItemID(prefix, native string) string {
	if id := prefix + "-" + native; socialhub.ValidItemID(id) {
		return id
	}
	sum := sha256.Sum256([]byte(prefix + "\x00" + native))
	return idPrefix(prefix) + "-" + idHash.EncodeToString(sum[:20])
}

// idPrefix keeps of a prefix what may stand in an id. The hash beside it tells apart what becomes equal here.
func idPrefix(prefix string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, prefix)
	return kept[:min(len(kept), maxIDPrefix)]
}

// CheckPrefix returns a [*SettingError] on the key "prefix" if [ItemID] can't begin an id with it. Empty is fine: an
// adapter takes the source's name then.
func CheckPrefix(prefix string) error {
	if prefix == "" || socialhub.ValidItemID(prefix+"-00000") {
		return nil
	}
	return &SettingError{Key: "prefix", Problem: "want at most 250 characters out of a-z A-Z 0-9 and /|@&$!?()[]{}+*~,;.:=_-"}
}
