package rss

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/goccy/go-yaml"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sourcetest"
)

func TestCases(t *testing.T) {
	t.Parallel()
	sourcetest.Cases(t, New(), "testdata")
}

// open opens a source with settings as they stand in a config.
func open(t *testing.T, address, more string) sources.Source {
	t.Helper()
	s := New().Settings()
	if err := yaml.UnmarshalWithOptions([]byte("url: "+address+"\n"+more), s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	source, err := s.Open(t.Context(), sources.Env{Name: "test", Logger: slog.New(slog.DiscardHandler), UserAgent: "sync/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	return source
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func pullAll(t *testing.T, s sources.Source, req sources.Request) (batches []sources.Batch, err error) {
	t.Helper()
	for batch, e := range s.Pull(t.Context(), req) {
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		batches = append(batches, batch)
	}
	return batches, err
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
