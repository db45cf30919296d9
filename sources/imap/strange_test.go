package imap

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	goimap "github.com/emersion/go-imap/v2"

	"socialhub-sync/sources"
)

// strangeServer answers as no real one should: answer gets a command without its tag and gives the untagged lines and,
// after the tag, the last one. An empty answer is OK.
func strangeServer(t *testing.T, answer func(command string) string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { answerAll(conn, answer) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		open.Wait()
	})
	return l.Addr().String()
}

func answerAll(conn net.Conn, answer func(string) string) {
	defer conn.Close()
	fmt.Fprint(conn, "* OK ready\r\n")
	in := bufio.NewReader(conn)
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, command, _ := strings.Cut(strings.TrimRight(text, "\r\n"), " ")
		reply := answer(command)
		if reply == "" {
			reply = usual(command)
		}
		untagged, last := reply, "OK done"
		if at := strings.LastIndex(reply, "|"); at >= 0 {
			untagged, last = reply[:at], reply[at+1:]
		}
		fmt.Fprintf(conn, "%s%s %s\r\n", untagged, tag, last)
	}
}

// usual is the answer of a server with one mail, which describes it in a proper way.
func usual(command string) string {
	switch {
	case command == "CAPABILITY":
		return "* CAPABILITY IMAP4rev1\r\n|OK done"
	case strings.HasPrefix(command, "EXAMINE"):
		return "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n|OK [READ-ONLY] done"
	case strings.HasPrefix(command, "UID SEARCH"):
		return "* SEARCH 1\r\n|OK done"
	case strings.Contains(command, "BODYSTRUCTURE"):
		return described(`("text" "plain" NIL NIL NIL "7bit" 4 1)`)
	case strings.Contains(command, "BODY.PEEK[1]"):
		return "* 1 FETCH (UID 1 BODY[1]<0> \"Text\")\r\n|OK done"
	case strings.Contains(command, "BODY.PEEK[]"):
		return fetched("BODY[]<0>", strangeHeader+"\r\nText\r\n")
	}
	return "|OK done"
}

const strangeHeader = "Message-ID: <1@example.org>\r\nSubject: Strange\r\n"

func described(structure string) string {
	return fmt.Sprintf("* 1 FETCH (UID 1 INTERNALDATE \"05-Jan-2026 10:00:00 +0000\" BODYSTRUCTURE %s BODY[HEADER]<0> {%d}\r\n%s)\r\n|OK done",
		structure, len(strangeHeader), strangeHeader)
}

func fetched(section, text string) string {
	return fmt.Sprintf("* 1 FETCH (UID 1 INTERNALDATE \"05-Jan-2026 10:00:00 +0000\" %s {%d}\r\n%s)\r\n|OK done", section, len(text), text)
}

const strangeSettings = "tls: \"off\"\nusername: anna\npassword: " + password + "\nprefix: mail\nserver: "

func TestAMailThatTheServerDescribesWronglyIsReadWhole(t *testing.T) {
	t.Parallel()
	for _, structure := range []string{"(NIL NIL)", `("text" "plain" oops)`, `(("text" "plain" NIL NIL NIL "7bit" 4 1)`, `("text" "plain" NIL NIL NIL "7bit" many 1)`} {
		address := strangeServer(t, func(command string) string {
			if strings.Contains(command, "BODYSTRUCTURE") {
				return described(structure)
			}
			return ""
		})
		s := open(t, strangeSettings+address+"\n")
		items, cursor, err := pullAll(t, s, sources.Request{})
		if err != nil || len(items) != 1 || cursor == "" {
			t.Fatalf("%s: %d items, cursor %q, %v", structure, len(items), cursor, err)
		}
		equal(t, "message", "Strange\n\nText", items[0].Interaction.Message)
		if !strings.Contains(s.log.String(), "read whole") {
			t.Error("nothing is logged of it")
		}
	}
}

