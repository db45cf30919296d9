package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"socialhub-sync/socialhub"
)

// Options is how a sandbox behaves; the zero value is a friendly one.
type Options struct {
	// RateLimit is each channel's budget; the zero value never refuses.
	RateLimit RateLimit
	// Latency delays every API answer by this much, after the request took effect. Requests don't wait for each other.
	Latency time.Duration
	// MaxBody is the largest request body in bytes; 0 means 1 MiB.
	MaxBody int64
	// FillHiddenRoots lets a POST fill in a ticket that exists only as a hidden root, instead of 409.
	FillHiddenRoots bool
	// LoosePatch takes a PATCH without any of message, pictures, attachments, link and rating.
	LoosePatch bool
	// NoBodies leaves the bodies out of the tickets' history; a benchmark needs less memory that way.
	NoBodies bool
	// Faults is consulted for every API request within the rate limit; nil means no trouble. See [ParseFaults] and [Script].
	Faults Faults
	// Transport sends the requests to webhooks; nil means one of the sandbox's own.
	Transport http.RoundTripper
	// Key signs the access tokens; empty means a well-known one, so that tokens outlive a restart.
	Key []byte
}

// Server is one sandbox. It is an [http.Handler] for the root of a host and safe for concurrent use.
type Server struct {
	opts   Options
	ids    idSource
	log    requestLog
	ui     http.Handler
	calls  atomic.Int64
	faults atomic.Pointer[Faults]
	// tokens holds the valid access tokens; the map is replaced, never changed.
	tokens atomic.Pointer[map[string]*channel]

	mu       sync.Mutex
	channels []*channel

	// work is what goes on in the background: events on their way to webhooks. It begins only under closing, and only
	// until ctx is done.
	work    sync.WaitGroup
	closing sync.Mutex
	ctx     context.Context
	stop    context.CancelFunc
}

// New returns a sandbox without channels. It starts no goroutine.
func New(opts Options) *Server {
	if opts.MaxBody <= 0 {
		opts.MaxBody = 1 << 20
	}
	if len(opts.Key) == 0 {
		opts.Key = []byte("socialhub-sync sandbox")
	}
	if opts.Transport == nil {
		opts.Transport = &http.Transport{ResponseHeaderTimeout: hookTimeout}
	}
	s := &Server{opts: opts}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.ids.init()
	s.tokens.Store(&map[string]*channel{})
	s.SetFaults(opts.Faults)
	s.ui = newPage(s)
	return s
}

// Close ends requests that hang or wait and events on their way; it never fails. Call it before the http.Server is shut down.
func (s *Server) Close() error {
	s.closing.Lock()
	s.stop()
	s.closing.Unlock()
	s.work.Wait()
	if t, ok := s.opts.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	return nil
}

// background runs work that ends soon after ctx is done; false means that the sandbox is closed.
func (s *Server) background(work func()) bool {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.work.Go(work)
	return true
}

// SetFaults replaces the source of trouble from the next request on; nil means none. Its count of requests begins at one again.
func (s *Server) SetFaults(f Faults) {
	s.calls.Store(0)
	s.faults.Store(&f)
}

// ChannelOptions describes a channel to make; every field may be left out.
type ChannelOptions struct {
	// ID and AccountID are 24 hex digits, lower case; made up if empty. With a fixed ID, AccountID and IssuedAt the first
	// token is the same in every run.
	ID, AccountID string
	IssuedAt      time.Time
	// Name is for people; the default is "Custom Channel".
	Name string
	// UniqueName is unique in the account; the default is Name and a number.
	UniqueName string
	// NetworkID is the channel's own id on its network; empty means it has none.
	NetworkID string
	// Reusable makes it a channel of a reusable manifest: GET / shows no manifest, and "type" may be sent.
	Reusable bool
	// Manifest is the JSON object that GET / shows; the default is an empty one.
	Manifest json.RawMessage
}

// Channel is a channel as it is now.
type Channel struct {
	ID, AccountID, Name, UniqueName, NetworkID string
	// Token is the access token that works at present.
	Token string
	// Active is false while the channel is deactivated.
	Active bool
}

// channel is one channel's state; info never changes but for the token, which Server.mu guards.
type channel struct {
	info       Channel
	manifestID string
	created    time.Time
	issued     int64
	reusable   bool
	team       team
	active     atomic.Bool
	budget     window
	tickets    store
}

