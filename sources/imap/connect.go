package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"socialhub-sync/sources"
	"socialhub-sync/sources/imap/mail"
)

// maxUnread bounds what the server may send, in bytes, without finishing an answer or a piece of a mail. The IMAP
// library reads a line without end into memory, and calls itself for each bracket in a BODYSTRUCTURE: a few MB
// of brackets would overflow the stack, which ends the process. Its time grows with the square of their number: those
// that fit in here take it seconds.
const maxUnread = 32 << 10

var errEndless = errors.New("it sends without end")

// boundedConn ends with errEndless after maxUnread bytes that nobody has taken note of.
type boundedConn struct {
	net.Conn
	unread atomic.Int64
}

func (c *boundedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.unread.Add(int64(n)) > maxUnread {
		return 0, errEndless
	}
	return n, err
}

// session is a connection that is logged in, with the mailbox open. It serves one goroutine.
type session struct {
	source *source
	client *imapclient.Client
	raw    *boundedConn
	box    *goimap.SelectData
	unhook func() bool

	silent atomic.Bool // the server said nothing for too long
}

// connect opens the mailbox, read-only unless write is true. Close the session.
func (s *source) connect(ctx context.Context, write bool) (*session, error) {
	c := &session{source: s}
	dialer := net.Dialer{Timeout: s.settings.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, c.explain(ctx, "connect to", err)
	}
	c.raw = &boundedConn{Conn: conn}
	c.unhook = context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	for _, step := range []struct {
		what string
		run  func() error
	}{
		{"connect to", func() error { return c.greet(ctx) }},
		{"log in at", c.logIn},
		{"open the mailbox at", func() error { return c.open("mailbox", s.settings.Mailbox, write) }},
	} {
		if err := c.within(ctx, step.what, func(func()) error { return step.run() }); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// close ends the connection at once; there is nothing that a LOGOUT would save.
func (c *session) close() {
	c.unhook()
	_ = c.raw.Close()
	if c.client != nil {
		_ = c.client.Close() // waits for the client's goroutine
	}
}

// within runs an exchange with the server, which may not be silent for longer than the setting timeout: alive tells
// that something came.
func (c *session) within(ctx context.Context, what string, run func(alive func()) error) error {
	timer := time.AfterFunc(c.source.settings.Timeout, func() {
		c.silent.Store(true)
		_ = c.raw.Close()
	})
	defer timer.Stop()
	c.raw.unread.Store(0)
	err := run(func() {
		timer.Reset(c.source.settings.Timeout)
		c.raw.unread.Store(0)
	})
	if err != nil {
		return c.explain(ctx, what, err)
	}
	return nil
}

func (c *session) greet(ctx context.Context) (err error) {
	options := &imapclient.Options{TLSConfig: c.source.tls}
	switch c.source.settings.TLS {
	case tlsStart:
		if c.client, err = imapclient.NewStartTLS(c.raw, options); err != nil {
			if refused, ok := errors.AsType[*goimap.Error](err); ok {
				return stop("tls", "%s refuses starttls (%s); try tls", c.source.address, c.said(refused))
			}
			return err
		}
	case tlsOff:
		c.client = imapclient.New(c.raw, options)
	default:
		conn := tls.Client(c.raw, c.source.tls)
		if err := conn.HandshakeContext(ctx); err != nil {
			return err
		}
		c.client = imapclient.New(conn, options)
	}
	return c.client.WaitGreeting()
}

// logIn sends the password. The server's words are not shown: some repeat what they were sent.
func (c *session) logIn() error {
	if c.client.State() == goimap.ConnStateAuthenticated { // the server knows us by our address
		return nil
	}
	caps, settings := c.client.Caps(), &c.source.settings
	var err error
	switch {
	case caps.Has(goimap.AuthCap(sasl.Plain)):
		err = c.client.Authenticate(sasl.NewPlainClient("", settings.Username, settings.Password.Reveal()))
	case caps.Has(goimap.CapLoginDisabled):
		return stop("tls", "%s takes no password over this connection; want tls or starttls", c.source.address)
	default:
		err = c.client.Login(settings.Username, settings.Password.Reveal()).Wait()
	}
	refused, ok := errors.AsType[*goimap.Error](err)
	if !ok {
		return err
	}
	switch refused.Code {
	case goimap.ResponseCodeUnavailable, goimap.ResponseCodeServerBug, goimap.ResponseCodeInUse, goimap.ResponseCodeLimit:
		return fmt.Errorf("it answered %s [%s]", refused.Type, refused.Code)
	}
	return stop("password", "%s refuses the login; check username and password, and whether the account may use IMAP", c.source.address)
}

// open opens the mailbox that a setting names, in place of the one that is open.
func (c *session) open(setting, name string, write bool) (err error) {
	c.box, err = c.client.Select(name, &goimap.SelectOptions{ReadOnly: !write}).Wait()
	refused, ok := errors.AsType[*goimap.Error](err)
	if !ok {
		return err
	}
	problem := &sources.SettingError{Key: setting, Problem: fmt.Sprintf("%s does not open %q: it answered %s", c.source.address, name, c.said(refused))}
	switch refused.Code {
	case goimap.ResponseCodeNonExistent, goimap.ResponseCodeNoPerm, goimap.ResponseCodeCannot:
		return &sources.StopError{Err: problem}
	case "": // many servers name no reason
		if there, err := c.client.List("", name, nil).Collect(); err == nil && len(there) == 0 {
			return &sources.StopError{Err: problem}
		}
	}
	return problem
}

func stop(key, problem string, args ...any) error {
	return &sources.StopError{Err: &sources.SettingError{Key: key, Problem: fmt.Sprintf(problem, args...)}}
}

// garbledError is an answer that the IMAP library does not understand.
type garbledError struct{}

func (garbledError) Error() string {
	return "it answered with something that is not IMAP as we know it"
}

// explain says what went wrong in words that hold nothing of the mails and no secret.
func (c *session) explain(ctx context.Context, what string, err error) error {
	what += " " + c.source.address
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	if c.silent.Load() {
		return fmt.Errorf("%s: no answer within %s", what, c.source.settings.Timeout)
	}
	if _, ok := errors.AsType[*sources.StopError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*sources.SettingError](err); ok {
		return err
	}
	if refused, ok := errors.AsType[*goimap.Error](err); ok {
		return fmt.Errorf("%s: it answered %s", what, c.said(refused))
	}
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &sources.SettingError{Key: "server", Problem: fmt.Sprintf("%s: %s; if the certificate is your own, name it in ca_file", c.source.address, wrong.Err)}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &sources.SettingError{Key: "tls", Problem: c.source.address + " does not speak TLS from the start; try starttls, or another port"}
	}
	switch text := err.Error(); {
	case strings.Contains(text, errEndless.Error()): // the library keeps the words only
		return fmt.Errorf("%s: %w", what, errEndless)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "EOF"), strings.Contains(text, "connection closed"),
		strings.Contains(text, "connection reset"), strings.Contains(text, "broken pipe"):
		return fmt.Errorf("%s: it closed the connection", what)
	case strings.Contains(text, "imapwire:"), strings.Contains(text, "in response"), strings.Contains(text, "imapclient:"), strings.Contains(text, "in continue-req"):
		return fmt.Errorf("%s: %w", what, garbledError{})
	}
	return fmt.Errorf("%s: %s", what, c.clean(err.Error()))
}

// said is a refusal in the server's words.
func (c *session) said(refused *goimap.Error) string {
	text := string(refused.Type)
	if refused.Code != "" {
		text += " [" + string(refused.Code) + "]"
	}
	if refused.Text != "" {
		text += " " + refused.Text
	}
	return c.clean(text)
}

// maxReason bounds what is shown of a text from outside, in bytes.
const maxReason = 200

// clean makes a text from outside fit for an error: one short line without the password.
func (c *session) clean(text string) string {
	return mail.OneLine(strings.ReplaceAll(text, c.source.settings.Password.Reveal(), "[redacted]"), maxReason)
}
