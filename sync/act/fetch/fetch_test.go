package fetch

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOnlyAddressesOfTheInternetArePublic(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		public    bool
		addresses string
	}{
		{true, "1.1.1.1 8.8.8.8 93.184.216.34 172.15.255.255 172.32.0.1 100.63.255.255 100.128.0.1 169.253.1.1 192.0.1.1 223.255.255.255"},
		{true, "2606:4700:4700::1111 2a00:1450:4001:81b::200e ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1"},
		{false, "0.0.0.0 0.1.2.3 127.0.0.1 127.255.255.254 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255"},
		{false, "169.254.169.254 169.254.0.1 100.64.0.1 100.127.255.255 192.0.0.192 192.0.2.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1"},
		{false, "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255"},
		{false, ":: ::1 fe80::1 fe80::1%eth0 febf::1 fc00::1 fd12:3456::1 fdff::1 fec0::1 ff02::1 100::1 2001:db8::1 2001::1"},
		{false, "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0 ::ffff:100.64.0.1 ::127.0.0.1 ::10.0.0.1"},
		{false, "::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 64:ff9b:1::808:808 64:ff9b:1:a00:0:100:808:808 3fff::1 5f00::1 4000::1 ::8.8.8.8"},
		{false, "64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:a00:1::1 2002:c0a8:1::1"},
	} {
		for address := range strings.FieldsSeq(test.addresses) {
			if got := Public(netip.MustParseAddr(address)); got != test.public {
				t.Errorf("%s is public: %v", address, got)
			}
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// site is a server with TLS, and a client that trusts it and may go to it alone.
func site(t *testing.T, h http.HandlerFunc, change ...func(*Options)) (*httptest.Server, *Client) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	own := netip.MustParseAddrPort(s.Listener.Addr().String())
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	o := Options{
		UserAgent: "test/1", Roots: roots,
		Allow: func(to netip.AddrPort) bool { return to == own || Public(to.Addr()) },
	}
	for _, c := range change {
		c(&o)
	}
	c := New(o)
	t.Cleanup(c.Close)
	return s, c
}

// refused fails the test if an error is not a refusal that says this, or shows the address.
func refused(t *testing.T, err error, says string) {
	t.Helper()
	if is, ok := errors.AsType[*RefusedError](err); !ok || !strings.Contains(is.Reason, says) {
		t.Errorf("%v, want a refusal that says %q", err, says)
	}
	unshown(t, err)
}

func unshown(t *testing.T, err error) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), "key=") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the error is %v", err)
	}
}

func TestAFileIsDownloadedAndLeavesNoTrace(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	s, c := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.UserAgent() != "test/1" || r.Referer() != "" {
			t.Errorf("%v", r.Header)
		}
		switch r.URL.Path {
		case "/file":
			w.Header().Set("Content-Type", "image/png")
			w.Write(content)
		default:
			http.Redirect(w, r, "/file", http.StatusFound)
		}
	})
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	f, err := c.Get(t.Context(), s.URL+"/moved?key=1")
	if err != nil {
		t.Fatal(err)
	}
	if f.Size != int64(len(content)) || f.MimeType != "image/png" {
		t.Errorf("%d bytes of %s", f.Size, f.MimeType)
	}
	for range 2 { // as often as the adapter likes
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("on the disk: %v %v", left, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestAFileOfAPrivateNetworkIsRefused(t *testing.T) {
	t.Parallel()
	s, toSite := site(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	plain := New(Options{}) // as it runs
	t.Cleanup(plain.Close)
	const says = "private network"
	_, err := plain.Get(t.Context(), s.URL+"/?key=1")
	refused(t, err, says)
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "[::1]", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fe80::1]", "[fc00::1]",
		"[fd00::1]", "100.64.0.1", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]",
	} {
		_, err := plain.Get(t.Context(), "https://"+host+"/?key=1")
		refused(t, err, says)
		_, err = toSite.Get(t.Context(), s.URL+"/?to=https://"+host+"/%3Fkey=1")
		refused(t, err, says)
	}
	_, err = plain.Get(t.Context(), "https://localhost/?key=1") // a name of this machine
	refused(t, err, says)
}

