package sourcetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// mostBatches is how many batches the input of a case may make.
const mostBatches = 10_000

// patience bounds how long a check waits for what should happen at once.
const patience = 20 * time.Second

// decode reads settings as the config does.
func decode(adapter sources.Adapter, text string) (sources.Settings, error) {
	settings := adapter.Settings()
	if err := yaml.UnmarshalWithOptions([]byte(text), settings, yaml.Strict()); err != nil {
		return nil, err
	}
	return settings, nil
}

// session is an opened source whose every move is watched.
type session struct {
	t       testing.TB
	source  sources.Source
	secrets []string
	label   string // of its goroutines
	log     *journal
	ids     *ids
	closed  bool
	most    int // batches of a pull; more are without end
	mu      sync.Mutex
	bad     map[string]bool // faults that were told
}

// openSession opens a source; the test ends if it can't.
func openSession(t testing.TB, adapter sources.Adapter, dir, text string, secrets []string) *session {
	t.Helper()
	settings, err := decode(adapter, text)
	if err != nil {
		t.Fatalf("the settings can't be read: %v", err)
	}
	s := &session{
		t: t, secrets: append(secretsIn(settings), secrets...), label: newLabel(), log: &journal{},
		ids: newIDs(), bad: map[string]bool{}, most: mostBatches,
	}
	if err := settings.Validate(); err != nil {
		t.Fatalf("the settings are not valid: %v", err)
	}
	s.labelled(t.Context(), func(ctx context.Context) {
		s.source, err = settings.Open(ctx, sources.Env{
			Name: "test", Dir: dir, UserAgent: "sourcetest/1",
			Logger: slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
	})
	if err != nil {
		s.checkText("the error of Open", err.Error())
		t.Fatalf("open: %v", err)
	}
	return s
}

// labelled runs f so that goroutines which it starts can be told from others.
func (s *session) labelled(ctx context.Context, f func(context.Context)) {
	pprof.Do(ctx, pprof.Labels(labelKey, s.label), f)
}

// close closes the source once and looks for what it left behind.
func (s *session) close() {
	s.t.Helper()
	if s.closed {
		return
	}
	s.closed = true
	s.labelled(context.Background(), func(context.Context) {
		if err := s.source.Close(); err != nil {
			s.checkText("the error of Close", err.Error())
			s.t.Errorf("close: %v", err)
		}
	})
	if left := waitForGoroutines(s.label); left != "" {
		s.t.Errorf("goroutines are left after Close:\n%s", left)
	}
	s.checkText("the log", s.log.String())
	for _, content := range []*regexp.Regexp{textPattern, replyPattern} {
		if text := content.FindString(s.log.String()); text != "" {
			s.t.Errorf("the log shows content: %q", text)
		}
	}
}

// pull pulls until the end, an error, or until each is false; each (may be nil) is told how many batches
// there were. A panic of the adapter is an error and a fault.
func (s *session) pull(ctx context.Context, req sources.Request, each func(n int) bool) (batches []sources.Batch, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panicked: %v", p)
			s.t.Errorf("the pull panicked: %v\n%s", p, debug.Stack())
		}
	}()
	s.labelled(ctx, func(labels context.Context) {
		for batch, e := range s.source.Pull(labels, req) {
			if err != nil {
				s.once("Pull went on after an error")
				break
			}
			if err = e; e != nil {
				s.checkError(e)
				continue
			}
			s.checkBatch(batch)
			batches = append(batches, batch)
			if len(batches) > s.most {
				err = fmt.Errorf("gave up after %d batches", len(batches))
				s.once("Pull yields batches without end")
				break
			}
			if each != nil && !unlabelled(labels, func() bool { return each(len(batches)) }) {
				break
			}
		}
	})
	return batches, err
}

// unlabelled runs f, in which the world does something that is not the source's doing.
func unlabelled(labels context.Context, f func() bool) bool {
	pprof.SetGoroutineLabels(context.Background())
	defer pprof.SetGoroutineLabels(labels)
	return f()
}

// once reports a fault of the adapter the first time only.
func (s *session) once(format string, args ...any) {
	s.t.Helper()
	text := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.bad[text] {
		s.bad[text] = true
		s.t.Errorf("%s", text)
	}
}

// checkBatch holds a batch against what the contract says of every batch.
func (s *session) checkBatch(b sources.Batch) {
	if len(b.Items) > sources.MaxBatch {
		s.once("a batch has %d items; want at most sources.MaxBatch", len(b.Items))
	}
	size := 0
	for _, item := range b.Items {
		size += len(item.Interaction.Message)
		s.checkItem(item)
	}
	if len(b.Items) > 1 && size > sources.BatchBytes {
		s.once("a batch of %d items has %d bytes of text; want at most sources.BatchBytes", len(b.Items), size)
	}
	s.checkText("a cursor", b.Cursor)
	if !utf8.ValidString(b.Cursor) || strings.Contains(b.Cursor, "\x00") {
		s.once("the cursor is not text that a database takes: %q", b.Cursor)
	}
}

func (s *session) checkItem(item sources.Item) {
	if item.Fault != nil {
		if item.Fault.Place == "" || item.Fault.Reason == "" {
			s.once("a fault has no place or no reason: %+v", *item.Fault)
		}
		s.checkText("a fault", item.Fault.Place+" "+item.Fault.Reason)
		return
	}
	i := item.Interaction
	if !socialhub.ValidItemID(i.NetworkItemID) {
		s.once("the networkItemId %q is not valid", i.NetworkItemID)
	}
	for name, at := range map[string]time.Time{"CreatedTime": i.CreatedTime, "UpdatedTime": item.UpdatedTime} {
		if at.Location() != time.UTC {
			s.once("%s is not in UTC: %s", name, at)
		}
	}
	if len(item.Ref) > 0 && !json.Valid(item.Ref) {
		s.once("a Ref is not valid JSON")
	}
	s.checkText("a Ref", string(item.Ref))
	if problem := s.ids.learn(item); problem != "" {
		s.once("%s", problem)
	}
}

// checkError wants an error to be readable and without secrets.
func (s *session) checkError(err error) {
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err)} {
		s.checkText("an error", text)
	}
	text := err.Error()
	if text == "" || len(text) > longestError || !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		s.once("an error is not one clear sentence: %.200q", text)
	}
	if stop, ok := errors.AsType[*sources.StopError](err); ok && stop.Err == nil {
		s.once("a StopError says nothing")
	}
}

// longestError bounds an error that people read, in bytes.
const longestError = 1000

func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }

// checkText looks for secrets in a text.
func (s *session) checkText(where, text string) {
	for _, secret := range s.secrets {
		if strings.Contains(text, secret) {
			s.once("a secret is in %s: %.200q", where, text)
		}
	}
}

// journal is a log in memory.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
