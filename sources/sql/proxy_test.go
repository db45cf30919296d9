package sqlsource

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a source and a server that listens on a unix socket, and may break connections.
type proxy struct {
	address         string // of the database through the proxy
	network, server string
	running         sync.WaitGroup

	mu    sync.Mutex
	bytes int64 // of answers that a connection carries before it breaks; 0: no limit
	// losing: connections break before the answer to a COMMIT.
	losing bool
	commit []byte // how the client says COMMIT and nothing else, in lower case
}

// commits are the messages with the statement COMMIT: Postgres begins one with its kind and length and ends it with a zero,
// MySQL begins it with length, number and kind.
var commits = map[string][]byte{"postgres": []byte("q\x00\x00\x00\x0bcommit\x00"), "mysql": []byte("\x07\x00\x00\x00\x03commit")}

func newProxy(t testing.TB, address string) *proxy {
	t.Helper()
	p := &proxy{network: "tcp"}
	u := mustParse(t, address)
	p.server, p.commit = u.Host, commits[u.Scheme]
	if folder := u.Query().Get("host"); folder != "" {
		p.network, p.server = "unix", folder+"/.s.PGSQL.5432"
	} else if socket := u.Query().Get("socket"); socket != "" {
		p.network, p.server = "unix", socket
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Host, u.RawQuery = listener.Addr().String(), ""
	p.address = u.String()
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.running.Wait()
	})
	return p
}

// limit breaks every connection after so many bytes of answers, until the returned function is called.
func (p *proxy) limit(bytes int64) (end func()) {
	set := func(n int64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.bytes = n
	}
	set(bytes)
	return func() { set(0) }
}

// lose breaks every connection when the answer to a COMMIT comes, until the returned function is called.
func (p *proxy) lose() (end func()) {
	set := func(losing bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.losing = losing
	}
	set(true)
	return func() { set(false) }
}

// carry takes what a client says to the server, and tells when that was a COMMIT.
func (p *proxy) carry(server io.Writer, client io.Reader, committing *atomic.Bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if bytes.Contains(bytes.ToLower(buffer[:n]), p.commit) {
			committing.Store(true)
		}
		if _, broken := server.Write(buffer[:n]); err != nil || broken != nil {
			return
		}
	}
}

// answerUntil takes what the server says to a client, up to the answer to a COMMIT.
func answerUntil(committing *atomic.Bool, client io.Writer, server io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil || committing.Load() {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.network, p.server)
	if err != nil {
		return
	}
	committing := &atomic.Bool{}
	p.running.Go(func() {
		p.carry(server, client, committing)
		_ = server.Close()
	})
	p.mu.Lock()
	most, losing := p.bytes, p.losing
	p.mu.Unlock()
	if losing {
		answerUntil(committing, client, server)
	} else if most == 0 {
		_, _ = io.Copy(client, server)
	} else {
		_, _ = io.CopyN(client, server, most)
	}
	_ = client.Close()
	_ = server.Close()
}
