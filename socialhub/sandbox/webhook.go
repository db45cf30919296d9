package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"socialhub-sync/socialhub"
)

// hook is a channel's webhook.
type hook struct {
	url    string
	secret socialhub.WebhookSecret
}

// hookTries are the waits before each try to deliver an event. SocialHub says "a few more times"; the waits are ours.
var hookTries = []time.Duration{0, time.Second, 5 * time.Second, 25 * time.Second}

// hookTimeout bounds one request to a webhook.
const hookTimeout = 10 * time.Second

// errChallenge means that the receiver does not know the secret: SocialHub removes such a webhook.
var errChallenge = errors.New("the answer has not the right X-SocialHub-Challenge")

// envelope is the body of a request to the webhook, with one event of a kind or none.
func (c *channel) envelope(events map[string][]any) []byte {
	if events == nil {
		events = map[string][]any{}
	}
	body, _ := json.Marshal(map[string]any{ // made of strings and numbers
		"manifestId": c.manifestID, "accountId": c.info.AccountID, "channelId": c.info.ID, "events": events,
	})
	return body
}

// post sends one signed request and checks the answer.
func (s *Server) post(ctx context.Context, h *hook, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address can't be asked")
	}
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set(socialhub.HeaderTimestamp, timestamp)
	req.Header.Set(socialhub.HeaderSignature, h.secret.Sign(timestamp, body))
	resp, err := s.opts.Transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<20) // only so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the answer is %d", resp.StatusCode)
	}
	if resp.Header.Get(socialhub.HeaderChallenge) != h.secret.Challenge(timestamp) {
		return errChallenge
	}
	return nil
}

// emit delivers an event to the channel's webhook in the background, trying again for a while; then it is dropped.
func (s *Server) emit(c *channel, kind string, event any, done func(error)) {
	h := c.team.webhook()
	if h == nil {
		done(errors.New("the channel has no webhook"))
		return
	}
	body := c.envelope(map[string][]any{kind: {event}})
	if !s.background(func() { done(s.deliver(c, h, body)) }) {
		done(errClosed)
	}
}

// deliver tries until the webhook takes the event.
func (s *Server) deliver(c *channel, h *hook, body []byte) (err error) {
	for _, wait := range hookTries {
		if err := s.pause(s.ctx, wait); err != nil {
			return err
		}
		if err = s.post(s.ctx, h, body); err == nil {
			return nil
		}
		if errors.Is(err, errChallenge) {
			c.team.removeHook(h)
			return err
		}
	}
	return err
}
