package imap

import (
	"cmp"
	"regexp"
	"strings"
	"time"
	"unicode/utf16"

	goimap "github.com/emersion/go-imap/v2"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// mail is one mail of the mailbox, with what is kept of it.
type mail struct {
	uid     goimap.UID
	arrived time.Time // when the server got it
	head    head
	content content
	message string // the texts, readable
}

func newMail(uid goimap.UID, arrived time.Time, header fields, root *part) *mail {
	return &mail{uid: uid, arrived: arrived.UTC(), head: header.head(), content: survey(root)}
}

// How subjects of forwarded mails and of replies begin.
var (
	forwards = regexp.MustCompile(`(?i)^\s*(fwd?|wg|tr|rv|doorst|vb)\s*:`)
	replies  = regexp.MustCompile(`(?i)^\s*(re|aw|antw|sv|rif|odp|res)\s*(\[\d+\])?\s*:`)
)

// read makes the message of the parts' texts, by section as they were sent.
func (m *mail) read(s *Settings, raw map[string][]byte) {
	r := reading{
		limit: s.MaxText, reply: m.head.root != "" || replies.MatchString(m.head.subject),
		cut: s.Quotes != quotesKeep && !forwards.MatchString(m.head.subject),
	}
	var texts []string
	for _, t := range m.content.texts {
		for _, version := range t {
			if readable := r.version(version, raw); readable != "" {
				texts = append(texts, readable)
				break
			}
		}
	}
	m.message, _ = cutUnits(strings.Join(texts, "\n\n"), socialhub.MaxMessage+slack)
}

// slack is how much more than SocialHub takes is kept of a text, so that the engine sees that there was more.
const slack = 100

// cutUnits cuts a text to at most limit UTF-16 code units.
func cutUnits(s string, limit int) (kept string, cut bool) {
	if len(s) <= limit {
		return s, false
	}
	for i, r := range s {
		if limit -= utf16.RuneLen(r); limit < 0 {
			return s[:i], true
		}
	}
	return s, false
}

// item is the mail as SocialHub shows it. The first mail of a thread has its subject above the text.
func (m *mail) item(prefix string, own *owners) sources.Item {
	i := socialhub.Interaction{
		NetworkItemID: m.head.itemID(prefix, m.arrived),
		Message:       m.shown(),
		CreatedTime:   m.created(),
	}
	if m.head.root != "" {
		i.Root = &socialhub.Root{RootID: sources.ItemID(prefix, m.head.root)}
	}
	if m.head.address != "" {
		i.Interactor = &socialhub.Interactor{InteractorID: m.head.address, Name: cmp.Or(m.head.name, m.head.address)}
	}
	return sources.Item{Interaction: i, Own: own.hold(m.head.address)}
}

// shown is the message: the subject (of a reply only if there is no text), the text, and a line for each attachment,
// since SocialHub takes files only by their https address.
func (m *mail) shown() string {
	text := m.message
	switch {
	case text == "":
		text = m.head.subject
	case m.head.root == "" && m.head.subject != "":
		text = m.head.subject + "\n\n" + text
	}
	var files []string
	for _, a := range m.content.attachments {
		size := ""
		if bytes := a.decodedSize(); bytes > 0 {
			size = ", " + shownSize(bytes)
		}
		files = append(files, "[attachment: "+a.name+size+"]")
	}
	if len(files) == 0 {
		return cmp.Or(text, "[empty mail]")
	}
	list, _ := cutUnits(strings.Join(files, "\n"), socialhub.MaxMessage/2)
	if text == "" {
		return list
	}
	const mark = "…"
	room := socialhub.MaxMessage - socialhub.MessageLength("\n\n"+list)
	if socialhub.MessageLength(text) > room {
		text, _ = cutUnits(text, room-socialhub.MessageLength(mark))
		text += mark
	}
	return text + "\n\n" + list
}

// created is the mail's own Date, unless that is more than a day after the mail came.
func (m *mail) created() time.Time {
	const wrongClock = 24 * time.Hour
	if m.head.sent.IsZero() || !m.arrived.IsZero() && m.head.sent.After(m.arrived.Add(wrongClock)) {
		return m.arrived
	}
	return m.head.sent
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
