package torture

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store/storetest"
)

// pass lets time pass: for what must not happen in the meantime.
func pass(d time.Duration) { <-time.After(d) }

// stream makes items and edits, so many every 100 ms, until end is called; the ledger is the stream's until then.
func (w *world) stream(lots *rand.Rand, creations, edits int) (end func()) {
	w.Helper()
	quit, done := make(chan struct{}), make(chan error, 1)
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				done <- nil
				return
			case <-ticker.C:
			}
			w.ledger.stir(lots, creations, edits)
			if err := w.ledger.write(); err != nil {
				done <- err
				return
			}
		}
	}()
	stop := sync.OnceValue(func() error { close(quit); return <-done })
	w.Cleanup(func() { _ = stop() }) // of a test that failed on the way
	return func() {
		w.Helper()
		if err := stop(); err != nil {
			w.Fatal(err)
		}
	}
}

// feed is an empty feed that counts who reads it.
type feed struct {
	*httptest.Server
	mu            sync.Mutex
	reads         int
	now, together int
	first, last   time.Time
}

func newFeed(tb testing.TB) *feed {
	f := new(feed)
	f.Server = httptest.NewServer(f)
	tb.Cleanup(f.Close)
	return f
}

func (f *feed) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	if f.last = time.Now(); f.reads == 0 {
		f.first = f.last
	}
	f.reads++
	f.now++
	f.together = max(f.together, f.now)
	revision := f.reads
	f.mu.Unlock()
	pass(20 * time.Millisecond)
	fmt.Fprintf(w, `<rss version="2.0"><channel><title>edition %d</title></channel></rss>`, revision)
	f.mu.Lock()
	f.now--
	f.mu.Unlock()
}

// source is the feed as a source of the config.
func (f *feed) source() string {
	return "  feed:\n    adapter: rss\n    channel: support\n    schedule: \"@every 1s\"\n    mass_change_limit: 100000\n    settings: {url: " + f.URL + "}\n"
}

// check expects at most one read per tick. A process that was frozen in a poll goes on with it when it thaws: nothing of that is
// stored, but it reads.
func (f *feed) check(tb testing.TB, thawed int) (reads int, over time.Duration) {
	tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	over = f.last.Sub(f.first)
	if most := int(over/time.Second) + 2 + thawed; f.reads > most {
		tb.Errorf("the feed was read %d times in %v, want at most %d", f.reads, over, most)
	}
	if f.together > 1+thawed {
		tb.Errorf("%d processes read the feed at once", f.together)
	}
	return f.reads, over
}

// leases counts the leases that a process holds.
func (p *process) leases() int {
	p.world.Helper()
	owner := fmt.Sprintf("%%/%d/%%", p.cmd.Process.Pid)
	return p.world.number(`SELECT (SELECT count(*) FROM channels WHERE lease_owner LIKE $1) + (SELECT count(*) FROM sources WHERE lease_owner LIKE $1)`,
		owner)
}

// holder waits for the process that delivers at present.
func (w *world) holder(among ...*process) *process {
	w.Helper()
	var found *process
	until(w, "a process delivers", time.Minute, func() bool {
		var owner string
		if w.db.QueryRow(`SELECT lease_owner FROM channels WHERE lease_until > $1`, time.Now().UnixMilli()).Scan(&owner) != nil {
			return false
		}
		for _, p := range among {
			if strings.Contains(owner, fmt.Sprintf("/%d/", p.cmd.Process.Pid)) {
				found = p
			}
		}
		return found != nil
	})
	return found
}

func TestReplicasLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3} {
		t.Run(fmt.Sprintf("%d of them", n), func(t *testing.T) {
			t.Parallel()
			tortureReplicas(t, n)
		})
	}
}

func tortureReplicas(t *testing.T, n int) {
	feed := newFeed(t)
	w := newWorld(t, storetest.Postgres(t), options{sources: 2, more: feed.source(), box: sandbox.Options{Latency: 20 * time.Millisecond}})
	lots := rand.New(rand.NewPCG(seed(t), uint64(n)))
	replicas := make([]*process, n)
	for i := range replicas {
		replicas[i] = w.start("run")
	}
	// rest are the ones but p.
	rest := func(p *process) (others []*process) {
		for _, r := range replicas {
			if r != p {
				others = append(others, r)
			}
		}
		return others
	}
	rounds, items := 1, 300
	if long() {
		rounds, items = 4, 2000
	}
	for round := range rounds {
		end := w.stream(lots, 4, 4)
		victim := w.holder(replicas...)
		victim.kill()
		w.holder(rest(victim)...)
		replicas = append(rest(victim), w.start("run"))

		victim = w.holder(replicas...)
		victim.stop()
		if n := victim.leases(); n != 0 {
			t.Errorf("%d leases were kept over a clean stop", n)
		}
		w.holder(rest(victim)...)
		replicas = append(rest(victim), w.start("run"))
		end()
		for len(w.ledger.ids) < items*(round+1)/rounds {
			w.ledger.stir(lots, 20, 20)
		}
		w.delivered()
		w.freeze(replicas)
	}
	w.delivered()
	for _, p := range replicas {
		p.stop()
	}
	reads, over := feed.check(t, rounds)
	if most := 3 * rounds * (w.concurrency + maxUnsettled); w.requests(http.StatusConflict) > most {
		t.Errorf("%d creations were refused as duplicates", w.requests(http.StatusConflict))
	}
	t.Logf("figures: %d replicas, %d killed, %d stopped, %d frozen past the lease and thawed; a source polled %d times in %v; %v",
		n, rounds, rounds, rounds, reads, over.Round(time.Second), w.converged())
}

