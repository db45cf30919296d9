package web

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/store"
)

// slowInbox takes a second for each call, and refuses receipts with the key "bad".
type slowInbox struct {
	mu    sync.Mutex
	calls []string
	fail  bool
}

func (s *slowInbox) Receive(ctx context.Context, _ string, r store.Receipt) (int, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	var keys []string
	for _, a := range r.Actions {
		keys = append(keys, a.Key)
	}
	if !r.Disabled.IsZero() {
		keys = append(keys, fmt.Sprintf("disabled %d", r.Disabled.Unix()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, strings.Join(keys, "+"))
	if s.fail {
		panic("a bug")
	}
	if strings.Contains(s.calls[len(s.calls)-1], "bad") {
		return 0, errors.New("refused")
	}
	return len(keys), nil
}

func receipt(keys ...string) (r store.Receipt) {
	for _, key := range keys {
		r.Actions = append(r.Actions, store.NewAction{Key: key, UUID: "u-" + key})
	}
	return r
}

// arrive hands the receipts over, one soon after the other, each with so long to wait, and returns what became of them.
func arrive(j *joiner, patience time.Duration, receipts ...store.Receipt) []error {
	errs := make([]error, len(receipts))
	var all sync.WaitGroup
	for n, r := range receipts {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			errs[n] = j.receive(ctx, "c", r)
		})
		time.Sleep(time.Millisecond)
	}
	all.Wait()
	return errs
}

func wantCalls(t *testing.T, s *slowInbox, j *joiner, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(j.queues) != 0 {
		t.Errorf("left: %v", j.queues)
	}
}

func TestWhatArrivesWhileTheStoreIsBusyIsStoredTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowInbox{}
		j := newJoiner(s)
		early, late := receipt(), receipt("d")
		early.Disabled, late.Disabled = time.Unix(5, 0), time.Unix(7, 0)
		for n, err := range arrive(j, 5*time.Second, receipt("a"), receipt("b", "c"), late, early) {
			if err != nil {
				t.Errorf("%d: %v", n, err)
			}
		}
		wantCalls(t, s, j, "a", "b+c+d+disabled 7")
	})
}

func TestOneThatTheStoreRefusesCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowInbox{}
		j := newJoiner(s)
		errs := arrive(j, 10*time.Second, receipt("a"), receipt("b"), receipt("bad"), receipt("c"))
		if errs[0] != nil || errs[1] != nil || errs[2] == nil || errs[3] != nil {
			t.Errorf("got %v", errs)
		}
		wantCalls(t, s, j, "a", "b+bad+c", "b", "bad", "c")
	})
}

func TestTwoEventsOfOneActionAreStoredOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowInbox{}
		j := newJoiner(s)
		arrive(j, 10*time.Second, receipt("a"), receipt("b"), receipt("c"), receipt("b"), receipt("d"))
		wantCalls(t, s, j, "a", "b+c", "b+d")
	})
}

func TestWhoGaveUpKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowInbox{}
		j := newJoiner(s)
		var all sync.WaitGroup
		all.Go(func() { arrive(j, 5*time.Second, receipt("a")) })
		synctest.Wait()
		all.Go(func() {
			if errs := arrive(j, 500*time.Millisecond, receipt("b")); !errors.Is(errs[0], context.DeadlineExceeded) {
				t.Errorf("got %v", errs)
			}
		})
		synctest.Wait()
		if errs := arrive(j, 5*time.Second, receipt("c")); errs[0] != nil {
			t.Error(errs)
		}
		all.Wait()
		wantCalls(t, s, j, "a", "c")
	})
}

func TestAPanicOfOneKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowInbox{fail: true}
		j := newJoiner(s)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_ = j.receive(t.Context(), "c", receipt("a"))
		}()
		s.fail = false
		if errs := arrive(j, 5*time.Second, receipt("b")); errs[0] != nil {
			t.Error(errs)
		}
		wantCalls(t, s, j, "a", "b")
	})
}

func TestNoMoreIsStoredTogetherThanTheLimit(t *testing.T) {
	t.Parallel()
	big := receipt("big")
	big.Actions[0].Payload = strings.Repeat("x", maxJoinedBytes+1)
	q := &queue{waiting: []*arrival{{receipt: receipt("a")}, {receipt: big}, {receipt: receipt("b")}}}
	for range 2*maxJoined + 1 {
		q.waiting = append(q.waiting, &arrival{receipt: receipt(fmt.Sprint(len(q.waiting)))})
	}
	var got []int
	for len(q.waiting) > 0 {
		got = append(got, len(q.take()))
	}
	if diff := cmp.Diff([]int{1, 1, maxJoined, maxJoined, 2}, got); diff != "" {
		t.Error(diff)
	}
}
