// Package listen is how the daemon's HTTP comes to the network: the listener, its limits against clients that are slow,
// many or huge, and TLS, with certificates of files or by ACME.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// The limits of a server. A client that breaks one is cut off; the others do not notice.
const (
	// headerTimeout is how long the headers, and the TLS handshake before them, may take.
	headerTimeout = 10 * time.Second
	// requestTimeout is how long a whole request may take to arrive.
	requestTimeout = 30 * time.Second
	// answerTimeout is how long it may take from the end of the headers to the end of the answer.
	answerTimeout = time.Minute
	// idleTimeout is longer than proxies keep connections that they may use again.
	idleTimeout = 2 * time.Minute
	// maxHeaders is in bytes; net/http adds 4 KiB of its own.
	maxHeaders = 64 << 10
	// maxConnections is how many are served at a time; further ones wait.
	maxConnections = 256
	// closeTimeout is how long requests under way may take when the server is closed.
	closeTimeout = 5 * time.Second
)

// Options say where and how to listen.
type Options struct {
	// Address is host:port.
	Address string
	// CertFile and KeyFile are PEM files; both or none.
	CertFile, KeyFile string
	// ACME is nil if no certificate is to be asked for.
	ACME   *ACME
	Logger *slog.Logger
}

// Server listens, and serves once it is told what.
type Server struct {
	door   *door
	locks  *locks
	server http.Server
	log    *slog.Logger

	// mu guards what follows. done is nil until something is served.
	mu      sync.Mutex
	options Options
	issuer  *issuer
	done    chan struct{}
	closed  bool
}

// New binds the address and makes sure that the certificate's files, or the folder for certificates, can be used.
func New(o Options) (*Server, error) {
	config, issuer, err := encryption(o)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, &AddressError{err}
	}
	s := &Server{log: o.Logger, options: o, issuer: issuer}
	s.init(listener, config)
	return s, nil
}

// AddressError says that the address can't be listened on.
type AddressError struct{ Err error }

func (e *AddressError) Error() string { return e.Err.Error() }
func (e *AddressError) Unwrap() error { return e.Err }

// encryption is how connections are encrypted, nil if they are not, and what gets the certificates for that, if something does.
func encryption(o Options) (*tls.Config, *issuer, error) {
	// HTTP/1.1 alone: many requests at a time over one connection would get around the limit of connections.
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	switch {
	case o.ACME != nil:
		issuer, err := newIssuer(*o.ACME, o.Logger)
		if err != nil {
			return nil, nil, err
		}
		issuer.configure(config)
		return config, issuer, nil
	case o.CertFile != "":
		files, err := newFiles(o.CertFile, o.KeyFile, o.Logger)
		if err != nil {
			return nil, nil, err
		}
		config.GetCertificate = files.certificate
		return config, nil, nil
	}
	return nil, nil, nil
}

// init prepares the server on a listener that is open already.
func (s *Server) init(listener net.Listener, config *tls.Config) {
	s.door = &door{here: listener}
	s.locks = &locks{Listener: netutil.LimitListener(s.door, maxConnections)}
	s.locks.config.Store(config)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.server = http.Server{
		ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaders, Protocols: &protocols, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// Addr is where the server listens, with the port that :0 became.
func (s *Server) Addr() net.Addr { return s.door.Addr() }

// Serve answers with the handler until Close. It may be called once.
func (s *Server) Serve(handler http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := make(chan struct{})
	s.server.Handler, s.done = handler, done
	go func() {
		defer close(done)
		if err := s.server.Serve(s.locks); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the listener ended; restart the program", slog.Any("error", err))
		}
	}()
	if s.issuer != nil {
		s.issuer.start()
	}
}

// Close ends what Serve began, or only the listener if nothing was served. It may be called again. Requests under way may finish within some seconds;
// clients that are slower than that are cut off.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.done == nil {
		if err := s.locks.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = s.server.Close()
	}
	<-s.done
	if s.issuer != nil {
		s.issuer.close()
	}
	return err
}
