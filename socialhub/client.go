package socialhub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unique"
)

// Defaults of [Options].
const (
	DefaultBaseURL     = "https://api.socialhub.io"
	DefaultConcurrency = 8
	DefaultTimeout     = 30 * time.Second
	DefaultUserAgent   = "socialhub-sync"
)

// Options make a [Client]. Only Token is required; a zero value of the rest means its default.
type Options struct {
	// BaseURL is where the API is. Plain http:// is for a sandbox: the token travels readable.
	BaseURL   string
	Token     Token
	UserAgent string
	// Concurrency is how many requests the caller has in flight at most. It sizes the pool of idle
	// connections and limits nothing.
	Concurrency int
	// Transport replaces the client's own HTTP/1.1 transport. It must not retry a POST whose bytes may have been sent.
	Transport http.RoundTripper
	// Timeout bounds a whole request, from the dial to the last byte of the answer.
	Timeout time.Duration
}

// Client speaks to SocialHub for one channel. It may be used from many goroutines. It makes one
// attempt per call: waiting and repeating are the caller's.
type Client struct {
	token     Token
	transport http.RoundTripper
	timeout   time.Duration
	timedOut  error

	base *url.URL
	// query holds the token: a handle for the reason told at [Token].
	query unique.Handle[string]
	// get and send are the requests without and with a body, of which each call makes a copy.
	get, send *http.Request
}

// NewClient returns a client; it makes no request. An error names the option to mend.
func NewClient(o Options) (*Client, error) {
	if o.Token.IsZero() {
		return nil, errors.New("an access token is needed")
	}
	base, err := parseBase(o.BaseURL)
	if err != nil {
		return nil, err
	}
	if o.UserAgent == "" {
		o.UserAgent = DefaultUserAgent
	}
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Transport == nil {
		o.Transport = newTransport(o.Concurrency)
	}
	get := &http.Request{
		Header: http.Header{"Accept": {"application/json"}, "User-Agent": {o.UserAgent}},
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	send := get.Clone(context.Background())
	send.Header.Set("Content-Type", "application/json")
	return &Client{
		token: o.Token, transport: instrument(o.Transport), timeout: o.Timeout,
		timedOut: fmt.Errorf("it took longer than %v", o.Timeout),
		base:     base,
		query:    unique.Make("accesstoken=" + url.QueryEscape(o.Token.Reveal())),
		get:      get,
		send:     send,
	}, nil
}

func parseBase(raw string) (*url.URL, error) {
	if raw == "" {
		raw = DefaultBaseURL
	}
	u, err := url.Parse(raw)
	// The text of err would show what may be a password.
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("api_url must be an address without user, ? and #, such as " + DefaultBaseURL)
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// Close lets go of the idle connections.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Channel is what SocialHub says of the token's channel.
type Channel struct {
	ID         string `json:"_id"`
	Name       string `json:"name"`
	UniqueName string `json:"uniqueName"`
	AccountID  string `json:"accountId"`
	// NetworkID is the interactorId of our own posts; empty if the channel has none.
	NetworkID string `json:"networkId"`
}

// Channel asks for the token's channel (GET /), the cheapest way to verify a token. The channel is zero unless the
// outcome is [Done]. A channel with another id than the token names is [Unavailable]: that address serves another SocialHub.
func (c *Client) Channel(ctx context.Context) (Channel, Answer) {
	var got struct {
		Channel Channel `json:"channel"`
	}
	a := c.do(ctx, call{method: http.MethodGet, path: "/", want: http.StatusOK}, &got)
	switch {
	case a.Outcome != Done:
	case !ValidTicketID(got.Channel.ID):
		a.Outcome, a.Reason = Unavailable, "the answer names no channel: check api_url"
	case got.Channel.ID != c.token.ChannelID():
		a.Outcome, a.Reason = Unavailable, "the answer is about another channel than the token: check api_url"
	default:
		return got.Channel, a
	}
	return Channel{}, a
}

// Create makes a ticket (POST /inbox/tickets). [Conflict] means that the networkItemId is a ticket already.
func (c *Client) Create(ctx context.Context, i *Interaction) Answer {
	var got ticket
	a := c.do(ctx, call{
		method: http.MethodPost, path: "/inbox/tickets", body: content{i}, want: http.StatusCreated, conflict: true,
	}, &got)
	return got.answer(a, "")
}

// Update changes a ticket (PATCH /inbox/tickets/:id); reset moves it back to the inbox if it was
// done. [NotFound] means that the ticket is gone. An answer about another ticket is [Unavailable]: what
// was changed is unknown, and sending the same again does no harm.
func (c *Client) Update(ctx context.Context, ticketID string, u *Update, reset bool) Answer {
	if !ValidTicketID(ticketID) {
		return Answer{Outcome: Rejected, Reason: "the ticket's id is not 24 hex digits"}
	}
	full := *u
	if full.Pictures == nil {
		full.Pictures = []Picture{}
	}
	if full.Attachments == nil {
		full.Attachments = []Attachment{}
	}
	r := call{
		method: http.MethodPatch, path: "/inbox/tickets/" + ticketID, body: content{&full}, want: http.StatusOK, missing: true,
	}
	if reset {
		r.query = "&reset=true"
	}
	var got ticket
	a := c.do(ctx, r, &got)
	return got.answer(a, ticketID)
}

// content is the body of both ticket routes.
type content struct {
	Interaction any `json:"interaction"`
}

// ticket is the part that matters of the ticket that SocialHub sends back.
type ticket struct {
	ID string `json:"_id"`
}

// answer adds the ticket's id to a, if it is the one asked for; any will do if that is empty.
func (t *ticket) answer(a Answer, asked string) Answer {
	switch {
	case a.Outcome != Done:
	case !ValidTicketID(t.ID):
		a.Outcome, a.Reason = Unavailable, "the answer holds no ticket: check api_url"
	case asked != "" && t.ID != asked:
		a.Outcome, a.Reason = Unavailable, "the answer is about another ticket"
	default:
		a.TicketID = t.ID
	}
	return a
}
