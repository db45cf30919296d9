// Package acmetest has the listener ask a real ACME server for certificates: Pebble, Let's Encrypt's own for tests,
// which connects to the listener for tls-alpn-01 as the real one does.
package acmetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"

	"socialhub-sync/web/listen"
)

func TestMain(m *testing.M) {
	// Pebble takes these from the environment only: it would wait up to 5 s before it validates, and refuse some requests,
	// which are sent again after seconds.
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks")) // it has no end
}

const name = "sync.example.com"

// authority is Pebble, which finds every name on this machine.
type authority struct {
	t      *testing.T
	server *httptest.Server
	ca     *ca.CAImpl
}

// newAuthority has an address, but answers only once it is started.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, server: httptest.NewUnstartedServer(nil)}
	t.Cleanup(a.server.Close)
	return a
}

// start lets it answer, and validate at the port.
func (a *authority) start(port int) {
	a.t.Helper()
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	a.ca = ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default"}})
	validation := va.New(quiet, 0, port, true, nameserver(a.t), store)
	front := wfe.New(quiet, store, validation, a.ca, []string{"pebble.example.com"}, true, false, 1, 1)
	a.server.Config.Handler = front.Handler()
	a.server.StartTLS()
}

// RoundTrip believes the authority's own certificate.
func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	return a.server.Client().Transport.RoundTrip(r)
}

// listen opens a listener that asks this authority once it serves.
func (a *authority) listen(cache string, log *slog.Logger) *listen.Server {
	a.t.Helper()
	s, err := listen.New(listen.Options{Address: "127.0.0.1:0", Logger: log, ACME: &listen.ACME{
		Domains: []string{name}, Email: "admin@example.com", Cache: cache, UserAgent: "socialhub-sync/test",
		Directory: "https://" + a.server.Listener.Addr().String() + wfe.DirectoryPath, Transport: a,
	}})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { end(a.t, s) })
	return s
}

// get asks the listener under a name, and believes what the authority has signed.
func (a *authority) get(address, serverName string) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.ca.GetRootCert(0).PEM())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: serverName}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get("https://" + address)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return errors.New(resp.Status)
	}
	return nil
}

// nameserver says of every name that it is 127.0.0.1.
func nameserver(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		work.Wait()
	})
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				if err := resolve(conn); err != nil {
					t.Error(err)
				}
			})
		}
	})
	return listener.Addr().String()
}

// resolve answers one question, see RFC 1035, 4.2.2.
func resolve(conn net.Conn) error {
	var size uint16
	if err := binary.Read(conn, binary.BigEndian, &size); err != nil {
		return err
	}
	packet := make([]byte, size)
	if _, err := io.ReadFull(conn, packet); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil {
		return err
	}
	m.Response = true
	m.Additionals = nil
	if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
	}
	packet, err := m.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...))
	return err
}

func hello(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func end(t *testing.T, s *listen.Server) {
	t.Helper()
	if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestACertificateIsAskedForAndKept(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cache := filepath.Join(t.TempDir(), "acme")
	var log bytes.Buffer
	s := a.listen(cache, slog.New(slog.NewTextHandler(&log, nil)))
	a.start(s.Addr().(*net.TCPAddr).Port)
	s.Serve(http.HandlerFunc(hello))
	// Who connects at once waits until the certificate is there, but not longer than a handshake may take.
	deadline := time.Now().Add(time.Minute)
	for err := a.get(s.Addr().String(), name); err != nil; err = a.get(s.Addr().String(), name) {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if err := a.get(s.Addr().String(), "other.example.com"); err == nil {
		t.Error("there is a certificate for any name")
	}
	wantMode(t, cache, 0o700)
	files, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("kept: %v, %v", files, err)
	}
	for _, file := range files {
		wantMode(t, file, 0o600)
	}
	end(t, s)
	if got := log.String(); !strings.Contains(got, "certificate ready") || strings.Contains(got, "PRIVATE") {
		t.Errorf("log: %s", got)
	}

	// The next start needs nobody.
	a.server.Close()
	again := a.listen(cache, slog.New(slog.DiscardHandler))
	again.Serve(http.HandlerFunc(hello))
	if err := a.get(again.Addr().String(), name); err != nil {
		t.Error(err)
	}
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
		t.Errorf("%s: %v, %v, want mode %v", path, info, err, want)
	}
}

func TestANameThatLeadsElsewhereIsToldInTheLog(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	var log bytes.Buffer
	s := a.listen(t.TempDir(), slog.New(slog.NewTextHandler(&log, nil)))
	a.start(1) // where nobody listens
	s.Serve(http.HandlerFunc(hello))
	if err := a.get(s.Addr().String(), name); err == nil {
		t.Error("there is a certificate")
	}
	end(t, s)
	if got := log.String(); !strings.Contains(got, "no certificate by ACME") || !strings.Contains(got, name) {
		t.Errorf("log: %s", got)
	}
}
