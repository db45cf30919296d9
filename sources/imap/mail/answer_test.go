package mail

import (
	"fmt"
	"strings"
	"testing"
)

func TestASubjectHasOneRe(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"Hello": "Re: Hello", "Re: Hello": "Re: Hello", "RE: AW: re[2]: Hello": "Re: Hello", "": "Re:", "Re:": "Re:", "Fwd: Hello": "Re: Fwd: Hello", "Regarding: x": "Re: Regarding: x",
	} {
		equal(t, subject, want, ReplySubject(subject))
	}
}

func TestWhatAnAnswerNeedsOfAHeader(t *testing.T) {
	t.Parallel()
	a := AnswerableOf([]byte("Message-ID: <a\r\n @x>\nIn-Reply-To: <p@x>\nFrom: A <a@x.org>\nReply-To: b@x.org, c@x.org\nTo: d@x.org\n\nReferences: <body@x>\n"))
	equal(t, "header", Answerable{ID: "a@x", Thread: []string{"p@x"}, ReplyTo: Person{Address: "b@x.org"}, From: Person{"A", "a@x.org"}, To: Person{Address: "d@x.org"}}, a)
	equal(t, "two parents", 0, len(AnswerableOf([]byte("In-Reply-To: <p@x> <q@x>\n\n")).Thread))
	equal(t, "sender", "s@x.org", AnswerableOf([]byte("Sender: s@x.org\n\n")).From.Address)
	equal(t, "improper ids", Answerable{}, AnswerableOf([]byte("Message-ID: <ü@x>\nReferences: <> <"+strings.Repeat("x", 251)+">\n\n")))
}

func TestALongThreadKeepsItsFirstMailAndItsLastOnes(t *testing.T) {
	t.Parallel()
	var ids strings.Builder
	for n := range 100 {
		fmt.Fprintf(&ids, " <%d@x>\n", n)
	}
	got := AnswerableOf([]byte("References:" + ids.String() + "\n")).Thread
	if len(got) != maxThread || got[0] != "0@x" || got[1] != "71@x" || got[maxThread-1] != "99@x" {
		t.Errorf("%v", got)
	}
}

func FuzzAnswerableOf(f *testing.F) {
	f.Add([]byte("Message-ID: <a@x>\nReferences: <b@x> <c@x>\nReply-To: \"a\\\" b\" <a@x.org>\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a := AnswerableOf(raw)
		all := strings.Join(append(a.Thread, a.ID, a.ReplyTo.Name, a.ReplyTo.Address, a.From.Name, a.From.Address, a.To.Name, a.To.Address), "")
		if strings.ContainsAny(all, "\r\n\x00") || len(a.Thread) > maxThread {
			t.Errorf("%q", all)
		}
	})
}
