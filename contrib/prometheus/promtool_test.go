// Package prometheus_test holds the alert rules and Grafana's dashboard against the metrics that the daemon has, and has
// promtool try the rules.
package prometheus_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// promtool runs promtool, which must be there; scripts/test fetches it.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if cache, e := os.UserCacheDir(); err != nil && e == nil {
		program, err = exec.LookPath(filepath.Join(cache, "socialhub-sync-tests", "promtool"))
	}
	if err != nil {
		t.Fatalf("%v; install Prometheus, or run scripts/test, which fetches promtool alone", err)
	}
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %q: %v\n%s", args, err, out)
	}
}

func TestEachAlertFiresInItsTroubleAndNotWithoutIt(t *testing.T) {
	t.Parallel()
	promtool(t, "test", "rules", "alerts_test.yaml")
}

func TestPrometheusTakesTheRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "alerts.yaml")
}
