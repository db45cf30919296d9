package torture

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
)

// usualTrouble is what a bad day of SocialHub looks like.
const usualTrouble = "lost:0.04,reset:0.04,500:0.04,502:0.04,429:0.01,truncated:0.03,empty:0.03,slow:0.05"

// kills is how often each engine's daemon is killed; TORTURE_KILLS sets another number.
func kills(tb testing.TB) int {
	n := 15
	if long() {
		n = 250
	}
	if text := os.Getenv("TORTURE_KILLS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			tb.Fatalf("TORTURE_KILLS: %v", err)
		}
	}
	return n
}

// maxUnsettled is how many answers may wait to be stored beside those of the requests in flight (sync/deliver.go).
const maxUnsettled = 256

func TestKillAtRandomMoments(t *testing.T) {
	t.Parallel()
	n, seed := kills(t), seed(t)
	onBothEngines(t, func(t *testing.T, database string) {
		w := newWorld(t, database, options{sources: 2, box: sandbox.Options{Latency: 10 * time.Millisecond}})
		lots := rand.New(rand.NewPCG(seed, 1))
		w.trouble(usualTrouble, seed)
		most := 0
		p := w.start("run")
		for range n {
			w.live(p, lots)
			p.cmd.Process.Kill()
			<-p.done
			dead := p
			p = w.start("run")
			most = max(most, dead.bury())
		}
		until(t, "the last one works", time.Minute, func() bool { return p.door.requests() > 0 })
		f := w.converged()
		if most > w.concurrency+maxUnsettled {
			t.Errorf("a kill cost %d answers", most)
		}
		t.Logf("figures: %s, %s, at most %d at one kill", t.Name(), f, most)
	})
}

func TestAStopDuringTheStartEndsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "postgres://nobody@127.0.0.1:1/none", options{})
	p := w.start("run")
	until(t, "the program waits for its database", time.Minute, func() bool { return strings.Contains(p.output(), "can't be reached") })
	p.stop()
}

func TestASecondSignalStopsAtOnceAndCostsNothingButTime(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		w := newWorld(t, database, options{sources: 1})
		w.script(func(c sandbox.Call) sandbox.Fault {
			if c.Route == sandbox.RoutePost {
				return sandbox.Fault{Kind: sandbox.Hang}
			}
			return sandbox.Fault{}
		})
		w.ledger.stir(rand.New(rand.NewPCG(1, 1)), 30, 0)
		w.flush()
		p := w.start("run")
		until(t, "requests are under way", time.Minute, func() bool { return p.door.requests() > 1 })
		p.signal(syscall.SIGTERM)
		until(t, "it waits for them", time.Minute, func() bool { return strings.Contains(p.output(), "a second signal stops at once") })
		p.signal(syscall.SIGTERM)
		p.wait(time.Minute)
		if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || strings.Contains(p.output(), `"msg":"stopped"`) {
			t.Errorf("%v\n%s", p.cmd.ProcessState, p.output())
		}
		p.bury()
		t.Logf("figures: %s, %s", t.Name(), w.converged())
	})
}

// live lets a process run for a random while, in which the sources change. Half of the lives end early, in the start or
// in the wait for the dead process's leases; the other half soon after the first request.
func (w *world) live(p *process, lots *rand.Rand) {
	w.Helper()
	early, length := lots.IntN(2) == 0, time.Duration(lots.IntN(1200))*time.Millisecond
	if !early {
		length /= 3
		w.stirUntil(lots, time.Minute, func() bool { return p.door.requests() > 0 })
	}
	end := time.Now().Add(length)
	w.stirUntil(lots, length, func() bool { return time.Now().After(end) })
}

// stirUntil changes the sources at random moments until something is so or the time is over.
func (w *world) stirUntil(lots *rand.Rand, limit time.Duration, so func() bool) {
	w.Helper()
	for deadline := time.Now().Add(limit); !so() && time.Now().Before(deadline); {
		w.ledger.stir(lots, lots.IntN(4), lots.IntN(6))
		w.flush()
		next := min(time.Until(deadline), time.Duration(lots.IntN(200))*time.Millisecond)
		<-time.After(max(next, time.Millisecond))
	}
}
