package imap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-message"
	gomail "github.com/emersion/go-message/mail"
	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/imap/mail"
)

const question = "Message-ID: <q2@example.org>\nFrom: \"Müller, Anna\" <anna@example.org>\nTo: support@example.com\n" +
	"References: <q0@example.org> <q1@example.org>\nIn-Reply-To: <q1@example.org>\n" +
	"Date: Tue, 6 Jan 2026 13:00:00 +0100\nSubject: Re: AW: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: text/plain; charset=utf-8\n\n" +
	"Wo ist es?\n\n> alt\nDanke, Anna\n"

// replier is an account with a question in its mailbox, a sent folder, and a server that sends.
type replier struct {
	*account
	post *post
	*opened
	item sources.Item
}

const withSent = "  sent_folder: Sent\n"

func newReplier(t *testing.T, security, more, question string) *replier {
	t.Helper()
	r := &replier{account: newAccount(t), post: newPost(t, security)}
	if err := r.client(t).Create("Sent", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	r.put(t, "INBOX", came, question)
	r.opened = open(t, r.post.settings(r.account, security, more))
	items, _, err := pullAll(t, r, sources.Request{})
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	r.item = items[0]
	return r
}

func (r *replier) reply(key, text string) *sources.Reply {
	return &sources.Reply{Action: sources.Action{
		Key: key, Type: socialhub.ActionReply, ID: "reply", NetworkItemID: r.item.Interaction.NetworkItemID, Ref: r.item.Ref,
	}, Text: text}
}

func (r *replier) Reply(ctx context.Context, reply *sources.Reply) (sources.Posted, error) {
	return r.Source.(sources.Replier).Reply(ctx, reply)
}

func (r *replier) find(t *testing.T, key string) (sources.Posted, bool, error) {
	t.Helper()
	return r.Source.(sources.Finder).FindReply(t.Context(), r.reply(key, "x"), time.Now())
}

// sent are the flags of the mails in the sent folder, by Message-ID.
func (r *replier) sent(t *testing.T) map[string]string {
	t.Helper()
	c := r.client(t)
	defer c.Close()
	box, err := c.Select("Sent", nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	if box.NumMessages == 0 {
		return got
	}
	mails, err := c.Fetch(goimap.SeqSet{{Start: 1}}, &goimap.FetchOptions{Flags: true, Envelope: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mails {
		var flags []string
		for _, f := range m.Flags {
			if f == goimap.FlagDraft || f == goimap.FlagDeleted {
				flags = append(flags, string(f))
			}
		}
		got[m.Envelope.MessageID] = strings.Join(flags, " ")
	}
	return got
}

// kind names an error's meaning for the engine.
func kind(err error) string {
	for name, is := range map[string]func() bool{
		"refused":  func() bool { _, ok := errors.AsType[*sources.RefusedError](err); return ok },
		"stop":     func() bool { _, ok := errors.AsType[*sources.StopError](err); return ok },
		"not done": func() bool { _, ok := errors.AsType[*sources.NotDoneError](err); return ok },
	} {
		if is() {
			return name
		}
	}
	if err == nil {
		return "done"
	}
	return "unknown"
}

func TestAReplyIsAMailInTheThread(t *testing.T) {
	t.Parallel()
	for _, security := range []string{tlsAtOnce, tlsStart, smtpNone} {
		t.Run(security, func(t *testing.T) {
			t.Parallel()
			r := newReplier(t, security, withSent+"  name: \"Tëam\"\n", question)
			got, err := r.Reply(t.Context(), r.reply("k1", "Grüße, es ist auf dem Weg.\n\n"+strings.Repeat("lang ", 300)))
			if err != nil {
				t.Fatal(err)
			}
			mails := r.post.mails()
			if len(mails) != 1 || mails[0].from != "Support@example.com" || mails[0].to != "anna@example.org" || mails[0].encrypted != (security != smtpNone) {
				t.Fatalf("sent %+v", mails)
			}
			read, err := gomail.CreateReader(strings.NewReader(mails[0].text))
			if err != nil {
				t.Fatal(err)
			}
			id := strings.TrimPrefix(got.NetworkItemID, "mail-")
			for key, want := range map[string]string{
				"In-Reply-To": "<q2@example.org>", "References": "<q0@example.org> <q1@example.org> <q2@example.org>",
				"Message-Id": "<" + id + ">", "Auto-Submitted": "no", "Mime-Version": "1.0",
			} {
				equal(t, key, want, read.Header.Get(key))
			}
			subject, _ := read.Header.Subject()
			equal(t, "subject", "Re: Grüße", subject)
			to, err := read.Header.AddressList("To")
			if err != nil || len(to) != 1 || *to[0] != (gomail.Address{Name: "Müller, Anna", Address: "anna@example.org"}) {
				t.Errorf("to %v %v", to, err)
			}
			at, err := read.Header.Date()
			if err != nil || time.Since(at) > time.Hour {
				t.Errorf("date %s %v", at, err)
			}
			if !strings.HasSuffix(id, "@example.com") {
				t.Errorf("id %s", id)
			}
			for n, line := range strings.Split(mails[0].text, "\r\n") {
				if len(line) > 78 || strings.ContainsAny(line, "\r\n") || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
					t.Errorf("line %d: %q", n, line)
				}
			}
			m := mail.Parse([]byte(mails[0].text), mail.Options{MaxBody: 1 << 20, MaxLength: 10_000, KeepQuotes: true})
			equal(t, "text", "Grüße, es ist auf dem Weg.\n\n"+strings.TrimSpace(strings.Repeat("lang ", 300))+
				"\n\nOn Tue, 6 Jan 2026 at 12:00 UTC, Müller, Anna <anna@example.org> wrote:\n> Wo ist es?\n>\n>> alt\n> Danke, Anna", m.Text)
			folded := mail.Parse([]byte(mails[0].text), mail.Options{MaxBody: 1 << 20, MaxLength: 10_000})
			if strings.Contains(folded.Text, "Wo ist es") {
				t.Errorf("what is quoted is not known as such: %s", folded.Text)
			}
			if diff := cmp.Diff(map[string]string{id: ""}, r.sent(t)); diff != "" {
				t.Errorf("sent folder: %s", diff)
			}
			sentItems, _, err := pullAll(t, open(t, r.account.settings("mailbox: Sent\nsmtp: {host: smtp.example.com, from: support@example.com}\n")), sources.Request{})
			if err != nil || len(sentItems) != 1 || !sentItems[0].Own || sentItems[0].Interaction.NetworkItemID != got.NetworkItemID ||
				sentItems[0].Interaction.Root.RootID != "mail-q0@example.org" {
				t.Errorf("the pull has %+v %v", sentItems, err)
			}
		})
	}
}

func TestAFileGoesWithTheMail(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, withSent, question)
	reply := r.reply("k", "")
	content := strings.Repeat("\x00\xffbytes", 50_000)
	reply.Attachments = []sources.Attachment{{
		Name: "Plän\r\nBcc: x@example.org.pdf", MimeType: "application/pdf", Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}}
	if _, err := r.Reply(t.Context(), reply); err != nil {
		t.Fatal(err)
	}
	read, err := gomail.CreateReader(strings.NewReader(r.post.mails()[0].text))
	if err != nil {
		t.Fatal(err)
	}
	if part, err := read.NextPart(); err != nil || !strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("text: %v %v", part, err)
	}
	part, err := read.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	name, _ := part.Header.(*gomail.AttachmentHeader).Filename()
	got, err := io.ReadAll(part.Body)
	if name != "Plän Bcc: x@example.org.pdf" || string(got) != content || err != nil || part.Header.Get("Bcc") != "" {
		t.Errorf("file %q with %d bytes, %v", name, len(got), err)
	}
	if _, err := read.NextPart(); err != io.EOF {
		t.Errorf("after the file: %v", err)
	}
}

func TestNoHeaderComesFromOutside(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, "", "Message-ID: <a\r b@example.org>\nReferences: <x\x00@y> <ü@example.org> <ok@example.org>\n"+
		"Reply-To: =?utf-8?b?QW5uYQ0KQmNjOiBldmlsQGV4YW1wbGUub3Jn?= <anna@example.org>\nFrom: x@example.org\n"+
		"Subject: =?utf-8?q?a=0D=0ABcc:_evil@example.org?=\nContent-Type: text/plain\n\n.\nBcc: evil@example.org\n.\nQUIT\n")
	if _, err := r.Reply(t.Context(), r.reply("k\r\nBcc: evil@example.org", ".\r\nBcc: evil@example.org\r\n.\r\n")); err != nil {
		t.Fatal(err)
	}
	mails := r.post.mails()
	if len(mails) != 1 || mails[0].to != "anna@example.org" {
		t.Fatalf("sent %+v", mails)
	}
	entity, err := message.Read(strings.NewReader(mails[0].text))
	if err != nil {
		t.Fatal(err)
	}
	for fields := entity.Header.Fields(); fields.Next(); {
		switch fields.Key() {
		case "Date", "From", "To", "Subject", "Message-Id", "In-Reply-To", "References", "Auto-Submitted", "Mime-Version", "Content-Type", "Content-Transfer-Encoding":
		default:
			t.Errorf("field %s", fields.Key())
		}
	}
	equal(t, "references", "<ok@example.org> <ab@example.org>", entity.Header.Get("References"))
	if text, err := io.ReadAll(entity.Body); err != nil || !strings.HasPrefix(string(text), ".\r\nBcc") {
		t.Errorf("text %q %v", text, err)
	}
}

