package cli_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// exchange is a request of a recipe and the API's answer:
//
//   - request: GET /v1/reviews?page=1&since=*
//     header: {Authorization: Bearer s3cret}
//     answer: {Link: '<https://api.example.com/v1/reviews?page=2>; rel="next"'}
//     body: '[{"id": 1}]'
//
// The request is the method, the path as it is sent (percent-encoded) and the query, whose parameters are compared decoded
// and in any order. A path goes to the first of the fixture's hosts; a whole address names another one. In values of the query
// and of header, and in sends, a * stands for any characters.
type exchange struct {
	Request string `yaml:"request"`
	// Header must be in the request; others may.
	Header map[string]string `yaml:"header"`
	// Sends must be the request's body, unless it is empty.
	Sends string `yaml:"sends"`
	// Status of the answer; 200 if left out.
	Status int `yaml:"status"`
	// Answer is the answer's header. Content-Type is application/json; charset=utf-8 if left out.
	Answer map[string]string `yaml:"answer"`
	// Body of the answer, or File: the name of a file of the fixture that holds it, sent as it is.
	Body string `yaml:"body"`
	File string `yaml:"file"`
}

// replay is a proxy that answers https requests in the place of the hosts they are for.
type replay struct {
	t      *testing.T
	folder string
	hosts  []string
	proxy  string // its address
	roots  []byte // PEM of the certificate that it shows
	outer  *httptest.Server
	inner  http.Server
	tls    *tls.Config
	conns  chan net.Conn
	closed chan struct{}

	mu      sync.Mutex
	playing string
	left    []exchange
	asked   map[int]bool // by the index in left
}

func newReplay(t *testing.T, folder string, hosts []string) *replay {
	t.Helper()
	if len(hosts) == 0 {
		t.Fatal("fixture.yaml names no hosts")
	}
	p := &replay{t: t, folder: folder, hosts: hosts, conns: make(chan net.Conn), closed: make(chan struct{})}
	p.certify()
	p.outer = httptest.NewServer(http.HandlerFunc(p.tunnel))
	p.proxy = p.outer.URL
	p.inner = http.Server{Handler: http.HandlerFunc(p.serve), ErrorLog: log.New(io.Discard, "", 0)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.inner.Serve(p) }) // until it is closed
	t.Cleanup(func() {
		_ = p.inner.Close()
		p.outer.Close()
		wg.Wait()
	})
	return p
}

// certify makes a certificate for all hosts.
func (p *replay) certify() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	for _, host := range p.hosts {
		u, err := url.Parse(host)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" {
			p.t.Fatalf("hosts: want addresses such as https://api.example.com, not %q", host)
		}
		template.DNSNames = append(template.DNSNames, u.Hostname())
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// tunnel takes a connection over that the program believes to be one to an API.
func (p *replay) tunnel(w http.ResponseWriter, r *http.Request) {
	host := "https://" + strings.TrimSuffix(r.Host, ":443")
	if r.Method != http.MethodConnect || !slices.Contains(p.hosts, host) {
		p.t.Errorf("%s: %s to %s, which is none of the fixture's hosts", p.scene(), r.Method, r.Host)
		http.Error(w, "not recorded", http.StatusBadGateway)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.t.Error(err)
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		p.t.Error(err)
	}
	select {
	case p.conns <- tls.Server(conn, p.tls):
	case <-p.closed:
		conn.Close()
	}
}

// Accept, Close and Addr make it a listener for the connections that were taken over.
func (p *replay) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close is called once, by the server that accepts.
func (p *replay) Close() error {
	close(p.closed)
	return nil
}

func (p *replay) Addr() net.Addr { return p.outer.Listener.Addr() }

// play begins a scene with its exchanges. In the scene "check" they need not happen, and may happen again.
func (p *replay) play(scene string, exchanges []exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.playing, p.left, p.asked = scene, exchanges, map[int]bool{}
}

func (p *replay) scene() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.playing
}

