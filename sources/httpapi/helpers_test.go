package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"

	"socialhub-sync/sources"
)

// read decodes settings as they stand in a config.
func read(t testing.TB, text string) *Settings {
	t.Helper()
	s := New().Settings().(*Settings)
	if err := yaml.UnmarshalWithOptions([]byte(text), s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return s
}

// open opens a source named test; text is its settings, to which items and map are added where they are missing.
func open(t testing.TB, text string) *source {
	t.Helper()
	return openWith(t, text, slog.DiscardHandler).(*source)
}

func openWith(t testing.TB, text string, logs slog.Handler) sources.Source {
	t.Helper()
	if !strings.Contains("\n"+text, "\nitems:") {
		text += "\nitems: .[]"
	}
	if !strings.Contains("\n"+text, "\nmap:") {
		text += "\nmap: '{networkItemId: item_id($prefix; .id), message: .text}'"
	}
	settings := read(t, text)
	if err := settings.Validate(); err != nil {
		t.Fatal(err)
	}
	opened, err := settings.Open(t.Context(), sources.Env{Name: "test", Logger: slog.New(logs), UserAgent: "sync/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

// pulled is what a pull gave.
type pulled struct {
	ids    []string // of interactions, and "! place: reason" of faults
	cursor string   // stored after it
	last   sources.Batch
	err    error
}

func pullAll(t testing.TB, s sources.Source, req sources.Request) pulled {
	t.Helper()
	p := pulled{cursor: req.Cursor}
	for b, err := range s.Pull(t.Context(), req) {
		if err != nil {
			p.err = errors.Join(p.err, err)
			continue
		}
		p.last = b
		if b.Cursor != "" {
			p.cursor = b.Cursor
		}
		for _, item := range b.Items {
			if item.Fault != nil {
				p.ids = append(p.ids, "! "+item.Fault.Place+": "+item.Fault.Reason)
				continue
			}
			p.ids = append(p.ids, item.Interaction.NetworkItemID)
		}
	}
	return p
}

// poll pulls without a cursor.
func poll(t testing.TB, s sources.Source) pulled {
	t.Helper()
	return pullAll(t, s, sources.Request{})
}

// want fails unless the pull gave these ids and no error.
func (p pulled) want(t testing.TB, ids ...string) pulled {
	t.Helper()
	if got := strings.Join(p.ids, "\n"); got != strings.Join(ids, "\n") || p.err != nil {
		t.Errorf("got\n%s\nand the error %v; want\n%s", got, p.err, strings.Join(ids, "\n"))
	}
	return p
}

// fails wants the pull to have ended with this error, and the cursor not to have moved.
func (p pulled) fails(t testing.TB, want string) {
	t.Helper()
	if p.err == nil || p.err.Error() != want || p.cursor != "" {
		t.Errorf("got the error %v and the cursor %q; want %s", p.err, p.cursor, want)
	}
}

// api is a server that remembers what it was asked.
type api struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
}

func serve(t testing.TB, handler func(w http.ResponseWriter, r *http.Request)) *api {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.requests = append(a.requests, r.URL.RequestURI())
		a.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

// asked returns the requests since the last call.
func (a *api) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.requests
	a.requests = nil
	return asked
}

// posts writes items with these ids as JSON.
func posts(ids ...int) string {
	var b bytes.Buffer
	for i, id := range ids {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"id":%d,"text":"t"}`, id)
	}
	return "[" + b.String() + "]"
}

// settingOf is the key that an error is about, and whether it stops the source.
func settingOf(err error) (key string, stops bool) {
	if wrong, ok := errors.AsType[*sources.SettingError](err); ok {
		key = wrong.Key
	}
	_, stops = errors.AsType[*sources.StopError](err)
	return key, stops
}
