package cli_test

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"socialhub-sync/app/cli"
	"socialhub-sync/sources/builtin"
)

// healthcheck runs the command with a config that says this beside the least.
func healthcheck(t *testing.T, more string) (code int, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := more + `
channels: {support: {access_token: ` + emptyToken + `}}
sources: {reviews: {adapter: jsonl, channel: support, settings: {path: reviews.jsonl}}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	streams := cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, LookupEnv: os.LookupEnv}
	code = cli.Run(t.Context(), []string{"healthcheck", "--config", file}, builtin.Adapters(), streams)
	return code, errs.String()
}

// ready answers /readyz as the status page does.
func ready(status int, text string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, status) })
	return mux
}

func TestTheHealthcheckAsksTheListenerOfTheConfig(t *testing.T) {
	t.Parallel()
	good := httptest.NewServer(ready(http.StatusOK, "ok"))
	t.Cleanup(good.Close)
	bad := httptest.NewServer(ready(http.StatusServiceUnavailable, "the database does not answer"))
	t.Cleanup(bad.Close)
	secure := httptest.NewTLSServer(ready(http.StatusOK, "ok"))
	t.Cleanup(secure.Close)
	gone := httptest.NewServer(nil)
	gone.Close()

	for _, test := range []struct {
		name, config string
		code         int
		stderr       string
	}{
		{"a ready daemon", "listen: " + address(t, good), 0, ""},
		{"on all interfaces", "listen: :" + port(t, good), 0, ""},
		{"on all interfaces of IPv4", "listen: 0.0.0.0:" + port(t, good), 0, ""},
		{"with TLS", "listen: " + address(t, secure) + "\n" + certificate(t, secure), 0, ""},
		{"not ready", "listen: " + address(t, bad), 1, "error: the daemon is not ready: the database does not answer\n"},
		{"not there", "listen: " + address(t, gone), 1, "error: the daemon does not answer: "},
		{"no listener", `listen: ""`, 2, `error: listen is "": there is nothing to ask; set it in `},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, stderr := healthcheck(t, test.config)
			if code != test.code || !strings.HasPrefix(stderr, test.stderr) || test.stderr == "" && stderr != "" {
				t.Errorf("exit code %d, stderr %q; want %d, %q", code, stderr, test.code, test.stderr)
			}
		})
	}
}

func address(t *testing.T, s *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func port(t *testing.T, s *httptest.Server) string {
	t.Helper()
	_, port, _ := strings.Cut(address(t, s), ":")
	return port
}

// certificate is the part of a config that names a server's certificate. The healthcheck needs neither file.
func certificate(t *testing.T, s *httptest.Server) string {
	t.Helper()
	dir := t.TempDir()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for _, name := range []string{"cert.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "tls: {cert_file: " + dir + "/cert.pem, key_file: " + dir + "/key.pem}"
}
