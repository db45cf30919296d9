package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
)

// Change lets the server listen as the options say from now on. An error changes nothing. Requests under way are finished
// as they began; connections that wait for the next one are closed. What is as before is left alone: the address keeps
// its port if :0 chose it, and no certificate is asked for again.
func (s *Server) Change(o Options) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	config, issuer, err := s.locks.config.Load(), s.issuer, error(nil)
	if !o.EncryptsLike(s.options) {
		if config, issuer, err = encryption(o); err != nil {
			return err
		}
	}
	if o.Address != s.options.Address {
		if err := s.door.move(o.Address); err != nil {
			if issuer != nil && issuer != s.issuer {
				issuer.close()
			}
			return err
		}
	}
	s.locks.config.Store(config)
	if old := s.issuer; old != issuer {
		s.issuer = issuer
		if issuer != nil && s.done != nil {
			issuer.start()
		}
		if old != nil {
			old.close()
		}
	}
	s.options = o
	s.server.SetKeepAlivesEnabled(false) // closes those that wait
	s.server.SetKeepAlivesEnabled(true)
	return nil
}

// EncryptsLike tells whether both have the same certificates.
func (o Options) EncryptsLike(p Options) bool {
	return o.CertFile == p.CertFile && o.KeyFile == p.KeyFile && reflect.DeepEqual(o.ACME, p.ACME)
}

// door is a listener that moves to another address without that who accepts from it notices.
type door struct {
	mu     sync.Mutex
	here   net.Listener
	closed bool
}

func (d *door) current() net.Listener {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.here
}

func (d *door) Accept() (net.Conn, error) {
	for {
		here := d.current()
		conn, err := here.Accept()
		if err == nil || d.current() == here {
			return conn, err
		}
	}
}

func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return d.here.Close()
}

func (d *door) Addr() net.Addr { return d.current().Addr() }

// move listens on another address, and only then no longer on the one before. Who connected to that in between and was not
// accepted yet is cut off. The error is an [*AddressError], which changes nothing, or it says what did.
func (d *door) move(address string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return net.ErrClosed
	}
	next, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) && samePort(address, d.here.Addr()) {
		return d.turn(address)
	}
	if err != nil {
		return &AddressError{err}
	}
	_ = d.here.Close() // it was listened on, which is over either way
	d.here = next
	return nil
}

// turn moves where both addresses can't be listened on at a time, as with 127.0.0.1:8080 and :8080.
func (d *door) turn(address string) error {
	before := d.here.Addr().String()
	_ = d.here.Close()
	next, err := net.Listen("tcp", address)
	if err == nil {
		d.here = next
		return nil
	}
	back, lost := net.Listen("tcp", before)
	if lost != nil {
		return fmt.Errorf("%w; and nothing listens any more, restart the program: %w", err, lost)
	}
	d.here = back
	return &AddressError{err}
}

func samePort(address string, now net.Addr) bool {
	_, a, err := net.SplitHostPort(address)
	_, b, err2 := net.SplitHostPort(now.String())
	return err == nil && err2 == nil && a == b
}

// locks encrypts each connection as it is said when it comes; with nil it does not.
type locks struct {
	net.Listener
	config atomic.Pointer[tls.Config]
}

func (l *locks) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if config := l.config.Load(); err == nil && config != nil {
		return tls.Server(conn, config), nil
	}
	return conn, err
}
