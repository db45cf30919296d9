package demo

import (
	"context"
	"fmt"
	"os"
	"time"

	"socialhub-sync/socialhub/sandbox"
)

// The items of the story.
const (
	annas   = "review-2062"
	answer  = "review-2063"
	comment = "comment-319"
	lucas   = "review-2059"
)

// reply is what the team answers Luca.
const reply = "Yes, it does, Luca. Write us your address and the longer screw is on its way, for free."

// patience is how long the story waits for what it did to be seen; then it says so and goes on.
const patience = 20 * time.Second

// step is one thing that happens, so long after the start. do returns what there is to see now.
type step struct {
	at time.Duration
	do func(context.Context) (see string, err error)
}

func (d *Demo) story() []step {
	return []step{
		{0, d.arrival},
		{4 * time.Second, d.done},
		{6 * time.Second, d.change},
		{10 * time.Second, d.comment},
		{15 * time.Second, d.answer},
		{18 * time.Second, d.Answer},
	}
}

// Play lets things happen at the sources, one after the other, and tells each when it is to be seen in the
// inbox. It returns after the last, or soon after ctx is done. Call it once, after Start.
func (d *Demo) Play(ctx context.Context, tell func(line string)) error {
	began := time.Now()
	for _, s := range d.story() {
		d.pause(ctx, s.at-time.Since(began))
		if ctx.Err() != nil {
			return nil
		}
		see, err := s.do(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("play the story: %w", err)
		}
		tell(see)
	}
	return nil
}

// arrival waits for the first tickets.
func (d *Demo) arrival(ctx context.Context) (string, error) {
	var found, created, rejected int
	if !until(ctx, func() bool {
		tally := d.app.Engine().Tally()
		found, created, rejected = 0, 0, 0
		polled := len(tally.Sources) == len(d.Config.Sources)
		for _, s := range tally.Sources {
			polled = polled && s.Done
			found, rejected = found+s.New, rejected+s.Rejected
		}
		for _, c := range tally.Channels {
			created += c.Created
		}
		return polled && found == created
	}) {
		return unseen("The first tickets"), nil
	}
	return fmt.Sprintf("%d tickets are there. Lines that can't be read: %d, see the status page.", created, rejected), nil
}

// done is the team's part.
func (d *Demo) done(context.Context) (string, error) {
	if t, ok := d.Box.Ticket(d.shop.ID, annas); ok {
		d.Box.Done(t.ID) // somebody at the page may have been faster
	}
	return "The team reads Anna's happy review and presses Done.", nil
}

func (d *Demo) change(ctx context.Context) (string, error) {
	if err := d.write("changed.jsonl"); err != nil {
		return "", err
	}
	var t sandbox.Ticket
	if !d.seen(ctx, d.shop, annas, func(now sandbox.Ticket) bool { t = now; return !t.UpdatedTime.IsZero() }) {
		return unseen("Anna's change"), nil
	}
	if !t.Reopened {
		return "Anna changed her review, and her ticket shows it.", nil
	}
	return "Anna changed her review: her ticket was done and is back in the inbox.", nil
}

func (d *Demo) comment(ctx context.Context) (string, error) {
	if err := d.publish(true); err != nil {
		return "", err
	}
	if !d.seen(ctx, d.blog, comment, nil) {
		return unseen("Noor's comment"), nil
	}
	return "Noor commented on the blog: a new ticket in Blog comments.", nil
}

func (d *Demo) answer(ctx context.Context) (string, error) {
	if err := d.write("answer.jsonl"); err != nil {
		return "", err
	}
	if !d.seen(ctx, d.shop, answer, nil) {
		return unseen("Mehmet's answer"), nil
	}
	return "Mehmet answered Anna: his ticket stands below hers.", nil
}

// Answer lets the team answer a review and follows the answer to the shop and back. It returns what there is to see, also
// if that is not what was to be seen. Call it after [Demo.Start].
func (d *Demo) Answer(ctx context.Context) (string, error) {
	var question sandbox.Ticket
	if !until(ctx, func() (there bool) {
		question, there = d.Box.Ticket(d.shop.ID, lucas)
		return there && d.Box.Webhook(d.shop.ID) != ""
	}) {
		return unseen("Luca's question, or the webhook,"), nil
	}
	made, err := d.Box.Act(d.shop.ID, sandbox.Act{TicketID: question.ID, ActionID: "reply", Text: reply})
	if err != nil {
		return "", err
	}
	if !until(ctx, func() bool {
		for _, a := range d.Box.Actions(d.shop.ID) {
			if a.UUID == made.UUID {
				made = a
			}
		}
		return made.State != sandbox.ActionPending
	}) {
		return unseen("The team's answer to Luca"), nil
	}
	if made.State != sandbox.ActionConfirmed {
		return fmt.Sprintf("The team's answer to Luca is %s: %s.", made.State, made.Reason), nil
	}
	return fmt.Sprintf("The team answered Luca: posted at the source as %s, and confirmed.", made.Reply), nil
}

// write appends to the reviews what a template of data says.
func (d *Demo) write(name string) error {
	lines, err := d.content.fill(name, nil)
	if err != nil {
		return err
	}
	return d.appendReviews(lines)
}

// appendReviews writes lines at once, as the team's answers may be written at any time, too.
func (d *Demo) appendReviews(lines []byte) error {
	f, err := os.OpenFile(d.Reviews(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.Write(lines); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// seen waits until an item has a ticket, and one that is as wanted.
func (d *Demo) seen(ctx context.Context, c sandbox.Channel, item string, wanted func(sandbox.Ticket) bool) bool {
	return until(ctx, func() bool {
		t, ok := d.Box.Ticket(c.ID, item)
		return ok && (wanted == nil || wanted(t))
	})
}

func unseen(what string) string {
	return fmt.Sprintf("%s did not arrive within %s; the status page tells more.", what, patience)
}

// until waits for a condition, as long as patience and ctx last.
func until(ctx context.Context, condition func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
