// Package bench measures the built program from outside, as a user would: whole processes, the sandbox in
// a process of its own, a real database. `make bench` runs it and prints the table of docs/performance.md.
//
// Speeds of one machine say little; what counts is the ratio to a bare loop that posts the same
// bodies to the same sandbox in the same run.
package bench

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"socialhub-sync/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// BenchmarkDeliver creates tickets: `run --once` on a file, beside a bare loop.
func BenchmarkDeliver(b *testing.B) {
	program := build(b)
	for _, latency := range []time.Duration{0, 20 * time.Millisecond, 50 * time.Millisecond} {
		for _, concurrency := range []int{8, 32} {
			for _, engine := range []string{"sqlite", "postgres"} {
				b.Run(fmt.Sprintf("latency=%v/concurrency=%d/%s", latency, concurrency, engine), func(b *testing.B) {
					n := amount(latency, concurrency)
					box := startSandbox(b, program, latency)
					bare := box.bareLoop(b, concurrency, n)
					run := newRun(b, program, engine, box, concurrency)
					run.write(b, n)
					took := run.once(b, "info")
					if took.created != n {
						b.Fatalf("%d tickets created, want %d\n%s", took.created, n, took.output)
					}
					speed := float64(n) / took.wall.Seconds()
					b.ReportMetric(speed, "creates/s")
					b.ReportMetric(100*speed/bare, "%_of_bare_loop")
					b.ReportMetric(took.cpu.Seconds()/float64(n)*1000, "cpu-s/1000")
					b.ReportMetric(took.memory, "MB")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

// amount is enough for about twenty seconds of the bare loop, so that the start of the process counts little.
func amount(latency time.Duration, concurrency int) int {
	if latency == 0 {
		return 60_000
	}
	return int(20 * float64(concurrency) / latency.Seconds())
}

// BenchmarkUnchanged polls a file whose items are all stored already, among many more.
func BenchmarkUnchanged(b *testing.B) {
	program := build(b)
	for _, size := range []struct{ items, stored int }{{10_000, 10_000}, {1_000_000, 1_000_000}, {1_000_000, 5_000_000}} {
		for _, engine := range []string{"sqlite", "postgres"} {
			b.Run(fmt.Sprintf("items=%d/stored=%d/%s", size.items, size.stored, engine), func(b *testing.B) {
				n := size.items
				box := startSandbox(b, program, 0)
				run := newRun(b, program, engine, box, 8)
				run.seed(b, n, size.stored)
				took := run.once(b, "debug")
				if took.unchanged != n {
					b.Fatalf("%d items unchanged, want %d\n%s", took.unchanged, n, took.output)
				}
				b.ReportMetric(float64(n)/took.poll.Seconds(), "items/s")
				b.ReportMetric(float64(n)/took.wall.Seconds(), "items/s_whole_process")
				b.ReportMetric(took.memory, "MB")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// build compiles the program as it is released.
func build(b *testing.B) string {
	path := filepath.Join(b.TempDir(), "socialhub-sync")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "socialhub-sync")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return path
}

// box is a sandbox in a process of its own.
type box struct{ url, token string }

var announced = regexp.MustCompile(`(?s)api_url: (\S+)\s+access_token: (\S+)`)

func startSandbox(b *testing.B, program string, latency time.Duration) *box {
	cmd := exec.Command(program, "sandbox", "--listen", "127.0.0.1:0", "--latency", latency.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if found := announced.FindStringSubmatch(text.String()); found != nil {
			return &box{url: found[1], token: found[2]}
		}
	}
	b.Fatalf("the sandbox did not start: %s", text.String())
	return nil
}

// bareLoop posts n interactions as fast as net/http can with so many at a time, and returns them per second.
func (x *box) bareLoop(b *testing.B, concurrency, n int) float64 {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency, DialContext: (&net.Dialer{}).DialContext}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	next := make(chan int)
	var group sync.WaitGroup
	began := time.Now()
	for range concurrency {
		group.Go(func() {
			for i := range next {
				body := []byte(`{"interaction":` + line("bare", i) + `}`)
				resp, err := client.Post(x.url+"/inbox/tickets?accesstoken="+x.token, "application/json", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					continue
				}
				var ticket struct {
					ID string `json:"_id"`
				}
				if err := json.NewDecoder(resp.Body).Decode(&ticket); err != nil || resp.StatusCode != http.StatusCreated {
					b.Errorf("%v %v", resp.Status, err)
				}
				resp.Body.Close()
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// line is an interaction of about 330 bytes.
func line(prefix string, i int) string {
	return fmt.Sprintf(`{"networkItemId":"%s-%09d","message":"The parcel came two days late and the box was open on one side. Number %d is missing, `+
		`who can tell me how to get it?","createdTime":"2026-01-02T15:04:05Z","url":"https://shop.example.com/reviews/%d",`+
		`"rating":{"value":3,"scale":5},"interactor":{"interactorId":"user-%05d","name":"Customer %d"}}`, prefix, i, i, i, i%90000, i%90000)
}

// run is a config, a database and a file to read.
type run struct {
	program, engine, url, dir string
}

func newRun(b *testing.B, program, engine string, x *box, concurrency int) *run {
	r := &run{program: program, engine: engine, dir: b.TempDir()}
	r.url = "sqlite:" + filepath.Join(r.dir, "bench.db")
	if engine == "postgres" {
		r.url = storetest.StartCluster(b, storetest.Durable()).URL("postgres")
	}
	config := fmt.Sprintf("database: %q\napi_url: %s\nlisten: \"\"\nchannels:\n  bench:\n    access_token: %s\n    concurrency: %d\n"+
		"sources:\n  file:\n    adapter: jsonl\n    channel: bench\n    settings:\n      path: items.jsonl\n", r.url, x.url, x.token, concurrency)
	if err := os.WriteFile(filepath.Join(r.dir, "config.yaml"), []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	return r
}

// write makes the file, as if it had just changed.
func (r *run) write(b *testing.B, n int) {
	f, err := os.Create(filepath.Join(r.dir, "items.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range n {
		fmt.Fprintln(w, line("item", i))
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

// seed stores n items as delivered, without a request for each, fills the table up to stored rows, and changes the
// file's time.
func (r *run) seed(b *testing.B, n, stored int) {
	r.write(b, n)
	config := filepath.Join(r.dir, "config.yaml")
	right, err := os.ReadFile(config)
	if err != nil {
		b.Fatal(err)
	}
	closed := regexp.MustCompile(`api_url: \S+`).ReplaceAll(right, []byte("api_url: http://127.0.0.1:1"))
	if err := os.WriteFile(config, closed, 0o600); err != nil {
		b.Fatal(err)
	}
	exec.Command(r.program, "run", "--once", "--config", config).Run() // fails: SocialHub is not there
	if err := os.WriteFile(config, right, 0o600); err != nil {
		b.Fatal(err)
	}
	driver, dsn := "pgx", r.url
	if r.engine == "sqlite" {
		driver, dsn = "sqlite", strings.TrimPrefix(r.url, "sqlite:")
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{
		"UPDATE tickets SET state = 'synced', delivered_hash = wanted_hash, payload = NULL, due = NULL, ticket_id = substr('5b0000000000000000000000', 1, 24)",
		fmt.Sprintf(`INSERT INTO tickets (channel_id, network_item_id, source, ticket_id, wanted_hash, delivered_hash, state, changed_at)
			WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < %d)
			SELECT channel_id, network_item_id || '.' || n, source, ticket_id, wanted_hash, delivered_hash, state, changed_at
			FROM tickets CROSS JOIN more WHERE n < %d`, stored/n, stored/n),
		"VACUUM", "ANALYZE",
	} {
		if _, err := db.Exec(text); err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now()
	if err := os.Chtimes(filepath.Join(r.dir, "items.jsonl"), now, now); err != nil {
		b.Fatal(err)
	}
}

// took is what one process used. poll is what it says itself of the poll.
type took struct {
	wall, cpu, poll time.Duration
	memory          float64
	// created is the number of tickets, unchanged of items.
	created, unchanged int
	output             string
}

// createdColumn is the first number of the channel's row in the summary.
var createdColumn = regexp.MustCompile(`(?m)^bench\s+(\d+)`)

// once runs `run --once` in a process.
func (r *run) once(b *testing.B, logLevel string) took {
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.program, "run", "--once", "--log-level", logLevel, "--log-format", "json", "--config", filepath.Join(r.dir, "config.yaml"))
	logs, err := os.Create(filepath.Join(r.dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer logs.Close()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, logs
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v\n%s", err, out.String())
	}
	t := took{wall: time.Since(began), output: out.String()}
	if found := createdColumn.FindStringSubmatch(t.output); found != nil {
		t.created, _ = strconv.Atoi(found[1])
	}
	t.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.memory = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
	t.readPoll(b, logs.Name())
	return t
}

// readPoll finds the poll's log line.
func (t *took) readPoll(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var entry struct {
			Msg       string `json:"msg"`
			Took      string `json:"took"`
			Unchanged int    `json:"unchanged"`
		}
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "poll" {
			t.unchanged = entry.Unchanged
			if t.poll, err = time.ParseDuration(entry.Took); err != nil {
				b.Fatal(err)
			}
		}
	}
}
