package imap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	gomail "github.com/emersion/go-message/mail"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources/sourcetest"
)

// world is a mailbox of the real server, with a line to it that can be disturbed. The line is not encrypted, so that
// the troubles can have the form of IMAP.
type world struct {
	sourcetest.Shelf
	t       testing.TB
	account *account
	post    *post
	line    net.Listener

	mu        sync.Mutex
	trouble   sourcetest.Trouble
	onRequest func(int)
	requests  int
}

func newWorld(t testing.TB) sourcetest.World {
	w := &world{t: t, account: newAccount(t), post: newPost(t, smtpNone)}
	c := w.account.client(t)
	err := c.Create("Sent", nil).Wait()
	if _ = c.Close(); err != nil {
		t.Fatal(err)
	}
	if w.line, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := w.line.Accept()
			if err != nil {
				return
			}
			open.Go(func() { w.connect(client) })
		}
	})
	t.Cleanup(func() {
		_ = w.line.Close()
		open.Wait()
	})
	return w
}

func (w *world) Settings() string {
	return fmt.Sprintf("server: %s\ntls: off\nusername: %s\npassword: %s\nown: [support@example.com]\nprefix: mail\n", w.line.Addr(), w.account.name, password) +
		strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(w.post.smtp(smtpNone, withSent)), "\n  ", ", "), "smtp:, ", "smtp: {") + "}\n"
}

func (w *world) Put(items ...sourcetest.Item) {
	w.Shelf.Put(items...)
	mails := make([]string, len(items))
	for n, item := range items {
		mails[n] = fmt.Sprintf("Message-ID: <%d@example.org>\nFrom: Anna <anna@example.org>\nDate: %s\nSubject: Item\n"+
			"Content-Type: text/plain; charset=utf-8\n\n%s\n", item.ID, item.Created.Format(time.RFC1123Z), item.Text)
	}
	w.account.fill(w.t, func(n int) time.Time { return items[n].Updated }, mails...)
}

// Remove implements [sourcetest.Remover].
func (w *world) Remove(ids ...int) {
	w.Shelf.Remove(ids...)
	c := w.account.client(w.t)
	defer c.Close()
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		w.t.Error(err)
		return
	}
	for _, id := range ids {
		found, err := c.UIDSearch(withID(fmt.Sprintf("%d@example.org", id)), nil).Wait()
		if err != nil {
			w.t.Error(err)
			return
		}
		flags := &goimap.StoreFlags{Op: goimap.StoreFlagsAdd, Silent: true, Flags: []goimap.Flag{goimap.FlagDeleted}}
		if err := errors.Join(c.Store(found.All, flags, nil).Close(), c.Expunge().Close()); err != nil {
			w.t.Error(err)
		}
	}
}

// Done implements [sourcetest.Actor].
func (w *world) Done() []sourcetest.Deed {
	var deeds []sourcetest.Deed
	for _, m := range w.post.mails() {
		deed := sourcetest.Deed{Type: socialhub.ActionReply}
		read, err := gomail.CreateReader(strings.NewReader(m.text))
		if err != nil {
			w.t.Error(err)
			continue
		}
		_, _ = fmt.Sscanf(read.Header.Get("In-Reply-To"), "<%d@", &deed.Item)
		for part, err := read.NextPart(); err == nil; part, err = read.NextPart() {
			content, _ := io.ReadAll(part.Body)
			if _, isFile := part.Header.(*gomail.AttachmentHeader); isFile {
				deed.Files = append(deed.Files, string(content))
			} else {
				deed.Text = strings.ReplaceAll(string(content), "\r\n", "\n")
			}
		}
		deeds = append(deeds, deed)
	}
	return deeds
}

func (w *world) OnRequest(f func(int)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onRequest, w.requests = f, 0
}

