package jsonl

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

func TestStandardInputIsReadOnce(t *testing.T) {
	t.Parallel()
	s := openSettings(t, t.TempDir(), []byte(`path: "-"`))
	s.stdin = strings.NewReader(itemLine(1, "old") + "broken\n" + itemLine(1, "new") + `{"networkItemId":"cut-off"`)
	batches, err := pullAll(t, s, sources.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"review-1=new", "stdin:2!", "stdin:4!"}, told(batches)); diff != "" {
		t.Error(diff)
	}
	if batches[0].Rereads != "stdin:" || lastCursor(batches) != "" {
		t.Errorf("rereads %q, cursor %q", batches[0].Rereads, lastCursor(batches))
	}
	if batches, err = pullAll(t, s, sources.Request{}); err != nil || len(batches) != 0 {
		t.Errorf("again: %v, %v", batches, err)
	}
}

func TestStandardInputIsHandedOutAnewAfterAPullThatWasEndedEarly(t *testing.T) {
	t.Parallel()
	s := openSettings(t, t.TempDir(), []byte(`path: "-"`))
	s.stdin = strings.NewReader(itemLines(2 * sources.MaxBatch))
	for _, err := range s.Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	batches, err := pullAll(t, s, sources.Request{})
	if err != nil || len(told(batches)) != 2*sources.MaxBatch {
		t.Errorf("%d items, %v", len(told(batches)), err)
	}
}

func TestWaitingForStandardInputEndsWithTheContext(t *testing.T) {
	t.Parallel()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := openSettings(t, t.TempDir(), []byte(`path: "-"`))
	s.stdin = readerFunc(func(p []byte) (int, error) {
		cancel(reason)
		return in.Read(p)
	})
	for _, err := range s.Pull(ctx, sources.Request{}) {
		if !errors.Is(err, reason) {
			t.Errorf("got %v", err)
		}
	}
	// The end of the input ends the copying, as goleak sees.
	if err := errors.Join(out.Close(), in.Close()); err != nil {
		t.Error(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestStandardInputThatBreaksIsAnError(t *testing.T) {
	t.Parallel()
	s := openSettings(t, t.TempDir(), []byte(`path: "-"`))
	broken := errors.New("broken pipe")
	s.stdin = io.MultiReader(strings.NewReader(itemLine(1, "a")), readerFunc(func([]byte) (int, error) { return 0, broken }))
	if batches, err := pullAll(t, s, sources.Request{}); !errors.Is(err, broken) || len(batches) != 0 {
		t.Errorf("got %v, %v", batches, err)
	}
}
