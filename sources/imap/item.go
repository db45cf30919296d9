package imap

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/imap/mail"
)

// letter is one mail of the mailbox.
type letter struct {
	*mail.Mail
	uid     goimap.UID
	arrived time.Time // when the server got it
	// refused tells that the server does not give the mail, though it gives others.
	refused bool
}

// ref is where to find a mail again that is to be answered: its number, and its Message-ID if that has changed. The store
// keeps no more of a mail; whom to answer and what to quote is read from the mailbox then.
type ref struct {
	UIDValidity uint32     `json:"uidvalidity,omitempty"`
	UID         goimap.UID `json:"uid,omitempty"`
	ID          string     `json:"id,omitempty"`
}

// maxRefID bounds a Message-ID that is kept, in bytes.
const maxRefID = 500

func (m *letter) ref(validity uint32) json.RawMessage {
	r := ref{UIDValidity: validity, UID: m.uid}
	if id := m.ID(); len(id) <= maxRefID {
		r.ID = id
	}
	return r.note()
}

func (r ref) note() json.RawMessage {
	text, err := json.Marshal(r)
	if err != nil { // texts and numbers: can't be
		return nil
	}
	return text
}

// slack is how much more than SocialHub takes is kept of a text, so that the engine sees that there was more.
const slack = 100

// reading is how the settings want mails to be read.
func (s *Settings) reading() mail.Options {
	return mail.Options{MaxBody: s.MaxText, MaxLength: socialhub.MaxMessage + slack, KeepQuotes: s.Quotes == quotesKeep}
}

// item is the mail as SocialHub shows it. The first mail of a thread has its subject above the text.
func (m *letter) item(prefix string, own *owners) sources.Item {
	i := socialhub.Interaction{
		NetworkItemID: sources.ItemID(prefix, m.Key(m.arrived)),
		Message:       m.shown(),
		CreatedTime:   m.created(),
	}
	if m.Root != "" {
		i.Root = &socialhub.Root{RootID: sources.ItemID(prefix, m.Root)}
	}
	if m.Address != "" {
		i.Interactor = &socialhub.Interactor{InteractorID: m.Address, Name: cmp.Or(m.Name, m.Address)}
	}
	return sources.Item{Interaction: i, Own: own.hold(m.Address)}
}

// shown is the message: the subject (of a reply only if there is no text), the text, and a line for each attachment,
// since SocialHub takes files only by their https address.
func (m *letter) shown() string {
	text := m.Text
	switch {
	case text == "":
		text = m.Subject
	case m.Root == "" && m.Subject != "":
		text = m.Subject + "\n\n" + text
	}
	var files []string
	for _, f := range m.Files {
		size := ""
		if f.Size > 0 {
			size = ", " + shownSize(f.Size)
		}
		files = append(files, "[attachment: "+f.Name+size+"]")
	}
	if len(files) == 0 {
		return cmp.Or(text, "[empty mail]")
	}
	list, _ := mail.Cut(strings.Join(files, "\n"), socialhub.MaxMessage/2)
	if text == "" {
		return list
	}
	const mark = "…"
	room := socialhub.MaxMessage - socialhub.MessageLength("\n\n"+list)
	if socialhub.MessageLength(text) > room {
		text, _ = mail.Cut(text, room-socialhub.MessageLength(mark))
		text += mark
	}
	return text + "\n\n" + list
}

// shownSize is a size as people read it, in units of 1000 bytes: "12 kB".
func shownSize(n int64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 999_500:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// created is the mail's own Date, unless that is more than a day after the mail came.
func (m *letter) created() time.Time {
	const wrongClock = 24 * time.Hour
	if m.Sent.IsZero() || !m.arrived.IsZero() && m.Sent.After(m.arrived.Add(wrongClock)) {
		return m.arrived
	}
	return m.Sent
}

// owners are the addresses that we send from.
type owners map[string]bool

func newOwners(list []string) *owners {
	o := make(owners)
	for _, a := range list {
		o[strings.ToLower(strings.TrimSpace(a))] = true
	}
	return &o
}

// hold tells whether an address is ours, by itself or by its domain.
func (o owners) hold(address string) bool {
	at := strings.LastIndexByte(address, '@')
	return at >= 0 && (o[address] || o[address[at:]])
}