func (w *world) Break(trouble sourcetest.Trouble) bool {
	switch trouble {
	case sourcetest.Throttled, sourcetest.Unavailable, sourcetest.Repeating, sourcetest.Lost: // IMAP has no words for them
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = trouble
	return true
}

// request notes a command of the client.
func (w *world) request() sourcetest.Trouble {
	w.mu.Lock()
	w.requests++
	n, f := w.requests, w.onRequest
	w.mu.Unlock()
	if f != nil {
		f(n)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble
}

// connect carries a connection until one side ends it.
func (w *world) connect(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.account.server.plain)
	if err != nil {
		w.t.Error(err)
		return
	}
	limit := make(chan int, 1) // of bytes to the client from now on
	var back sync.WaitGroup
	back.Go(func() { copyUntil(client, server, limit) })
	defer back.Wait()
	defer server.Close()
	commands := bufio.NewReader(client)
	for {
		command, err := commands.ReadString('\n')
		if err != nil || !w.pass(command, client, server, limit) {
			return
		}
	}
}

// pass hands on a command, or makes trouble; it tells whether the connection goes on.
func (w *world) pass(command string, client, server net.Conn, limit chan<- int) bool {
	tag, _, _ := strings.Cut(command, " ")
	switch trouble := w.request(); trouble {
	case sourcetest.Dropped:
		return false
	case sourcetest.Hanging:
		return true
	case sourcetest.Failing:
		fmt.Fprintf(client, "%s NO [UNAVAILABLE] Internal error\r\n", tag)
		return true
	case sourcetest.Unauthorized:
		if strings.Contains(command, "AUTHENTICATE") || strings.Contains(command, "LOGIN") {
			fmt.Fprintf(client, "%s NO [AUTHENTICATIONFAILED] Wrong: %s\r\n", tag, password)
			return true
		}
	case sourcetest.CutOff:
		limit <- 10
	case sourcetest.LoginPage:
		fmt.Fprint(client, "<!DOCTYPE html><html><form action=login></form></html>\r\n")
		return false
	case sourcetest.Garbage:
		fmt.Fprint(client, "\x00\x01\xFF\xFE(({9}\r\n\x00\r\n")
		return false
	case sourcetest.TooLarge:
		fmt.Fprint(client, "* OK ")
		for chunk := []byte(strings.Repeat("x", 1<<16)); err(client.Write(chunk)) == nil; {
		}
		return false
	}
	return err(server.Write([]byte(command))) == nil
}

func err(_ int, err error) error { return err }

// copyUntil copies until the end, or until as many bytes more as limit says.
func copyUntil(client, server net.Conn, limit <-chan int) {
	defer client.Close()
	chunk := make([]byte, 4096)
	for {
		n, err := server.Read(chunk)
		select {
		case most := <-limit:
			_, _ = client.Write(chunk[:min(n, most)])
			return
		default:
		}
		if _, failed := client.Write(chunk[:n]); err != nil || failed != nil {
			return
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Adapter: New(), World: newWorld, Items: 2*window + 1, Incremental: true, Late: sourcetest.Always, Timeout: "timeout: 100ms",
		Actions: []sourcetest.Ability{{Type: socialhub.ActionReply, Files: true}}, Unseen: true, // copies lie in another mailbox
		Wrong: []sourcetest.Wrong{
			{Line: "server: \"\""}, {Line: "server: imap.example.com:99999"}, {Line: "server: https://imap.example.com"},
			{Line: "server: imap.example.com", Key: "tls"}, {Line: "tls: ssl"}, {Line: "username: \"\""}, {Line: "password: \"\""},
			{Line: "mailbox: \"\""}, {Line: "mailbox: \"a\\nb\""}, {Line: "quotes: maybe"}, {Line: "own: [support]"}, {Line: "own: [\"@\"]"},
			{Line: "prefix: ü"}, {Line: "timeout: 0s"}, {Line: "timeout: 1h"}, {Line: "max_text: 10"}, {Line: "max_text: 99999999999"},
		},
	})
}