func TestAMailWithALongDescriptionIsReadWhole(t *testing.T) {
	t.Parallel()
	address := strangeServer(t, func(command string) string {
		if strings.Contains(command, "BODYSTRUCTURE") {
			return described(`("text" "plain" ("a" "` + strings.Repeat("x", 2*maxUnread) + `") NIL NIL "7bit" 4 1)`)
		}
		return ""
	})
	items, _, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
	if err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	equal(t, "message", "Strange\n\nText", items[0].Interaction.Message)
}

// mailbox answers like a server with n mails. It refuses a command when that names a mail and what, as refuse says.
func mailbox(n int, refuse func(command string, uid int) bool) func(string) string {
	return func(command string) string {
		switch {
		case strings.HasPrefix(command, "EXAMINE"):
			return fmt.Sprintf("* %d EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT %d] x\r\n|OK [READ-ONLY] done", n, n+1)
		case strings.HasPrefix(command, "UID SEARCH"):
			found := "* SEARCH"
			for uid := 1; uid <= n; uid++ {
				found += fmt.Sprint(" ", uid)
			}
			return found + "\r\n|OK done"
		case !strings.HasPrefix(command, "UID FETCH"):
			return ""
		}
		var reply strings.Builder
		set, err := imapSet(strings.Fields(command)[2])
		for uid := 1; uid <= n; uid++ {
			switch {
			case err != nil || !set.Contains(goimap.UID(uid)):
			case refuse(command, uid):
				return reply.String() + "|NO [SERVERBUG] mail " + fmt.Sprint(uid)
			case strings.Contains(command, "BODYSTRUCTURE"):
				header := fmt.Sprintf("Message-ID: <%d@example.org>\r\n", uid)
				fmt.Fprintf(&reply, "* %d FETCH (UID %d INTERNALDATE \"05-Jan-2026 10:00:00 +0000\" BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7bit\" 4 1) BODY[HEADER]<0> {%d}\r\n%s)\r\n",
					uid, uid, len(header), header)
			default:
				fmt.Fprintf(&reply, "* %d FETCH (UID %d BODY[1]<0> \"Text\")\r\n", uid, uid)
			}
		}
		return reply.String() + "|OK done"
	}
}

// imapSet reads numbers and ranges: 1:3,5.
func imapSet(text string) (set goimap.UIDSet, err error) {
	for one := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(one, ":")
		first, err1 := strconv.Atoi(from)
		last := first
		var err2 error
		if isRange {
			last, err2 = strconv.Atoi(to)
		}
		set.AddRange(goimap.UID(first), goimap.UID(last))
		err = errors.Join(err, err1, err2)
	}
	return set, err
}

func TestAMailThatTheServerRefusesHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"BODYSTRUCTURE", "BODY.PEEK[1]"} {
		answer := mailbox(4, func(command string, uid int) bool { return uid == 2 && strings.Contains(command, what) })
		address := strangeServer(t, answer)
		items, cursor, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
		if err != nil || cursor == "" || len(items) != 4 {
			t.Fatalf("%s: %d items, cursor %q, %v", what, len(items), cursor, err)
		}
		for n, item := range items {
			if n == 1 {
				if f := item.Fault; f == nil || f.Place != "mail with UID 2 (UIDVALIDITY 7)" {
					t.Errorf("%s: item %d is %+v", what, n, item)
				}
				continue
			}
			equal(t, "id", fmt.Sprintf("mail-%d@example.org", n+1), item.Interaction.NetworkItemID)
			equal(t, "message", "Text", item.Interaction.Message)
		}
	}
}

func TestAServerThatRefusesAllMailsStopsTheCursor(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"BODYSTRUCTURE", "BODY.PEEK[1]"} {
		address := strangeServer(t, mailbox(3, func(command string, uid int) bool { return strings.Contains(command, what) }))
		items, cursor, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
		if err == nil || !strings.Contains(err.Error(), "SERVERBUG") || len(items) > 0 || cursor != "" {
			t.Errorf("%s: %d items, cursor %q, %v", what, len(items), cursor, err)
		}
	}
}

