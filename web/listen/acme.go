package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// askAgain is the wait after a certificate was refused. Let's Encrypt: at most 5 failures per name and hour.
	askAgain = 15 * time.Minute
	// lookAgain is how often certificates are looked at that are there; they renew themselves long before they expire.
	lookAgain = time.Hour
	// lateRenewal is when a person should look why a certificate was not renewed: Let's Encrypt's are renewed 30 days
	// before they expire, shorter ones after two thirds of their life.
	lateRenewal = 0.15
)

// ACME says which certificates are asked for, and where. The server proves that it is the one for the names by
// tls-alpn-01 (RFC 8737), for which the ACME server connects to port 443 of each name.
type ACME struct {
	// Domains are at least one name, in lower case.
	Domains []string
	// Email is told to the ACME server; it may be empty.
	Email string
	// Cache is the folder for keys and certificates. It is made with mode 0700 if it isn't there.
	Cache string
	// Directory is the URL of the ACME server, UserAgent what we call ourselves there.
	Directory, UserAgent string
	// Transport carries the requests to the ACME server; nil is [http.DefaultTransport].
	Transport http.RoundTripper
}

// issuer gets certificates and keeps them fresh. It asks by itself and not when somebody connects: anybody could use up
// what the ACME server allows per hour.
type issuer struct {
	domains []string
	manager *autocert.Manager
	log     *slog.Logger

	// ctx ends the requests to the ACME server.
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	// tried is closed when each name was asked for once.
	tried chan struct{}
	mu    sync.Mutex
	have  map[string]bool
}

func newIssuer(a ACME, log *slog.Logger) (*issuer, error) {
	if err := checkCache(a.Cache); err != nil {
		return nil, err
	}
	i := &issuer{domains: a.Domains, log: log, tried: make(chan struct{}), have: make(map[string]bool)}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	transport := a.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	i.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(a.Cache), HostPolicy: autocert.HostWhitelist(a.Domains...), Email: a.Email,
		Client: &acme.Client{DirectoryURL: a.Directory, UserAgent: a.UserAgent, HTTPClient: &http.Client{Transport: &ending{i.ctx, transport}}},
	}
	return i, nil
}

// checkCache makes sure that certificates can be kept: without that every start would ask for new ones.
func checkCache(folder string) error {
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(folder, ".probe-*"); err == nil {
			err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("tls.acme.cache: %w; write the path of a folder that may be written to", err)
	}
	return nil
}

// configure lets connections use the certificates.
func (i *issuer) configure(c *tls.Config) {
	c.NextProtos = append(c.NextProtos, acme.ALPNProto)
	c.GetCertificate = i.certificate
}

// certificate is [tls.Config.GetCertificate]. Who connects before the first answer of the ACME server waits for it; who
// names no server gets the first name's certificate.
func (i *issuer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return i.manager.GetCertificate(hello)
	}
	select {
	case <-i.tried:
	case <-hello.Context().Done():
		return nil, hello.Context().Err()
	}
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if name == "" {
		name = i.domains[0]
	}
	i.mu.Lock()
	have := i.have[name]
	i.mu.Unlock()
	if !have {
		return nil, errors.New("no certificate for this name")
	}
	return i.ask(name)
}

// ask returns the certificate of a name, from memory, from the folder or from the ACME server.
func (i *issuer) ask(name string) (*tls.Certificate, error) {
	// Whatever the client can, it is one certificate per name: with an ECDSA key, which everybody can since TLS 1.2.
	return i.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
	})
}

// start asks for the certificates, again and again, until close.
func (i *issuer) start() {
	i.work.Go(func() {
		for first := true; ; first = false {
			wait := i.round()
			if first {
				close(i.tried)
			}
			select {
			case <-i.ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	})
}

// round looks at the certificate of each name and returns when to do so again.
func (i *issuer) round() time.Duration {
	wait := lookAgain
	for _, name := range i.domains {
		if i.ctx.Err() != nil {
			return 0
		}
		cert, err := i.ask(name)
		if err != nil && i.ctx.Err() == nil {
			wait = askAgain
			i.log.Error("no certificate by ACME, trying again; port 443 of the name must lead to this program",
				slog.String("name", name), slog.Any("error", err), slog.Duration("wait", askAgain))
		}
		if err != nil {
			continue
		}
		i.mu.Lock()
		known := i.have[name]
		i.have[name] = true
		i.mu.Unlock()
		switch leaf := cert.Leaf; {
		case !known:
			i.log.Info("certificate ready", slog.String("name", name), slog.Time("expires", leaf.NotAfter))
		case float64(time.Until(leaf.NotAfter)) < lateRenewal*float64(leaf.NotAfter.Sub(leaf.NotBefore)):
			i.log.Error("the certificate was not renewed; port 443 of the name must lead to this program",
				slog.String("name", name), slog.Time("expires", leaf.NotAfter))
		}
	}
	return wait
}

// close ends what start began.
func (i *issuer) close() {
	i.cancel()
	i.work.Wait()
}

// ending is a transport whose requests end with ctx too.
type ending struct {
	ctx  context.Context
	next http.RoundTripper
}

func (e *ending) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(e.ctx, func() { cancel(e.ctx.Err()) })
	resp, err := e.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel(nil)
		return nil, err
	}
	resp.Body = &endingBody{resp.Body, func() { stop(); cancel(nil) }}
	return resp, nil
}

// endingBody lets go of the request's context when it is closed.
type endingBody struct {
	io.ReadCloser
	end func()
}

func (b *endingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
