package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"time"
)

// ReplaceToken gives the channel a new token, as an administrator could: the old one answers 401 from now on.
// The channelId inside stays the same; the channel's webhook is removed, as SocialHub does. It returns false if there is no such channel.
func (s *Server) ReplaceToken(channelID string) (string, bool) {
	c := s.find(channelID)
	if c == nil {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.issued = max(c.issued, time.Now().Unix()-1)
	s.issue(c)
	c.team.mu.Lock()
	c.team.hook = nil
	c.team.version++
	c.team.mu.Unlock()
	return c.info.Token, true
}

// issue makes the channel's next token the only valid one; the caller holds mu.
func (s *Server) issue(c *channel) {
	// Tokens of one second would be equal: the payload has nothing but whole seconds to tell them apart.
	c.issued++
	tokens := maps.Clone(*s.tokens.Load())
	delete(tokens, c.info.Token)
	c.info.Token = sign(s.opts.Key, c.info.AccountID, c.info.ID, c.issued)
	tokens[c.info.Token] = c
	s.tokens.Store(&tokens)
}

// sign returns the JWT (HS256) of a channel; ids are hex, so they need no escape.
func sign(key []byte, accountID, channelID string, issued int64) string {
	payload := fmt.Sprintf(`{"accountId":"%s","channelId":"%s","iat":%d}`, accountID, channelID, issued)
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return text + "." + enc.EncodeToString(mac.Sum(nil))
}
