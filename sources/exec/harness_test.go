package execsource

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"socialhub-sync/sources"
)

// logText is a log in memory.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// opened is a source with its folder and its log.
type opened struct {
	*source
	dir string
	log *logText
}

// openIn opens a source from settings as they stand in a config in dir.
func openIn(t testing.TB, dir, settings string) *opened {
	t.Helper()
	s := decode(t, settings)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	log := &logText{}
	found, err := s.Open(t.Context(), sources.Env{
		Name: "test", Dir: dir, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := found.Close(); err != nil {
			t.Error(err)
		}
	})
	return &opened{found.(*source), dir, log}
}

func decode(t testing.TB, settings string) sources.Settings {
	t.Helper()
	s := New().Settings()
	if err := yaml.UnmarshalWithOptions([]byte(settings), s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return s
}

// shell opens a source whose program is a shell script.
func shell(t testing.TB, script string) *opened {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "script.sh", script)
	return openIn(t, dir, "command: [sh, script.sh]")
}

func writeFile(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// result is what a pull gave, in short.
type result struct {
	ids    []string // of items
	faults []sources.Fault
	cursor string // the last one
	all    []sources.Batch
	err    error
}

func (o *opened) pull(t testing.TB, req sources.Request) (r result) {
	t.Helper()
	for batch, err := range o.Pull(t.Context(), req) {
		if r.err != nil {
			t.Error("the pull went on after an error")
		}
		if r.err = err; err != nil {
			continue
		}
		r.all = append(r.all, batch)
		if batch.Cursor != "" {
			r.cursor = batch.Cursor
		}
		for _, item := range batch.Items {
			if item.Fault != nil {
				r.faults = append(r.faults, *item.Fault)
			} else {
				r.ids = append(r.ids, item.Interaction.NetworkItemID)
			}
		}
		if len(batch.Items) > sources.MaxBatch {
			t.Errorf("a batch of %d items", len(batch.Items))
		}
	}
	return r
}

// String shows a result in one line.
func (r result) String() string {
	text := strings.Join(r.ids, " ")
	for _, f := range r.faults {
		text += " fault(" + f.Place + ": " + f.Reason + ")"
	}
	if r.cursor != "" {
		text += " cursor(" + r.cursor + ")"
	}
	stop, retry := (*sources.StopError)(nil), (*sources.RetryAfterError)(nil)
	switch {
	case errors.As(r.err, &stop):
		text += " stop(" + r.err.Error() + ")"
	case errors.As(r.err, &retry):
		text += fmt.Sprintf(" after %s(%v)", retry.After, r.err)
	case r.err != nil:
		text += " error(" + r.err.Error() + ")"
	}
	return strings.TrimSpace(text)
}

// item is a line with an interaction.
func item(id string) string {
	return `{"interaction":{"networkItemId":"` + id + `","message":"hello"}}`
}

// says is a script that writes lines.
func says(lines ...string) string {
	return "cat <<'EOT'\n" + strings.Join(lines, "\n") + "\nEOT\n"
}

// patience bounds how long a test waits for what should happen at once.
const patience = 20 * time.Second
