package execsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// What a source can do beside Pull if it has the setting act.
var (
	_ sources.Replier         = (*source)(nil)
	_ sources.TemplateReplier = (*source)(nil)
	_ sources.ButtonPresser   = (*source)(nil)
	_ sources.Deleter         = (*source)(nil)
	_ sources.Repeater        = (*source)(nil)
	_ sources.Chooser         = (*source)(nil)
)

// always is what the setting repeatable says for [sources.Always].
const always = "always"

// acts says how the program that acts is run.
type acts struct {
	path       string // empty: there is none
	args       []string
	can        []string // types, or types and ids; empty: everything
	timeout    time.Duration
	repeatable time.Duration
}

func (s *Settings) validateAct() error {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, &sources.SettingError{Key: key, Problem: problem}) }
	switch {
	case len(s.Act) == 0 && (len(s.Actions) > 0 || s.Repeatable != ""):
		fault("act", "missing; write the program that does the actions and its arguments as a list, such as [python3, reviews.py, act]")
	case len(s.Act) > 0 && s.Act[0] == "":
		fault("act", "names no program; write it and its arguments as a list, such as [python3, reviews.py, act]")
	case slices.ContainsFunc(s.Act, hasNUL):
		fault("act", "holds a NUL character, which no argument can; take it out")
	}
	for _, action := range s.Actions {
		if !isAction(action) {
			fault("actions", "want reply, template_reply, delete, button, or one of these with an id, such as button/hide")
		}
	}
	if s.ActTimeout <= 0 || s.ActTimeout > maxActTimeout {
		fault("act_timeout", fmt.Sprintf("want more than 0s and at most %s", maxActTimeout))
	}
	if _, ok := repeatableFor(s.Repeatable); !ok {
		fault("repeatable", "want a duration with its unit, such as 24h, or always")
	}
	return errors.Join(faults...)
}

// isAction tells whether a text names a type of actions, or one action.
func isAction(text string) bool {
	kind, id, one := strings.Cut(text, "/")
	switch socialhub.ActionType(kind) {
	case socialhub.ActionReply, socialhub.ActionTemplateReply, socialhub.ActionButton, socialhub.ActionDelete:
		return !one || socialhub.ValidActionID(id)
	}
	return false
}

func repeatableFor(text string) (span time.Duration, ok bool) {
	switch text {
	case "":
		return 0, true
	case always:
		return sources.Always, true
	}
	span, err := time.ParseDuration(text)
	return span, err == nil && span >= 0
}

// acts finds the program that acts, if there is one.
func (s *Settings) acts(dir string) (acts, error) {
	if len(s.Act) == 0 {
		return acts{}, nil
	}
	path, err := lookUp(dir, "act", s.Act[0])
	span, _ := repeatableFor(s.Repeatable)
	return acts{path: path, args: s.Act, can: s.Actions, timeout: s.ActTimeout, repeatable: span}, err
}

// Can implements [sources.Chooser].
func (s *source) Can(t socialhub.ActionType, actionID string) bool {
	if s.act.path == "" {
		return false
	}
	return len(s.act.can) == 0 || slices.Contains(s.act.can, string(t)) || slices.Contains(s.act.can, string(t)+"/"+actionID)
}

// RepeatableFor implements [sources.Repeater].
func (s *source) RepeatableFor(*sources.Action) time.Duration { return s.act.repeatable }

// Reply implements [sources.Replier]. The attachments are files for as long as the program runs.
func (s *source) Reply(ctx context.Context, r *sources.Reply) (sources.Posted, error) {
	files, cleanUp, err := writeFiles(r.Attachments)
	defer cleanUp()
	if err != nil {
		return sources.Posted{}, &sources.NotDoneError{Err: err}
	}
	a := newActionText(&r.Action)
	a.Text, a.Option, a.Attachments = r.Text, r.Option, files
	return s.perform(ctx, a)
}

