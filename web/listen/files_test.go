package listen

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a certificate in two files.
type pair struct {
	t                 *testing.T
	certFile, keyFile string
	written           time.Time
}

func newPair(t *testing.T) *pair {
	t.Helper()
	dir := t.TempDir()
	return &pair{t: t, certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"), written: time.Now()}
}

// write puts a new certificate with this serial number into the files.
func (p *pair) write(serial int64, expires time.Time) {
	p.t.Helper()
	cert, key := p.make(serial, expires)
	p.put(p.certFile, cert)
	p.put(p.keyFile, key)
}

func (p *pair) make(serial int64, expires time.Time) (cert, key []byte) {
	p.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: expires, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		p.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		p.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// put writes a file with a time that is another each time, however coarse the clock of the disk is.
func (p *pair) put(path string, data []byte) {
	p.t.Helper()
	p.written = p.written.Add(time.Second)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chtimes(path, p.written, p.written); err != nil {
		p.t.Fatal(err)
	}
}

func TestARenewedCertificateIsUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := newPair(t)
		expires := time.Now().Add(90 * 24 * time.Hour)
		p.write(1, expires)
		f, err := newFiles(p.certFile, p.keyFile, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		want := func(serial int64) {
			t.Helper()
			cert, err := f.certificate(nil)
			if err != nil || cert.Leaf.SerialNumber.Int64() != serial {
				t.Errorf("certificate %v, %v, want %d", cert.Leaf.SerialNumber, err, serial)
			}
		}
		p.write(2, expires)
		want(1) // not looked at yet
		time.Sleep(recheck)
		want(2)

		// Half of a renewal leaves the old one in use, and is told once.
		cert, key := p.make(3, expires)
		p.put(p.certFile, cert)
		for range 3 {
			time.Sleep(recheck)
			want(2)
		}
		if n := strings.Count(log.String(), "the new certificate can't be used"); n != 1 {
			t.Errorf("told %d times: %s", n, &log)
		}
		p.put(p.keyFile, key)
		time.Sleep(recheck)
		want(3)
		if err := os.Remove(p.keyFile); err != nil {
			t.Fatal(err)
		}
		time.Sleep(recheck)
		want(3)
		if got := log.String(); !strings.Contains(got, "tls.key_file") || strings.Contains(got, "PRIVATE") {
			t.Errorf("log: %s", got)
		}
	})
}

func TestFilesThatAreNoCertificateAreToldAtTheStart(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.write(1, time.Now().Add(time.Hour))
	cert, key := p.make(2, time.Now().Add(time.Hour))
	bad := map[string][]byte{"other.key": key, "other.pem": cert, "text": []byte("hello"), "empty": nil}
	dir := t.TempDir()
	for name, data := range bad {
		p.put(filepath.Join(dir, name), data)
	}
	for _, test := range []struct{ cert, key, want string }{
		{"none.pem", p.keyFile, "tls.cert_file: stat " + filepath.Join(dir, "none.pem")},
		{p.certFile, "none.key", "tls.key_file: stat " + filepath.Join(dir, "none.key")},
		{p.certFile, "other.key", "private key does not match public key"},
		{"other.pem", p.keyFile, "private key does not match public key"},
		{"text", p.keyFile, "both must be PEM files"},
		{p.certFile, "empty", "both must be PEM files"},
		{dir, p.keyFile, "tls.cert_file: read " + dir},
		{p.certFile, dir, "tls.key_file: read " + dir},
	} {
		in := func(name string) string {
			if filepath.IsAbs(name) {
				return name
			}
			return filepath.Join(dir, name)
		}
		_, err := New(Options{Address: "127.0.0.1:0", CertFile: in(test.cert), KeyFile: in(test.key), Logger: nopLog})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "; ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestAnExpiredCertificateIsToldInTheLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := newPair(t)
	p.write(1, time.Now().Add(-time.Minute))
	if _, err := newFiles(p.certFile, p.keyFile, slog.New(slog.NewTextHandler(&log, nil))); err != nil || !strings.Contains(log.String(), "has expired") {
		t.Errorf("%v, log: %s", err, &log)
	}
}

func TestTheListenerSpeaksTLSFrom12On(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.write(1, time.Now().Add(time.Hour))
	s, err := New(Options{Address: "127.0.0.1:0", CertFile: p.certFile, KeyFile: p.keyFile, Logger: nopLog})
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(http.HandlerFunc(ok))
	defer s.Close(t.Context())
	data, err := os.ReadFile(p.certFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: version, MaxVersion: version},
			ForceAttemptHTTP2: true,
		}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + s.Addr().String())
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			if resp.ProtoMajor != 1 {
				t.Errorf("it speaks %s", resp.Proto)
			}
			resp.Body.Close()
		}
		transport.CloseIdleConnections()
	}
}
