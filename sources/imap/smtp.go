package imap

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"socialhub-sync/sources"
	"socialhub-sync/sources/imap/mail"
)

// smtpNone is the security of a server on this machine that has none.
const smtpNone = "none"

// SMTP says how replies are sent.
type SMTP struct {
	Host       string         `yaml:"host" doc:"The name of the server that takes mails from you, such as smtp.example.com. Replies need it."`
	Port       int            `yaml:"port" doc:"The server's port; 465 with tls, 587 with starttls and 25 with none if it is 0."`
	Security   string         `yaml:"security" doc:"tls: encrypted from the start; starttls: after a greeting in the clear; none: not at all, for a server on this machine only."`
	Username   string         `yaml:"username" doc:"The name to log in with; the mailbox's own if empty."`
	Password   sources.Secret `yaml:"password" doc:"The mailbox's own if empty."`
	From       string         `yaml:"from" doc:"The address that replies come from, such as support@example.com. Replies need it; mails from it count as your own posts."`
	Name       string         `yaml:"name" doc:"The name beside that address, such as Example Support."`
	SentFolder string         `yaml:"sent_folder" doc:"The mailbox that keeps a copy of each reply, such as Sent. Without it a reply whose sending was interrupted can't be told from one that was not sent, and a person must look."`
}

// validate reports the faults, if replies are wanted.
func (s *SMTP) validate() error {
	var faults []error
	fault := func(key, problem string) {
		faults = append(faults, &sources.SettingError{Key: "smtp." + key, Problem: problem})
	}
	if s.Host == "" {
		if s.From+s.Username+s.Name+s.SentFolder != "" || s.Port != 0 || !s.Password.IsZero() {
			fault("host", "missing; write the name of the server that sends mails, such as smtp.example.com")
		}
		return errors.Join(faults...)
	}
	if strings.ContainsAny(s.Host, "/@: \t\r\n") && !loopback(s.Host) {
		fault("host", "not a server's name, such as smtp.example.com; the port has a key of its own")
	}
	if s.Port < 0 || s.Port > 65535 {
		fault("port", "want 1 to 65535")
	}
	switch {
	case s.Security != tlsAtOnce && s.Security != tlsStart && s.Security != smtpNone:
		fault("security", "want tls, starttls or none")
	case s.Security == smtpNone && !loopback(s.Host):
		fault("security", "none would send the password in the clear; want tls or starttls unless the server is on this machine")
	}
	if s.From == "" {
		fault("from", "missing; write the address that replies come from")
	} else if a, err := netmail.ParseAddress(s.From); err != nil || a.Address != s.From || strings.ContainsFunc(s.From, notInAddress) {
		fault("from", "want a mail address alone, such as support@example.com")
	}
	for key, value := range map[string]string{"username": s.Username, "password": s.Password.Reveal(), "name": s.Name, "sent_folder": s.SentFolder} {
		if len(value) > maxSettings || strings.ContainsFunc(value, unicode.IsControl) {
			fault(key, "has control characters or is too long")
		}
	}
	return errors.Join(faults...)
}

func notInAddress(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '<' || r == '>' }

// ownAddresses are those that we send from.
func (s *Settings) ownAddresses() []string {
	own := slices.Clone(s.Own)
	if s.SMTP.Host != "" {
		own = append(own, s.SMTP.From)
	}
	return own
}

// smtpServer is where replies are sent.
type smtpServer struct {
	SMTP
	address  string
	tls      *tls.Config
	username string
	password sources.Secret
	silence  time.Duration // for how long it may say nothing
}

// server is nil if there is none.
func (s *SMTP) server(box *Settings, trusted *x509.CertPool) *smtpServer {
	if s.Host == "" {
		return nil
	}
	port := cmp.Or(s.Port, map[string]int{tlsAtOnce: 465, tlsStart: 587, smtpNone: 25}[s.Security])
	host := strings.Trim(s.Host, "[]")
	server := &smtpServer{
		SMTP: *s, address: net.JoinHostPort(host, strconv.Itoa(port)), silence: box.Timeout,
		tls:      &tls.Config{ServerName: host, RootCAs: trusted, MinVersion: tls.VersionTLS12},
		username: cmp.Or(s.Username, box.Username), password: s.Password,
	}
	if server.password.IsZero() {
		server.password = box.Password
	}
	return server
}

// domain is what stands behind the @ of our address.
func (s *smtpServer) domain() string { return s.From[strings.LastIndexByte(s.From, '@')+1:] }

// dotTime is how long a server may take to say whether it took a mail. RFC 5321, 4.5.3.2.6: 10 minutes, because a mail
// whose sender went away too early is sent twice.
const dotTime = 10 * time.Minute

// delivery is a mail on its way.
type delivery struct {
	*smtpServer
	ctx    context.Context
	conn   net.Conn
	client *smtp.Client
	alive  *time.Timer // ends the connection when the server says nothing for too long
}

