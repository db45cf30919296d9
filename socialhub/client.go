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
	// Observe, if set, hears of every request that was sent, also of one without an answer, before the caller does. It
	// may be called from many goroutines at a time and must not block.
	Observe func(Exchange)
}

// Client speaks to SocialHub for one channel. It may be used from many goroutines. It makes one
// attempt per call: waiting and repeating are the caller's.
type Client struct {
	token     Token
	transport http.RoundTripper
	timeout   time.Duration
	timedOut  error
	observe   func(Exchange)

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
		token: o.Token, transport: instrument(o.Transport), timeout: o.Timeout, observe: o.Observe,
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
	got := channelReply{asked: c.token.ChannelID()}
	a := c.do(ctx, call{operation: OpChannel, method: http.MethodGet, path: "/", want: http.StatusOK}, &got)
	if a.Outcome != Done {
		return Channel{}, a
	}
	return got.Channel, a
}

// channelReply is the answer about a channel.
type channelReply struct {
	Channel Channel `json:"channel"`
	// asked is the channelId that it must be about.
	asked string
}

func (r *channelReply) fault() string {
	switch {
	case !ValidTicketID(r.Channel.ID):
		return "the answer names no channel: check api_url"
	case r.Channel.ID != r.asked:
		return "the answer is about another channel than the token: check api_url"
	}
	return ""
}

// Create makes a ticket (POST /inbox/tickets). [Conflict] means that the networkItemId is a ticket already.
func (c *Client) Create(ctx context.Context, i *Interaction) Answer {
	return c.doTicket(ctx, call{
		operation: OpCreate, method: http.MethodPost, path: "/inbox/tickets", body: content{i},
		want: http.StatusCreated, conflict: true,
	}, "")
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
		operation: OpUpdate, method: http.MethodPatch, path: "/inbox/tickets/" + ticketID, body: content{&full},
		want: http.StatusOK, missing: true,
	}
	if reset {
		r.query = "&reset=true"
	}
	return c.doTicket(ctx, r, ticketID)
}

// doTicket sends a request that is answered with a ticket: the one asked for, any if that is empty.
func (c *Client) doTicket(ctx context.Context, r call, asked string) Answer {
	got := ticketReply{asked: asked}
	a := c.do(ctx, r, &got)
	if a.Outcome == Done {
		a.TicketID = got.ID
	}
	return a
}

// content is the body of both ticket routes.
type content struct {
	Interaction any `json:"interaction"`
}

// ticketReply is the part that matters of the ticket that SocialHub sends back.
type ticketReply struct {
	ID string `json:"_id"`
	// asked is the _id that it must have; any will do if that is empty.
	asked string
}

func (r *ticketReply) fault() string {
	switch {
	case !ValidTicketID(r.ID):
		return "the answer holds no ticket: check api_url"
	case r.asked != "" && r.ID != r.asked:
		return "the answer is about another ticket"
	}
	return ""
}
