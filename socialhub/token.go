package socialhub

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxToken is the most bytes a token may have: it travels in a URL, which servers bound at about this. SocialHub's
// have some 250.
const maxToken = 4096

// Token is a channel's access token, a JWT that an administrator copies from the channel's settings. It is
// a secret: however it is printed, logged or marshalled it says "[redacted]"; Reveal is the one
// way to its text. Tokens compare with ==. The zero value is no token.
type Token struct {
	secret
	channelID string
	accountID string
	issued    int64
}

var tokenPartBytes = setOf(alphanum + "-_")

// ParseToken reads an access token; white space around it is ignored. The signature is not checked, only
// SocialHub can do that. An error says what to do and holds nothing of the token.
func ParseToken(raw string) (Token, error) {
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return Token{}, tokenError("is empty")
	}
	if len(raw) > maxToken {
		return Token{}, tokenError(fmt.Sprintf("is longer than %d characters", maxToken))
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return Token{}, tokenError("must be three parts joined by dots")
	}
	var payload []byte
	for n, part := range parts {
		decoded, err := base64.RawURLEncoding.DecodeString(part)
		// The decoder passes over line breaks, so the characters are checked apart.
		if err != nil || part == "" || !tokenPartBytes.holds(part) {
			return Token{}, tokenError(fmt.Sprintf("is damaged in part %d of 3", n+1))
		}
		if n == 1 {
			payload = decoded
		}
	}
	var claims struct {
		ChannelID string `json:"channelId"`
		AccountID string `json:"accountId"`
		IssuedAt  any    `json:"iat"` // of no weight, so that a strange one harms nobody
	}
	if json.Unmarshal(payload, &claims) != nil || !ValidTicketID(claims.ChannelID) || !ValidTicketID(claims.AccountID) {
		return Token{}, tokenError("does not name a channel and an account of SocialHub")
	}
	t := Token{secret: newSecret(raw), channelID: claims.ChannelID, accountID: claims.AccountID}
	if at, ok := claims.IssuedAt.(float64); ok && at > 0 && at < maxUnix {
		t.issued = int64(at)
	}
	return t, nil
}

// maxUnix is the first second of the year 10000.
const maxUnix = 253402300800

func tokenError(problem string) error {
	return errors.New("the access token " + problem + ": copy it again from the channel's settings in SocialHub")
}

// ChannelID is the channel's identity: it stays when an administrator replaces the token.
func (t Token) ChannelID() string { return t.channelID }

// AccountID is the SocialHub account that owns the channel.
func (t Token) AccountID() string { return t.accountID }

// IssuedAt is when SocialHub made the token, in UTC to the second; zero if the token does not say.
func (t Token) IssuedAt() time.Time {
	if t.issued == 0 {
		return time.Time{}
	}
	return time.Unix(t.issued, 0).UTC()
}

// IsZero tells whether there is no token.
func (t Token) IsZero() bool { return t == Token{} }

// Fingerprint returns 16 hex digits that tell two tokens apart and say nothing about them, fit to be
// stored; empty for the zero value.
func (t Token) Fingerprint() string {
	if t.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte("socialhub-sync/access-token/v1\x00" + t.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// redact replaces every occurrence of the token in s. The signature is looked for apart: with it and what
// everybody may know, the token could be put together. A token has only characters that URLs and JSON
// leave as they are, so there is no escaped form to look for.
func (t Token) redact(s string) string {
	raw := t.Reveal()
	if raw == "" {
		return s
	}
	s = strings.ReplaceAll(s, raw, redacted)
	return strings.ReplaceAll(s, raw[strings.LastIndexByte(raw, '.')+1:], redacted)
}