func TestWhomAReplyGoesTo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ header, want string }{
		"the sender":                   {"From: Anna <anna@example.org>", "anna@example.org"},
		"whom the mail wants":          {"From: form@example.org\nReply-To: Ben <ben@example.org>", "ben@example.org"},
		"not us, but the sender":       {"From: ben@example.org\nReply-To: support@example.com", "ben@example.org"},
		"whom we wrote to":             {"From: support@example.com\nTo: Cleo <cleo@example.org>", "cleo@example.org"},
		"nobody, if there is only us":  {"From: support@example.com\nTo: support@example.com", ""},
		"nobody, if nobody is named":   {"From: undisclosed", ""},
		"nobody, as no one reads that": {"From: a\x01b@example.org", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &source{own: newOwners([]string{"support@example.com"})}
			got, err := s.receiver(&answered{Answerable: mail.AnswerableOf([]byte(c.header + "\n\nx"))})
			if got.Address != c.want || (kind(err) == "refused") != (c.want == "") {
				t.Errorf("%v %v", got, err)
			}
		})
	}
}

func TestEachAnswerOfTheServerSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		wrong func(*wrong)
		kind  string
		text  string
		draft bool
	}{
		{"a wrong login", func(w *wrong) { w.login = refusal(535, "no "+smtpPassword) }, "stop", "smtp.password", false},
		{"a login that fails for now", func(w *wrong) { w.login = refusal(454, "later") }, "not done", "454", false},
		{"a sender that is refused", func(w *wrong) { w.mail = refusal(553, "not yours") }, "refused", "553 not yours", false},
		{"a login that is wanted", func(w *wrong) { w.mail = refusal(530, "login") }, "stop", "smtp.security", false},
		{"a receiver that is unknown", func(w *wrong) { w.rcpt = refusal(550, "no anna@example.org here") }, "refused", "no [the address] here", false},
		{"a grey list", func(w *wrong) { w.rcpt = refusal(450, "come back, anna@example.org") }, "not done", "450", false},
		{"a mail that is refused", func(w *wrong) { w.data = refusal(554, "spam") }, "refused", "spam", false},
		{"a mail that is put off", func(w *wrong) { w.data = refusal(451, "later") }, "not done", "451", false},
		{"a mail of which it says something else", func(w *wrong) { w.data = refusal(354, "go on") }, "unknown", "354", true},
		{"a connection that ends after the dot", func(w *wrong) { w.dropAfter = true }, "unknown", "word", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newReplier(t, smtpNone, withSent, question)
			r.post.set(c.wrong)
			_, err := r.Reply(t.Context(), r.reply("k", "x"))
			if kind(err) != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("%s: %v", kind(err), err)
			}
			for _, secret := range []string{smtpPassword, password, "anna@example.org"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows %s: %v", secret, err)
				}
			}
			want := map[string]string{}
			if c.draft {
				want[r.Source.(*source).smtp.messageID("k")] = `\Draft`
			}
			if diff := cmp.Diff(want, r.sent(t)); diff != "" {
				t.Errorf("sent folder: %s", diff)
			}
		})
	}
}

