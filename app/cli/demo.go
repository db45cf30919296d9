package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rivo/uniseg"

	"socialhub-sync/app/demo"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store"
)

type demoCommand struct {
	Once   bool   `help:"Do one round, print the tickets that it made, and exit."`
	Listen string `help:"Address of the inbox page; a free port if it is taken." default:"127.0.0.1:8081"`

	// logAsSaid: the command line has a --log-level.
	logAsSaid bool
}

// AfterApply is called by kong when the command line is read.
func (cmd *demoCommand) AfterApply(k *kong.Context) error {
	cmd.logAsSaid = slices.ContainsFunc(k.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == "log-level" })
	return nil
}

func (cmd *demoCommand) Run(e *env) error {
	if _, _, err := net.SplitHostPort(cmd.Listen); err != nil {
		return usage("--listen: %v; write HOST:PORT", err)
	}
	if !cmd.logAsSaid {
		e.log = newLogger(e.Err, "warn", e.globals.LogFormat)
	}
	d, err := demo.Open(demo.Options{})
	if err != nil {
		return err
	}
	if cmd.Once {
		var page bytes.Buffer
		err := errors.Join(cmd.once(e.printingTo(&page), d), d.Close())
		// Only now: if this is a pipe without a reader the program ends here.
		_, writeErr := page.WriteTo(e.Out)
		return errors.Join(err, writeErr)
	}
	if err := errors.Join(cmd.play(e, d), d.Close()); err != nil {
		return err
	}
	fmt.Fprintln(e.Out) // past the terminal's ^C
	e.tell("Stopped, and removed everything that the demo had made.")
	return nil
}

// play runs the daemon and the story until it is told to stop.
func (cmd *demoCommand) play(e *env, d *demo.Demo) error {
	notes, err := d.Start(e.ctx, cmd.Listen, e.log)
	if err != nil {
		return unlessStopped(e, err)
	}
	fmt.Fprintf(e.Out, "A shop's reviews and a blog's comments are becoming tickets. Their inbox:\n\n    %s\n\n", d.Inbox)
	t := table{newTabs(e.Out)}
	t.row("Status page", d.Status)
	t.row("Reviews", d.Reviews())
	t.row("Config", d.Config.File)
	t.flush()
	fmt.Fprintln(e.Out)
	for _, note := range notes {
		fmt.Fprintln(e.Out, note)
	}
	fmt.Fprint(e.Out, "Ctrl-C stops it and removes everything.\n\n")
	if err := d.Play(e.ctx, e.tell); err != nil {
		return unlessStopped(e, err)
	}
	if e.ctx.Err() == nil {
		e.tell("Your turn: press Reply in the inbox and find the answer in the file of reviews, or change a text there and watch the inbox.")
	}
	<-e.ctx.Done()
	return nil
}

// printingTo is the same with another standard output.
func (e *env) printingTo(w io.Writer) *env {
	other := *e
	other.Out = w
	return &other
}

// tell prints a line of the story.
func (e *env) tell(line string) {
	fmt.Fprintf(e.Out, "%s  %s\n", time.Now().Format(time.TimeOnly), oneLine(line))
}

// unlessStopped drops an error that comes of having been told to stop.
func unlessStopped(e *env, err error) error {
	if e.ctx.Err() != nil {
		return nil
	}
	return err
}

// once does one round as `run --once` does, lets the team answer and shows what is in the inbox then.
func (cmd *demoCommand) once(e *env, d *demo.Demo) error {
	var summary bytes.Buffer
	err := (&runCommand{reasons: true}).once(e.printingTo(&summary), d.Config, nil)
	var answer string
	if err == nil {
		if _, err = d.Start(e.ctx, "127.0.0.1:0", e.log); err == nil {
			answer, err = d.Answer(e.ctx)
		}
	}
	printTickets(e, d.Box)
	err = errors.Join(err, e.printRejected(d))
	fmt.Fprintf(e.Out, "\n%s\n", &summary)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Out, "%s\n", answer)
	fmt.Fprintln(e.Out, "Without --once the demo shows the tickets on an inbox page and lets things happen to them.")
	return nil
}

// printTickets lists what is in the sandbox, the oldest items first.
func printTickets(e *env, box *sandbox.Server) {
	t := newTable(e.Out, "CHANNEL", "FOLDER", "AUTHOR", "TICKET")
	for _, ch := range box.Channels() {
		tickets := box.Tickets(ch.ID)
		slices.SortFunc(tickets, func(a, b sandbox.Ticket) int {
			return cmp.Or(a.Interaction.CreatedTime.Compare(b.Interaction.CreatedTime), cmp.Compare(a.ID, b.ID))
		})
		for _, ticket := range tickets {
			author := ""
			if who := ticket.Interaction.Interactor; who != nil {
				author = who.Name
			}
			t.row(ch.Name, ticket.Folder, author, firstWords(ticket.Interaction.Message, 50))
		}
	}
	t.flush()
}

// printRejected says what could not become a ticket, as `status` does.
func (e *env) printRejected(d *demo.Demo) error {
	s, err := store.OpenReadOnly(e.ctx, d.Config.Database.Reveal())
	if err != nil {
		return err
	}
	defer s.Close()
	return e.printProblems(d.Config, s)
}

// firstWords is the start of a text on one line: as many whole words as fit in most characters, as people count them.
func firstWords(text string, most int) string {
	var lines []string
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' }) {
		lines = append(lines, strings.TrimSpace(line))
	}
	text = strings.Join(lines, " · ")
	end := 0
	for g, n := uniseg.NewGraphemes(text), 0; g.Next(); n++ {
		if n == most {
			return strings.TrimRight(text[:end], " ·") + " …"
		}
		if from, _ := g.Positions(); g.Str() == " " || end == 0 {
			end = from
		}
	}
	return text
}
