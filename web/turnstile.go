package web

import (
	"context"
	"fmt"
)

// maxReaders is how many pages and scrapes ask the database at a time. Anybody may ask for them, and must not take its
// connections from the engine and the webhook by that.
const maxReaders = 2

// turnstile lets so many through at a time as it has room for; the others wait.
type turnstile chan struct{}

// enter returns when there is room, and how to leave; or an error if ctx is done first.
func (t turnstile) enter(ctx context.Context) (leave func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other readers: %w", ctx.Err())
	}
}
