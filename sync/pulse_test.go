package sync

import (
	"strings"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
)

func TestTheLoopsBeatWhetherTheStoreAnswersOrNot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.options.LeaseTTL = 5 * time.Minute
		e := w.engine()
		stop := w.daemon(e)
		for _, healthy := range []bool{true, false} {
			for range 20 * 60 {
				pass(time.Second)
				if err := e.Alive(time.Second); err != nil || (e.Healthy() == nil) != healthy {
					t.Fatalf("it should be healthy: %t; %v, %v", healthy, err, e.Healthy())
				}
			}
			if healthy { // now take the database away
				w.store.Close()
				w.until("the engine takes notice", func() bool { return e.Healthy() != nil })
			}
		}
		_ = stop() // it may say that it could not give its leases back
	})
}

func TestALoopThatHangsIsNotAlive(t *testing.T) {
	const stall = 30 * time.Second
	for name, test := range map[string]struct {
		goesOn, hangs func(*Engine) *pulse
		// limit is stall and how long the loop waits anyway.
		limit time.Duration
		want  string
	}{
		"the look for work": {
			func(e *Engine) *pulse { return &e.renewed }, func(e *Engine) *pulse { return &e.looked }, stall + time.Second,
			"has not looked for work for 32s",
		},
		"the renewal of a lease of a minute": {
			func(e *Engine) *pulse { return &e.looked }, func(e *Engine) *pulse { return &e.renewed }, stall + 20*time.Second,
			"has not renewed its leases for 51s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				e := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{}).engine()
				pass(time.Hour)
				test.hangs(e).beat()
				for passed := time.Duration(0); passed <= test.limit; passed += time.Second {
					test.goesOn(e).beat()
					if err := e.Alive(stall); err != nil {
						t.Fatalf("after %v: %v", passed, err)
					}
					pass(time.Second)
				}
				test.goesOn(e).beat()
				if err := e.Alive(stall); err == nil || !strings.HasSuffix(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
			})
		})
	}
}