func TestNumbersThatComeAgainAreReadAgain(t *testing.T) {
	t.Parallel()
	mails := 3
	address := strangeServer(t, func(command string) string {
		return mailbox(mails, func(string, int) bool { return false })(command)
	})
	s := open(t, strangeSettings+address+"\n")
	_, cursor := mustPull(t, s, sources.Request{})
	mails = 2 // a backup was put back; UID 3 will come again, with the same UIDVALIDITY
	ids, _ := mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "ids", []string{"mail-1@example.org", "mail-2@example.org"}, ids)
	if !strings.Contains(s.log.String(), "numbers of mails again") {
		t.Error("nothing is logged of it")
	}
}

func TestALargeMailboxIsSearchedInPieces(t *testing.T) {
	t.Parallel()
	const mails = 2*maxFound + 5
	var asked []string
	address := strangeServer(t, func(command string) string {
		switch {
		case strings.HasPrefix(command, "EXAMINE"):
			return fmt.Sprintf("* %d EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 999999] x\r\n|OK [READ-ONLY] done", mails)
		case strings.HasPrefix(command, "UID SEARCH"):
			asked = append(asked, command)
			return []string{"* SEARCH 9\r\n|OK done", "* SEARCH 9 8\r\n|OK done", "* SEARCH 7 3 4\r\n|OK done"}[len(asked)-1]
		}
		return ""
	})
	s := open(t, strangeSettings+address+"\n").Source.(*source)
	c, err := s.connect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	found, err := c.find(t.Context(), &goimap.SearchCriteria{}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "searches", []string{"UID SEARCH 2006:4005 UID 1:*", "UID SEARCH 6:2005 UID 1:*", "UID SEARCH 1:5 UID 1:*"}, asked)
	equal(t, "mails above 3, each once and in order", []goimap.UID{4, 7, 8, 9}, slices.Collect(after(3, found)))
}

func TestAMailThatIsHiddenByAFlagIsAskedForAgain(t *testing.T) {
	t.Parallel()
	var once sync.Once
	address := strangeServer(t, func(command string) (reply string) {
		if strings.Contains(command, "BODYSTRUCTURE") {
			once.Do(func() { reply = "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n|OK done" })
		}
		return reply
	})
	items, _, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
	if err != nil || len(items) != 1 {
		t.Errorf("%d items, %v", len(items), err)
	}
}

func TestAMailThatTheServerWithholdsStopsTheCursor(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"BODYSTRUCTURE", "BODY.PEEK[1]"} {
		address := strangeServer(t, func(command string) string {
			if strings.Contains(command, what) {
				return "|OK done"
			}
			return ""
		})
		items, cursor, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
		if !errors.Is(err, errWithheld) || len(items) > 0 || cursor != "" {
			t.Errorf("%d items, cursor %q, %v", len(items), cursor, err)
		}
	}
}

func TestAMailThatIsGoneIsPassedOver(t *testing.T) {
	t.Parallel()
	searches := 0
	address := strangeServer(t, func(command string) string {
		switch {
		case strings.HasPrefix(command, "UID SEARCH"):
			if searches++; searches > 1 {
				return "* SEARCH\r\n|OK done"
			}
		case strings.Contains(command, "BODY.PEEK[1]"):
			return "|OK done"
		}
		return ""
	})
	items, cursor, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
	if err != nil || len(items) > 0 || cursor == "" {
		t.Errorf("%d items, cursor %q, %v", len(items), cursor, err)
	}
}

func TestMoreOfAMailThanWasAskedForIsRefused(t *testing.T) {
	t.Parallel()
	address := strangeServer(t, func(command string) string {
		if strings.Contains(command, "BODY.PEEK[1]") {
			return "* 1 FETCH (UID 1 BODY[1]<0> {99999999999}\r\nText"
		}
		return ""
	})
	_, _, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
	if err == nil || !strings.Contains(err.Error(), errTooMuch.Error()) {
		t.Error(err)
	}
}

