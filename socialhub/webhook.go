package socialhub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Headers of the requests that SocialHub signs, and of the answer to them.
const (
	HeaderTimestamp = "X-SocialHub-Timestamp"
	HeaderSignature = "X-SocialHub-Signature"
	HeaderChallenge = "X-SocialHub-Challenge"
)

// WebhookSecret is what SocialHub and the receiver of its webhook both know. It is never shown: however it is
// printed, logged or marshalled it says "[redacted]". The zero value is no secret.
type WebhookSecret struct{ secret }

// ParseWebhookSecret takes a secret as the manifest has it. An error holds nothing of it.
func ParseWebhookSecret(text string) (WebhookSecret, error) {
	// What is not UTF-8 could not be sent to SocialHub as it is.
	if n := utf8.RuneCountInString(text); n < MinWebhookSecret || n > MaxWebhookSecret || !utf8.ValidString(text) || oneLine(text) == "" {
		return WebhookSecret{}, fmt.Errorf("the webhook's secret must have %d to %d characters, such as the output of `openssl rand -hex 32`",
			MinWebhookSecret, MaxWebhookSecret)
	}
	return WebhookSecret{newSecret(text)}, nil
}

// IsZero tells whether there is no secret.
func (s WebhookSecret) IsZero() bool { return s == WebhookSecret{} }

// redact replaces every occurrence of the secret in a reason, in which white space may have been made one space.
func (s WebhookSecret) redact(text string) string {
	if s.IsZero() {
		return text
	}
	return strings.NewReplacer(s.Reveal(), redacted, oneLine(s.Reveal()), redacted).Replace(text)
}

// Challenge is what the answer to a request with this timestamp must say in [HeaderChallenge]. SocialHub removes a
// webhook that answers without it.
func (s WebhookSecret) Challenge(timestamp string) string {
	sum := sha256.Sum256([]byte(timestamp + ";" + s.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Sign is the signature of a request with this timestamp and raw body.
func (s WebhookSecret) Sign(timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(s.Challenge(timestamp)))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// Reasons why a request is not believed to be SocialHub's. They are for the log: who sent it must not learn which it was.
var (
	ErrTimestamp = errors.New("the timestamp is no number of milliseconds")
	ErrSignature = errors.New("the signature is not that of our secret")
	ErrClock     = errors.New("the timestamp is too far off; check this machine's clock")
)

// Verify checks that a request is SocialHub's and returns the challenge to answer with. The signature is compared in
// constant time and before the timestamp is judged, which may be off by the tolerance ([MaxWebhookSkew] is SocialHub's).
func (s WebhookSecret) Verify(h http.Header, body []byte, now time.Time, tolerance time.Duration) (challenge string, err error) {
	timestamp := h.Get(HeaderTimestamp)
	ms, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || len(timestamp) > 15 { // beyond the year 9999, and more than a Duration can tell
		return "", ErrTimestamp
	}
	given, err := hex.DecodeString(h.Get(HeaderSignature))
	want, _ := hex.DecodeString(s.Sign(timestamp, body))
	if err != nil || s.IsZero() || !hmac.Equal(given, want) {
		return "", ErrSignature
	}
	if off := now.Sub(time.UnixMilli(ms)); off > tolerance || off < -tolerance {
		return "", ErrClock
	}
	return s.Challenge(timestamp), nil
}
