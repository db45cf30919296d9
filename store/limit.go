package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// bulkLimit is for statements that may read or change all tickets.
	bulkLimit = 10 * time.Minute
	// migrateLimit is for all migrations together, with the wait for another process that migrates.
	migrateLimit = time.Hour
)

// errSilent says that the server took too long. The connection is not used again.
var errSilent = errors.New("the database did not answer")

// within returns the same store with another limit, if its statements have one.
func (s *Store) within(limit time.Duration) *Store {
	other := *s
	if other.limit > 0 {
		other.limit = limit
	}
	return &other
}

// inTime runs f, whose context ends at the limit; the error then is errSilent.
func (s *Store) inTime(ctx context.Context, f func(context.Context) error) error {
	if s.limit == 0 {
		return f(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, errSilent)
	defer cancel()
	err := f(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return fmt.Errorf("%w within %v: %w", errSilent, s.limit, err)
	}
	return err
}