// freeze stops the process that delivers in the middle of many updates, until another one has taken over and sent newer ones.
// When it thaws it still has the old ones at hand.
func (w *world) freeze(replicas []*process) {
	w.Helper()
	w.editAll()
	before := w.requests(http.StatusOK)
	until(w, "the updates begin", time.Minute, func() bool { return w.requests(http.StatusOK) > before })
	victim := w.holder(replicas...)
	victim.signal(syscall.SIGSTOP)
	var others []*process
	for _, p := range replicas {
		if p != victim {
			others = append(others, p)
		}
	}
	w.holder(others...)
	w.editAll()
	until(w, "another process has sent the newer updates", time.Minute, func() bool {
		rows, tickets := w.rows(), w.tickets()
		for _, e := range w.ledger.byID {
			if rows[e.id].ticketID != "" && e.differs(tickets[e.id].Interaction) != "" {
				return false
			}
		}
		return true
	})
	victim.signal(syscall.SIGCONT)
	pass(2 * w.lease)
	victim.excuseUnsettled()
}

func (w *world) editAll() {
	w.Helper()
	for _, id := range w.ledger.ids {
		w.ledger.edit(id)
	}
	w.flush()
}

func TestACleanStopGivesTheWorkToAnotherReplicaAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t), options{lease: 10 * time.Minute})
	first := w.start("run")
	w.ledger.create(0, "")
	w.delivered()
	second := w.start("run")
	until(t, "the second one runs", time.Minute, func() bool { return strings.Contains(second.output(), `"running"`) })
	first.stop()
	w.ledger.create(0, "")
	began := time.Now()
	w.delivered()
	took := time.Since(began)
	second.stop()
	t.Logf("figures: with a lease of %v the second replica delivered a new item %v after the first one had stopped; %v",
		w.lease, took.Round(time.Millisecond), w.converged())
}

func TestAPauseThatOneReplicaWasToldHoldsForTheOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault sandbox.Fault
		// lasts is how long the pause is; 0 waits for `resume`.
		lasts time.Duration
		// killed is how the one that was told ends; else it is stopped in good order.
		killed bool
	}{
		{"429, then killed", sandbox.Fault{Kind: sandbox.TooMany, Wait: 8 * time.Second}, 8 * time.Second, true},
		{"401, then stopped", sandbox.Fault{Kind: sandbox.Unauthorized}, 0, false},
		{"403, then killed", sandbox.Fault{Kind: sandbox.Forbidden}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sharedPause(t, c.fault, c.lasts, c.killed)
		})
	}
}

func sharedPause(t *testing.T, fault sandbox.Fault, lasts time.Duration, killed bool) {
	w := newWorld(t, storetest.Postgres(t), options{})
	first := w.start("run")
	w.ledger.create(0, "")
	w.delivered()
	second := w.start("run")
	until(t, "the second one runs", time.Minute, func() bool { return strings.Contains(second.output(), `"running"`) })

	w.script(func(c sandbox.Call) sandbox.Fault {
		if c.Route == sandbox.RoutePost {
			return fault
		}
		return sandbox.Fault{}
	})
	for range 20 {
		w.ledger.create(0, "")
	}
	w.flush()
	until(t, "the first one was told to pause", time.Minute, func() bool {
		return w.number(`SELECT count(*) FROM channels WHERE pause <> ''`) == 1
	})
	told := w.box.Requests()
	if killed {
		first.kill()
	} else {
		first.stop()
	}
	w.calm()
	before := len(w.box.Requests())
	if lasts == 0 {
		pass(2*w.lease + time.Second)
		if after := len(w.box.Requests()); after != before {
			t.Errorf("%d requests in the pause", after-before)
		}
		w.must("resume", "support")
	}
	w.delivered()
	second.stop()
	// The pause began when the first one was told; what the second one sent came after it.
	next := w.box.Requests()[before]
	if waited := next.Time.Sub(told[len(told)-1].Time); waited < lasts-time.Second {
		t.Errorf("the next request came %v after the 429, want %v", waited, lasts)
	}
	t.Logf("figures: %d requests refused, none by the other replica in the pause; %v", len(told)-2, w.converged())
}

// What a transaction has locked stays locked as long as the server hopes for its client: for hours, if that is a machine
// that was put to sleep.
func TestAReplicaThatFreezesInATransactionHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.Postgres(t), options{})
	first := w.start("run")
	w.ledger.create(0, "")
	w.delivered()
	until(t, "its _id is stored", time.Minute, func() bool {
		return w.number(`SELECT count(*) FROM tickets WHERE state = 'synced'`) == 1
	})
	admin := w.admin(w.database)
	w.do(admin, "BEGIN")
	w.do(admin, "LOCK TABLE tickets IN SHARE MODE") // reading goes on, the poll's transaction waits
	w.ledger.create(0, "")
	w.flush()
	until(t, "the poll waits in its transaction", time.Minute, func() bool {
		return w.number(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
			AND xact_start < query_start AND application_name = 'socialhub-sync'`) > 0
	})
	first.signal(syscall.SIGSTOP)
	w.do(admin, "COMMIT")
	second := w.start("run")
	began := time.Now()
	w.ledger.create(0, "")
	w.delivered()
	took := time.Since(began)
	first.signal(syscall.SIGCONT)
	first.stop()
	second.stop()
	t.Logf("figures: with a lease of %v another replica delivered everything %v after the first one froze; %v",
		w.lease, took.Round(time.Millisecond), w.converged())
}
