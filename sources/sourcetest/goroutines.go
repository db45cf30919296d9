package sourcetest

import (
	"fmt"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A goroutine inherits the profiler's labels of the one that starts it. So a source's goroutines are told from those
// of other tests that run at the same time, which goleak can't.
const labelKey = "sourcetest"

var sessions atomic.Int64

func newLabel() string { return "session-" + strconv.FormatInt(sessions.Add(1), 10) }

// goroutines returns the stacks of the goroutines with a label.
func goroutines(label string) string {
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return err.Error()
	}
	var found []string
	mark := fmt.Sprintf("%q:%q", labelKey, label)
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, mark) {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n")
}

// waitForGoroutines returns what is left with a label when there was time enough to end.
func waitForGoroutines(label string) string {
	const most = 2 * time.Second
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(most); ; <-tick.C {
		left := goroutines(label)
		if left == "" || time.Now().After(end) {
			return left
		}
	}
}
