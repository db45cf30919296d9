package sync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// witness is the testing.TB of one run of a plan: it keeps the faults for rapid instead of failing the test, which
// then could not look for a smaller plan.
type witness struct {
	testing.TB
	mu     gosync.Mutex
	faults []string
}

// errOver ends a run that can't go on.
var errOver = errors.New("the run is over")

func (v *witness) Errorf(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

func (v *witness) Error(args ...any) { v.Errorf("%s", fmt.Sprintln(args...)) }

func (v *witness) Fatalf(format string, args ...any) {
	v.Errorf(format, args...)
	panic(errOver)
}

func (v *witness) Fatal(args ...any) { v.Fatalf("%s", fmt.Sprintln(args...)) }

// arena is a world whose processes can be killed and cut off from the database, and whose sources know afterwards
// what was committed.
type arena struct {
	*world
	plan  plan
	feeds [2]*feed
	// slots are the replicas that should run, nil if one should not; all were ever started.
	slots [2]*replica
	all   []*replica
	// realTime is for Postgres, which does not go with fake time: the replicas do one round and are replaced, and
	// waits pass by setting the times in the database back.
	realTime bool
	// calmed tells that the trouble is over.
	calmed bool
	log    record

	mu gosync.Mutex
	// trouble is what the next requests of a route will meet; hung tells that a stop may have to wait too long for one.
	trouble []trouble
	hung    bool
	// removed are tickets that somebody removed in SocialHub, by their _id.
	removed map[string]bool
	// tellers are the replicas that were told an item's _id by a 201; lost are the items whose POST did something, or
	// may have, without a whole answer; hidden are those that had a hidden ticket when their POST came.
	tellers      map[string]*replica
	lost, hidden map[string]bool
	// hiddenBy are the hidden roots that our replies made, and the reply.
	hiddenBy map[string]string
	// sent counts the requests that reached SocialHub for tickets.
	sent int

	// For the figures: steps that did nothing, faults that requests met, the rows at the first rest.
	idle, met int
	rows      map[string]*store.Ticket
}

// trouble is a fault for the next so many requests of a route.
type trouble struct {
	route string
	fault sandbox.Fault
	times int
}

// furnish puts the sources of a plan into a world.
func (a *arena) furnish(w *world, p plan, realTime bool) {
	a.world, a.plan, a.realTime = w, p, realTime
	a.removed, a.tellers = make(map[string]bool), make(map[string]*replica)
	a.lost, a.hidden, a.hiddenBy = make(map[string]bool), make(map[string]bool), make(map[string]string)
	w.options.Logger = a.log.logger()
	w.options.Sources = nil
	for i, name := range []string{"journal", "gallery"} {
		a.feeds[i] = &feed{snapshot: name == "gallery", trap: a.beforeBatch}
		src := w.source(name, nil)
		src.Reset = p.Reset
		if p.Redact {
			src.OnDelete = Redact
		}
		w.options.Sources = append(w.options.Sources, src)
	}
	w.every(10 * time.Second)
	w.box.SetFaults(a.fault)
}

// fault is the sandbox's source of trouble.
func (a *arena) fault(c sandbox.Call) sandbox.Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.trouble {
		t := &a.trouble[i]
		if t.times > 0 && (t.route == "" || t.route == c.Route) {
			t.times--
			a.met++
			a.hung = a.hung || t.fault.Kind == sandbox.Hang || t.fault.Kind == sandbox.Slow
			return t.fault
		}
	}
	return sandbox.Fault{}
}

// requestsSent counts the requests for tickets.
func (a *arena) requestsSent() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent
}

// replica is one process: an engine with its own connections to the database and to SocialHub.
type replica struct {
	arena  *arena
	owner  string
	store  *store.Store
	engine *Engine
	// cancel tells Run or RunOnce to end, done says how it did.
	cancel  context.CancelFunc
	running bool
	done    chan error
	killed  chan struct{}
	// link is the way to a SQLite file of this replica alone. Without it the store refuses to do anything.
	link string
	// Guarded by the arena's mutex: dead is true after a kill, cut while the database is out of reach.
	// wasCut that it ever was.
	dead, cut, wasCut bool
	// The replica dies at the n-th request or batch from now; 0 is never.
	beforeRequest, afterAnswer, beforeBatch int
}

