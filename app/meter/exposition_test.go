package meter_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

var update = flag.Bool("update", false, "write the table of metrics anew")

const (
	docsFile    = "../../docs/metrics.md"
	openMetrics = "application/openmetrics-text; version=1.0.0"
)

// family is a metric as the exposition has it, with the names of its samples and labels.
type family struct {
	name, kind, help string
	samples, labels  []string
}

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	labelName  = regexp.MustCompile(`([a-zA-Z_]\w*)="(?:[^"\\]|\\.)*"`)
)

// families reads an exposition, in either format.
func families(t *testing.T, text string) (all []*family) {
	t.Helper()
	var current *family
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		comment := strings.SplitN(line, " ", 4)
		switch {
		case line == "# EOF" || strings.HasPrefix(line, "# UNIT "):
		case strings.HasPrefix(line, "# HELP "):
			current = &family{name: comment[2], help: comment[3]}
			all = append(all, current)
		case strings.HasPrefix(line, "# TYPE "):
			if current == nil || current.name != comment[2] {
				t.Fatalf("there is no help before %q", line)
			}
			current.kind = comment[3]
		default:
			sample := sampleLine.FindStringSubmatch(line)
			if sample == nil || current == nil {
				t.Fatalf("no sample: %q", line)
			}
			if !slices.Contains(current.samples, sample[1]) {
				current.samples = append(current.samples, sample[1])
			}
			for _, label := range labelName.FindAllStringSubmatch(sample[2], -1) {
				if name := label[1]; name != "le" && name != "quantile" && !slices.Contains(current.labels, name) {
					current.labels = append(current.labels, name)
				}
			}
		}
	}
	return all
}

// exposition is what a daemon shows after everything that is counted has happened.
type exposition struct {
	text, open, openType string
	// private is what must not be in it.
	private []string
}

var (
	exposed     exposition
	exposedOnce gosync.Once
)

// inFull lets the first test that asks run the daemon.
func inFull(t *testing.T) exposition {
	t.Parallel()
	exposedOnce.Do(func() {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.busy()
			w.metrics("") // begins the count of the tickets
			synctest.Wait()
			ticket, _ := w.box.Ticket(w.channel.ID, "item-1")
			exposed = exposition{
				w.metrics(""), w.metrics(openMetrics), w.scrape(openMetrics).Header.Get("Content-Type"),
				[]string{w.channel.Token, hookSecret, "private", "item-1", ticket.ID, w.channel.ID, w.channel.AccountID, "test.db"},
			}
		})
	})
	return exposed
}

func TestTheMetricsAreAsPrometheusLikesThem(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(inFull(t).text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// suffixes are what the names of a type's samples may end in. OpenMetrics reserves _created too.
var suffixes = map[string][]string{
	"counter": {"_total", "_created"}, "gauge": {""}, "summary": {"", "_sum", "_count", "_created"},
	"histogram": {"_bucket", "_sum", "_count", "_created"}, "unknown": {""},
}

func TestTheMetricsAreValidOpenMetrics(t *testing.T) {
	e := inFull(t)
	if !strings.HasPrefix(e.openType, openMetrics) || !strings.HasSuffix(e.open, "\n# EOF\n") {
		t.Fatalf("%s: %s", e.openType, e.open)
	}
	owner := make(map[string]string)
	for _, f := range families(t, e.open) {
		allowed := []string{f.name}
		for _, suffix := range suffixes[f.kind] {
			allowed = append(allowed, f.name+suffix)
		}
		slices.Sort(allowed)
		for _, name := range slices.Compact(allowed) {
			if other := owner[name]; other != "" {
				t.Errorf("%s and %s both have %s", f.name, other, name)
			}
			owner[name] = f.name
		}
		for _, sample := range f.samples {
			if !slices.Contains(allowed, sample) {
				t.Errorf("the %s %s has the sample %s", f.kind, f.name, sample)
			}
		}
	}
	if len(owner) < 50 {
		t.Errorf("only %d names: %s", len(owner), e.open)
	}
}

func TestNothingPrivateIsInTheMetrics(t *testing.T) {
	e := inFull(t)
	for _, private := range e.private {
		if strings.Contains(e.text+e.open, private) || private == "" {
			t.Errorf("%q is in: %s", private, e.text)
		}
	}
}

func TestTheDocsHaveEveryMetric(t *testing.T) {
	const begin, end = "<!-- metrics -->\n", "<!-- end -->\n"
	e := inFull(t)
	text, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("there is no place for the table")
	}
	right := before + begin + table(families(t, e.text)) + end + after
	if *update {
		if err := os.WriteFile(docsFile, []byte(right), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(right, string(text)); diff != "" {
		t.Errorf("go test ./app/meter -run TestTheDocs -update mends the table: %s", diff)
	}
}

// table is that of our metrics, which come by name.
func table(all []*family) string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range all {
		if strings.HasPrefix(f.name, "socialhub_sync_") {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, strings.Join(f.labels, ", "), strings.ReplaceAll(f.help, "|", `\|`))
		}
	}
	return b.String()
}
