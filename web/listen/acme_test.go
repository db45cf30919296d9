package listen

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFolderThatCanKeepNoCertificatesIsToldAtTheStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{file, filepath.Join(file, "below")} {
		_, err := New(Options{Address: "127.0.0.1:0", ACME: &ACME{Domains: []string{"a.example.com"}, Cache: cache}, Logger: nopLog})
		if err == nil || !strings.Contains(err.Error(), "tls.acme.cache: ") || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", cache, err)
		}
	}
}

func TestCloseDoesNotWaitForAnACMEServerThatIsSilent(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s, err := New(Options{Address: "127.0.0.1:0", Logger: nopLog, ACME: &ACME{
		Domains: []string{"a.example.com", "b.example.com"}, Cache: filepath.Join(t.TempDir(), "new"), Directory: "http://" + silent.Addr().String(), Transport: transport,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(http.HandlerFunc(ok))
	conn, err := silent.Accept() // it has been asked
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
