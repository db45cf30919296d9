package sources

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAReaderEndsWithItsContextAndSaysWhy(t *testing.T) {
	t.Parallel()
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	in := ContextReader(ctx, strings.NewReader("text"))
	got := make([]byte, 2)
	if _, err := io.ReadFull(in, got); err != nil || string(got) != "te" {
		t.Errorf("got %q, %v", got, err)
	}
	cancel(reason)
	if _, err := in.Read(got); !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
}