func TestAMailThatIsTakenWithAnotherCodeIsSent(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, withSent, question)
	r.post.set(func(w *wrong) { w.data = refusal(252, "it may reach them") })
	posted, err := r.Reply(t.Context(), r.reply("k", "x"))
	if err != nil || posted.NetworkItemID == "" {
		t.Errorf("got %+v, %v", posted, err)
	}
	if found, ok, err := r.find(t, "k"); !ok || err != nil || found.NetworkItemID != posted.NetworkItemID {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestNothingWasSentWhenTheServerIsNotReachedOrGoesAwayInTheMiddle(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, withSent, question)
	r.post.set(func(w *wrong) { w.dropDuring = true })
	reply := r.reply("k", strings.Repeat("long\n", 4<<20))
	if _, err := r.Reply(t.Context(), reply); kind(err) != "not done" {
		t.Errorf("in the middle: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	r.Source.(*source).smtp.address = l.Addr().String()
	if _, err := r.Reply(t.Context(), r.reply("k", "x")); kind(err) != "not done" {
		t.Errorf("not reached: %v", err)
	}
	if _, found, err := r.find(t, "k"); found || err != nil || len(r.sent(t)) != 0 {
		t.Errorf("found: %t %v", found, err)
	}
}

func TestAReplyThatWasInterruptedIsFoundOnlyWhereItWasSentForCertain(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, withSent, question)
	if _, found, err := r.find(t, "k"); found || err != nil {
		t.Errorf("before: %t %v", found, err)
	}
	r.post.set(func(w *wrong) { w.dropAfter = true })
	if _, err := r.Reply(t.Context(), r.reply("k", "x")); kind(err) != "unknown" {
		t.Fatalf("a lost word: %v", err)
	}
	if _, found, err := r.find(t, "k"); found || err == nil {
		t.Errorf("a draft: %t %v", found, err)
	}
	r.put(t, "Sent", time.Now(), r.post.mails()[0].text) // as many servers do by themselves
	got, found, err := r.find(t, "k")
	if !found || err != nil || got.NetworkItemID != "mail-"+r.Source.(*source).smtp.messageID("k") {
		t.Errorf("a copy: %+v %t %v", got, found, err)
	}
	again, err := r.Reply(t.Context(), r.reply("k", "x"))
	if err != nil || again.NetworkItemID != got.NetworkItemID || len(r.post.mails()) != 1 {
		t.Errorf("again: %+v %v, %d mails", again, err, len(r.post.mails()))
	}
}

func TestADraftThatWasLeftGivesWayToTheNextTry(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, withSent, question)
	r.post.set(func(w *wrong) { w.dropAfter = true })
	_, _ = r.Reply(t.Context(), r.reply("k", "x"))
	r.post.set(func(w *wrong) { w.dropAfter = false })
	if _, err := r.Reply(t.Context(), r.reply("k", "y")); err != nil { // a person said so
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{r.Source.(*source).smtp.messageID("k"): ""}, r.sent(t)); diff != "" {
		t.Error(diff)
	}
}