func TestMoreSectionsThanWereAskedForAreRefused(t *testing.T) {
	t.Parallel()
	address := strangeServer(t, func(command string) string {
		if strings.Contains(command, "BODY.PEEK[1]") {
			return "* 1 FETCH (UID 1 BODY[1]<0> \"Text\" BODY[2]<0> \"Text\" BODY[3]<0> \"Text\")\r\n|OK done"
		}
		return ""
	})
	_, _, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
	if err == nil || !strings.Contains(err.Error(), errTooMuch.Error()) {
		t.Error(err)
	}
}

func TestALineWithoutEndIsGivenUp(t *testing.T) {
	t.Parallel()
	endless := "* OK " + strings.Repeat("x", maxUnread) + "\r\n|OK done"
	address := strangeServer(t, func(command string) string {
		if strings.HasPrefix(command, "EXAMINE") {
			return endless
		}
		return ""
	})
	_, _, err := pullAll(t, open(t, strangeSettings+address+"\n"), sources.Request{})
	if !errors.Is(err, errEndless) {
		t.Error(err)
	}
}

func TestTheLastMailIsNotReadAgainWhereTheServerDoesNotTellTheNextUID(t *testing.T) {
	t.Parallel()
	address := strangeServer(t, func(command string) string {
		if strings.HasPrefix(command, "EXAMINE") {
			return "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n|OK done"
		}
		return ""
	})
	s := open(t, strangeSettings+address+"\n")
	first, cursor := mustPull(t, s, sources.Request{})
	second, same := mustPull(t, s, sources.Request{Cursor: cursor}) // "2:*" is mail 1
	equal(t, "numbers of mails", []int{1, 0}, []int{len(first), len(second)})
	equal(t, "cursor", cursor, same)
}

// TestRefusalsSayWhatToMend wants no error to show the password, which the server repeats.
func TestRefusalsSayWhatToMend(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, settings, command, answer string
		key                             string
		stops                           bool
	}{
		{"no login without encryption", "", "CAPABILITY", "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n|OK done", "tls", true},
		{"no starttls", "tls: starttls\n", "STARTTLS", "|BAD what is STARTTLS " + password, "tls", true},
		{"a login that is repeated", "", "LOGIN", "|BAD LOGIN anna " + password, "password", true},
		{"a login that fails for now", "", "LOGIN", "|NO [UNAVAILABLE] " + password, "", false},
		{"no such mailbox by its code", "", "EXAMINE", "|NO [NONEXISTENT] " + password, "mailbox", true},
		{"a mailbox that can't be opened now", "", "EXAMINE", "|NO [SERVERBUG] " + password, "mailbox", false},
		{"a search that fails", "", "UID SEARCH", "|NO " + password, "", false},
		{"no marks", "mark_seen: true\n", "UID STORE", "|NO [NOPERM] " + password, "mark_seen", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := strangeServer(t, func(command string) string {
				switch {
				case strings.HasPrefix(command, test.command):
					return test.answer
				case strings.HasPrefix(command, "SELECT"):
					return usual("EXAMINE")
				}
				return ""
			})
			s := open(t, override(strangeSettings+address+"\n", test.settings))
			cursor := ""
			if test.key == "mark_seen" {
				_, cursor, _ = pullAll(t, s, sources.Request{})
			}
			items, _, err := pullAll(t, s, sources.Request{Cursor: cursor}) // looks for the password
			setting, _ := errors.AsType[*sources.SettingError](err)
			_, stops := errors.AsType[*sources.StopError](err)
			if err == nil || (setting != nil) != (test.key != "") || setting != nil && setting.Key != test.key || stops != test.stops || len(items) > 0 {
				t.Errorf("error %v, stops: %v, %d items", err, stops, len(items))
			}
			t.Log(err)
		})
	}
}
