package store_test

import (
	"strings"
	"testing"
	"time"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

// silenced is a store on a server that falls silent when silence is called, with the lease of [filled].
func silenced(t *testing.T, limit time.Duration) (s *store.Store, lease store.PollLease, silence func()) {
	t.Helper()
	database := storetest.Postgres(t)
	lease = filled(t, database)
	through, silence := storetest.Silencer(t, database)
	s = open(t, through)
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.SetLimit(limit)
	return s, lease, silence
}

func wantSilence(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil || !store.Unreachable(err) || !strings.Contains(err.Error(), "the database did not answer within") {
		t.Errorf("%s: %v, want that the database did not answer in time", name, err)
	}
}

func TestAServerThatFallsSilentIsUnreachable(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*store.Store, store.PollLease) error{
		"Ping":          func(s *store.Store, _ store.PollLease) error { return s.Ping(t.Context()) },
		"ChannelStates": func(s *store.Store, _ store.PollLease) error { return errorOf(s.ChannelStates(t.Context())) },
		"FinishPoll": func(s *store.Store, l store.PollLease) error {
			return s.FinishPoll(t.Context(), l, store.PollResult{})
		},
		"RenewLeases": func(s *store.Store, _ store.PollLease) error {
			_, err := s.RenewLeases(t.Context(), "me", store.Leases{}, time.Hour)
			return err
		},
		"Ingest":      func(s *store.Store, l store.PollLease) error { return s.Ingest(t.Context(), l, two(store.Rejected)) },
		"CheckSchema": func(s *store.Store, _ store.PollLease) error { return s.CheckSchema(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, lease, silence := silenced(t, 300*time.Millisecond)
			silence()
			wantSilence(t, name, do(s, lease))
		})
	}
}

// Nothing is decided, so that the commit is all that follows.
func TestACommitThatNobodyAnswersIsUnreachable(t *testing.T) {
	t.Parallel()
	s, lease, silence := silenced(t, 2*time.Second)
	err := s.Ingest(t.Context(), lease, store.Intake{IDs: []string{"2"}, Cursor: "x", Decide: func(int, *store.Ticket) *store.Ticket {
		silence()
		return nil
	}})
	wantSilence(t, "Ingest", err)
}

func TestCountingAndRepairsMayTakeLonger(t *testing.T) {
	t.Parallel()
	s := open(t, storetest.Postgres(t))
	migrate(t, s)
	s.SetLimit(time.Nanosecond)
	wantSilence(t, "ChannelStates", errorOf(s.ChannelStates(t.Context())))
	if _, err := s.Retry(t.Context(), "c", "", nil); err != nil {
		t.Error(err)
	}
	if _, err := s.Adopt(t.Context(), "c", nil); err != nil {
		t.Error(err)
	}
}
