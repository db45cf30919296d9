package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"socialhub-sync/app/config"
	"socialhub-sync/store"
	"socialhub-sync/sync"
)

// summaryTimeout bounds the summary of a round: it is printed although the round was told to stop.
const summaryTimeout = 10 * time.Second

// round is a single run that has ended.
type round struct {
	config   *config.Config
	store    *store.Store
	engine   *sync.Engine
	backfill *sync.Backfill
	began    time.Time
	// stopped is true if it did not come to its end.
	stopped bool
	// reasons are told by the caller: those why items were rejected.
	reasons bool
}

// summarize prints what a round did and says what is left; the error is errSaid if something failed or is left.
func (e *env) summarize(r round) error {
	took := time.Since(r.began).Round(time.Millisecond)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), summaryTimeout)
	defer cancel()
	asking := *e
	asking.ctx = ctx
	tally := r.engine.Tally()
	trouble := e.summarizeSources(r, tally)
	fmt.Fprintln(e.Out)
	left, err := asking.summarizeChannels(r, tally)
	if err != nil {
		return err
	}
	ended := "Done in"
	if r.stopped {
		ended = "Stopped after"
	}
	fmt.Fprintf(e.Out, "\n%s %s.\n", ended, took)
	if rejected := rejectedIn(tally); rejected > 0 && !r.reasons {
		fmt.Fprintf(e.Out, "%s rejected; `socialhub-sync status` says why.\n", plural(rejected, "item"))
	}
	trouble = append(trouble, left...)
	for _, text := range trouble {
		fmt.Fprintln(e.Err, "error:", oneLine(text))
	}
	if len(trouble) > 0 {
		return errSaid
	}
	return nil
}

func rejectedIn(tally sync.Tally) (rejected int) {
	for _, src := range tally.Sources {
		rejected += src.Rejected
	}
	for _, ch := range tally.Channels {
		rejected += ch.Rejected
	}
	return rejected
}

func (e *env) summarizeSources(r round, tally sync.Tally) (trouble []string) {
	t := newTable(e.Out, "SOURCE", "READ", "NEW", "CHANGED", "UNCHANGED", "REJECTED", "MENDED", "STATE")
	for _, src := range r.config.Sources {
		if !r.backfill.Reads(src.Name) {
			continue
		}
		x := tally.Sources[src.Name]
		state := "ok"
		switch {
		case x.Err != nil:
			state = x.Err.Error()
			trouble = append(trouble, fmt.Sprintf("source %s: %v", src.Name, x.Err))
		case x.Held > 0:
			state = fmt.Sprintf("holds %s", plural(x.Held, "change"))
			trouble = append(trouble, fmt.Sprintf("source %s %s", src.Name, heldText(src.Name, x.Held)))
		case !x.Done && r.stopped:
			state = "not begun, or not ended in time"
			trouble = append(trouble, fmt.Sprintf("source %s: %s; the next run goes on", src.Name, state))
		case !x.Done:
			state = "left to another process, which polls it now"
		}
		t.row(src.Name, x.Read, x.New, x.Changed, x.Unchanged, x.Rejected, x.Mended, state)
	}
	t.flush()
	return trouble
}

func (e *env) summarizeChannels(r round, tally sync.Tally) (left []string, err error) {
	st, err := readStatus(e, r.config, r.store)
	if err != nil {
		return nil, err
	}
	t := newTable(e.Out, "CHANNEL", "CREATED", "UPDATED", "UNLINKED", "REJECTED", "GONE", "SKIPPED", "PENDING", "STATE")
	for _, ch := range st.Channels {
		x := tally.Channels[ch.ChannelID]
		t.row(ch.Name, x.Created, x.Updated, x.Unlinked, x.Rejected, x.Gone, x.Skipped, ch.Pending, cmp.Or(ch.Paused, "ok"))
		switch {
		case ch.Pending > 0:
			why := cmp.Or(ch.Paused, r.engine.Trouble(ch.ChannelID))
			if why == "" {
				why = pendingReason(e, r, ch.ChannelID)
			}
			left = append(left, fmt.Sprintf("channel %s: %s left pending, the next run goes on: %s", ch.Name, plural(ch.Pending, "ticket"), why))
		case ch.Paused != "":
			left = append(left, fmt.Sprintf("channel %s is paused: %s", ch.Name, ch.Paused))
		}
	}
	t.flush()
	return left, nil
}

// pendingReason is why a ticket of the channel is still pending.
func pendingReason(e *env, r round, channelID string) string {
	tickets, err := r.store.Problems(e.ctx, channelID, store.Pending, 50)
	if err == nil {
		for _, t := range tickets {
			if t.Reason != "" {
				return t.Reason
			}
		}
	}
	if r.stopped {
		return "the run was stopped"
	}
	return "another process delivers, or they came meanwhile"
}

// showProgress tells how far a backfill is: a line that is redrawn on a terminal, log lines otherwise. The
// returned function ends it.
func (e *env) showProgress(engine *sync.Engine) (stop func()) {
	terminal, every := isTerminal(e.Err), 10*time.Second
	if terminal {
		every = 200 * time.Millisecond
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
			}
			if p := progressOf(engine.Tally(), engine.Elsewhere()); terminal {
				p.draw(e.Err)
			} else {
				p.log(e.log)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		if terminal {
			fmt.Fprint(e.Err, "\r\033[K")
		}
	}
}

// progress is what a backfill has done so far. The total is known only once everything is read.
type progress struct {
	read, wanted, delivered int
	reading                 bool
	// elsewhere: another process delivers, and how far it is nobody counts here.
	elsewhere bool
}

func progressOf(t sync.Tally, elsewhere bool) (p progress) {
	p.elsewhere = elsewhere
	for _, s := range t.Sources {
		p.read += s.Read
		p.wanted += s.New + s.Changed
		p.reading = p.reading || !s.Done
	}
	for _, c := range t.Channels {
		p.delivered += c.Created + c.Updated + c.Unlinked + c.Rejected + c.Gone + c.Skipped
	}
	p.delivered = min(p.delivered, p.wanted) // what earlier runs left is delivered, too
	return p
}

func (p progress) draw(w io.Writer) {
	const width = 30
	filled := 0
	if p.wanted > 0 {
		filled = min(width, width*p.delivered/p.wanted)
	}
	state := ""
	if p.reading {
		state = ", reading on"
	}
	if p.elsewhere {
		fmt.Fprintf(w, "\r\033[K%d to deliver, %d read%s; the running daemon delivers", p.wanted, p.read, state)
		return
	}
	fmt.Fprintf(w, "\r\033[K[%s%s] %d of %d delivered, %d read%s", strings.Repeat("=", filled), strings.Repeat(" ", width-filled),
		p.delivered, p.wanted, p.read, state)
}

func (p progress) log(log *slog.Logger) {
	log.Info("backfill", slog.Int("read", p.read), slog.Int("wanted", p.wanted), slog.Int("delivered", p.delivered), slog.Bool("reading", p.reading),
		slog.Bool("daemon_delivers", p.elsewhere))
}