// send sends a mail. Its errors are as [sources.Replier] wants them: up to the dot behind the mail the server has taken
// nothing, and after it only the server's own word tells.
func (s *smtpServer) send(ctx context.Context, to string, text []byte) error {
	d := &delivery{smtpServer: s, ctx: ctx}
	dialer := net.Dialer{Timeout: s.silence}
	var err error
	if d.conn, err = dialer.DialContext(ctx, "tcp", s.address); err != nil {
		return d.before("connect to", err)
	}
	d.alive = time.AfterFunc(s.silence, func() { _ = d.conn.Close() })
	unhook := context.AfterFunc(ctx, func() { _ = d.conn.Close() })
	defer func() {
		d.alive.Stop()
		unhook()
		_ = d.conn.Close()
	}()
	for _, step := range []struct {
		what string
		run  func() error
	}{
		{"connect to", d.greet},
		{"log in at", d.logIn},
		{"name the sender to", func() error {
			return d.client.Mail(s.From, &smtp.MailOptions{UTF8: !isASCII(to), Size: int64(len(text))})
		}},
		{"name the receiver to", func() error { return d.client.Rcpt(to, nil) }},
	} {
		d.alive.Reset(s.silence)
		if err := step.run(); err != nil {
			return d.without(to, d.before(step.what, err))
		}
	}
	return d.without(to, d.hand(text))
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

func (d *delivery) greet() (err error) {
	switch d.Security {
	case tlsStart:
		if d.client, err = smtp.NewClientStartTLS(d.conn, d.tls); err != nil {
			if strings.Contains(err.Error(), "support STARTTLS") {
				return stop("smtp.security", "%s does not offer starttls; try tls", d.address)
			}
			return err
		}
	case smtpNone:
		d.client = smtp.NewClient(d.conn)
	default:
		secure := tls.Client(d.conn, d.tls)
		if err := secure.HandshakeContext(d.ctx); err != nil {
			return err
		}
		d.client = smtp.NewClient(secure)
	}
	d.client.SubmissionTimeout = dotTime
	return d.client.Hello(d.domain())
}

// logIn sends the password, unless the server wants none. Its words are not shown: some repeat what they were sent.
func (d *delivery) logIn() error {
	var err error
	switch password := d.password.Reveal(); {
	case d.client.SupportsAuth(sasl.Plain):
		err = d.client.Auth(sasl.NewPlainClient("", d.username, password))
	case d.client.SupportsAuth(sasl.Login):
		err = d.client.Auth(sasl.NewLoginClient(d.username, password))
	}
	refused, ok := errors.AsType[*smtp.SMTPError](err)
	switch {
	case !ok:
		return err
	case refused.Temporary():
		return &sources.NotDoneError{Err: fmt.Errorf("log in at %s: it answered %d", d.address, refused.Code)}
	}
	return stop("smtp.password", "%s refuses the login; check username and password, and whether the account may send", d.address)
}

// hand gives the server the mail.
func (d *delivery) hand(text []byte) error {
	d.alive.Reset(d.silence)
	w, err := d.client.Data()
	if err != nil {
		return d.before("send a mail to", err)
	}
	for piece := range slices.Chunk(text, 32<<10) {
		d.alive.Reset(d.silence)
		if _, err := w.Write(piece); err != nil {
			return d.before("send a mail to", err)
		}
	}
	d.alive.Reset(dotTime)
	err = w.Close()
	said, ok := errors.AsType[*smtp.SMTPError](err)
	switch {
	case ok && said.Code/100 == 2: // RFC 5321, 4.2.1: the first digit says it
	case ok && (said.Code/100 == 4 || said.Code/100 == 5):
		return d.before("send a mail to", said)
	case err != nil:
		return d.explain("wait for the word on a mail of", err)
	}
	d.alive.Reset(d.silence)
	_ = d.client.Quit() // the mail is taken
	return nil
}

// before says what an error means before the server took the mail.
func (d *delivery) before(what string, err error) error {
	if sources.NotDone(err) {
		return err
	}
	refused, ok := errors.AsType[*smtp.SMTPError](err)
	switch {
	case !ok:
		return &sources.NotDoneError{Err: d.explain(what, err)}
	case refused.Code == 530, refused.Code == 534, refused.Code == 535, refused.Code == 538: // RFC 4954: it wants a login
		return stop("smtp.security", "%s sends nothing without a login, and offers none that we know; try tls or starttls", d.address)
	case refused.Temporary():
		return &sources.NotDoneError{Err: d.explain(what, refused)}
	}
	return &sources.RefusedError{Reason: "the mail server refuses the reply: " + d.said(refused)}
}

// explain says what went wrong, without a secret.
func (d *delivery) explain(what string, err error) error {
	what += " " + d.address
	if d.ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, context.Cause(d.ctx))
	}
	if refused, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return fmt.Errorf("%s: it answered %s", what, d.said(refused))
	}
	if wrong, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &sources.SettingError{Key: "smtp.host", Problem: fmt.Sprintf("%s: %s; if the certificate is your own, name it in ca_file", d.address, wrong.Err)}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &sources.SettingError{Key: "smtp.security", Problem: d.address + " does not speak TLS from the start; try starttls, or another port"}
	}
	if errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: no answer within %s", what, d.silence)
	}
	return fmt.Errorf("%s: %s", what, d.clean(err.Error()))
}

func (d *delivery) said(refused *smtp.SMTPError) string {
	return d.clean(strconv.Itoa(refused.Code) + " " + refused.Message)
}

func (d *delivery) clean(text string) string {
	return mail.OneLine(strings.ReplaceAll(text, d.password.Reveal(), "[redacted]"), maxReason)
}

// without takes the receiver's address, which servers like to repeat, out of an error that may be logged.
func (d *delivery) without(to string, err error) error {
	hide := func(text string) string { return strings.ReplaceAll(text, to, "[the address]") }
	if err == nil || !strings.Contains(err.Error(), to) {
		return err
	}
	if refused, ok := errors.AsType[*sources.RefusedError](err); ok {
		return &sources.RefusedError{Reason: hide(refused.Reason)}
	}
	hidden := errors.New(hide(err.Error()))
	if _, ok := errors.AsType[*sources.NotDoneError](err); ok {
		return &sources.NotDoneError{Err: hidden}
	}
	return hidden
}
