// Package torture runs the built program while everything around it fails: the process is killed, SocialHub
// loses answers, the database goes away. Afterwards it compares what SocialHub shows with what the sources say.
//
// The short forms run with every `go test`; TORTURE=long (`make torture`) runs the long ones. A test that draws lots
// logs its seed; TORTURE_SEED repeats the lots, though not what the operating system's scheduler did.
package torture

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store/storetest"
)

func TestMain(m *testing.M) {
	code := storetest.Main(m)
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// long tells whether the long forms are asked for.
func long() bool { return os.Getenv("TORTURE") == "long" }

// seed returns the seed of this run and says it.
func seed(tb testing.TB) uint64 {
	tb.Helper()
	n := rand.Uint64N(1_000_000)
	if text := os.Getenv("TORTURE_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			tb.Fatalf("TORTURE_SEED: %v", err)
		}
	}
	tb.Logf("seed %d; TORTURE_SEED=%d repeats it", n, n)
	return n
}

// onBothEngines runs a test on SQLite and on Postgres at the same time.
func onBothEngines(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, sqlite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, storetest.Postgres(t))
	})
}

// sqlite returns the URL of a new database, in memory if there is a place: a kill takes nothing from a file that was
// written, and without the waits for the disk there are more kills in a minute.
func sqlite(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "torture-")
	if err != nil {
		return "sqlite:" + filepath.Join(tb.TempDir(), "torture.db")
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return "sqlite:" + filepath.Join(dir, "torture.db")
}

// pollEvery is how often a condition is looked at.
const pollEvery = 20 * time.Millisecond

// until waits for a condition, and fails the test if it does not come true in time.
func until(tb testing.TB, what string, limit time.Duration, so func() bool) {
	tb.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !so() {
		if time.Now().After(deadline) {
			tb.Fatalf("after %v: not so: %s", limit, what)
		}
		<-ticker.C
	}
}

// programs are the binaries that this test process has built, by their build tags.
var programs struct {
	mu    sync.Mutex
	dir   string
	built map[string]string
}

// build compiles the program, once per test process and set of tags. The race detector is off: the
// program has to be quick to be killed often. Built like a release it shares what is in the build cache.
func build(tb testing.TB, tags string) string {
	tb.Helper()
	programs.mu.Lock()
	defer programs.mu.Unlock()
	if path, ok := programs.built[tags]; ok {
		return path
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "torture-")
		if err != nil {
			tb.Fatal(err)
		}
		programs.dir, programs.built = dir, make(map[string]string)
	}
	path := filepath.Join(programs.dir, "socialhub-sync"+tags)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", tags, "-o", path, "socialhub-sync")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build the program: %v\n%s", err, out)
	}
	programs.built[tags] = path
	return path
}

// options make a world; a zero value means the default.
type options struct {
	// sources is how many jsonl files there are, one source each. Default 1.
	sources int
	// lease is the config's; default 2 s, the shortest.
	lease time.Duration
	// concurrency is the channel's. Default 8.
	concurrency int
	// tags are the build tags of the program.
	tags string
	// box is how the sandbox behaves.
	box sandbox.Options
	// more are more sources, as the config has them.
	more string
	// listen is the config's; default none. about are more lines about the channel.
	listen, about string
	// network is the channel's networkId.
	network string
}

// channelID is that of every world's channel.
const channelID = "5b0000000000000000000099"

// world is a sandbox, a database, a few source files and the processes that keep them in step.
type world struct {
	testing.TB
	options
	program string
	dir     string
	// database is the URL that the processes use; db is our own look at it.
	database string
	db       *sql.DB
	box      *sandbox.Server
	channel  sandbox.Channel
	ledger   *ledger

	mu        sync.Mutex
	faults    map[sandbox.Kind]int
	processes []*process
	// excused are the items that may end unlinked, and why.
	excused map[string]excuse
	kills   int
}

// newWorld makes a world on an empty database.
func newWorld(tb testing.TB, database string, o options) *world {
	tb.Helper()
	if o.sources == 0 {
		o.sources = 1
	}
	if o.lease == 0 {
		o.lease = 2 * time.Second
	}
	if o.concurrency == 0 {
		o.concurrency = 8
	}
	w := &world{
		TB: tb, options: o, program: build(tb, o.tags), dir: tb.TempDir(), database: database,
		faults: make(map[sandbox.Kind]int), excused: make(map[string]excuse),
	}
	w.ledger = newLedger(w.dir, o.sources)
	w.flush()
	w.box = sandbox.New(o.box)
	var err error
	if w.channel, err = w.box.AddChannel(sandbox.ChannelOptions{ID: channelID, NetworkID: o.network}); err != nil {
		tb.Fatal(err)
	}
	w.db = openDatabase(tb, database)
	tb.Cleanup(w.end)
	return w
}

