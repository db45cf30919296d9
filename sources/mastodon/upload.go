package mastodon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"time"

	gomastodon "github.com/mattn/go-mastodon"

	"socialhub-sync/sources"
)

const (
	mediaPause    = time.Second
	maxMediaPause = 10 * time.Second
	// mediaTime bounds one upload, and the server's work on it.
	mediaTime = 5 * time.Minute
)

// uploaded is a file that the server has. Nobody sees it until a status has it, and the server throws it away without one.
type uploaded struct {
	ID gomastodon.ID `json:"id"`
}

// upload gives the server a file and waits until it may be part of a status. Mastodon: 200 if it may be at once, 202 if the
// server still works on it; asked for it then says 206 as long as it does (docs.joinmastodon.org/methods/media).
func (s *source) upload(ctx context.Context, file *sources.Attachment) (id string, err error) {
	limited, cancel := context.WithTimeout(ctx, mediaTime)
	defer cancel()
	status, media, err := s.send(limited, file)
	for pause := s.mediaPause; err == nil && status != http.StatusOK; pause = min(2*pause, maxMediaPause) {
		select {
		case <-limited.Done():
			return "", &sources.NotDoneError{Err: fmt.Errorf("wait for %s to work on a file: %w", s.api.shown, context.Cause(limited))}
		case <-time.After(pause):
		}
		status, err = s.api.getJSON(limited, "/api/v1/media/"+url.PathEscape(string(media.ID)), nil)
	}
	if errors.Is(err, errGone) { // not about the post
		return "", &sources.RefusedError{Reason: "the server does not take the attachment"}
	}
	return string(media.ID), err
}

func (s *source) send(ctx context.Context, file *sources.Attachment) (status int, media uploaded, err error) {
	content, err := file.Open()
	if err != nil {
		return 0, media, &sources.NotDoneError{Err: errors.New("read the attachment: it can't be opened")}
	}
	defer content.Close()
	before, after, kind, err := form(file)
	if err != nil {
		return 0, media, &sources.NotDoneError{Err: errors.New("make the form of an attachment")}
	}
	status, err = s.api.do(ctx, &request{
		method: http.MethodPost, path: "/api/v2/media", kind: kind, harmless: true, scope: "write:media", timeout: mediaTime,
		body: io.MultiReader(bytes.NewReader(before), content, bytes.NewReader(after)),
		size: int64(len(before)) + file.Size + int64(len(after)),
	}, &media)
	if err == nil && media.ID == "" {
		err = &sources.NotDoneError{Err: s.api.unreadable("a file")}
	}
	return status, media, err
}

// form is what stands before and after the file's content. The description is for those who can't see the file.
func form(file *sources.Attachment) (before, after []byte, kind string, err error) {
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	if file.Name != "" {
		if err := w.WriteField("description", file.Name); err != nil {
			return nil, nil, "", err
		}
	}
	header := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition("file", file.Name)}}
	if _, _, err := mime.ParseMediaType(file.MimeType); err == nil {
		header.Set("Content-Type", file.MimeType)
	}
	if _, err := w.CreatePart(header); err != nil {
		return nil, nil, "", err
	}
	at := text.Len()
	if err := w.Close(); err != nil {
		return nil, nil, "", err
	}
	return text.Bytes()[:at], text.Bytes()[at:], w.FormDataContentType(), nil
}
