// Package mail reads mails: who wrote which text in answer to what, from the bytes of a mail or from what a server says
// of its structure. It takes mails as they are: what breaks the rules is read as well as it can be.
package mail

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf16"
)

// Options say how the texts of mails are read.
type Options struct {
	// MaxBody is the most bytes that [Part.Body] has; one of that size was cut.
	MaxBody int64
	// MaxLength is where [Mail.Text] is cut, in UTF-16 code units.
	MaxLength int
	// KeepQuotes leaves the quoted history below a reply in the text.
	KeepQuotes bool
}

// Mail is what is kept of a mail.
type Mail struct {
	Root    string // the Message-ID of the thread's first mail; empty if this is it
	Subject string
	Name    string // of the sender; may be empty
	Address string // of the sender, in lower case; empty if there is none
	Sent    time.Time
	Files   []File
	// Text is what is readable, once [Mail.Read] has left nothing wanted.
	Text string

	id       string // the Message-ID; empty if it has none
	standIn  string // what stands for a Message-ID that is not there
	versions []text // versions of each text that may still be wanted
	texts    []string
}

// File is an attachment.
type File struct {
	Name string
	Size int64 // about, in bytes
}

// New returns the mail with this header and this structure. Its Text is empty until the wanted parts are read.
func New(header []byte, root *Part) *Mail {
	found, _ := splitHeader(header)
	return newMail(found, root)
}

func newMail(header fields, root *Part) *Mail {
	m := &Mail{}
	m.take(header)
	shown := survey(root)
	for _, f := range shown.files {
		m.Files = append(m.Files, File{Name: f.name, Size: f.decodedSize()})
	}
	m.versions, m.texts = shown.texts, make([]string, len(shown.texts))
	return m
}

// Parse reads a mail, or its beginning, that is here.
func Parse(raw []byte, o Options) *Mail {
	m := newMail(parseMail(raw))
	for len(m.Wanted()) > 0 {
		m.Read(o)
	}
	return m
}

// Key tells the mail from others: its Message-ID. A mail without one is told by its Date, From and Subject, without a
// Date by when it arrived; an IMAP server's number is no key, because it changes when the mail is moved.
func (m *Mail) Key(arrived time.Time) string {
	switch {
	case m.id != "":
		return m.id
	case m.Sent.IsZero():
		return m.standIn + "\x00" + arrived.UTC().Format(time.RFC3339)
	}
	return m.standIn
}

// Wanted are the parts of which [Mail.Read] needs the Body.
func (m *Mail) Wanted() []*Part {
	var parts []*Part
	for _, t := range m.versions {
		if len(t) > 0 {
			parts = append(parts, t[0]...)
		}
	}
	return parts
}

// How subjects of forwarded mails and of replies begin.
var (
	forwards = regexp.MustCompile(`(?i)^\s*(fwd?|wg|tr|rv|doorst|vb)\s*:`)
	replies  = regexp.MustCompile(`(?i)^\s*(re|aw|antw|sv|rif|odp|res)\s*(\[\d+\])?\s*:`)
)

// Read makes the Text of the wanted parts and lets go of their bodies. Where a text is blank its next version is wanted
// then: read until nothing is.
func (m *Mail) Read(o Options) {
	r := reading{
		limit: o.MaxBody, reply: m.Root != "" || replies.MatchString(m.Subject),
		cut: !o.KeepQuotes && !forwards.MatchString(m.Subject),
	}
	for i, t := range m.versions {
		if len(t) == 0 {
			continue
		}
		m.texts[i], _ = Cut(r.version(t[0]), o.MaxLength)
		for _, p := range t[0] {
			p.Body = nil
		}
		if m.versions[i] = t[1:]; m.texts[i] != "" {
			m.versions[i] = nil
		}
	}
	if len(m.Wanted()) == 0 {
		m.Text, _ = Cut(joinTexts(m.texts), o.MaxLength)
		m.versions, m.texts = nil, nil
	}
}

// joinTexts puts those that are not empty below each other.
func joinTexts(texts []string) string {
	var b strings.Builder
	for _, t := range texts {
		if t != "" && b.Len() > 0 {
			b.WriteString("\n\n")
		}
		b.WriteString(t)
	}
	return b.String()
}

// Cut cuts a text to at most limit UTF-16 code units. What it keeps does not hold the rest in memory.
func Cut(s string, limit int) (kept string, cut bool) {
	if len(s) <= limit {
		return s, false
	}
	for i, r := range s {
		if limit -= utf16.RuneLen(r); limit < 0 {
			return strings.Clone(s[:i]), true
		}
	}
	return s, false
}
