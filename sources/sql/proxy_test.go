package sqlsource

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between a source and a server that listens on a unix socket, and may break connections.
type proxy struct {
	address         string // of the database through the proxy
	network, server string
	running         sync.WaitGroup

	mu    sync.Mutex
	bytes int64 // of answers that a connection carries before it breaks; 0: no limit
}

func newProxy(t testing.TB, address string) *proxy {
	t.Helper()
	p := &proxy{network: "tcp"}
	u := mustParse(t, address)
	p.server = u.Host
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

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.network, p.server)
	if err != nil {
		return
	}
	p.running.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	p.mu.Lock()
	most := p.bytes
	p.mu.Unlock()
	if most == 0 {
		_, _ = io.Copy(client, server)
	} else {
		_, _ = io.CopyN(client, server, most)
	}
	_ = client.Close()
	_ = server.Close()
}
