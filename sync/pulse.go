package sync

import (
	"fmt"
	"sync/atomic"
	"time"
)

// pulse remembers when a loop last came round.
type pulse struct{ last atomic.Pointer[time.Time] }

func (p *pulse) beat() {
	now := time.Now()
	p.last.Store(&now)
}

// since is how long ago that was.
func (p *pulse) since() time.Duration { return time.Since(*p.last.Load()) }

// Alive is nil while the loops of [Engine.Run] come round, whether the store answers or not; see [Engine.Healthy] for
// that. One that has not for longer than stall, beyond the time that it waits anyway, hangs. stall must leave room for slow
// statements.
func (e *Engine) Alive(stall time.Duration) error {
	if d := e.looked.since(); d > stall+tickEvery {
		return fmt.Errorf("the engine has not looked for work for %v", d.Round(time.Second))
	}
	if d := e.renewed.since(); d > stall+e.LeaseTTL/3 {
		return fmt.Errorf("the engine has not renewed its leases for %v", d.Round(time.Second))
	}
	return nil
}
