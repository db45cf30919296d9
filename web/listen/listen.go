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
	listener net.Listener
	server   http.Server
	issuer   *issuer
	done     chan struct{}
	log      *slog.Logger
}

// New binds the address and makes sure that the certificate's files, or the folder for certificates, can be used.
func New(o Options) (*Server, error) {
	s := &Server{log: o.Logger}
	config, err := s.tls(o)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, &AddressError{err}
	}
	s.init(listener, config)
	return s, nil
}

// AddressError says that the address can't be listened on.
type AddressError struct{ Err error }

func (e *AddressError) Error() string { return e.Err.Error() }
func (e *AddressError) Unwrap() error { return e.Err }

// tls is how connections are encrypted; nil if they are not.
func (s *Server) tls(o Options) (*tls.Config, error) {
	// HTTP/1.1 alone: many requests at a time over one connection would get around the limit of connections.
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	switch {
	case o.ACME != nil:
		var err error
		if s.issuer, err = newIssuer(*o.ACME, o.Logger); err != nil {
			return nil, err
		}
		s.issuer.configure(config)
	case o.CertFile != "":
		files, err := newFiles(o.CertFile, o.KeyFile, o.Logger)
		if err != nil {
			return nil, err
		}
		config.GetCertificate = files.certificate
	default:
		return nil, nil
	}
	return config, nil
}

// init prepares the server on a listener that is open already.
func (s *Server) init(listener net.Listener, config *tls.Config) {
	s.listener = netutil.LimitListener(listener, maxConnections)
	if config != nil {
		s.listener = tls.NewListener(s.listener, config)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.server = http.Server{
		ReadHeaderTimeout: headerTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaders, Protocols: &protocols, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// Addr is where the server listens, with the port that :0 became.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers with the handler until Close. It may be called once.
func (s *Server) Serve(handler http.Handler) {
	s.server.Handler, s.done = handler, make(chan struct{})
	go func() {
		defer close(s.done)
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
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
	if s.done == nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
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
