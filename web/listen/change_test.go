package listen

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listening is a server on a port of this machine.
func listening(t *testing.T, o Options, handler http.HandlerFunc) *Server {
	t.Helper()
	o.Logger = nopLog
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(handler)
	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fetch asks over a connection of its own; trusted is the file of the certificate, or empty without TLS. It returns the
// serial number of the certificate.
func fetch(t *testing.T, address, trusted string) (serial int64, err error) {
	t.Helper()
	transport, scheme := &http.Transport{DisableKeepAlives: true}, "http://"
	if trusted != "" {
		data, err := os.ReadFile(trusted)
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(data)
		transport.TLSClientConfig, scheme = &tls.Config{RootCAs: roots, ServerName: "localhost"}, "https://"
	}
	resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(scheme + address)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, errors.New(resp.Status)
	}
	if resp.TLS != nil {
		serial = resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	return serial, nil
}

func TestAnotherAddressIsListenedOnAndWhatIsUnderWayFinishes(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	s := listening(t, Options{Address: "127.0.0.1:0"}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
	})
	before := s.Addr().String()
	slow, err := net.Dial("tcp", before)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if err := s.Change(Options{Address: "localhost:0", Logger: nopLog}); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(t, s.Addr().String(), ""); err != nil || s.Addr().String() == before {
		t.Errorf("at %s, before %s: %v", s.Addr(), before, err)
	}
	if _, err := net.Dial("tcp", before); err == nil {
		t.Error("the old address still answers")
	}
	close(release)
	resp, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("what was under way: %+v, %v", resp, err)
	}
}

func TestAllAddressesOfAPortTakeTheOneOver(t *testing.T) {
	t.Parallel()
	s := listening(t, Options{Address: "127.0.0.1:0"}, ok)
	here := s.Addr().String()
	_, port, _ := net.SplitHostPort(here)
	other, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	all := Options{Address: "0.0.0.0:" + port, Logger: nopLog}
	err = s.Change(all)
	if _, bound := errors.AsType[*AddressError](err); !bound {
		t.Errorf("somebody else has a part of it: %v", err)
	}
	if _, err := fetch(t, here, ""); err != nil {
		t.Errorf("it is not back: %v", err)
	}
	if err := errors.Join(other.Close(), s.Change(all)); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{here, "127.0.0.2:" + port} {
		if _, err := fetch(t, address, ""); err != nil {
			t.Error(err)
		}
	}
}

func TestOtherCertificatesComeWithoutLosingThePort(t *testing.T) {
	t.Parallel()
	one, two := newPair(t), newPair(t)
	one.write(1, time.Now().Add(time.Hour))
	two.write(2, time.Now().Add(time.Hour))
	s := listening(t, Options{Address: "127.0.0.1:0"}, ok)
	here := s.Addr().String()
	idle, err := net.Dial("tcp", here)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if status, err := ask(idle, get); status != http.StatusOK || err != nil {
		t.Fatal(status, err)
	}
	for _, step := range []struct {
		p      *pair
		serial int64
	}{{one, 1}, {two, 2}, {nil, 0}, {one, 1}} {
		o, trusted := Options{Address: "127.0.0.1:0", Logger: nopLog}, ""
		if step.p != nil {
			o.CertFile, o.KeyFile, trusted = step.p.certFile, step.p.keyFile, step.p.certFile
		}
		if err := s.Change(o); err != nil {
			t.Fatal(err)
		}
		if serial, err := fetch(t, here, trusted); err != nil || serial != step.serial {
			t.Errorf("certificate %d, %v, want %d", serial, err, step.serial)
		}
	}
	if err := idle.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection without TLS goes on: %v", err)
	}
}

func TestAChangeThatIsNotPossibleChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.write(1, time.Now().Add(time.Hour))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	now := Options{Address: "127.0.0.1:0", CertFile: p.certFile, KeyFile: p.keyFile}
	s := listening(t, now, ok)
	acme := &ACME{Domains: []string{"a.example.com"}, Cache: t.TempDir()}
	for want, o := range map[string]Options{
		"address already in use": {Address: taken.Addr().String(), ACME: acme},
		"tls.cert_file: ":        {Address: "localhost:0", CertFile: "none.pem", KeyFile: "none.key"},
		"tls.acme.cache: ":       {Address: "localhost:0", ACME: &ACME{Domains: acme.Domains, Cache: filepath.Join(p.keyFile, "below")}},
	} {
		o.Logger = nopLog
		if err := s.Change(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		if serial, err := fetch(t, s.Addr().String(), p.certFile); err != nil || serial != 1 {
			t.Errorf("after %s: %d, %v", want, serial, err)
		}
	}
}

func TestAChangeAsksForNoCertificateTwiceAndLetsGoOfTheOneWhoAsked(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	options := func(domain string) Options {
		return Options{Address: "127.0.0.1:0", Logger: nopLog, ACME: &ACME{
			Domains: []string{domain}, Cache: t.TempDir(), Directory: "http://acme.invalid", Transport: refusing(asked),
		}}
	}
	first := options("a.example.com")
	s := listening(t, first, ok)
	<-asked
	issuer := s.issuer
	if err := s.Change(first); err != nil || s.issuer != issuer {
		t.Errorf("the same once more: %v", err)
	}
	if err := s.Change(options("b.example.com")); err != nil || s.issuer == issuer {
		t.Errorf("another name: %v", err)
	}
	<-asked
	if issuer.ctx.Err() == nil || s.issuer.ctx.Err() != nil {
		t.Error("the old one goes on, or the new one does not")
	}
}

// refusing answers no request, and tells of each.
type refusing chan string

func (r refusing) RoundTrip(q *http.Request) (*http.Response, error) {
	select {
	case r <- q.URL.Host:
	default:
	}
	return nil, fmt.Errorf("no")
}

func TestAClosedServerIsNotChanged(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Address: "127.0.0.1:0", Logger: nopLog})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Change(Options{Address: "localhost:0", Logger: nopLog}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error: %v", err)
	}
}