// start starts a process in a slot, if none is there.
func (a *arena) start(slot int) {
	a.t.Helper()
	if a.slots[slot] != nil {
		return
	}
	a.engines++
	r := &replica{arena: a, owner: fmt.Sprintf("replica %d", a.engines), done: make(chan error, 1), killed: make(chan struct{})}
	url := a.dbURL
	if path, ok := strings.CutPrefix(a.dbURL, "sqlite:"); ok {
		r.link = filepath.Join(filepath.Dir(path), strconv.Itoa(a.engines)+".db")
		if err := os.Symlink(path, r.link); err != nil {
			a.t.Fatal(err)
		}
		url = "sqlite:" + r.link
	}
	var err error
	if r.store, err = store.Open(a.t.Context(), url); err != nil {
		a.t.Fatal(err)
	}
	o := a.options
	o.Store, o.Owner, o.Channels, o.Sources = r.store, r.owner, []Channel{a.through(r)}, slices.Clone(o.Sources)
	for i := range o.Sources {
		o.Sources[i].Open = func(context.Context) (sources.Source, error) { return &opened{a.feeds[i], r}, nil }
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(a.t.Context())
	a.slots[slot], a.all = r, append(a.all, r)
	r.engine = New(o)
	if !a.realTime {
		r.running = true
		go func() { r.done <- r.engine.Run(ctx) }()
	}
}

// roundLimit is how long a round may take in real time. It is not over earlier while SocialHub's rate limit holds.
const roundLimit = 500 * time.Millisecond

// pass lets time go by.
func (a *arena) pass(d time.Duration) {
	if !a.realTime {
		pass(d)
		return
	}
	a.age(d)
	for _, r := range a.slots {
		if r != nil {
			limit := roundLimit
			if a.calmed { // nothing keeps it but a slow machine
				limit = time.Minute
			}
			ctx, cancel := context.WithTimeout(a.t.Context(), limit)
			r.cancel, r.running = cancel, true
			go func() { r.done <- r.engine.RunOnce(ctx) }()
		}
	}
	for slot, r := range a.slots {
		if r != nil && a.ended(r) {
			a.stop(slot)
			a.start(slot)
		}
	}
}

// ended waits for the end of a round; it is false if the replica died.
func (a *arena) ended(r *replica) bool {
	select {
	case err := <-r.done:
		r.done <- err
	case <-r.killed:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.dead {
		a.change("UPDATE channels SET lease_until = 0 WHERE lease_owner = $1", r.owner)
		a.change("UPDATE sources SET lease_until = 0 WHERE lease_owner = $1", r.owner)
	}
	return !r.dead
}

// refuse makes a SQLite file refuse what polls bring, but not their cursors, as a full disk could; or take it again.
func (a *arena) refuse(on bool) {
	for name, what := range map[string]string{"refuse_new": "INSERT", "refuse_changed": "UPDATE OF wanted_hash"} {
		switch {
		case a.realTime: // Postgres wants more words
		case on:
			a.change("CREATE TRIGGER " + name + " BEFORE " + what + " ON tickets BEGIN SELECT RAISE(ABORT, 'refused'); END")
		default:
			a.change("DROP TRIGGER " + name)
		}
	}
}

// change is a person's hand in the database.
func (a *arena) change(statement string, args ...any) {
	a.t.Helper()
	db := a.sql()
	defer db.Close()
	if !a.realTime {
		statement = "PRAGMA busy_timeout = 10000; " + statement
	}
	if _, err := db.Exec(statement, args...); err != nil {
		a.t.Fatal(err)
	}
}

// age sets all times of the database back.
func (a *arena) age(d time.Duration) {
	for _, statement := range []string{
		"UPDATE tickets SET due = due - $1",
		"UPDATE channels SET paused_until = paused_until - $1, lease_until = lease_until - $1",
		"UPDATE sources SET next_poll = next_poll - $1, lease_until = lease_until - $1",
	} {
		a.change(statement, d.Milliseconds())
	}
}

// through is the channel as a replica reaches it.
func (a *arena) through(r *replica) Channel {
	token, err := socialhub.ParseToken(a.channel.Token)
	if err != nil {
		a.t.Fatal(err)
	}
	o := socialhub.Options{BaseURL: "http://sandbox", Token: token, Transport: door{r}}
	if a.realTime {
		o.Timeout = 200 * time.Millisecond
	}
	client, err := socialhub.NewClient(o)
	if err != nil {
		a.t.Fatal(err)
	}
	return Channel{ID: token.ChannelID(), Name: "support", Fingerprint: token.Fingerprint(), Client: client, Concurrency: a.plan.Concurrency}
}

// kill ends a replica without a chance to do anything more: no request leaves it, no statement reaches the database.
// What is left of it comes to its end by itself.
func (r *replica) kill() {
	r.arena.mu.Lock()
	already := r.dead
	r.dead = true
	r.arena.mu.Unlock()
	if already {
		return
	}
	r.unplug()
	if r.link == "" {
		r.store.Close()
	}
	r.cancel()
	close(r.killed)
}

// unplug takes the way to the database away.
func (r *replica) unplug() {
	if r.link != "" {
		_ = os.Remove(r.link) // it may be gone already
	}
}

// plug gives it back.
func (r *replica) plug() {
	path := strings.TrimPrefix(r.arena.dbURL, "sqlite:")
	if err := os.Symlink(path, r.link); err != nil {
		r.arena.t.Fatal(err)
	}
}

// stop ends a replica in good order and checks that it was.
func (a *arena) stop(slot int) {
	a.t.Helper()
	r := a.slots[slot]
	if r == nil {
		return
	}
	a.slots[slot] = nil
	a.mu.Lock()
	dead := r.dead
	a.mu.Unlock()
	if !r.running {
		r.store.Close()
	}
	if dead || !r.running {
		return
	}
	r.cancel()
	err := <-r.done
	r.done <- nil
	a.mu.Lock()
	dead, excused := r.dead, r.cut || a.hung
	r.dead = r.dead || err != nil
	a.mu.Unlock()
	if dead {
		return
	}
	if err != nil && !(errors.Is(err, errGrace) && excused) {
		a.t.Errorf("%s could not be stopped: %v", r.owner, err)
	}
	for _, table := range []string{"channels", "sources"} {
		for _, row := range a.dump(table) {
			if strings.Contains(row, "lease_owner="+r.owner+" ") && !excused {
				a.t.Errorf("%s stopped and did not give its lease back: %s", r.owner, row)
			}
		}
	}
	if err := r.store.Close(); err != nil {
		a.t.Errorf("%s: %v", r.owner, err)
	}
}

// bury waits for the end of all that ever ran.
func (a *arena) bury() {
	for _, r := range a.all {
		r.cancel()
		if r.running {
			<-r.done
		}
		r.store.Close()
	}
}

// door is a replica's way to SocialHub. It plays the parts that the sandbox does not have, and keeps the accounts.
type door struct{ *replica }

func (d door) RoundTrip(r *http.Request) (*http.Response, error) {
	a := d.arena
	item, root := itemOf(r)
	if d.sprung(&d.beforeRequest) {
		return nil, errOver
	}
	a.mu.Lock()
	if r.URL.Path != "/" {
		a.sent++
	}
	gone := a.removed[filepath.Base(r.URL.Path)]
	a.mu.Unlock()
	if gone {
		return noTicket(r), nil
	}
	before, _ := a.box.Ticket(a.channel.ID, item)
	_, known := a.box.Ticket(a.channel.ID, root)
	resp, body, err := d.exchange(r)
	dead := d.sprung(&d.afterAnswer)
	switch {
	case item == "":
	case err != nil || dead:
		a.account(d.replica, item, before, 0, nil)
	default:
		a.account(d.replica, item, before, resp.StatusCode, body)
	}
	if after, ok := a.box.Ticket(a.channel.ID, root); ok && !known && after.Folder == sandbox.FolderHidden {
		a.mu.Lock()
		a.hiddenBy[root] = item
		a.mu.Unlock()
	}
	if dead {
		return nil, errOver
	}
	return resp, err
}

// exchange sends a request and reads the whole answer.
func (d door) exchange(r *http.Request) (*http.Response, []byte, error) {
	resp, err := d.arena.meter.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, body, err
}

// noTicket is the answer about a ticket that was removed.
func noTicket(r *http.Request) *http.Response {
	body := `{"code":"NotFoundError","message":"Error: No such ticket"}`
	return &http.Response{
		StatusCode: http.StatusNotFound, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
}

// sprung tells whether the replica is dead, or dies now.
func (r *replica) sprung(countdown *int) bool {
	a := r.arena
	a.mu.Lock()
	dies := *countdown == 1
	*countdown = max(0, *countdown-1)
	dead := r.dead
	a.mu.Unlock()
	if dies && !dead {
		r.kill()
	}
	return dead || dies
}

// itemOf is what a POST creates, and its root.
func itemOf(r *http.Request) (item, root string) {
	if r.Method != http.MethodPost {
		return "", ""
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in struct {
		Interaction socialhub.Interaction
	}
	if err == nil && json.Unmarshal(body, &in) == nil && in.Interaction.Root != nil {
		root = in.Interaction.Root.RootID
	}
	return in.Interaction.NetworkItemID, root
}

// updatedIn is when the content of a request changed; zero if it does not say.
func updatedIn(body []byte) time.Time {
	var in struct {
		Interaction struct{ UpdatedTime time.Time }
	}
	_ = json.Unmarshal(body, &in) // the sandbox has read it
	return in.Interaction.UpdatedTime
}

// account notes what came of a POST; the status is 0 if no whole answer came.
func (a *arena) account(r *replica, item string, before sandbox.Ticket, status int, body []byte) {
	after, exists := a.box.Ticket(a.channel.ID, item)
	made := exists && (before.ID == "" || before.Folder == sandbox.FolderHidden && after.Folder != sandbox.FolderHidden)
	var answer struct {
		ID string `json:"_id"`
	}
	whole := status == http.StatusCreated && json.Unmarshal(body, &answer) == nil && answer.ID != ""
	a.mu.Lock()
	defer a.mu.Unlock()
	switch teller := a.tellers[item]; {
	case before.Folder == sandbox.FolderHidden && !made:
		a.hidden[item] = true
	case made && whole:
		a.tellers[item] = r
	case made, exists && status == 0:
		a.lost[item] = true
	case status == http.StatusConflict && teller != nil && !teller.dead && !teller.wasCut && !a.lost[item]:
		a.t.Errorf("%s posts %s, though %s was told its _id", r.owner, item, teller.owner)
	}
}

// logged are the last lines that the engines wrote.
func (a *arena) logged() string {
	lines := strings.Split(strings.TrimSpace(a.log.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

func (a *arena) beforeBatch(r *replica) bool { return r.sprung(&r.beforeBatch) }
