package socialhub

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ticketAnswer is a 201 in the size of SocialHub's: the interaction comes back.
var ticketAnswer = []byte(`{"_id":"` + testTicket + `","accountId":"` + testAccount + `","channelId":"` + testChannel +
	`","createdTime":"2026-03-01T12:00:00.000Z","interaction":{"message":"` + strings.Repeat("Hello, can someone help me? ", 20) +
	`","pictures":[],"attachments":[],"interactor":{"interactorId":"` + testAccount + `","name":"Ada"}}}`)

func benchServer(b *testing.B) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := w.Header()
		h["Content-Type"] = []string{"application/json"}
		h["X-Ratelimit-Limit"] = []string{"1000"}
		h["X-Ratelimit-Remaining"] = []string{"999"}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(ticketAnswer)
	}))
	b.Cleanup(s.Close)
	return s
}

// BenchmarkCreate against BenchmarkBareCreate shows what the client adds to net/http; the server's share is in both.
func BenchmarkCreate(b *testing.B) {
	c := newTestClient(b, benchServer(b).URL, nil)
	i := fullInteraction()
	b.ReportAllocs()
	for b.Loop() {
		if a := c.Create(b.Context(), i); a.Outcome != Done {
			b.Fatalf("%+v", a)
		}
	}
}

// BenchmarkBareCreate posts the same bytes with net/http alone.
func BenchmarkBareCreate(b *testing.B) {
	address := benchServer(b).URL + "/inbox/tickets?accesstoken=" + testRaw
	body, err := encode(content{fullInteraction()})
	if err != nil {
		b.Fatal(err)
	}
	transport := newTransport(1)
	b.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	b.ReportAllocs()
	for b.Loop() {
		res, err := client.Post(address, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// BenchmarkClientAlone is Create with a transport that costs nothing: what the client itself costs.
func BenchmarkClientAlone(b *testing.B) {
	header := http.Header{"X-Ratelimit-Limit": {"1000"}, "X-Ratelimit-Remaining": {"999"}}
	c := newTestClient(b, "", func(o *Options) {
		o.Transport = double(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 201, Header: header, Body: io.NopCloser(bytes.NewReader(ticketAnswer))}, nil
		})
	})
	i := fullInteraction()
	b.ReportAllocs()
	for b.Loop() {
		if a := c.Create(b.Context(), i); a.Outcome != Done {
			b.Fatalf("%+v", a)
		}
	}
}
