package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// spy is a SQLite database that notes every statement.
type spy struct {
	driver driver.Driver
	dsn    string

	mu         sync.Mutex
	statements []string
}

func (w *spy) Driver() driver.Driver { return w.driver }

func (w *spy) Connect(context.Context) (driver.Conn, error) {
	conn, err := w.driver.Open(w.dsn)
	return &spiedConn{conn, w}, err
}

func (w *spy) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statements = append(w.statements, text)
}

func (w *spy) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.statements
	w.statements = nil
	return taken
}

type spiedConn struct {
	driver.Conn
	spy *spy
}

func (c *spiedConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	c.spy.note(text)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, text, args)
}

func (c *spiedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	c.spy.note(text)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, text, args)
}

func (c *spiedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
}

func (c *spiedConn) Ping(ctx context.Context) error { return c.Conn.(driver.Pinger).Ping(ctx) }

func watchedStore(t *testing.T) (*Store, *spy) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "watched.db")
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w := &spy{driver: s.write.Driver(), dsn: "file:" + path}
	s.write = sql.OpenDB(w)
	s.write.SetMaxOpenConns(1)
	s.read = s.write
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, w
}

func TestDifferingIsOneStatementWhateverTheNumberOfItemsAndOneMoreIfAnyDiffers(t *testing.T) {
	t.Parallel()
	s, w := watchedStore(t)
	everyStatement(t, s)
	w.take()
	known, err := s.Tickets(t.Context(), "c", []string{"1"})
	if err != nil || known["1"] == nil {
		t.Fatalf("%v, %v", known, err)
	}
	w.take()
	look := func(want int, items []Seen) {
		t.Helper()
		if _, err := s.Differing(t.Context(), "c", known["1"].Source, items); err != nil {
			t.Fatal(err)
		}
		if got := w.take(); len(got) != want {
			t.Errorf("%d items: %d statements, want %d", len(items), len(got), want)
		}
	}
	for _, n := range []int{1, 2, 500} {
		look(1, slices.Repeat([]Seen{{"1", known["1"].WantedHash}}, n))
		look(2, make([]Seen, n))
	}
}

// A good step of a plan that reads tickets or actions searches by the whole key, or the open ones alone.
var goodStep = regexp.MustCompile(`USING (PRIMARY KEY \(channel_id=\? AND (network_item_id|action_key)=\?\)|(COVERING )?INDEX (tickets_open|actions_(due|item|open|reply|ended)) )`)
var ticketStep = regexp.MustCompile(`^(SCAN|SEARCH) (tickets|actions|t|r|a|e)( |$)`)

