package rss

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	godiff "github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

var update = flag.Bool("update", false, "write the expected files anew")

// goldenItem is what a case expects of an entry, for people to read.
type goldenItem struct {
	Interaction socialhub.Interaction `json:"interaction"`
	UpdatedTime time.Time             `json:"updatedTime,omitzero"`
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
		if len(batch.Items) > sources.MaxBatch {
			t.Errorf("a batch of %d items", len(batch.Items))
		}
		batches = append(batches, batch)
	}
	return batches, err
}

// TestCases runs each folder of testdata: its feed gives expected.json and error.txt.
func TestCases(t *testing.T) {
	t.Parallel()
	feeds, err := filepath.Glob("testdata/*/feed.*")
	if err != nil || len(feeds) == 0 {
		t.Fatal("no cases", err)
	}
	for _, feed := range feeds {
		folder := filepath.Dir(feed)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			body, contentType := read(t, feed), read(t, filepath.Join(folder, "content-type.txt"))
			address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", cmp.Or(contentType, "application/xml"))
				_, _ = w.Write([]byte(body))
			})
			batches, err := pullAll(t, open(t, address+"/feed?key=k3y", read(t, filepath.Join(folder, "settings.yaml"))), sources.Request{})
			got := []goldenItem{}
			for _, b := range batches {
				for _, item := range b.Items {
					got = append(got, goldenItem{item.Interaction, item.UpdatedTime})
				}
			}
			problem := ""
			if err != nil {
				problem = strings.ReplaceAll(err.Error(), address, "http://feed.example") + "\n"
			}
			compare(t, filepath.Join(folder, "expected.json"), encode(t, got))
			compare(t, filepath.Join(folder, "error.txt"), problem)
			if (err == nil) != (len(batches) == 1 && batches[0].Cursor != "") {
				t.Errorf("error %v, batches %+v", err, batches)
			}
		})
	}
}

// read returns a file's text; a file that is not there stands for the empty text.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func encode(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if !*update {
		if diff := godiff.Diff(read(t, file), got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
		return
	}
	err := os.WriteFile(file, []byte(got), 0o644)
	if got == "" {
		err = os.Remove(file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
