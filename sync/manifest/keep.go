package manifest

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"socialhub-sync/socialhub"
)

const (
	// lookEvery is how often a manifest that was fine is looked at. SocialHub takes a webhook away without a word.
	lookEvery = time.Hour
	// closedFor is how long to wait while the channel is closed. No request is made meanwhile.
	closedFor = time.Second
	// The bounds of the wait after a failure, which grows from one to the other.
	leastWait, mostWait = time.Second, 10 * time.Minute
	// sayAgain is how often the same trouble is logged.
	sayAgain = time.Hour
)

// Keeper keeps a channel's manifest as it should be.
type Keeper struct {
	Client *socialhub.Client
	Want   Desired
	Log    *slog.Logger
	// Open tells whether the channel may be asked now; nil means always.
	Open func() bool
	// Pause stops the channel after a 401, a 403 that is about the channel, or a 429, and says so; Open is false then. With
	// nil the keeper waits by itself.
	Pause func(context.Context, socialhub.Answer)

	failures int
	// said is the trouble that was logged last, saidAt when.
	said   string
	saidAt time.Time
	// left is how the manifest differs although SocialHub took the change. It is not sent again while that is so.
	left []string
}

// Run compares at once and then every hour, and sends what differs, until ctx is done. Only one process should do so for
// a channel at a time: two with different configs would undo each other's changes.
func (k *Keeper) Run(ctx context.Context) {
	for {
		timer := time.NewTimer(k.look(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look compares once and returns when to look again.
func (k *Keeper) look(ctx context.Context) (next time.Duration) {
	if ctx.Err() != nil || k.Open != nil && !k.Open() {
		return closedFor
	}
	r, a := apply(ctx, k.Client, k.Want, false, k.left)
	switch {
	case ctx.Err() != nil:
		return closedFor
	case a.Outcome != socialhub.Done:
		return k.failed(ctx, a)
	}
	k.failures = 0
	if !slices.Equal(k.left, r.Left) && len(r.Left) > 0 {
		k.Log.Warn("SocialHub took the manifest and shows it otherwise", slog.String("differs", strings.Join(r.Left, "; ")))
	}
	if r.Sent {
		k.Log.Info("manifest brought up to date", slog.String("changes", strings.Join(r.Lines, "; ")))
	}
	k.said, k.left = "", r.Left
	return lookEvery
}

// failed says what is wrong and how long to wait.
func (k *Keeper) failed(ctx context.Context, a socialhub.Answer) time.Duration {
	e := Explain(ctx, k.Client, k.Want, a)
	if ctx.Err() != nil {
		return closedFor
	}
	k.failures++
	wait, level := backoff(k.failures), slog.LevelError
	switch e.Outcome {
	case socialhub.Unauthorized, socialhub.Forbidden, socialhub.RateLimited:
		wait = max(a.RetryAfter, mostWait)
		if k.Pause != nil { // it tells what is wrong, and Open when it is over
			k.Pause(ctx, a)
			return max(a.RetryAfter, closedFor)
		}
	case socialhub.Unavailable:
		level = slog.LevelWarn
	}
	if now := time.Now(); k.said != e.Problem || now.Sub(k.saidAt) >= sayAgain {
		k.said, k.saidAt = e.Problem, now
		k.Log.Log(ctx, level, "manifest is not as the config has it, or not known", slog.String("reason", e.Problem))
	}
	return wait
}

// backoff is a wait between the bounds that doubles with each failure, half of it by chance.
func backoff(failures int) time.Duration {
	most := min(mostWait, leastWait<<min(failures, 20))
	return max(leastWait, most/2+rand.N(most/2))
}