// AddChannel makes an active channel and its first token.
func (s *Server) AddChannel(o ChannelOptions) (Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.complete(&o); err != nil {
		return Channel{}, fmt.Errorf("add channel: %w", err)
	}
	c := &channel{
		info: Channel{ID: o.ID, AccountID: o.AccountID, Name: o.Name, UniqueName: o.UniqueName, NetworkID: o.NetworkID},
		// The first token is issued at IssuedAt.
		issued:     o.IssuedAt.Unix() - 1,
		reusable:   o.Reusable,
		manifestID: s.ids.next(),
		created:    o.IssuedAt,
	}
	if err := json.Unmarshal(o.Manifest, &c.team.manifest); err != nil || c.team.manifest == nil {
		return Channel{}, errors.New("add channel: the manifest must be a JSON object")
	}
	c.team.manifest["_id"] = c.manifestID
	c.tickets.init()
	c.active.Store(true)
	s.issue(c)
	s.channels = append(s.channels, c)
	return c.now(), nil
}

// complete fills in what was left out and checks the rest; the caller holds mu.
func (s *Server) complete(o *ChannelOptions) error {
	if o.ID == "" {
		o.ID = s.ids.next()
	}
	if o.AccountID == "" {
		o.AccountID = "5cc1b08ad62ec72e8388cb47"
	}
	if o.IssuedAt.IsZero() {
		o.IssuedAt = time.Now()
	}
	if o.Name == "" {
		o.Name = "Custom Channel"
	}
	if o.UniqueName == "" {
		o.UniqueName = fmt.Sprintf("%s #%d", o.Name, len(s.channels)+1)
	}
	if len(o.Manifest) == 0 {
		o.Manifest = json.RawMessage(`{"inbox":{"ticketActions":[],"rightSidebar":[]}}`)
	}
	if !socialhub.ValidTicketID(o.ID) || !socialhub.ValidTicketID(o.AccountID) {
		return errors.New("ID and AccountID must be 24 hex digits in lower case")
	}
	if slices.ContainsFunc(s.channels, func(c *channel) bool { return c.info.ID == o.ID }) {
		return fmt.Errorf("there is a channel %s already", o.ID)
	}
	return nil
}

// rootBody is the answer to GET /.
func (c *channel) rootBody() []byte {
	type channelJSON struct {
		ID          string `json:"_id"`
		Name        string `json:"name"`
		UniqueName  string `json:"uniqueName"`
		AccountID   string `json:"accountId"`
		NetworkID   string `json:"networkId,omitempty"`
		CreatedTime string `json:"createdTime"`
	}
	root := struct {
		Channel  channelJSON     `json:"channel"`
		Manifest json.RawMessage `json:"manifest,omitempty"`
	}{Channel: channelJSON{c.info.ID, c.info.Name, c.info.UniqueName, c.info.AccountID, c.info.NetworkID, jsonTime(c.created)}}
	if !c.reusable {
		c.team.mu.Lock()
		root.Manifest = c.team.manifestBody()
		c.team.mu.Unlock()
	}
	body, _ := json.Marshal(root) // strings, and what came from JSON
	return body
}

// now is a copy for callers; Server.mu is held.
func (c *channel) now() Channel {
	info := c.info
	info.Active = c.active.Load()
	return info
}

// find returns the channel with the id, or nil.
func (s *Server) find(channelID string) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.channels, func(c *channel) bool { return c.info.ID == channelID }); i >= 0 {
		return s.channels[i]
	}
	return nil
}

// Channels returns the channels in the order in which they were added.
func (s *Server) Channels() []Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Channel, len(s.channels))
	for i, c := range s.channels {
		all[i] = c.now()
	}
	return all
}

// Deactivate makes every request of the channel answer 403, as an administrator could; false if there is no such channel.
func (s *Server) Deactivate(channelID string) bool { return s.setActive(channelID, false) }

// Activate undoes [Server.Deactivate]; the token stays the same.
func (s *Server) Activate(channelID string) bool { return s.setActive(channelID, true) }

func (s *Server) setActive(channelID string, active bool) bool {
	c := s.find(channelID)
	if c == nil {
		return false
	}
	if c.active.Swap(active) && !active {
		event := map[string]any{"channelId": channelID, "type": "disabled", "time": time.Now().UnixMilli(), "uuid": s.ids.next()}
		s.emit(c, "channel_action", event, func(error) {})
	}
	return true
}

// idSource makes ids in the shape of SocialHub's: 24 hex digits, unique in a process, rising.
type idSource struct {
	random [5]byte
	count  atomic.Uint32
}

func (ids *idSource) init() {
	rand.Read(ids.random[:]) // never fails
}

func (ids *idSource) next() string {
	t, n := uint32(time.Now().Unix()), ids.count.Add(1)
	b := [12]byte{
		byte(t >> 24), byte(t >> 16), byte(t >> 8), byte(t),
		ids.random[0], ids.random[1], ids.random[2], ids.random[3], ids.random[4],
		byte(n >> 16), byte(n >> 8), byte(n),
	}
	return hex.EncodeToString(b[:])
}