// ReplyWithTemplate implements [sources.TemplateReplier].
func (s *source) ReplyWithTemplate(ctx context.Context, r *sources.TemplateReply) (sources.Posted, error) {
	a := newActionText(&r.Action)
	a.TemplateID, a.Name, a.Language, a.Variables = r.TemplateID, r.Name, r.Language, r.Variables
	return s.perform(ctx, a)
}

// PressButton implements [sources.ButtonPresser].
func (s *source) PressButton(ctx context.Context, a *sources.Action) error {
	_, err := s.perform(ctx, newActionText(a))
	return err
}

// Delete implements [sources.Deleter].
func (s *source) Delete(ctx context.Context, a *sources.Action) error {
	_, err := s.perform(ctx, newActionText(a))
	return err
}

// acting is one run of the program that acts.
type acting struct {
	*source
	journal *journal
	outcome outcome
}

// perform runs the program once.
func (s *source) perform(parent context.Context, a *actionText) (sources.Posted, error) {
	if parent.Err() != nil {
		return sources.Posted{}, &sources.NotDoneError{Err: context.Cause(parent)}
	}
	stdin, err := actRequestText(s.env.Name, a)
	if err != nil {
		return sources.Posted{}, &sources.NotDoneError{Err: fmt.Errorf("write the action as JSON: %w", err)}
	}
	ctx, cancel := context.WithTimeout(parent, s.act.timeout)
	defer cancel()
	run := &acting{source: s, journal: newJournal(s.env.Logger, slog.LevelInfo, s.secrets)}
	err = run.runProgram(ctx, stdin)
	switch {
	case run.outcome.known: // whatever became of the program then
		return run.outcome.posted, run.outcome.err
	case parent.Err() != nil && !sources.NotDone(err):
		return sources.Posted{}, context.Cause(parent)
	case ctx.Err() != nil && !sources.NotDone(err):
		return sources.Posted{}, &sources.SettingError{Key: "act_timeout", Problem: fmt.Sprintf(
			"the program ran longer than %s and was ended; raise this if it needs more", s.act.timeout)}
	case err == nil && a.isReply():
		err = actError("the program ended without an outcome; a reply needs one, such as {\"posted\":{\"networkItemId\":\"…\"}}")
	}
	return sources.Posted{}, err
}

func actError(problem string) error { return &sources.SettingError{Key: "act", Problem: problem} }

// runProgram runs the program to its end and takes its outcome.
func (r *acting) runProgram(ctx context.Context, stdin []byte) error {
	running, err := start(&exec.Cmd{
		Path: r.act.path, Args: r.act.args, Dir: r.dir, Env: r.environ, Stdin: bytes.NewReader(stdin), Stderr: r.journal,
	}, r.grace)
	if err != nil {
		return &sources.NotDoneError{Err: actError(fmt.Sprintf("can't start %s: %v; check act and dir", r.act.args[0], rootOf(err)))}
	}
	stop := context.AfterFunc(ctx, running.interrupt)
	err = r.readLines(newLineReader(running))
	if err == nil {
		running.wait(ctx)
	}
	stop()
	exit := running.end()
	r.journal.end()
	if err != nil {
		return err
	}
	return r.exitError(exit)
}

// readLines takes lines to the end of the output.
func (r *acting) readLines(lines *lineReader) error {
	for {
		l, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errHeld):
			return actError(err.Error())
		case err != nil:
			return err
		}
		if err := r.take(l); err != nil {
			if sources.NotDone(r.outcome.err) { // what can't be read may say otherwise
				r.outcome = outcome{}
			}
			return actError(fmt.Sprintf("line %d of the program's output: %s", l.number, r.secrets.clean(err.Error())))
		}
	}
}

// exitError says what the end of a program means that did not say how it went.
func (r *acting) exitError(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case ok:
		return actError(howItEnded(exit, r.journal.last))
	case errors.Is(err, exec.ErrWaitDelay):
		r.env.Logger.Warn("a process that the program started still holds its standard error, which is not read any more")
		return nil
	case err != nil:
		return fmt.Errorf("wait for the program: %w", err)
	}
	return nil
}
