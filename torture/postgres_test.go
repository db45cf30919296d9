package torture

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"socialhub-sync/store/storetest"
)

// onCluster is a world on a Postgres server of its own.
func onCluster(t *testing.T) (*world, *storetest.Cluster) {
	t.Helper()
	cluster := storetest.StartCluster(t)
	w := newWorld(t, cluster.URL("postgres"), options{})
	w.db.SetMaxIdleConns(0) // a connection that outlives the server is no use
	return w, cluster
}

// admin is a connection as an operator has one, apart from those of the program.
func (w *world) admin(database string) *pgx.Conn {
	w.Helper()
	c, err := connect(database)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func connect(database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return pgx.Connect(ctx, database)
}

func (w *world) do(c *pgx.Conn, statement string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := c.Exec(ctx, statement); err != nil {
		w.Fatalf("%s: %v", statement, err)
	}
}

// cutOff ends the program's connections, however many it makes anew.
const cutOff = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'socialhub-sync'`

// shortly is how long an outage lasts: long enough for several tries of everything that tries.
func shortly() time.Duration {
	if long() {
		return 30 * time.Second
	}
	return 4 * time.Second
}

// outage is some trouble of a Postgres server.
type outage struct {
	name string
	make func(*testing.T, *world, *storetest.Cluster)
	// lines is how often the trouble may be told at most. It flaps where connections die while others are made.
	lines int
	// told is true if the program must have noticed.
	told bool
}

var outages = []outage{
	{"three restarts", func(t *testing.T, w *world, c *storetest.Cluster) {
		for range 3 {
			pass(shortly() / 4)
			if err := c.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		pass(shortly() / 4)
	}, 9, false},
	{"away", func(t *testing.T, w *world, c *storetest.Cluster) {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		pass(shortly())
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}, 3, true},
	{"kill -9", func(t *testing.T, w *world, c *storetest.Cluster) {
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		pass(shortly())
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}, 3, true},
	{"connections terminated", func(t *testing.T, w *world, c *storetest.Cluster) {
		admin := w.admin(w.database)
		for end := time.Now().Add(shortly()); time.Now().Before(end); pass(50 * time.Millisecond) {
			w.do(admin, cutOff)
		}
	}, 1000, true},
	{"no connection left", func(t *testing.T, w *world, c *storetest.Cluster) {
		w.hog(shortly())
	}, 1000, true},
	{"tickets locked", func(t *testing.T, w *world, c *storetest.Cluster) { w.lock("tickets") }, 0, false},
	{"channels and sources locked", func(t *testing.T, w *world, c *storetest.Cluster) { w.lock("channels, sources") }, 0, false},
}

// hog takes every connection that the server has, those of the program too, and keeps them for a while. While the
// program has some connections and can't get others its trouble comes and goes; after that it is told once at most.
func (w *world) hog(d time.Duration) {
	w.Helper()
	admin := w.admin(w.database)
	var taken []*pgx.Conn
	defer func() {
		for _, c := range taken {
			c.Close(context.Background())
		}
	}()
	until(w, "the program has no connection", time.Minute, func() bool {
		for {
			c, err := connect(w.database)
			if full, ok := errors.AsType[*pgconn.PgError](err); ok && full.Code == "53300" {
				break
			}
			if err != nil {
				w.Fatal(err)
			}
			taken = append(taken, c)
		}
		w.do(admin, cutOff)
		var left int
		if err := admin.QueryRow(w.Context(), `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'socialhub-sync'`).Scan(&left); err != nil {
			w.Fatal(err)
		}
		return left == 0 && full(w.database)
	})
	before := w.told()
	pass(d)
	if told := w.told() - before; told > len(running(w.all())) {
		w.Errorf("without any connection the trouble was told %d times in %v", told, d)
	}
}

// full tells whether the server takes no more connections.
func full(database string) bool {
	c, err := connect(database)
	if err == nil {
		c.Close(context.Background())
	}
	return err != nil
}

// told counts how often the processes have told of trouble.
func (w *world) told() (n int) {
	for _, p := range w.all() {
		lines, _ := p.said(troubleText)
		n += lines
	}
	return n
}

// lock holds tables for a while so that nobody can as much as read them.
func (w *world) lock(tables string) {
	w.Helper()
	admin := w.admin(w.database)
	w.do(admin, "BEGIN")
	w.do(admin, "LOCK TABLE "+tables+" IN ACCESS EXCLUSIVE MODE")
	pass(shortly())
	w.do(admin, "COMMIT")
}

func TestTroubleOfPostgresHealsByItself(t *testing.T) {
	t.Parallel()
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			w, cluster := onCluster(t)
			p := w.start("run")
			w.ledger.stir(rand.New(rand.NewPCG(1, 1)), 20, 0)
			w.delivered()
			end := w.stream(rand.New(rand.NewPCG(seed(t), 5)), 2, 2)
			o.make(t, w, cluster)
			end()
			w.delivered()
			p.stop()
			told, _ := p.said(troubleText)
			healed, _ := p.said(healedText)
			if told > o.lines || healed != told || o.told && told == 0 {
				t.Errorf("the trouble was told %d times and its end %d times, want at most %d\n%s", told, healed, o.lines, p.output())
			}
			t.Logf("figures: %s, told %d times; %v", o.name, told, w.converged())
		})
	}
}

func TestAllTroubleOfPostgresOneAfterTheOther(t *testing.T) {
	t.Parallel()
	if !long() { // the same, each on its own, runs above
		return
	}
	w, cluster := onCluster(t)
	replicas := []*process{w.start("run"), w.start("run")}
	w.ledger.create(0, "")
	w.delivered()
	end := w.stream(rand.New(rand.NewPCG(seed(t), 6)), 2, 2)
	for _, i := range rand.Perm(len(outages)) {
		outages[i].make(t, w, cluster)
	}
	end()
	w.delivered()
	for _, p := range replicas {
		p.stop()
	}
	t.Logf("figures: %d outages on two replicas; %v", len(outages), w.converged())
}