// finish ends a scene.
func (p *replay) finish() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, request := range p.missing() {
		p.t.Errorf("%s: nobody asked for %s", p.playing, request)
	}
}

// missing are the requests that did not come yet; p.mu is held.
func (p *replay) missing() (requests []string) {
	for i, e := range p.left {
		if !p.asked[i] {
			requests = append(requests, e.Request)
		}
	}
	return requests
}

func (p *replay) serve(w http.ResponseWriter, r *http.Request) {
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	e, ok := p.take(r)
	if !ok {
		http.Error(w, "not recorded", http.StatusNotImplemented)
		return
	}
	for name, want := range e.Header {
		if got := r.Header.Get(name); !fits(want, got) {
			p.t.Errorf("%s: the header %s of %s is %q; want %q", p.scene(), name, e.Request, got, want)
		}
	}
	if e.Sends != "" && !fits(e.Sends, string(sent)) {
		p.t.Errorf("%s: %s sends %q; want %q", p.scene(), e.Request, sent, e.Sends)
	}
	p.answer(w, &e)
}

func (p *replay) answer(w http.ResponseWriter, e *exchange) {
	body := []byte(e.Body)
	if e.File != "" {
		var err error
		if body, err = os.ReadFile(filepath.Join(p.folder, e.File)); err != nil {
			p.t.Error(err)
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	for name, value := range e.Answer {
		w.Header().Set(name, value)
	}
	if e.Status != 0 {
		w.WriteHeader(e.Status)
	}
	_, _ = w.Write(body) // who does not take it will be seen to miss it
}

// take returns the next exchange that the request belongs to.
func (p *replay) take(r *http.Request) (exchange, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.left {
		if (p.playing == "check" || !p.asked[i]) && p.matches(&p.left[i], r) {
			p.asked[i] = true
			return p.left[i], true
		}
	}
	p.t.Errorf("%s: no exchange is left for\n%s https://%s%s\nthose that are left:\n%s",
		p.playing, r.Method, r.Host, r.URL.RequestURI(), strings.Join(p.missing(), "\n"))
	return exchange{}, false
}

func (p *replay) matches(e *exchange, r *http.Request) bool {
	method, address, _ := strings.Cut(e.Request, " ")
	if strings.HasPrefix(address, "/") {
		address = p.hosts[0] + address
	}
	want, err := url.Parse(address)
	if err != nil {
		p.t.Errorf("%s: %v", e.Request, err)
		return false
	}
	return method == r.Method && want.Host == r.Host && want.EscapedPath() == r.URL.EscapedPath() &&
		sameQuery(want.Query(), r.URL.Query())
}

func sameQuery(want, got url.Values) bool {
	if len(want) != len(got) {
		return false
	}
	for name, values := range want {
		if !slices.EqualFunc(values, got[name], fits) {
			return false
		}
	}
	return true
}

// fits tells whether got is want, in which * stands for any characters.
func fits(want, got string) bool {
	if !strings.Contains(want, "*") {
		return want == got
	}
	parts := strings.Split(want, "*")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(got)
}

// rootsVariable names a file with the certificate of the replay. The program takes nothing else then.
const rootsVariable = "REPLAY_ROOTS"

// trustReplay is called in the program's process. SSL_CERT_FILE would do it on some systems only.
func trustReplay() {
	file := os.Getenv(rootsVariable)
	if file == "" {
		return
	}
	text, err := os.ReadFile(file)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(text) {
		fmt.Fprintln(os.Stderr, "no certificate in", file, err)
		os.Exit(3)
	}
	x509.SetFallbackRoots(roots)
}

// newKeys replaces $EC_KEY, $RSA_KEY and $RSA_KEY_JSON by keys that were never used before.
func newKeys(t *testing.T) *strings.Replacer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	inJSON, err := json.Marshal(privatePEM(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"$EC_KEY", privatePEM(t, ec), "$RSA_KEY_JSON", string(bytes.Trim(inJSON, `"`)), "$RSA_KEY", privatePEM(t, key))
}

func privatePEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
