package execsource

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(daemonVariable); dir != "" {
		playDaemon(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
