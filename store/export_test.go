package store

import "time"

// SetLimit sets how long a statement may take.
func (s *Store) SetLimit(d time.Duration) { s.limit = d }
