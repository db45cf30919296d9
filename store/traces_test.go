package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"socialhub-sync/store"
)

// secretWord is in every message of the test.
const secretWord = "confidential"

// deliver brings n tickets with messages of many lengths and settles them as delivered.
func deliver(t *testing.T, s *store.Store, lease store.PollLease, n int) {
	t.Helper()
	var in store.Intake
	var settlements []store.Settlement
	for i := range n {
		id := fmt.Sprintf("id-%04d", i*7919%n)
		in.IDs = append(in.IDs, id)
		settlements = append(settlements, store.Settlement{
			NetworkItemID: id, Sent: "hash", TicketID: "t" + id, Delivered: new("hash"), Same: store.Standing{State: store.Synced},
		})
	}
	in.Decide = func(i int, _ *store.Ticket) *store.Ticket {
		message := strings.Repeat(secretWord+fmt.Sprint(i)+" ", 1+i*i%1000)
		return &store.Ticket{NetworkItemID: in.IDs[i], Source: "a", WantedHash: "hash", State: store.Pending, Payload: message}
	}
	if err := s.Ingest(t.Context(), lease, in); err != nil {
		t.Fatal(err)
	}
	delivery, ok, err := s.ClaimChannel(t.Context(), "me", lease.ChannelID, time.Hour)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for len(settlements) > 0 {
		some := min(len(settlements), 1+len(settlements)%13)
		if err := s.Settle(t.Context(), delivery, settlements[:some]); err != nil {
			t.Fatal(err)
		}
		settlements = settlements[some:]
	}
}

// answer lets n replies of many lengths be posted and confirmed.
func answer(t *testing.T, s *store.Store, lease store.PollLease, n int) {
	t.Helper()
	ctx, delivery := t.Context(), store.DeliveryLease{ChannelID: lease.ChannelID, Owner: "me", Epoch: 1}
	for i := range n {
		text := strings.Repeat(secretWord+fmt.Sprint(i)+" ", 1+i*i%1000)
		key := fmt.Sprintf("key-%04d", i*7919%n)
		a := store.NewAction{Key: key, UUID: key, Type: "reply", NetworkItemID: fmt.Sprint(i), Payload: text}
		_, err := s.Receive(ctx, lease.ChannelID, store.Receipt{Actions: []store.NewAction{a}})
		steps := []store.ActionStep{
			{Key: key, From: store.ActionPerforming, To: store.ActionPerformed, Reply: &store.PostedReply{NetworkItemID: "reply " + key, Note: text}},
			{Key: key, From: store.ActionPerformed, To: store.ActionConfirmed, ReplyTicketID: "t"},
		}
		if i%3 == 0 {
			steps = []store.ActionStep{{Key: key, From: store.ActionPerforming, To: store.ActionFailed, Wait: true}}
		}
		err = errors.Join(err, s.BeginAction(ctx, delivery, key))
		for _, step := range steps {
			err = errors.Join(err, s.StepAction(ctx, delivery, step))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// traces counts the secret word in all files of the folder.
func traces(t *testing.T, dir string) (n int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(data, []byte(secretWord))
	}
	return n
}

func TestNoFileHasTheContentAfterDeliveryAndClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "here.db")
	lease := filled(t, url)
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, s, lease, 300)
	answer(t, s, lease, 100)
	if traces(t, dir) == 0 {
		t.Error("no content was ever in the files: the test sees nothing")
	}
	other := open(t, url) // another process keeps SQLite from emptying the log by itself
	if err := other.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := traces(t, dir); n != 0 {
		t.Errorf("%d times in the files", n)
	}
}

func TestTheLogOfALongTransactionIsCut(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "here.db")
	lease := filled(t, "sqlite:"+file)
	s := open(t, "sqlite:"+file)
	size := func() int64 {
		info, err := os.Stat(file + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	err := s.Ingest(t.Context(), lease, store.Intake{IDs: []string{"long"}, Decide: func(int, *store.Ticket) *store.Ticket {
		return &store.Ticket{NetworkItemID: "long", Source: "a", State: store.Pending, Payload: strings.Repeat("x", 10_000_000)}
	}})
	if err != nil || size() < 10_000_000 {
		t.Fatal(size(), err)
	}
	if err := s.Register(t.Context(), map[string]string{"c": "another name"}, nil); err != nil {
		t.Fatal(err)
	}
	if n := size(); n > 4_200_000 {
		t.Errorf("it has %d bytes", n)
	}
}
