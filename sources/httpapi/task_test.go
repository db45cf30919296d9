package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

// file is an attachment that holds this.
func file(name, mimeType, content string) sources.Attachment {
	return sources.Attachment{
		Name: name, MimeType: mimeType, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

// uploads is an API that notes the forms and bodies that it is sent.
func uploads(t *testing.T, got *string) *api {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"id":"posted-1"}`)
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
			body, _ := io.ReadAll(r.Body)
			*got = string(body)
			return
		}
		*got = ""
		form, err := r.MultipartReader()
		for err == nil {
			var part interface {
				io.Reader
				FormName() string
				FileName() string
			}
			p, failure := form.NextPart()
			if err = failure; err != nil {
				break
			}
			part = p
			content, _ := io.ReadAll(part)
			*got += fmt.Sprintf("%s %s %s %s\n", part.FormName(), part.FileName(), p.Header.Get("Content-Type"), content)
		}
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
}

func TestAttachmentsGoOutAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	var got string
	a := uploads(t, &got)
	for settings, want := range map[string]string{
		"multipart: photo, body: '{text: $action.text, none: null, n: [1]}'": "n   [1]\ntext   Hello, \"you\"!\nphoto a\"b.png image/png \x00PNG\n",
		"multipart: photo": "photo a\"b.png image/png \x00PNG\n",
		"body: '{f: [$action.attachments[] | {name, mimeType, size, base64}]}'": `{"f":[{"base64":"AFBORw==","mimeType":"image/png","name":"a\"b.png","size":4}]}`,
		"body: '[$action.attachments[].name]'":                                  `["a\"b.png"]`,
	} {
		s := open(t, "url: "+a.URL+"\nactions: {reply: {url: '"+a.URL+"/x', posted: '{networkItemId: .id}', "+settings+"}}")
		r := replyTo(a)
		r.Attachments = []sources.Attachment{file(`a"b.png`, "image/png", "\x00PNG")}
		posted, err := s.Reply(t.Context(), r)
		if diff := cmp.Diff(want, got); diff != "" || err != nil || posted.NetworkItemID != "posted-1" {
			t.Errorf("%s: %s %v %v", settings, diff, posted, err)
		}
	}
}

func TestAFormWithoutAFileHasItsFields(t *testing.T) {
	t.Parallel()
	var got string
	a := uploads(t, &got)
	s := open(t, "url: "+a.URL+"\nactions: {reply: {url: '"+a.URL+"/x', posted: empty, multipart: photo, body: '{text: $action.text}'}}")
	if _, err := s.Reply(t.Context(), replyTo(a)); err != nil || got != "text   Hello, \"you\"!\n" {
		t.Errorf("%q %v", got, err)
	}
}

func TestAFileThatCanNotGoOutIsRefusedOrWaits(t *testing.T) {
	t.Parallel()
	a := refusing(t, 200, nil, "{}")
	broken := file("x", "text/plain", "x")
	broken.Open = func() (io.ReadCloser, error) { return nil, errors.New("disk") }
	large := file("x", "text/plain", "x")
	large.Size = maxBase64 + 1
	for _, test := range []struct {
		settings string
		file     sources.Attachment
		want     string
	}{
		{"body: '{t: $action.text}'", file("x", "text/plain", "x"), "refused: files can't be sent to this source; please send the text only"},
		{"body: '$action.attachments[0].base64'", large, "refused: the file is larger than 8 MiB, which is the most that can be sent to this source"},
		{"body: '$action.attachments[0].base64'", broken, "not done"},
		{"multipart: f", broken, "not done"},
		{"multipart: f, body: '[]'", file("x", "text/plain", "x"),
			"refused: the source's settings can't make a request of this: actions.reply.body: gives array where multipart wants an object of fields"},
	} {
		s := open(t, "url: "+a.URL+"\nactions: {reply: {url: '"+a.URL+"/x', posted: empty, "+test.settings+"}}")
		r := replyTo(a)
		r.Attachments = []sources.Attachment{test.file}
		_, err := s.Reply(t.Context(), r)
		if got := outcomeOf(err); got != test.want || len(a.asked()) > 0 {
			t.Errorf("%s: %s, %v", test.settings, got, err)
		}
	}
}

func TestATypeThatIsNoneDoesNotBreakTheForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"image/png": "image/png", "a/b\r\nX: y": "application/octet-stream", "": "application/octet-stream",
	} {
		if got := mediaType(text); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
