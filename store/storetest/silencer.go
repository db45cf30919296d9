package storetest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Silencer puts a proxy before a Postgres server and returns the URL through it, and a function that makes the
// proxy keep all connections open and pass nothing on any more, as a network does that loses every packet.
func Silencer(tb testing.TB, database string) (through string, silence func()) {
	tb.Helper()
	u, err := url.Parse(database)
	if err != nil {
		tb.Fatal(err)
	}
	network, server := "tcp", u.Host
	if folder := u.Query().Get("host"); folder != "" {
		network, server = "unix", folder+"/.s.PGSQL.5432"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{silent: make(chan struct{}), done: make(chan struct{})}
	p.running.Go(func() { p.serve(listener, network, server) })
	tb.Cleanup(func() {
		_ = listener.Close()
		close(p.done)
		p.running.Wait()
	})
	u.Host, u.RawQuery = listener.Addr().String(), "sslmode=disable"
	return u.String(), sync.OnceFunc(func() { close(p.silent) })
}

type proxy struct {
	running      sync.WaitGroup
	silent, done chan struct{}
}

func (p *proxy) serve(listener net.Listener, network, server string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() {
			defer client.Close()
			upstream, err := net.Dial(network, server)
			if err != nil {
				return
			}
			defer upstream.Close()
			p.running.Go(func() { p.copy(upstream, client) })
			p.running.Go(func() { p.copy(client, upstream) })
			<-p.done
		})
	}
}

// copy passes on what comes, until the proxy is silent; then it swallows it.
func (p *proxy) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-p.silent:
		default:
			_, _ = to.Write(buffer[:n])
		}
	}
}