func TestNoStatementWalksThroughAllTicketsOfAChannelOrAllItemsForEachTicket(t *testing.T) {
	t.Parallel()
	s, w := watchedStore(t)
	everyStatement(t, s)
	seen := make(map[string]bool)
	for _, text := range w.take() {
		if seen[text] || !strings.Contains(text, "tickets") && !strings.Contains(text, "actions") {
			continue
		}
		seen[text] = true
		outer := make(map[int]bool)
		for _, step := range plan(t, s, text) {
			isTicket := ticketStep.MatchString(step.text)
			if isTicket && !goodStep.MatchString(step.text) || outer[step.parent] && strings.HasPrefix(step.text, "SCAN item") {
				t.Errorf("%s\nin the plan of %s", step.text, text)
			}
			outer[step.parent] = outer[step.parent] || isTicket
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d statements were seen", len(seen))
	}
}

// everyStatement runs all that the daemon runs again and again; counting for the status page reads all
// tickets and is left out.
func everyStatement(t *testing.T, s *Store) {
	t.Helper()
	ctx, key := t.Context(), PollKey{ChannelID: "c", Source: "a"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Register(ctx, map[string]string{"c": "n"}, []Stream{{PollKey: key}}))
	polls, err := s.ClaimPolls(ctx, "me", []PollKey{key}, time.Hour, true)
	must(err)
	lease, _, err := s.ClaimChannel(ctx, "me", "c", time.Hour)
	must(err)
	put := func(ticket Ticket) {
		t.Helper()
		must(s.Ingest(ctx, polls[0], Intake{IDs: []string{"1"}, Rereads: "x", Decide: func(int, *Ticket) *Ticket { return &ticket }}))
	}
	put(Ticket{NetworkItemID: "1", RootID: "0", TicketID: "t", WantedHash: "a", Payload: "p", State: Pending})
	put(Ticket{NetworkItemID: "1", RootID: "0", TicketID: "t", WantedHash: "b", Payload: "p", State: Pending, DeliveredHash: "a", Delivered: true})
	_, err = s.Differing(ctx, "c", "a", []Seen{{"1", "b"}})
	must(err)
	_, err = s.Due(ctx, lease, 10, nil)
	must(err)
	must(s.Settle(ctx, lease, []Settlement{{NetworkItemID: "1", Sent: "b", Same: Standing{State: Rejected}}}))
	for _, discard := range []bool{false, true} {
		put(Ticket{NetworkItemID: "1", TicketID: "t", WantedHash: "c", Payload: "p", State: Held, DeliveredHash: "a", Delivered: true})
		_, _, err = s.JudgeHeld(ctx, polls[0], 0)
		must(err)
		_, err = s.HeldIDs(ctx, "c", "a")
		must(err)
		_, err = s.ReleaseHeld(ctx, "c", "a", discard)
		must(err)
	}
	_, err = s.Retry(ctx, "c", "", nil)
	must(err)
	_, err = s.Retry(ctx, "c", "a", []string{"1"})
	must(err)
	_, err = s.Adopt(ctx, "c", []Link{{"1", "t"}})
	must(err)
	_, err = s.Tickets(ctx, "c", []string{"1"})
	must(err)
	_, err = s.ChannelStates(ctx)
	must(err)
	_, _, err = s.Look(ctx)
	must(err)
	_, err = s.Problems(ctx, "c", Rejected, 10)
	must(err)
	everyActionStatement(t, s, lease)
	must(s.Saw(ctx, "c", []string{"1"}, -time.Hour))
	must(s.FinishPoll(ctx, polls[0], PollResult{}))
	_, _, err = s.Upkeep(ctx, "me", Retention{Actions: -time.Hour, Polls: -time.Hour})
	must(err)
}

func everyActionStatement(t *testing.T, s *Store, lease DeliveryLease) {
	t.Helper()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, reply := range []string{"", "r"} {
		a := NewAction{Key: "k" + reply, UUID: "u", NetworkItemID: "1", TicketID: "t"}
		must(s.Receive(ctx, "c", Receipt{Actions: []NewAction{a}, Disabled: time.Now()}))
		must(s.Receive(ctx, "c", Receipt{}))
		must(s.DueActions(ctx, lease, 10, BusyActions{}))
		must(nil, s.BeginAction(ctx, lease, a.Key))
		performed := ActionStep{Key: a.Key, From: ActionPerforming, To: ActionPerformed, Reply: &PostedReply{NetworkItemID: "r"}}
		must(nil, s.StepAction(ctx, lease, performed))
		must(nil, s.StepAction(ctx, lease, performed))
		must(s.RetryActions(ctx, "c", nil))
		must(s.StuckActions(ctx, "c", 10))
		must(s.OpenActions(ctx, "c", 10))
		must(s.LostActions(ctx, "c", nil, 10))
		must(nil, s.StepAction(ctx, lease, ActionStep{Key: a.Key, From: ActionPerformed, To: ActionConfirmed, ReplyTicketID: reply}))
	}
	must(s.DismissActions(ctx, "c", []string{"k"}))
}

func TestLookingForDueActionsAndTicketsOfOursReadsTheIndexesOfOpenActions(t *testing.T) {
	t.Parallel()
	s, w := watchedStore(t)
	everyStatement(t, s)
	steps := make(map[string]bool)
	for _, text := range w.take() {
		for _, step := range plan(t, s, text) {
			steps[strings.ReplaceAll(step.text, "COVERING ", "")] = true
		}
	}
	for _, want := range []string{
		"SEARCH a USING INDEX actions_due (channel_id=? AND due<?)",
		"SEARCH a USING INDEX actions_due (channel_id=? AND due>?)", // the first one alone
		"SEARCH e USING INDEX actions_item (channel_id=? AND network_item_id=?)",
		"SEARCH actions USING INDEX actions_open (channel_id=? AND state=?)",
		"SEARCH actions USING INDEX actions_reply (channel_id=? AND reply_id>?)",
	} {
		if !steps[want] {
			t.Errorf("no plan has %q", want)
		}
	}
}

func TestListingProblemsSortsNothing(t *testing.T) {
	t.Parallel()
	s, w := watchedStore(t)
	if _, err := s.Problems(t.Context(), "c", Unlinked, 10); err != nil {
		t.Fatal(err)
	}
	for _, text := range w.take() {
		for _, step := range plan(t, s, text) {
			if strings.Contains(step.text, "TEMP B-TREE") {
				t.Errorf("%s\nin the plan of %s", step.text, text)
			}
		}
	}
}

type planStep struct {
	parent int
	text   string
}

func plan(t *testing.T, s *Store, text string) []planStep {
	t.Helper()
	args := make([]any, 32) // those that a statement does not have are not asked for
	for i := range args {
		args[i] = "[]"
	}
	rows, err := s.read.Query("EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []planStep
	for rows.Next() {
		var step planStep
		var id, unused int
		if err := rows.Scan(&id, &step.parent, &unused, &step.text); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	return steps
}

func TestAnUpdateThatTheSourceTookBackIsNotSent(t *testing.T) {
	t.Parallel()
	s, _ := watchedStore(t)
	ctx, key := t.Context(), PollKey{ChannelID: "c", Source: "a"}
	if err := s.Register(ctx, map[string]string{"c": "n"}, []Stream{{PollKey: key}}); err != nil {
		t.Fatal(err)
	}
	polls, err := s.ClaimPolls(ctx, "me", []PollKey{key}, time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	lease, _, err := s.ClaimChannel(ctx, "me", "c", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	put := func(hash string, state State) {
		t.Helper()
		err := s.Ingest(ctx, polls[0], Intake{IDs: []string{"1"}, Decide: func(int, *Ticket) *Ticket {
			return &Ticket{NetworkItemID: "1", TicketID: "t", WantedHash: hash, State: state, DeliveredHash: "a", Delivered: true}
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("b", Pending)
	found, err := s.Tickets(ctx, "c", []string{"1"})
	if err != nil {
		t.Fatal(err)
	}
	put("a", Synced) // between reading what is due and marking it
	due, err := s.markUncertain(ctx, lease, []*Ticket{found["1"], {NetworkItemID: "new"}})
	if err != nil || len(due) != 1 || due[0].NetworkItemID != "new" {
		t.Errorf("%v, %v: want the new ticket alone", due, err)
	}
}
