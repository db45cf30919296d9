package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store/storetest"
)

const (
	idleChannels, idleSources = 20, 1000
	// idleItems is how many items the feed of a source has.
	idleItems = 3
	// idleFor is how long it is watched: each source is polled at a minute of its own, so that every minute is like
	// every other.
	idleFor = time.Minute
)

// BenchmarkIdle lets the daemon run with a thousand feeds that are polled hourly and bring nothing new.
func BenchmarkIdle(b *testing.B) {
	program := build(b)
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(fmt.Sprintf("sources=%d/channels=%d/%s", idleSources, idleChannels, engine), func(b *testing.B) {
			d := startIdle(b, program, engine)
			before := d.used(b)
			time.Sleep(idleFor)
			after := d.used(b)
			took := after.at.Sub(before.at).Seconds()
			b.ReportMetric(100*(after.cpu-before.cpu).Seconds()/took, "cpu-%")
			b.ReportMetric((after.statements-before.statements)/took, "queries/s")
			b.ReportMetric((after.polls-before.polls)/took*60, "polls/min")
			b.ReportMetric(after.memory, "MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// idle is a daemon.
type idle struct {
	pid int
	url string
}

// startIdle starts it and waits until every feed was polled and all is delivered.
func startIdle(b *testing.B, program, engine string) *idle {
	dir := b.TempDir()
	database := "sqlite:" + filepath.Join(dir, "bench.db")
	if engine == "postgres" {
		database = storetest.StartCluster(b, storetest.Durable()).URL("postgres")
	}
	created := make(chan struct{}, idleSources*idleItems)
	box := sandbox.New(sandbox.Options{})
	b.Cleanup(func() { box.Close() })
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		box.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			created <- struct{}{}
		}
	}))
	b.Cleanup(api.Close)
	address, path := free(b), filepath.Join(dir, "config.yaml")
	config := fmt.Sprintf("database: %q\napi_url: %s\nlisten: %s\n", database, api.URL, address) + idleConfig(b, box)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	var logs bytes.Buffer
	cmd := exec.Command(program, "run", "--config", path)
	cmd.Stdout, cmd.Stderr = &logs, &logs
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if b.Failed() {
			b.Log(logs.String())
		}
	})
	timeout := time.After(5 * time.Minute)
	for range idleSources * idleItems {
		select {
		case <-created:
		case <-timeout:
			b.Fatal("not everything was delivered within five minutes")
		}
	}
	time.Sleep(5 * time.Second) // the last results are stored
	return &idle{pid: cmd.Process.Pid, url: "http://" + address}
}

// idleConfig is the config's part about channels and sources.
func idleConfig(b *testing.B, box *sandbox.Server) string {
	feeds := httptest.NewServer(http.HandlerFunc(feed))
	b.Cleanup(feeds.Close)
	config := "channels:\n"
	for c := range idleChannels {
		channel, err := box.AddChannel(sandbox.ChannelOptions{})
		if err != nil {
			b.Fatal(err)
		}
		config += fmt.Sprintf("  channel-%d:\n    access_token: %s\n", c, channel.Token)
	}
	config += "sources:\n"
	for n := range idleSources {
		config += fmt.Sprintf("  feed-%d:\n    adapter: rss\n    channel: channel-%d\n    schedule: \"%d * * * *\"\n    settings:\n      url: %s/%d\n",
			n, n%idleChannels, n%60, feeds.URL, n)
	}
	return config
}

// feed answers with the feed of the path, which is always the same.
func feed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/rss+xml")
	fmt.Fprint(w, `<rss version="2.0"><channel><title>News</title>`)
	for i := range idleItems {
		fmt.Fprintf(w, `<item><guid isPermaLink="false">%[1]s-%[2]d</guid><title>The parcel came late</title>`+
			`<link>https://shop.example.com%[1]s/%[2]d</link><description>Number %[2]d is missing, who can tell me how to get it?</description>`+
			`<pubDate>Fri, 02 Jan 2026 15:04:05 GMT</pubDate></item>`, r.URL.Path, i)
	}
	fmt.Fprint(w, `</channel></rss>`)
}

// free returns an address that nobody listens on.
func free(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// usage is what a daemon has used so far.
type usage struct {
	at                        time.Time
	cpu                       time.Duration
	statements, polls, memory float64
}

// used asks the daemon for it. The look itself takes a few statements, and is counted.
func (d *idle) used(b *testing.B) usage {
	answer, err := http.Get(d.url + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return usage{
		at: time.Now(), cpu: d.cpu(b),
		statements: metric(b, body, "socialhub_sync_store_statements_total"), polls: metric(b, body, "socialhub_sync_polls_total"),
		memory: metric(b, body, "process_resident_memory_bytes") / (1 << 20),
	}
}

// metric is the sum of a metric's series.
func metric(b *testing.B, body []byte, name string) (sum float64) {
	found := regexp.MustCompile(`(?m)^`+name+`(?:\{.*\})? (\S+)$`).FindAllSubmatch(body, -1)
	if found == nil {
		b.Fatalf("no metric %s", name)
	}
	for _, line := range found {
		n, err := strconv.ParseFloat(string(line[1]), 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return sum
}

// cpu is what the process has used itself, and the system for it; Linux tells it in hundredths of a second.
func (d *idle) cpu(b *testing.B) (used time.Duration) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, text := range fields[11:13] {
		ticks, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		used += time.Duration(ticks) * 10 * time.Millisecond
	}
	return used
}
