package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"socialhub-sync/sources"
)

// troubleKind says whose fault an error of a database is.
type troubleKind int

const (
	failedQuery troubleKind = iota // it stopped on its way, by a row's value for one
	wrongQuery
	writes
	forbidden
	refused
	timedOut
	unavailable
)

// trouble is an error of a database; text is in its own words and shows nothing of a row.
type trouble struct {
	kind troubleKind
	text string
}

// error makes of a trouble what the engine has to do. Only what no waiting mends is a [*sources.StopError]: a table
// may be missing, and a right may be, while somebody works on the database.
func (t trouble) error(timeout time.Duration) error {
	setting := func(key, problem string) error { return &sources.SettingError{Key: key, Problem: problem + t.text} }
	switch t.kind {
	case refused:
		return &sources.StopError{Err: setting("database", "the server refuses the user, the password or the database; write what it takes: ")}
	case writes:
		return &sources.StopError{Err: setting("query", "it writes, and only a SELECT that reads is run: ")}
	case wrongQuery:
		return setting("query", "the database does not understand it: ")
	case forbidden:
		return setting("query", "the user may not read that; grant SELECT: ")
	case timedOut:
		return tooSlow(timeout)
	case unavailable:
		return setting("database", "")
	}
	return setting("query", "it stopped before its end: ")
}

// undone makes an error of a statement that writes, and was rolled back, what is to be done with the action.
func (t trouble) undone(timeout time.Duration) error {
	setting := func(problem string) error { return &sources.SettingError{Key: actionsKey, Problem: problem + t.text} }
	switch t.kind {
	case failedQuery:
		return &sources.RefusedError{Reason: "the database does not take it: " + t.text}
	case writes:
		return &sources.StopError{Err: setting("the database can't be written to: ")}
	case wrongQuery:
		return &sources.NotDoneError{Err: setting("the database does not understand a statement: ")}
	case forbidden:
		return &sources.NotDoneError{Err: setting("the user may not do that; grant what the statements need: ")}
	}
	if err := t.error(timeout); sources.NotDone(err) {
		return err
	}
	return &sources.NotDoneError{Err: t.error(timeout)}
}

// actionsKey is the setting that holds what is written.
const actionsKey = "actions"

// explainUndone makes an error readable after which nothing was written; limited is ctx with the time limit.
func (e *Engine) explainUndone(ctx, limited context.Context, err error) error {
	if sources.NotDone(err) {
		return err
	}
	if ctx.Err() == nil && limited.Err() != nil {
		return &sources.NotDoneError{Err: tooSlow(e.timeout)}
	}
	if t, ok := e.classify(err); ok && ctx.Err() == nil {
		t.text = e.redact(t.text)
		return t.undone(e.timeout)
	}
	return &sources.NotDoneError{Err: e.explain(ctx, err)}
}

func tooSlow(timeout time.Duration) error {
	return &sources.SettingError{Key: "timeout", Problem: fmt.Sprintf("the database took longer than %s; "+
		"check that it can be reached, give it an index on the cursor column and the id, or allow more", timeout)}
}

// explain makes an error of a driver readable. Nothing of it but the database's own words is shown: what the drivers
// say may hold the whole address.
func (e *Engine) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := errors.AsType[*sources.SettingError](err); ok {
		return err
	}
	if t, ok := e.classify(err); ok {
		t.text = e.redact(t.text)
		return t.error(e.timeout)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return tooSlow(e.timeout)
	}
	return databaseError("the connection broke or could not be made: " + reason(err))
}

// reason is what the network said, without addresses.
func reason(err error) string {
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsNotFound {
			return "no such host"
		}
		return "the host's name can't be looked up"
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	if broken, ok := errors.AsType[*net.OpError](err); ok && broken.Timeout() {
		return "no answer in time"
	}
	return "no more is known; check host, port and tls or sslmode, and that it is such a database"
}

// redact takes out what the address holds beside the host: a server may repeat it.
func (e *Engine) redact(text string) string {
	for _, secret := range e.secrets {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	const most = 600
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "")
}