func TestANameThatLeadsIntoAPrivateNetworkIsRefused(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"10.0.0.7", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "fd00::7", "::1", "fe80::7"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			c := New(Options{Resolver: names(t, netip.MustParseAddr(at))})
			t.Cleanup(c.Close)
			_, err := c.Get(t.Context(), "https://files.example.com/?key=1")
			refused(t, err, "private network")
		})
	}
}

// names is a resolver that gives one address to every name: a real one, that asks a DNS server of this test.
func names(t *testing.T, to netip.Addr) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer, err := answerTo(buf[:n], to); err == nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() { server.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func answerTo(query []byte, to netip.Addr) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	for _, q := range m.Questions {
		head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case q.Type == dnsmessage.TypeA && to.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: to.As4()}})
		case q.Type == dnsmessage.TypeAAAA && to.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: to.As16()}})
		}
	}
	return m.Pack()
}

func TestWhatElseIsRefused(t *testing.T) {
	t.Parallel()
	var s *httptest.Server
	s, c := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			w.Header().Set("Content-Length", fmt.Sprint(MaxSize+1))
		case "/endless":
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 1<<20))
			}
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/plain":
			http.Redirect(w, r, "http"+strings.TrimPrefix(s.URL, "https"), http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/part":
			w.WriteHeader(http.StatusPartialContent)
		}
	})
	for path, says := range map[string]string{
		"/large": "larger than 25 MiB", "/endless": "larger than 25 MiB", "/round": "redirects more than 5 times",
		"/plain": "without https", "/file": "without https", "/gone": "answers 410", "/part": "answers 206",
	} {
		_, err := c.Get(t.Context(), s.URL+path+"?key=1")
		refused(t, err, says)
	}
	for _, address := range []string{"", "http://example.com/?key=1", "file:///etc/passwd", "https:///?key=1", "//example.com", "https://exa mple.com/?key=1"} {
		_, err := c.Get(t.Context(), address)
		refused(t, err, "no https address")
	}
}

func TestWhatMayBeOverLaterIsNoRefusal(t *testing.T) {
	t.Parallel()
	s, c := site(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/broken":
			w.WriteHeader(http.StatusBadGateway)
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("short"))
		case "/lost":
			w.Header().Set("Location", "https://example.com:port/?key=1")
			w.WriteHeader(http.StatusFound)
		case "/slow":
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // no answer, which may come just before the connection ends
		}
	}, func(o *Options) { o.Timeout = 500 * time.Millisecond })
	down := httptest.NewTLSServer(nil)
	down.Close()
	untrusting := New(Options{Allow: func(netip.AddrPort) bool { return true }})
	t.Cleanup(untrusting.Close)
	for name, get := range map[string]func() (*File, error){
		"429":         func() (*File, error) { return c.Get(t.Context(), s.URL+"/busy?key=1") },
		"502":         func() (*File, error) { return c.Get(t.Context(), s.URL+"/broken?key=1") },
		"lost":        func() (*File, error) { return c.Get(t.Context(), s.URL+"/lost?key=1") },
		"cut off":     func() (*File, error) { return c.Get(t.Context(), s.URL+"/cut?key=1") },
		"too slow":    func() (*File, error) { return c.Get(t.Context(), s.URL+"/slow?key=1") },
		"down":        func() (*File, error) { return untrusting.Get(t.Context(), down.URL+"?key=1") },
		"certificate": func() (*File, error) { return untrusting.Get(t.Context(), s.URL+"/?key=1") },
	} {
		_, err := get()
		if _, is := errors.AsType[*RefusedError](err); is || err == nil {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "key=") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
