package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	somePassword = "correct horse"
	someToken    = "0123456789abcdef"
)

// guardedWorld is a world whose page is for readers.
func guardedWorld(t *testing.T, r Readers, log *slog.Logger) (*world, *Handler) {
	t.Helper()
	w := newWorld(t)
	receiver := NewReceiver(ReceiverOptions{Inbox: w.store, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Logger: log})
	handler := New(Options{Store: w.store, Channels: configured(), Receiver: receiver, Readers: r, Logger: log})
	t.Cleanup(handler.Close)
	w.handler = handler
	return w, handler
}

// asks sends a request with the headers, which come in pairs.
func (w *world) asks(path string, headers ...string) *http.Response {
	w.t.Helper()
	req := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, req)
	return recorder.Result()
}

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

func TestOnlyReadersSeeThePageAndTheMetrics(t *testing.T) {
	t.Parallel()
	both, user, token := NewReaders("admin", somePassword, someToken), NewReaders("admin", somePassword, ""), NewReaders("", "", someToken)
	w, handler := guardedWorld(t, both, nopLog)
	for _, test := range []struct {
		name, authorization string
		readers             Readers
		want                int
	}{
		{"nothing is asked for", "", Readers{}, 200}, {"a password that nobody asks for", basic("a", "b"), NewReaders("", "", ""), 200},
		{"nothing", "", both, 401}, {"the password", basic("admin", somePassword), both, 200}, {"the token", "Bearer " + someToken, both, 200},
		{"a scheme in small letters", "bearer " + someToken, both, 200},
		{"another username", basic("root", somePassword), both, 401}, {"another password", basic("admin", "wrong"), both, 401},
		{"an empty password", basic("admin", ""), both, 401}, {"the token as a password", basic("admin", someToken), both, 401},
		{"the password as a token", "Bearer " + somePassword, both, 401}, {"a part of the token", "Bearer " + someToken[1:], both, 401},
		{"an empty token", "Bearer ", both, 401}, {"another scheme", "Digest " + someToken, both, 401}, {"no base64", "Basic !", both, 401},
		{"an empty token where there is none", "Bearer ", user, 401}, {"empty words where there are none", basic("", ""), token, 401},
		{"a username alone", basic("admin", ""), NewReaders("admin", "", ""), 401}, {"a password alone", basic("", somePassword), NewReaders("", somePassword, ""), 401},
	} {
		handler.Admit(test.readers)
		for _, path := range []string{"/", "/metrics"} {
			if got := w.asks(path, "Authorization", test.authorization).StatusCode; got != test.want {
				t.Errorf("%s: GET %s: %d, want %d", test.name, path, got, test.want)
			}
		}
	}
}

// Each request is sent as it stands, as a client of ours would put most of them right.
func TestNoRequestGetsPastTheDoor(t *testing.T) {
	t.Parallel()
	w, _ := guardedWorld(t, NewReaders("admin", somePassword, someToken), nopLog)
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	for _, request := range []string{
		"GET / HTTP/1.0", "GET /metrics HTTP/1.0", "HEAD / HTTP/1.0", "HEAD /metrics HTTP/1.0", "POST /metrics HTTP/1.0", "get /metrics HTTP/1.0",
		"GET //metrics HTTP/1.0", "GET /metrics/ HTTP/1.0", "GET /./metrics HTTP/1.0", "GET /webhook/../metrics HTTP/1.0", "GET /%6detrics HTTP/1.0",
		"GET /healthz/%2e%2e/metrics HTTP/1.0", "GET /metrics;x HTTP/1.0", "GET http://" + address + "/metrics HTTP/1.0", "CONNECT /metrics HTTP/1.0",
		"OPTIONS * HTTP/1.0", "GET /?refresh=off HTTP/1.0", "GET http://" + address + " HTTP/1.0", "POST /metrics HTTP/1.0\r\nX-HTTP-Method-Override: GET",
		"GET /metrics HTTP/1.0\r\nAuthorization: Basic\r\nAuthorization: Bearer " + someToken, "PRI * HTTP/2.0",
	} {
		conn, err := net.Dial("tcp", address)
		w.must(err)
		_, err = io.WriteString(conn, request+"\r\n\r\n")
		w.must(err)
		answer, err := io.ReadAll(conn)
		w.must(err)
		w.must(conn.Close())
		if strings.HasPrefix(string(answer), "HTTP/1.0 200") && request != "OPTIONS * HTTP/1.0" {
			t.Errorf("%q is let through", request)
		}
		wantNoWords(t, string(answer), "socialhub_sync_", "<h1>")
	}
}

func TestWhoIsRefusedIsAskedForWhatThereIs(t *testing.T) {
	t.Parallel()
	const basic, bearer = `Basic realm="socialhub-sync", charset="UTF-8"`, `Bearer realm="socialhub-sync"`
	w, handler := guardedWorld(t, Readers{}, nopLog)
	for _, test := range []struct {
		readers Readers
		want    []string
	}{
		{NewReaders("admin", somePassword, someToken), []string{basic, bearer}}, {NewReaders("admin", somePassword, ""), []string{basic}},
		{NewReaders("", "", someToken), []string{bearer}},
	} {
		handler.Admit(test.readers)
		if diff := cmp.Diff(test.want, w.asks("/").Header.Values("WWW-Authenticate")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTheHealthChecksAndTheWebhookAreOpenForAll(t *testing.T) {
	t.Parallel()
	w, _ := guardedWorld(t, NewReaders("admin", somePassword, someToken), nopLog)
	w.get("/healthz", 200)
	w.get("/readyz", 200)
	if got := w.ask("POST", "/webhook/of-nobody").Header.Get("WWW-Authenticate"); got != "" {
		t.Errorf("the webhook asks for %q", got)
	}
}

func TestWhoIsRefusedDoesNotReachTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, handler := guardedWorld(t, NewReaders("", "", someToken), nopLog)
		for range maxReaders { // whoever reads waits
			if _, err := handler.reader.readers.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		w.get("/", 401)
		w.get("/metrics", 401)
		if took := time.Since(began); took != 0 {
			t.Errorf("it waited %v for the database", took)
		}
		w.must(w.store.Close())
	})
}

func TestWhoTriesAWrongPasswordIsLoggedWithoutIt(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w, _ := guardedWorld(t, NewReaders("admin", somePassword, someToken), slog.New(slog.NewTextHandler(&log, nil)))
	w.asks("/")
	if log.Len() > 0 {
		t.Errorf("who has none yet is logged: %s", &log)
	}
	for range 2 * logBurst {
		w.asks("/metrics", "Authorization", basic("hunter2-user", "hunter2-password"), "X-Forwarded-For", "203.0.113.7")
	}
	wantWords(t, log.String(), `level=WARN msg="reader refused, the username, password or token is wrong" path=/metrics peer=203.0.113.7`)
	wantNoWords(t, log.String(), "hunter2", somePassword, someToken)
	if lines := strings.Count(log.String(), "\n"); lines > logBurst+1 {
		t.Errorf("%d lines of a flood", lines)
	}
}

func TestReadersShowNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).LogAttrs(context.Background(), slog.LevelInfo, "x",
		slog.Any("readers", NewReaders("admin", somePassword, someToken)))
	wantNoWords(t, log.String(), somePassword, someToken)
}
