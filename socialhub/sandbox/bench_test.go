package sandbox_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"socialhub-sync/socialhub/sandbox"
)

// BenchmarkPost is what one creation costs the sandbox itself, and with net/http on both sides; bare is net/http alone.
func BenchmarkPost(b *testing.B) {
	const body = `{"interaction":{"networkItemId":"review-%08d","message":"%s","rating":{"value":4,"scale":5},` +
		`"createdTime":"2025-03-12T12:30:00Z","url":"https://reviews.example.com/r/%[1]d",` +
		`"interactor":{"interactorId":"user-%[1]d","name":"Priya N.","picture":"https://cdn.example.com/u/%[1]d.png"}}}`
	message := strings.Repeat("It works well. ", 20)
	s := sandbox.New(sandbox.Options{NoBodies: true})
	ch, err := s.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	path := "/inbox/tickets?accesstoken=" + ch.Token
	next := func() *strings.Reader { return strings.NewReader(fmt.Sprintf(body, n.Add(1), message)) }
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, path, next())
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			if s.ServeHTTP(w, r); w.Code != http.StatusCreated {
				b.Fatal(w.Code)
			}
		}
	})
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	})
	for name, h := range map[string]http.Handler{"http": s, "bare": bare} {
		b.Run(name, func(b *testing.B) {
			server := httptest.NewServer(h)
			defer server.Close()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a, err := read(server.Client().Post(server.URL+path, "application/json", next()))
					if err != nil || a.status != http.StatusCreated {
						b.Error(a.status, err)
					}
				}
			})
		})
	}
}