func TestACtxThatEndsWhenTheMailIsTakenLeavesNoDraft(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, withSent, question)
	ctx, cancel := context.WithCancelCause(t.Context())
	r.post.set(func(w *wrong) { w.onData = func(string) { cancel(errors.New("shutting down")) } })
	_, err := r.Reply(ctx, r.reply("k", "x"))
	id := r.Source.(*source).smtp.messageID("k")
	want := map[string]string{id: ""}
	if err != nil { // the end came before the server's word
		want[id] = `\Draft`
		if kind(err) != "unknown" || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("error %v", err)
		}
	}
	if diff := cmp.Diff(want, r.sent(t)); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutASentFolderNothingIsCertainButACopyInTheMailbox(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, "", question)
	if _, err := r.Reply(t.Context(), r.reply("k", "x")); err != nil || len(r.sent(t)) != 0 {
		t.Fatal(err)
	}
	if _, found, err := r.find(t, "k"); found || err == nil {
		t.Errorf("%t %v", found, err)
	}
	r.put(t, "INBOX", time.Now(), r.post.mails()[0].text)
	if _, found, err := r.find(t, "k"); !found || err != nil {
		t.Errorf("%t %v", found, err)
	}
	if _, repeats := r.Source.(sources.Repeater); repeats {
		t.Error("a mail that is sent twice comes twice")
	}
}

