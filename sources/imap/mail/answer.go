package mail

import (
	"regexp"
	"strings"
)

// ID is the mail's Message-ID without brackets; empty if it has none.
func (m *Mail) ID() string { return m.id }

// Person is somebody whom a mail names.
type Person struct{ Name, Address string }

// Answerable is what an answer needs of a mail's header. All of it may stand in another header: it has no line ends.
type Answerable struct {
	ID string // the Message-ID without brackets; empty if there is none that can be repeated
	// Thread are the Message-IDs of the mails above this one, the first mail's first.
	Thread []string
	// The first person of each field; without an address if there is none.
	ReplyTo, From, To Person
}

// maxThread is the most ids of a thread that are kept: the first, which all have in common, and the last ones.
const maxThread = 30

// AnswerableOf reads the header of a mail, or of its beginning.
func AnswerableOf(raw []byte) Answerable {
	f, _ := splitHeader(raw)
	person := func(field string) (p Person) {
		p.Name, p.Address = sender(f[field])
		return p
	}
	a := Answerable{Thread: properIDs(f["references"]), ReplyTo: person("reply-to"), From: person("from"), To: person("to")}
	if a.From.Address == "" {
		a.From = person("sender")
	}
	if ids := properIDs(f["message-id"]); len(ids) > 0 {
		a.ID = ids[0]
	}
	if parent := properIDs(f["in-reply-to"]); len(a.Thread) == 0 && len(parent) == 1 { // RFC 5322, 3.6.4
		a.Thread = parent
	}
	if len(a.Thread) > maxThread {
		a.Thread = append(a.Thread[:1:1], a.Thread[len(a.Thread)-maxThread+1:]...)
	}
	return a
}

// proper is a Message-ID that may be repeated: printable ASCII, of a length that fits on a line.
var proper = regexp.MustCompile(`^[!-;=?-~]{1,250}$`)

// ProperID tells whether a Message-ID, without brackets, may be repeated in a header and asked for.
func ProperID(id string) bool { return proper.MatchString(id) }

// properIDs are the Message-IDs of a field that may be repeated.
func properIDs(field string) (ids []string) {
	for _, found := range bracketed.FindAllStringSubmatch(field, -1) {
		if id := strings.Join(strings.Fields(found[1]), ""); ProperID(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// ReplySubject is the subject of an answer: with one "Re:", however many answers there were in whatever language.
func ReplySubject(subject string) string {
	for {
		at := replies.FindStringIndex(subject)
		if at == nil {
			return strings.TrimSpace("Re: " + OneLine(subject, maxSubject))
		}
		subject = subject[at[1]:]
	}
}
