package store_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

func TestTheSameEventAtTwoProcessesAtOnceIsOneAction(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		lease := filled(t, url)
		const events, processes = 20, 4
		var all sync.WaitGroup
		taken := make(chan int, events*processes)
		for range processes {
			s := open(t, url)
			all.Go(func() {
				for i := range events {
					key := fmt.Sprint("key ", i)
					n, err := s.Receive(t.Context(), lease.ChannelID, store.Receipt{Actions: []store.NewAction{
						{Key: key, UUID: "u" + key, NetworkItemID: "1", TicketID: "t"}, {Key: "all", UUID: "all"},
					}})
					if err != nil {
						t.Error(err)
					}
					taken <- n
				}
			})
		}
		all.Wait()
		close(taken)
		sum := 0
		for n := range taken {
			sum += n
		}
		counts, err := open(t, url).ActionCounts(t.Context())
		if err != nil || sum != events+1 || counts["c"][store.ActionReceived] != events+2 {
			t.Errorf("%d were taken, %v, %v: want each once", sum, counts, err)
		}
	})
}

// number returns the one number that a query gives.
func number(t *testing.T, url, query string) (n int) {
	t.Helper()
	driver, name := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, name = "sqlite", path
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestNoContentStaysInAnActionAtItsEnd(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url)
		s, ctx := open(t, url), t.Context()
		lease, _, err := s.ClaimChannel(ctx, "me", "c", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		const leftover = "SELECT count(*) FROM actions WHERE payload IS NOT NULL OR reply IS NOT NULL"
		for i, to := range []store.ActionState{store.ActionConfirmed, store.ActionReported, store.ActionDismissed, store.ActionFailed, store.ActionPerformed} {
			key := string(to)
			a := store.NewAction{Key: key, UUID: key, NetworkItemID: fmt.Sprint(i), Payload: secretWord}
			if _, err := s.Receive(ctx, "c", store.Receipt{Actions: []store.NewAction{a}}); err != nil {
				t.Fatal(err)
			}
			if number(t, url, leftover) != 1 {
				t.Fatal("no content was ever there: the test sees nothing")
			}
			if err := s.StepAction(ctx, lease, store.ActionStep{Key: key, From: store.ActionReceived, To: to}); err != nil {
				t.Fatal(err)
			}
			if n := number(t, url, leftover); n != 0 {
				t.Errorf("%s: the content is still there", to)
			}
		}
		a := store.NewAction{Key: "posted", UUID: "posted", NetworkItemID: "9", Payload: secretWord}
		posted := &store.PostedReply{NetworkItemID: "r", Note: secretWord}
		_, err = s.Receive(ctx, "c", store.Receipt{Actions: []store.NewAction{a}})
		if err == nil {
			err = s.StepAction(ctx, lease, store.ActionStep{Key: "posted", From: store.ActionReceived, To: store.ActionPerformed, Reply: posted})
		}
		if err == nil && number(t, url, leftover) != 1 {
			t.Error("the note is gone before it was told")
		}
		if err == nil {
			err = s.StepAction(ctx, lease, store.ActionStep{Key: "posted", From: store.ActionPerformed, To: store.ActionConfirmed})
		}
		if n := number(t, url, leftover); err != nil || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestTheTimeOfAnActionThatBeginsAnewBeginsAnew shows also that the time since the first call goes on for one that a person has taken
// up again: a source takes the same key for so long only.
func TestTheTimeOfAnActionThatBeginsAnewBeginsAnew(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url) // with the action 1
		s, ctx := open(t, url), t.Context()
		lease, _, err := s.ClaimChannel(ctx, "me", "c", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for i, anew := range []func() error{
			func() error { _, err := s.RetryActions(ctx, "c", nil); return err },
			func() error {
				_, err := s.Receive(ctx, "c", store.Receipt{Actions: []store.NewAction{{Key: "1", UUID: "2", NetworkItemID: "1"}}})
				return err
			},
		} {
			if err := s.BeginAction(ctx, lease, "1"); err != nil {
				t.Fatal(err)
			}
			raw(t, url, fmt.Sprintf("UPDATE actions SET received_at = %[1]s - 7200000, tried_at = %[1]s - 3600000", clock(url)))
			if err := s.StepAction(ctx, lease, store.ActionStep{Key: "1", From: store.ActionPerforming, To: store.ActionUncertain}); err != nil {
				t.Fatal(err)
			}
			if err := anew(); err != nil {
				t.Fatal(err)
			}
			due, err := s.DueActions(ctx, lease, 9, store.BusyActions{})
			if err != nil || len(due) != 1 || due[0].Waited > time.Hour || due[0].Retried != (i == 0) ||
				(due[0].Tried >= time.Hour) != due[0].Retried || (due[0].Tried == 0) == due[0].Retried {
				t.Errorf("%d: %+v, %v", i, due, err)
			}
		}
	})
}

// TestWhatIsBegunMeanwhileIsNotDismissed is about somebody who takes the channel and begins an action while a dismissal, which has
// found both free, waits for the row.
func TestWhatIsBegunMeanwhileIsNotDismissed(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	filled(t, url) // with the action 1
	s, ctx := open(t, url), t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `BEGIN; UPDATE actions SET state = 'performing'; UPDATE channels SET lease_until = 9000000000000000`); err != nil {
		t.Fatal(err)
	}
	type result struct {
		keys []string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		keys, err := s.DismissActions(ctx, "c", []string{"1"})
		done <- result{keys, err}
	}()
	waitForLock(t, conn)
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || len(got.keys) > 0 {
		t.Errorf("dismissed %q, %v", got.keys, got.err)
	}
}
