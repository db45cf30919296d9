package execsource

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// actRequest is what the program that acts gets on standard input: one JSON object and a line end.
type actRequest struct {
	Version int         `json:"version"`
	Source  string      `json:"source"`
	Action  *actionText `json:"action"`
}

// actionText is a [sources.Action], with what a reply has beside it.
type actionText struct {
	Key           string               `json:"key"`
	Type          socialhub.ActionType `json:"type"`
	ID            string               `json:"id"`
	NetworkItemID string               `json:"networkItemId"`
	Text          string               `json:"text,omitzero"`
	Option        string               `json:"option,omitzero"`
	Attachments   []fileText           `json:"attachments,omitempty"`
	TemplateID    string               `json:"templateId,omitzero"`
	Name          string               `json:"name,omitzero"`
	Language      string               `json:"language,omitzero"`
	Variables     map[string]any       `json:"variables,omitempty"`
	Ref           stdjson.RawMessage   `json:"ref,omitempty"`
	RootID        string               `json:"rootId,omitzero"`
	RootRef       stdjson.RawMessage   `json:"rootRef,omitempty"`
	Time          time.Time            `json:"time"`
}

// fileText is an attachment. Path is that of the file, which is there until the program ends.
type fileText struct {
	Name     string `json:"name"`
	MimeType string `json:"mimeType"`
	Size     int64  `json:"size"`
	Path     string `json:"path"`
}

func newActionText(a *sources.Action) *actionText {
	return &actionText{
		Key: a.Key, Type: a.Type, ID: a.ID, NetworkItemID: a.NetworkItemID, Ref: a.Ref,
		RootID: a.RootID, RootRef: a.RootRef, Time: a.Time.UTC(),
	}
}

func (a *actionText) isReply() bool {
	return a.Type == socialhub.ActionReply || a.Type == socialhub.ActionTemplateReply
}

// actRequestText leaves < > & as they are, which small programs would have to undo.
func actRequestText(source string, a *actionText) ([]byte, error) {
	var text bytes.Buffer
	e := stdjson.NewEncoder(&text)
	e.SetEscapeHTML(false)
	err := e.Encode(actRequest{Version: protocolVersion, Source: source, Action: a})
	return text.Bytes(), err
}

// writeFiles writes attachments into a folder that only this user can read. cleanUp removes it, also after an error.
func writeFiles(attachments []sources.Attachment) (files []fileText, cleanUp func(), err error) {
	if len(attachments) == 0 {
		return nil, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "socialhub-sync-")
	if err != nil {
		return nil, func() {}, fmt.Errorf("make a folder for the attachments: %w", err)
	}
	cleanUp = func() { _ = os.RemoveAll(dir) }
	for n, a := range attachments {
		path := filepath.Join(dir, fmt.Sprintf("attachment-%d%s", n+1, extension(a.Name)))
		if err := writeAttachment(path, a); err != nil {
			return nil, cleanUp, fmt.Errorf("write an attachment into a file: %w", rootOf(err))
		}
		files = append(files, fileText{Name: a.Name, MimeType: a.MimeType, Size: a.Size, Path: path})
	}
	return files, cleanUp, nil
}

