package imap

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const smtpPassword = "smtp-Passw0rd"

// post is a mail server that takes mails.
type post struct {
	address string
	mu      sync.Mutex
	taken   []taken
	wrong
}

// wrong is what a post does wrong.
type wrong struct {
	login, mail, rcpt, data error
	// dropAfter: it takes the mail and goes away without a word; dropDuring: in the middle of it.
	dropAfter, dropDuring bool
	// onData is called before it says that it took a mail.
	onData func(text string)
}

// set changes what it does wrong.
func (p *post) set(change func(*wrong)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.wrong)
}

// now is what it does wrong at the moment.
func (p *post) now() wrong {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrong
}

type taken struct {
	from, to, user string
	encrypted      bool
	text           string
}

// newPost starts a server with this security, as settings say it.
func newPost(t testing.TB, security string) *post {
	t.Helper()
	p := &post{}
	s := smtp.NewServer(p)
	s.Domain, s.AllowInsecureAuth, s.ErrorLog = "localhost", security == smtpNone, log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	if security != smtpNone {
		d := server(t)
		pair, err := tls.LoadX509KeyPair(d.certificate, filepath.Join(d.dir, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{Certificates: []tls.Certificate{pair}}
		if s.TLSConfig = config; security == tlsAtOnce {
			l = tls.NewListener(l, config)
		}
	}
	var served sync.WaitGroup
	served.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		_ = l.Close() // the server does not know it if Serve has only begun
		served.Wait()
	})
	return p
}

// settings are those of an account that sends by this server.
func (p *post) settings(a *account, security, more string) string {
	return a.settings(p.smtp(security, more))
}

// smtp are the lines of settings below smtp.
func (p *post) smtp(security, more string) string {
	_, port, _ := net.SplitHostPort(p.address)
	return fmt.Sprintf("smtp:\n  host: 127.0.0.1\n  port: %s\n  security: %s\n  username: sender\n  password: %s\n  from: Support@example.com\n%s",
		port, security, smtpPassword, more)
}

func (p *post) mails() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taken(nil), p.taken...)
}

func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, encrypted := c.TLSConnectionState()
	return &sender{post: p, conn: c, encrypted: encrypted}, nil
}

// sender is one client's session.
type sender struct {
	*post
	conn           *smtp.Conn
	encrypted      bool
	user, from, to string
}

func (s *sender) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *sender) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if refused := s.now().login; refused != nil {
			return refused
		}
		if username != "sender" || password != smtpPassword {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong: " + password}
		}
		s.user = username
		return nil
	}), nil
}

func (s *sender) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	if s.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	return s.now().mail
}

func (s *sender) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.now().rcpt
}

func (s *sender) Data(r io.Reader) error {
	wrong := s.now()
	if wrong.dropDuring {
		_, _ = r.Read(make([]byte, 10))
		_ = s.conn.Conn().Close()
		return errors.New("dropped")
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if wrong.data != nil {
		return wrong.data
	}
	s.mu.Lock()
	_, encrypted := s.conn.TLSConnectionState()
	s.taken = append(s.taken, taken{s.from, s.to, s.user, encrypted, string(text)})
	s.mu.Unlock()
	if wrong.onData != nil {
		wrong.onData(string(text))
	}
	if wrong.dropAfter {
		_ = s.conn.Conn().Close()
	}
	return nil
}

func (s *sender) Reset()        {}
func (s *sender) Logout() error { return nil }

// refusal is a server's word.
func refusal(code int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: strings.TrimSpace(text)}
}
