package imap

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/emersion/go-message"
	gomail "github.com/emersion/go-message/mail"

	"socialhub-sync/sources"
	"socialhub-sync/sources/imap/mail"
)

// messageID is the Message-ID of the reply with this key, without brackets. It is the same for every try.
func (s *smtpServer) messageID(key string) string {
	sum := sha256.Sum256([]byte("socialhub-sync reply\x00" + key))
	return hex.EncodeToString(sum[:20]) + "@" + strings.ToLower(s.domain())
}

// compose writes the mail that answers another one. No part of a header has a line end: names and subjects are made
// lines, addresses and ids have no spaces.
func (s *smtpServer) compose(r *sources.Reply, to mail.Person, answered *answered, now time.Time) ([]byte, error) {
	var h gomail.Header
	h.SetDate(now)
	h.SetAddressList("From", []*gomail.Address{{Name: mail.OneLine(s.Name, maxSettings), Address: s.From}})
	h.SetAddressList("To", []*gomail.Address{{Name: to.Name, Address: to.Address}})
	h.SetSubject(mail.ReplySubject(answered.Subject))
	h.SetMessageID(s.messageID(r.Key))
	thread := answered.Thread
	if answered.ID != "" {
		h.SetMsgIDList("In-Reply-To", []string{answered.ID})
		thread = append(thread[:len(thread):len(thread)], answered.ID)
	}
	if len(thread) > 0 {
		h.SetMsgIDList("References", thread)
	}
	h.Set("Auto-Submitted", "no") // a person wrote it (RFC 3834)
	h.Set("MIME-Version", "1.0")
	var out bytes.Buffer
	if err := write(&out, h, body(r.Text, answered.letter), r.Attachments); err != nil {
		return nil, &sources.NotDoneError{Err: fmt.Errorf("write the mail: %w", err)}
	}
	return out.Bytes(), nil
}

var plainText = map[string]string{"charset": "utf-8"}

func write(out io.Writer, h gomail.Header, text string, files []sources.Attachment) error {
	if len(files) == 0 {
		h.SetContentType("text/plain", plainText)
		w, err := gomail.CreateSingleInlineWriter(out, h)
		return fill(w, err, strings.NewReader(text))
	}
	whole, err := gomail.CreateWriter(out, h)
	if err != nil {
		return err
	}
	var inline gomail.InlineHeader
	inline.SetContentType("text/plain", plainText)
	w, err := whole.CreateSingleInline(inline)
	if err := fill(w, err, strings.NewReader(text)); err != nil {
		return err
	}
	for _, f := range files {
		content, err := f.Open()
		if err != nil {
			return err
		}
		w, err := whole.CreateAttachment(fileHeader(&f))
		err = fill(w, err, content)
		_ = content.Close()
		if err != nil {
			return err
		}
	}
	return whole.Close()
}

// maxFileName bounds the name of an attachment, in bytes.
const maxFileName = 200

func fileHeader(f *sources.Attachment) gomail.AttachmentHeader {
	var h gomail.AttachmentHeader
	kind, _, err := mime.ParseMediaType(f.MimeType)
	if err != nil || !strings.Contains(kind, "/") || strings.HasPrefix(kind, "multipart/") || strings.HasPrefix(kind, "message/") {
		kind = "application/octet-stream"
	}
	h.Header = message.Header{}
	h.SetContentType(kind, nil)
	h.SetFilename(mail.OneLine(f.Name, maxFileName))
	h.Set("Content-Transfer-Encoding", "base64")
	return h
}

func fill(w io.WriteCloser, err error, from io.Reader) error {
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, from); err != nil {
		return err
	}
	return w.Close()
}

// body is the text of an answer, and below it what is answered.
func body(text string, answered *letter) string {
	var b strings.Builder
	b.WriteString(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), " \n"))
	b.WriteString("\n")
	if answered.Text == "" {
		return b.String()
	}
	who := answered.Address
	if answered.Name != "" {
		who = answered.Name + " <" + answered.Address + ">"
	}
	// A line as mail programs know it, so that they fold what follows; in English, as its time zone is.
	fmt.Fprintf(&b, "\nOn %s, %s wrote:\n", answered.created().UTC().Format("Mon, 2 Jan 2006 at 15:04 UTC"), who)
	for line := range strings.Lines(answered.Text) {
		line = strings.TrimRight(line, "\n")
		if mark := ">"; line == "" || strings.HasPrefix(line, mark) {
			b.WriteString(mark + line + "\n")
		} else {
			b.WriteString(mark + " " + line + "\n")
		}
	}
	return b.String()
}
