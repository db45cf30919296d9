package prometheus_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// dashboard is what the tests look at of Grafana's JSON.
type dashboard struct {
	UID         string
	Panels      []panel
	Annotations struct{ List []struct{ Name, Expr string } }
	Templating  struct {
		List []struct{ Name, Type, Definition string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  rectangle
	Datasource               struct{ UID string }
	Targets                  []target
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

type rectangle struct{ X, Y, W, H int }

type target struct {
	Datasource         struct{ UID string }
	Expr, LegendFormat string
}

func (a rectangle) overlaps(b rectangle) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

const grafanas = "../grafana/socialhub-sync.json"

func grafana(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, grafanas)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries are the dashboard's expressions by where they are.
func (d *dashboard) queries() map[string]string {
	all := make(map[string]string)
	for _, p := range d.Panels {
		for i, q := range p.Targets {
			all[fmt.Sprintf("%s, query %d", p.Title, i+1)] = q.Expr
		}
	}
	for _, a := range d.Annotations.List {
		all["annotation "+a.Name] = a.Expr
	}
	return all
}

var (
	legend      = regexp.MustCompile(`\{\{(\w+)\}\}`)
	labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)
)

func TestTheDashboardAsksForMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	d, have := grafana(t), metrics(t)
	for where, expr := range d.queries() {
		for _, fault := range have.faults(expr) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			for _, label := range legend.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !slices.Contains(have.labelsOf(q.Expr), label[1]) {
					t.Errorf("%s: the legend has the label %s, the query has not", p.Title, label[1])
				}
			}
		}
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		query := labelValues.FindStringSubmatch(v.Definition)
		if query == nil {
			t.Errorf("variable %s: %s is not understood", v.Name, v.Definition)
			continue
		}
		for _, fault := range have.faults("by (" + query[2] + ") " + query[1]) {
			t.Errorf("variable %s: %s", v.Name, fault)
		}
	}
}

func TestPrometheusUnderstandsTheDashboard(t *testing.T) {
	t.Parallel()
	type recording struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var all []recording
	d := grafana(t)
	for where, expr := range d.queries() {
		if strings.Count(expr, "$")-strings.Count(expr, `"$`) != strings.Count(expr, "[$__rate_interval]") {
			t.Errorf("%s: a variable is neither a label's value nor $__rate_interval: %s", where, expr)
		}
		all = append(all, recording{fmt.Sprintf("query:%d", len(all)), strings.ReplaceAll(expr, "$__rate_interval", "5m")})
	}
	content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func TestTheDashboardFitsAnyGrafana(t *testing.T) {
	t.Parallel()
	d := grafana(t)
	ids := make(map[int]bool)
	for i, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] {
			t.Errorf("%s: the id %d is not its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		if at := p.GridPos; at.X < 0 || at.Y < 0 || at.W < 1 || at.H < 1 || at.X+at.W > 24 {
			t.Errorf("%s is at %+v; the grid is 24 wide", p.Title, at)
		}
		for _, q := range d.Panels[:i] {
			if p.GridPos.overlaps(q.GridPos) {
				t.Errorf("%s covers %s", p.Title, q.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s has no description or no query", p.Title)
		}
		if unitless := p.Type == "table" || p.Type == "state-timeline"; !unitless && p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%s has no unit", p.Title)
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				t.Errorf("%s asks the data source %q, which is that of one Grafana", p.Title, q.Datasource.UID)
			}
		}
	}
	if d.UID != "socialhub-sync" {
		t.Errorf("the uid is %q: who has the dashboard would get a second one", d.UID)
	}
}

// TestWhatIsMeasuredIsShown keeps a metric from being forgotten by both.
func TestWhatIsMeasuredIsShown(t *testing.T) {
	t.Parallel()
	d := grafana(t)
	shown := make(map[string]bool)
	exprs := d.queries()
	for _, r := range rules(t) {
		exprs[r.Alert] = r.Expr
	}
	for _, expr := range exprs {
		for _, m := range metricsIn(expr) {
			shown[stem(m.name)] = true
		}
	}
	for name := range metrics(t) {
		if strings.HasPrefix(name, "socialhub_sync_") && !shown[stem(name)] {
			t.Errorf("no panel and no alert has %s", name)
		}
	}
}

// stem is the name of a histogram or a summary, of which each series has the same to tell.
func stem(name string) string {
	for _, end := range []string{"_bucket", "_sum", "_count"} {
		name = strings.TrimSuffix(name, end)
	}
	return name
}