func TestASentFolderThatIsNotThereStopsReplies(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, "  sent_folder: Gesendet\n", question)
	if _, err := r.Reply(t.Context(), r.reply("k", "x")); kind(err) != "stop" || !strings.Contains(err.Error(), "smtp.sent_folder") || len(r.post.mails()) != 0 {
		t.Errorf("%v", err)
	}
}

func TestASentFolderThatForgetsWhatADraftIsStopsReplies(t *testing.T) {
	t.Parallel()
	for kept, want := range map[string]string{`\Seen \Deleted`: "stop", `\Seen \DRAFT`: "not done"} { // the server takes no APPEND
		address := strangeServer(t, func(command string) string {
			switch {
			case strings.HasPrefix(command, "SELECT"):
				return "* 0 EXISTS\r\n* OK [UIDVALIDITY 8] x\r\n* OK [PERMANENTFLAGS (" + kept + ")] x\r\n|OK done"
			case strings.HasPrefix(command, "UID SEARCH") && strings.Contains(command, "DRAFT"):
				return "* SEARCH\r\n|OK done"
			case strings.Contains(command, "BODY.PEEK[]"):
				return fetched("BODY[]<0>", strangeHeader+"From: anna@example.org\r\n\r\nText\r\n")
			case strings.HasPrefix(command, "APPEND"):
				return "|NO not here"
			}
			return ""
		})
		s := open(t, strangeSettings+address+"\n"+newPost(t, smtpNone).smtp(smtpNone, withSent))
		items, _, err := pullAll(t, s, sources.Request{})
		if err != nil || len(items) != 1 {
			t.Fatal(items, err)
		}
		_, err = s.Source.(sources.Replier).Reply(t.Context(), &sources.Reply{Text: "x", Action: sources.Action{
			Key: "k", Type: socialhub.ActionReply, NetworkItemID: items[0].Interaction.NetworkItemID, Ref: items[0].Ref,
		}})
		if kind(err) != want {
			t.Errorf("%s: %s: %v", kept, kind(err), err)
		}
	}
}