func openDatabase(tb testing.TB, url string) *sql.DB {
	driver, dsn := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	// Between two looks the file is the program's alone: after a kill it is mended by whoever opens it first.
	db.SetMaxIdleConns(0)
	return db
}

// end takes everything down; after a failure it shows the last words of the last processes.
func (w *world) end() {
	for _, p := range w.all() {
		p.cmd.Process.Kill()
		<-p.done
		p.door.close()
	}
	w.box.Close()
	if err := w.db.Close(); err != nil {
		w.Error(err)
	}
	if !w.Failed() {
		return
	}
	all := w.all()
	for _, p := range all[max(0, len(all)-3):] {
		lines := strings.Split(strings.TrimSpace(p.output()), "\n")
		w.Logf("%s, the end of its output:\n%s", p.name, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
}

// all are the processes so far, the last one last.
func (w *world) all() []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.processes)
}

// trouble makes the sandbox fail from the next request on, as [sandbox.ParseFaults] reads it; slow answers take 200 ms.
func (w *world) trouble(text string, seed uint64) {
	w.Helper()
	faults, err := sandbox.ParseFaults(text, seed)
	if err != nil {
		w.Fatal(err)
	}
	w.script(func(c sandbox.Call) sandbox.Fault {
		f := faults(c)
		if f.Kind == sandbox.Slow {
			f.Wait = 200 * time.Millisecond
		}
		return f
	})
}

// script makes the sandbox fail as a function says, and counts that.
func (w *world) script(faults sandbox.Faults) {
	w.box.SetFaults(func(c sandbox.Call) sandbox.Fault {
		f := faults(c)
		if f.Kind != sandbox.NoFault {
			w.mu.Lock()
			w.faults[f.Kind]++
			w.mu.Unlock()
		}
		return f
	})
}

// calm ends the sandbox's trouble.
func (w *world) calm() { w.box.SetFaults(nil) }

// process is one run of the program, with a way to the sandbox of its own.
type process struct {
	world *world
	name  string
	cmd   *exec.Cmd
	door  *door
	log   string
	done  chan struct{} // closed when it has ended
}

// start runs the program with a config of its own; args are a command and its flags, as "run", "--once".
func (w *world) start(args ...string) *process { return w.startWith(nil, args...) }

