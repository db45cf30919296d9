package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// maxBase64 is how large an attachment may be that goes into a body as text, in bytes: a program's output is at most
// [jq.MaxOutput].
const maxBase64 = 8 << 20

// task is an action with what belongs to its type.
type task struct {
	*sources.Action
	reply    *sources.Reply
	template *sources.TemplateReply
}

// taskVars are what programs of an action see.
func (s *source) taskVars(t *task) jq.Vars {
	action := map[string]any{
		"key": t.Key, "type": string(t.Type), "id": t.ID, "networkItemId": t.NetworkItemID, "rootId": nullable(t.RootID),
		"time": nil, "text": nil, "option": nil, "template": nil, "name": nil, "language": nil, "variables": nil,
		"attachments": []any{},
	}
	if !t.Time.IsZero() {
		action["time"] = t.Time.UTC().Format(time.RFC3339Nano)
	}
	if r := t.reply; r != nil {
		action["text"], action["option"] = r.Text, nullable(r.Option)
		files := []any{}
		for i := range r.Attachments {
			files = append(files, map[string]any{"name": r.Attachments[i].Name, "mimeType": r.Attachments[i].MimeType, "size": int(r.Attachments[i].Size)})
		}
		action["attachments"] = files
	}
	if r := t.template; r != nil {
		action["template"], action["name"], action["language"] = r.TemplateID, r.Name, nullable(r.Language)
		action["variables"] = plain(r.Variables)
	}
	root := t.RootRef
	if t.RootID == "" {
		root = t.Ref // it is the thread's first item itself
	}
	return jq.Vars{Prefix: s.prefix, Now: time.Now(), Action: action, Ref: note(t.Ref), Root: note(root)}
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// note is what a ref says, null if there is none.
func note(ref json.RawMessage) any {
	if len(ref) == 0 {
		return nil
	}
	value, err := jq.Decode(ref)
	if err != nil {
		return nil
	}
	return value
}

// plain makes jq's types of a value that came as JSON.
func plain(v map[string]any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return note(text)
}

// actVars are the variables with the files that the request wants as base64. Its errors are those of an ability.
func (s *source) actVars(t *task, act *Act) (jq.Vars, error) {
	vars := s.taskVars(t)
	if t.reply == nil || len(t.reply.Attachments) == 0 {
		return vars, nil
	}
	if !act.takesFiles() {
		return vars, &sources.RefusedError{Reason: "files can't be sent to this source; please send the text only"}
	}
	if !act.mentions("base64") {
		return vars, nil
	}
	files, _ := vars.Action.(map[string]any)["attachments"].([]any)
	for i := range t.reply.Attachments {
		content, err := readFile(&t.reply.Attachments[i], maxBase64)
		if err != nil {
			return vars, err
		}
		files[i].(map[string]any)["base64"] = base64.StdEncoding.EncodeToString(content)
	}
	return vars, nil
}

// readFile reads an attachment; most is how large it may be, 0 as large as it is.
func readFile(a *sources.Attachment, most int64) ([]byte, error) {
	if most > 0 && a.Size > most {
		return nil, &sources.RefusedError{Reason: fmt.Sprintf("the file is larger than %d MiB, which is the most that can be sent to this source", most>>20)}
	}
	file, err := a.Open()
	if err != nil {
		return nil, &sources.NotDoneError{Err: fmt.Errorf("read the attachment: %w", err)}
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, &sources.NotDoneError{Err: fmt.Errorf("read the attachment: %w", err)}
	}
	return content, nil
}

// buildAct makes the request of an action.
func (l *list) buildAct(ctx context.Context, act *Act, t *task, vars jq.Vars) (sources.HTTPRequest, error) {
	if act.Multipart == "" {
		return l.build(ctx, position{}, nil, vars)
	}
	program := l.request.Body
	l.request.Body = jq.Program{}
	r, err := l.build(ctx, position{}, nil, vars)
	if err != nil {
		return r, err
	}
	fields := map[string]any{}
	if !program.IsZero() {
		out, err := program.One(ctx, nil, vars)
		if err != nil {
			return r, programError(ctx, l.key+"body", err)
		}
		var ok bool
		if fields, ok = out.(map[string]any); !ok {
			return r, &sources.SettingError{Key: l.key + "body", Problem: "gives " + jq.TypeOf(out) + " where multipart wants an object of fields"}
		}
	}
	var files []sources.Attachment
	if t.reply != nil {
		files = t.reply.Attachments
	}
	contentType := ""
	if r.Body, contentType, err = form(fields, act.Multipart, files); err != nil {
		return r, err
	}
	r.Header.Set("Content-Type", contentType)
	return r, nil
}

// form writes multipart/form-data, RFC 7578: fields in the order of their names, those that are null left out, and then
// the files in a field of this name.
func form(fields map[string]any, name string, files []sources.Attachment) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if fields[field] == nil {
			continue
		}
		text, err := jq.Text(fields[field])
		if err == nil {
			err = w.WriteField(field, text)
		}
		if err != nil {
			return nil, "", err
		}
	}
	for i := range files {
		content, err := readFile(&files[i], 0)
		if err != nil {
			return nil, "", err
		}
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {multipart.FileContentDisposition(name, files[i].Name)},
			"Content-Type":        {mediaType(files[i].MimeType)},
		})
		if err == nil {
			_, err = part.Write(content)
		}
		if err != nil {
			return nil, "", err
		}
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// mediaType is a file's type as it may stand in a header.
func mediaType(text string) string {
	kind, _, err := mime.ParseMediaType(text)
	if err != nil {
		return "application/octet-stream"
	}
	return kind
}