func TestTheMailIsFoundByItsNumberOrItsID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mail string
		ref  func(ref) any
		want string
	}{
		"by its number":                        {question, func(r ref) any { return ref{UIDValidity: r.UIDValidity, UID: r.UID} }, "done"},
		"by its id if the numbers changed":     {question, func(r ref) any { r.UIDValidity++; return r }, "done"},
		"by its id if the number is another's": {question, func(r ref) any { r.UID += 7; return r }, "done"},
		"by the item's id without a ref":       {question, func(ref) any { return nil }, "done"},
		"by its number without an id":          {strings.Replace(question, "Message-ID: <q2@example.org>\n", "", 1), func(r ref) any { return r }, "done"},
		"not if it is gone":                    {strings.Replace(question, "Message-ID: <q2@example.org>\n", "", 1), func(r ref) any { r.UID += 7; return r }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplier(t, smtpNone, "", c.mail)
			var note ref
			if err := json.Unmarshal(r.item.Ref, &note); err != nil {
				t.Fatal(err)
			}
			reply := r.reply("k", "x")
			reply.Ref, _ = json.Marshal(c.ref(note))
			if _, err := r.Reply(t.Context(), reply); kind(err) != c.want {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestOurOwnReplyCanBeAnswered(t *testing.T) {
	t.Parallel()
	r := newReplier(t, smtpNone, withSent, question)
	posted, err := r.Reply(t.Context(), r.reply("k1", "First"))
	if err != nil {
		t.Fatal(err)
	}
	more := r.reply("k2", "And one more thing")
	more.NetworkItemID, more.Ref = posted.NetworkItemID, posted.Ref
	if _, err := r.Reply(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	if mails := r.post.mails(); len(mails) != 2 || mails[1].to != "anna@example.org" || len(r.sent(t)) != 2 {
		t.Errorf("sent %+v", mails)
	}
}

func TestWithoutAServerForSendingThereAreNoReplies(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	s := open(t, a.settings(""))
	if sources.Can(s.Source, socialhub.ActionReply, "reply") {
		t.Error("it can reply")
	}
	if _, err := s.Source.(sources.Replier).Reply(t.Context(), &sources.Reply{}); kind(err) != "refused" {
		t.Error(err)
	}
	s = open(t, a.settings("smtp: {host: smtp.example.com, from: support@example.com}\n"))
	if !sources.Can(s.Source, socialhub.ActionReply, "reply") || sources.Can(s.Source, socialhub.ActionDelete, "delete") {
		t.Error("it can't reply, or can delete")
	}
}

func TestACertificateThatNobodyVouchesForIsRefused(t *testing.T) {
	t.Parallel()
	for _, security := range []string{tlsAtOnce, tlsStart} {
		r := newReplier(t, security, withSent, question)
		r.Source.(*source).smtp.tls.RootCAs = nil
		if _, err := r.Reply(t.Context(), r.reply("k", "x")); kind(err) != "not done" || !strings.Contains(err.Error(), "ca_file") || len(r.post.mails()) != 0 {
			t.Errorf("%s: %v", security, err)
		}
	}
	r := newReplier(t, smtpNone, withSent, question)
	smtp := r.Source.(*source).smtp
	smtp.Security = tlsStart
	if _, err := r.Reply(t.Context(), r.reply("k", "x")); kind(err) != "stop" || !strings.Contains(err.Error(), "smtp.security") {
		t.Errorf("no starttls: %v", err)
	}
	smtp.Security = tlsAtOnce
	if _, err := r.Reply(t.Context(), r.reply("k", "x")); kind(err) != "not done" || !strings.Contains(err.Error(), "starttls") {
		t.Errorf("no tls: %v", err)
	}
}

func TestWrongSMTPSettingsAreTold(t *testing.T) {
	t.Parallel()
	good := map[string]string{"host": "smtp.example.com", "from": "support@example.com"}
	for _, c := range []struct{ key, value string }{
		{"host", `""`}, {"host", "https://smtp.example.com"}, {"host", "smtp.example.com:465"},
		{"port", "-1"}, {"port", "65536"}, {"security", "off"}, {"security", "none"},
		{"from", `""`}, {"from", "support"}, {"from", "Us <support@example.com>"}, {"from", "müller@example.com"}, {"from", `"a\nb@example.com"`},
		{"name", `"a\nb"`}, {"username", `"a\nb"`}, {"password", `"a\nb"`}, {"sent_folder", `"a\nb"`},
	} {
		lines := "server: imap.example.com\nusername: u\npassword: p\nsmtp:\n"
		for key, value := range good {
			if key != c.key {
				lines += fmt.Sprintf("  %s: %s\n", key, value)
			}
		}
		err := parseSettings(t, lines+fmt.Sprintf("  %s: %s\n", c.key, c.value)).Validate()
		wrong, ok := errors.AsType[*sources.SettingError](err)
		if !ok || wrong.Key != "smtp."+c.key {
			t.Errorf("%s: %s: %v", c.key, c.value, err)
		}
	}
	if err := parseSettings(t, "server: imap.example.com\nusername: u\npassword: p\nsmtp: {host: smtp.example.com, from: support@example.com}\n").Validate(); err != nil {
		t.Error(err)
	}
}
