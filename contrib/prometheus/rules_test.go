package prometheus_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// rule is an alert of alerts.yaml.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalWithOptions([]byte(text(t, "alerts.yaml")), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) == 0 {
		t.Fatalf("want one group with rules, have %+v", file)
	}
	return file.Groups[0].Rules
}

func text(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var shownLabel = regexp.MustCompile(`\$labels\.(\w+)`)

func TestTheAlertsAskForMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	have := metrics(t)
	for _, r := range rules(t) {
		for _, fault := range have.faults(r.Expr) {
			t.Errorf("%s: %s", r.Alert, fault)
		}
		for name, words := range r.Annotations {
			for _, label := range shownLabel.FindAllStringSubmatch(words, -1) {
				if !slices.Contains(have.labelsOf(r.Expr), label[1]) {
					t.Errorf("%s: the %s shows the label %s, which the alert does not have", r.Alert, name, label[1])
				}
			}
		}
	}
}

func TestEachAlertSaysHowBadItIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	stories := text(t, "alerts_test.yaml")
	docs := text(t, "../../docs/operations.md")
	for _, r := range rules(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: the severity is %q", r.Alert, r.Labels["severity"])
		}
		for _, name := range []string{"summary", "description", "runbook"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
		}
		if !strings.Contains(stories, `{alertname="`+r.Alert+`",severity="`+r.Labels["severity"]+`"`) {
			t.Errorf("%s: no test has it fire", r.Alert)
		}
		if !strings.Contains(docs, "\n| `"+r.Alert+"` | "+r.Labels["severity"]+" |") {
			t.Errorf("%s: docs/operations.md does not have it in its table", r.Alert)
		}
	}
}

var section = regexp.MustCompile(`docs/operations\.md, "([^"]+)"`)

func TestTheSectionsThatAlertsNameAreThere(t *testing.T) {
	t.Parallel()
	docs := text(t, "../../docs/operations.md")
	for _, r := range rules(t) {
		for _, found := range section.FindAllStringSubmatch(r.Annotations["runbook"], -1) {
			if !strings.Contains(docs, "# "+found[1]+"\n") {
				t.Errorf("%s: docs/operations.md has no section %q", r.Alert, found[1])
			}
		}
	}
}