// startWith is start with variables of the environment, as "CRASH_AT=…".
func (w *world) startWith(env []string, args ...string) *process {
	w.Helper()
	w.mu.Lock()
	p := &process{world: w, name: fmt.Sprintf("process-%d", len(w.processes)+1), done: make(chan struct{})}
	w.mu.Unlock()
	p.door = newDoor(w)
	config := filepath.Join(w.dir, p.name+".yaml")
	if err := os.WriteFile(config, []byte(w.config(p.door.URL)), 0o600); err != nil {
		w.Fatal(err)
	}
	p.log = filepath.Join(w.dir, p.name+".log")
	out, err := os.Create(p.log)
	if err != nil {
		w.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(w.program, append(args, "--log-format", "json", "--config", config)...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		w.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	w.mu.Lock()
	w.processes = append(w.processes, p)
	w.mu.Unlock()
	return p
}

func (w *world) config(api string) string {
	text := fmt.Sprintf("database: %q\napi_url: %s\nlisten: %q\nlease: %v\nchannels:\n  support:\n    access_token: %s\n    concurrency: %d\n%ssources:\n",
		w.database, api, w.listen, w.lease, w.channel.Token, w.concurrency, w.about)
	for i := range w.sources {
		text += fmt.Sprintf("  file-%d:\n    adapter: jsonl\n    channel: support\n    schedule: \"@every 1s\"\n    mass_change_limit: 100000\n    settings:\n      path: %s\n", i, fileName(i))
	}
	return text + w.more
}

// running tells whether the process has not ended.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// wait waits for the process to end by itself and returns its exit code, -1 if a signal ended it.
func (p *process) wait(limit time.Duration) int {
	p.world.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.world.Fatalf("%s has not ended after %v", p.name, limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

// signal sends a signal to a process that runs.
func (p *process) signal(s os.Signal) {
	p.world.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.world.Fatalf("%s: %v", p.name, err)
	}
}

// kill ends the process as kill -9 does, and buries it.
func (p *process) kill() (unsettled int) {
	p.world.Helper()
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
	return p.bury()
}

// bury notes which answers a killed process took with it, and returns how many: tickets that it had made, for all that
// SocialHub knows with a whole answer, and whose _id is not stored. It may be called when the next process runs already.
func (p *process) bury() (unsettled int) {
	p.world.Helper()
	p.door.drain()
	p.world.mu.Lock()
	p.world.kills++
	p.world.mu.Unlock()
	return p.excuseUnsettled()
}

// stop ends the process by SIGTERM and expects it to end well.
func (p *process) stop() {
	p.world.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(time.Minute); code != 0 {
		p.world.Errorf("%s: exit code %d after SIGTERM\n%s", p.name, code, p.output())
	}
}

// output is what the process has said so far.
func (p *process) output() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		p.world.Fatal(err)
	}
	return string(data)
}

// run runs a command to its end and returns its output and exit code.
func (w *world) run(args ...string) (output string, code int) {
	w.Helper()
	p := w.start(args...)
	code = p.wait(2 * time.Minute)
	return p.output(), code
}

// number runs a query for one number.
func (w *world) number(query string, args ...any) int {
	w.Helper()
	n, err := w.tryNumber(query, args...)
	if err != nil {
		w.Fatalf("%s: %v", query, err)
	}
	return n
}

// tryNumber is number for a database that may be away.
func (w *world) tryNumber(query string, args ...any) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = w.db.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// write runs a statement, as time or a person might.
func (w *world) write(statement string, args ...any) {
	w.Helper()
	if _, err := w.db.Exec(statement, args...); err != nil {
		w.Fatalf("%s: %v", statement, err)
	}
}

// stored is what the store says of an item.
type stored struct {
	state, ticketID, wanted, delivered, payload string
}

// rows are the store's rows by item.
func (w *world) rows() map[string]stored {
	w.Helper()
	rows, err := w.db.Query(`SELECT network_item_id, state, coalesce(ticket_id, ''), wanted_hash, coalesce(delivered_hash, '-'),
		coalesce(payload, '') FROM tickets WHERE channel_id = $1`, w.channel.ID)
	if err != nil {
		if noSchema(err) {
			return nil
		}
		w.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string]stored)
	for rows.Next() {
		var id string
		var s stored
		if err := rows.Scan(&id, &s.state, &s.ticketID, &s.wanted, &s.delivered, &s.payload); err != nil {
			w.Fatal(err)
		}
		all[id] = s
	}
	if err := rows.Err(); err != nil {
		w.Fatal(err)
	}
	return all
}

// noSchema tells whether the program was killed before it had made its tables.
func noSchema(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "does not exist"))
}

// free waits until no lease of a process that died is left.
func (w *world) free() {
	w.Helper()
	until(w, "all leases are over", w.lease+20*time.Second, func() bool {
		now := time.Now().UnixMilli()
		n, err := w.tryNumber(`SELECT (SELECT count(*) FROM channels WHERE lease_until > $1) + (SELECT count(*) FROM sources WHERE lease_until > $2)`, now, now)
		return err == nil && n == 0 || noSchema(err)
	})
}

// tickets are SocialHub's tickets by item, without the hidden ones.
func (w *world) tickets() map[string]sandbox.Ticket {
	all := make(map[string]sandbox.Ticket)
	for _, t := range w.box.Tickets(w.channel.ID) {
		if t.Folder != sandbox.FolderHidden {
			all[t.Interaction.NetworkItemID] = t
		}
	}
	return all
}

// requests counts the POSTs and PATCHes that SocialHub has answered with a status.
func (w *world) requests(status int) (n int) {
	for c, times := range w.box.Counts() {
		if c.Status == status && (c.Route == sandbox.RoutePost || c.Route == sandbox.RoutePatch) {
			n += times
		}
	}
	return n
}

// lines joins what is wrong, at most ten of it.
func lines(faults []string) string {
	if len(faults) > 10 {
		faults = append(faults[:10:10], fmt.Sprintf("and %d more", len(faults)-10))
	}
	return strings.Join(faults, "\n")
}
