package mastodon

import (
	"encoding/json"
	"strings"
	"time"
)

const cursorVersion = 1

// cursor is what is stored. Ids mean nothing on another server and notifications nothing to another account, so it
// names both.
type cursor struct {
	Version int                `json:"v"`
	Server  string             `json:"server"`
	Account string             `json:"account"`
	Streams map[string]*stream `json:"streams"`
}

// stream is how far one stream is read.
type stream struct {
	// Newest is the highest id that is stored, NewestAt the latest time seen.
	Newest   string    `json:"newest,omitempty"`
	NewestAt time.Time `json:"newestAt,omitzero"`
	// Below is where paging down goes on: below this id, or from the top if it is empty.
	Below string `json:"below,omitempty"`
	// First tells that the first paging down has not come to its end.
	First bool `json:"first,omitempty"`
	// Done tells a backfill that it has seen all of the stream.
	Done bool `json:"done,omitempty"`
}

// sees takes notice of the times in a page.
func (s *stream) sees(p *page) {
	if p.newestAt.After(s.NewestAt) {
		s.NewestAt = p.newestAt.UTC()
	}
}

// load reads a cursor, or begins a new one if it is of another version, server or account.
func (s *source) load(text, account string) *cursor {
	fresh := &cursor{Version: cursorVersion, Server: strings.ToLower(s.server.Host), Account: account, Streams: map[string]*stream{}}
	if text == "" {
		return fresh
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil || c.Version != cursorVersion {
		s.logger.Warn("cursor is not understood, the source is read as a new one")
		return fresh
	}
	if c.Server != fresh.Server || c.Account != fresh.Account {
		s.logger.Warn("the server or the account is another one, the source is read as a new one")
		return fresh
	}
	if c.Streams == nil {
		c.Streams = map[string]*stream{}
	}
	return &c
}

func (c *cursor) String() string {
	text, err := json.Marshal(c)
	if err != nil { // texts, times and numbers: can't be
		return ""
	}
	return string(text)
}

// stream returns the part of one stream.
func (c *cursor) stream(name string) *stream {
	if c.Streams[name] == nil {
		c.Streams[name] = &stream{}
	}
	return c.Streams[name]
}
