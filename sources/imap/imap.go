// Package imap reads a mailbox over IMAP.
//
// A mail becomes an interaction: its subject and readable text are the message, its sender is the interactor, the
// first mail of its thread (References, else In-Reply-To) is the root. Its networkItemId is the prefix and the Message-ID.
// Headers and structure come first, then the text parts alone, each up to a limit: attachments are named and never
// fetched. Package imap/mail makes the text of them. The cursor is the mailbox's UIDVALIDITY and the last UID; when
// UIDVALIDITY changes the mailbox is read anew. Nothing is changed on the server unless mark_seen says so.
//
// A reply goes out by SMTP, if the settings name a server for it. Its Message-ID is made of the action's key, and a copy may
// be kept in the sent folder.
package imap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"socialhub-sync/sources"
)

// New returns the adapter.
func New() sources.Adapter {
	return sources.Adapter{
		Name:    "imap",
		Summary: "the mails of an IMAP mailbox",
		Settings: func() sources.Settings {
			return &Settings{TLS: tlsAtOnce, Mailbox: "INBOX", Quotes: quotesCut, Timeout: 30 * time.Second, MaxText: 256 << 10, SMTP: SMTP{Security: tlsAtOnce}}
		},
	}
}

// Values of settings.
const (
	tlsAtOnce   = "tls"
	tlsStart    = "starttls"
	tlsOff      = "off"
	quotesCut   = "cut"
	quotesKeep  = "keep"
	portTLS     = "993"
	portPlain   = "143"
	maxTimeout  = 10 * time.Minute
	minMaxText  = 1 << 10
	maxMaxText  = 16 << 20
	maxCAFile   = 1 << 20 // bytes
	maxSettings = 1000    // bytes of a name
)

// Settings say which mailbox to read and how.
type Settings struct {
	Server   string         `yaml:"server" doc:"Needed. The mail server's name, with :PORT if that is not 993 (143 with starttls and off)."`
	TLS      string         `yaml:"tls" doc:"tls: encrypted from the start; starttls: after a greeting in the clear; off: not at all, for a server on this machine only."`
	CAFile   string         `yaml:"ca_file" doc:"A file of certificates (PEM) to trust instead of the system's, for a server whose certificate is your own; relative to the config file."`
	Username string         `yaml:"username" doc:"Needed. Often the mail address."`
	Password sources.Secret `yaml:"password" doc:"Needed. If the account has a second factor, a password for applications."`
	Mailbox  string         `yaml:"mailbox" doc:"The mailbox to read, as mail programs show it, with the server's separator: INBOX/Support."`
	MarkSeen bool           `yaml:"mark_seen" doc:"Whether mails are marked as read. Each poll marks those that the polls before it have stored."`
	Quotes   string         `yaml:"quotes" doc:"cut: the history that is quoted below a reply is left out; keep: texts stay whole."`
	Own      []string       `yaml:"own" doc:"Addresses that you send from, such as support@example.com or @example.com: their mails count as your own posts."`
	SMTP     SMTP           `yaml:"smtp" doc:"The server that sends replies. Without it mails are read and not answered."`
	Prefix   string         `yaml:"prefix" doc:"What the networkItemId of each mail begins with; the source's name if empty. Set it before you rename a source, or its mails become new tickets."`
	Timeout  time.Duration  `yaml:"timeout" doc:"How long the server may stay silent, such as 30s."`
	MaxText  int64          `yaml:"max_text" doc:"The most bytes of a text that are fetched, as sent: in HTML and base64. SocialHub shows 10,000 characters."`
}