func writeAttachment(path string, a sources.Attachment) error {
	in, err := a.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// extension is that of a file's name, ".pdf", or empty if it is none that is safe in a path.
func extension(name string) string {
	const most = 10
	end := filepath.Ext(name)
	isOther := func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	if len(end) < 2 || len(end) > most || strings.ContainsFunc(end[1:], isOther) {
		return ""
	}
	return end
}

// outcome is what the program said of its action.
type outcome struct {
	known  bool
	posted sources.Posted
	err    error
}

// actMessage is one line of the output of the program that acts: an object with one of posted, refused, retry, error and log.
type actMessage struct {
	// Posted is a [postedText]; for a button or a delete it says that it was done, with nothing in it.
	Posted jsontext.Value `json:"posted"`
	// Refused is why it was not done and never will be, for the team.
	Refused *string `json:"refused"`
	// Retry is in how many seconds the same may be tried again, since nothing was done; Reason is for the log.
	Retry  *float64 `json:"retry"`
	Reason string   `json:"reason"`
	// Error leaves open whether it was done. With Stop it was not, and a person must act.
	Error *string `json:"error"`
	Stop  bool    `json:"stop"`
	// Log is a line for the log at Level: debug, info (if left out), warn or error.
	Log   *string `json:"log"`
	Level string  `json:"level"`
}

// postedText is a [sources.Posted].
type postedText struct {
	NetworkItemID string         `json:"networkItemId"`
	URL           string         `json:"url"`
	CreatedTime   time.Time      `json:"createdTime"`
	Ref           jsontext.Value `json:"ref"`
}

const knownOutcomes = "a line is an object with one of posted, refused, retry (and reason), error (and stop), log (and level)"

// take takes one line. An error is about the line.
func (r *acting) take(l line) error {
	var m actMessage
	if l.long {
		return fmt.Errorf("longer than %d MiB", maxLine>>20)
	}
	if err := json.Unmarshal(l.text, &m, lenient); err != nil {
		return explainOutcome(err)
	}
	if m.Posted.Kind() == 'n' {
		m.Posted = nil
	}
	kinds := 0
	for _, is := range []bool{len(m.Posted) > 0, m.Refused != nil, m.Retry != nil, m.Error != nil, m.Log != nil} {
		if is {
			kinds++
		}
	}
	level, ok := levelOf(m.Level)
	switch {
	case kinds != 1:
		return errors.New(knownOutcomes)
	case !ok:
		return errors.New("level: want debug, info, warn or error")
	case m.Log != nil:
		r.journal.say(level, "log", r.secrets.clean(*m.Log))
		return nil
	case r.outcome.known:
		if r.outcome.err != nil && len(m.Posted) > 0 {
			r.outcome = outcome{known: true, posted: r.posted(m.Posted)}
		}
		return errors.New("a second outcome; write one")
	}
	r.outcome = outcome{known: true, err: r.failure(&m)}
	if len(m.Posted) > 0 {
		r.outcome.posted = r.posted(m.Posted)
	}
	return nil
}

// failure is the error of an outcome; nil if it was done.
func (r *acting) failure(m *actMessage) error {
	said := func(text string) string { return shorten(r.secrets.clean(text), maxQuoted) }
	switch {
	case m.Refused != nil:
		return &sources.RefusedError{Reason: cmp.Or(said(*m.Refused), "it was refused without a reason")}
	case m.Retry != nil:
		err := actError("the program asks to try again: " + cmp.Or(said(m.Reason), "without a reason"))
		if *m.Retry > 0 {
			seconds := math.Min(*m.Retry, sources.MaxRetryAfter.Seconds())
			return &sources.RetryAfterError{After: time.Duration(seconds * float64(time.Second)), Err: err}
		}
		return &sources.NotDoneError{Err: err}
	case m.Error != nil:
		err := actError("the program reports: " + cmp.Or(said(*m.Error), "an error without a text"))
		if m.Stop {
			return &sources.StopError{Err: err}
		}
		return err
	}
	return nil
}

// posted reads what was posted. What can't be read of it is left out, with a line in the log: it was posted all the same.
func (r *acting) posted(text jsontext.Value) (p sources.Posted) {
	var found postedText
	if len(text) == 0 {
		return p
	}
	if err := json.Unmarshal(text, &found, lenient); err != nil {
		r.env.Logger.Error("what the program says of the reply that it posted can't be read; write networkItemId, url, createdTime (RFC 3339) and ref")
		found = postedText{NetworkItemID: idOf(text)}
	}
	if socialhub.ValidItemID(found.NetworkItemID) {
		p.NetworkItemID = found.NetworkItemID
	} else if found.NetworkItemID != "" {
		r.env.Logger.Error("the networkItemId of a reply that the program posted is not valid")
	}
	if sources.ResolveURL(nil, found.URL) == found.URL {
		p.URL = found.URL
	}
	if found.CreatedTime.Year() <= 9999 {
		p.CreatedTime = found.CreatedTime.UTC()
	}
	if len(found.Ref) > 0 && found.Ref.Kind() != 'n' && found.Ref.IsValid() {
		p.Ref = stdjson.RawMessage(found.Ref)
	}
	return p
}

// idOf finds an id where the rest is not as it should be.
func idOf(text []byte) string {
	var found struct {
		ID string `json:"networkItemId"`
	}
	_ = json.Unmarshal(text, &found, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	return found.ID
}

func explainOutcome(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d; write what is meant for people to standard error", syntax.ByteOffset+1)
	}
	wrong, ok := errors.AsType[*json.SemanticError](err)
	if !ok || wrong.JSONPointer == "" {
		return errors.New("not an object; " + knownOutcomes)
	}
	key := shorten(wrong.JSONPointer.LastToken(), 100)
	if errors.Is(wrong.Err, json.ErrUnknownName) {
		return fmt.Errorf("unknown key %q; %s", key, knownOutcomes)
	}
	want := map[string]string{"stop": "true or false", "retry": "a number of seconds"}[key]
	return fmt.Errorf("%s: want %s", key, cmp.Or(want, "a text in quotes"))
}