// Validate implements [sources.Settings].
func (s *Settings) Validate() error {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, &sources.SettingError{Key: key, Problem: problem}) }
	host, _, err := s.address()
	switch {
	case s.Server == "":
		fault("server", "missing; write the mail server's name, such as imap.example.com")
	case err != nil:
		fault("server", "not a name with or without a port, such as imap.example.com or imap.example.com:993")
	case s.TLS == tlsOff && !loopback(host):
		fault("tls", "off would send the password in the clear; want tls or starttls unless the server is on this machine")
	}
	if s.TLS != tlsAtOnce && s.TLS != tlsStart && s.TLS != tlsOff {
		fault("tls", "want tls, starttls or off")
	}
	if s.Quotes != quotesCut && s.Quotes != quotesKeep {
		fault("quotes", "want cut or keep")
	}
	for _, required := range []struct{ key, value, what string }{
		{"username", s.Username, "the name to log in with"},
		{"password", s.Password.Reveal(), "the password, or password_file with its path"},
		{"mailbox", s.Mailbox, "the mailbox to read, such as INBOX"},
	} {
		switch {
		case required.value == "":
			fault(required.key, "missing; write "+required.what)
		case len(required.value) > maxSettings || strings.ContainsFunc(required.value, unicode.IsControl):
			fault(required.key, "has control characters or is too long")
		}
	}
	for _, a := range s.Own {
		if name, domain, found := strings.Cut(strings.TrimSpace(a), "@"); !found || domain == "" || strings.ContainsAny(name+domain, "@<> ") {
			fault("own", fmt.Sprintf("%.80q is no mail address; want support@example.com, or @example.com for all of a domain", a))
		}
	}
	faults = append(faults, s.SMTP.validate(), sources.CheckPrefix(s.Prefix))
	if s.Timeout <= 0 || s.Timeout > maxTimeout {
		fault("timeout", fmt.Sprintf("want more than 0s and at most %s", maxTimeout))
	}
	if s.MaxText < minMaxText || s.MaxText > maxMaxText {
		fault("max_text", fmt.Sprintf("want %d to %d bytes", minMaxText, maxMaxText))
	}
	return errors.Join(faults...)
}

// address is the server's host and host:port.
func (s *Settings) address() (host, address string, err error) {
	port := portTLS
	if s.TLS != tlsAtOnce {
		port = portPlain
	}
	host = strings.Trim(s.Server, "[]")
	if _, err := netip.ParseAddr(host); err != nil && strings.Contains(s.Server, ":") {
		if host, port, err = net.SplitHostPort(s.Server); err != nil {
			return "", "", err
		}
	}
	if number, err := net.LookupPort("tcp", port); err != nil || number == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
		return "", "", errors.New("wrong host or port")
	}
	return host, net.JoinHostPort(host, port), nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.IsLoopback()
}

// Open implements [sources.Settings].
func (s *Settings) Open(_ context.Context, env sources.Env) (sources.Source, error) {
	host, address, err := s.address()
	if err != nil {
		return nil, &sources.SettingError{Key: "server", Problem: err.Error()}
	}
	opened := &source{
		settings: *s, prefix: s.Prefix, own: newOwners(s.ownAddresses()), logger: env.Logger, host: host, address: address,
		tls: &tls.Config{ServerName: host, NextProtos: []string{"imap"}, MinVersion: tls.VersionTLS12},
	}
	if opened.prefix == "" {
		opened.prefix = env.Name
	}
	if s.CAFile != "" {
		if opened.tls.RootCAs, err = authorities(env.Dir, s.CAFile); err != nil {
			return nil, err
		}
	}
	opened.smtp = s.SMTP.server(s, opened.tls.RootCAs)
	return opened, nil
}

// authorities reads the certificates of ca_file.
func authorities(dir, file string) (*x509.CertPool, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxCAFile {
		err = errors.New("too large for certificates")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(text) {
		err = errors.New("no certificate in it; want the form that begins with -----BEGIN CERTIFICATE-----")
	}
	if err != nil {
		return nil, &sources.SettingError{Key: "ca_file", Problem: err.Error()}
	}
	return pool, nil
}

// source is an opened mailbox. It connects for each pull: a poll every some minutes is no reason to hold a connection.
type source struct {
	settings      Settings
	prefix        string
	own           *owners
	logger        *slog.Logger
	host, address string
	tls           *tls.Config
	smtp          *smtpServer // nil: there are no replies
}

// Close implements [sources.Source].
func (s *source) Close() error { return nil }
