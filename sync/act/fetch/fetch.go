// Package fetch downloads the files that the team put into replies. Their addresses come from outside, so it goes to
// the public internet only, and takes no more than a reply may hold.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"

	"socialhub-sync/sources"
)

const (
	// MaxSize is the most that a file may have, in bytes.
	MaxSize = 25 << 20
	// Timeout bounds a download from the first byte sent to the last one read.
	Timeout = time.Minute

	maxRedirects = 5
)

// RefusedError says that a file will not be downloaded, however often it is tried.
type RefusedError struct {
	// Reason is for the team; it does not hold the address, which may be a key to the file.
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// Options make a Client; the zero value is right.
type Options struct {
	UserAgent string
	// Allow tells to which addresses connections may go; nil means [Public].
	Allow func(netip.AddrPort) bool
	// Resolver looks names up; nil means this machine's.
	Resolver *net.Resolver
	// Roots are the certificates that are trusted; nil means this machine's.
	Roots *x509.CertPool
	// Timeout is instead of the constant if it is not 0.
	Timeout time.Duration
}

// Client downloads files. It may be used by several goroutines at once.
type Client struct {
	options   Options
	transport *http.Transport
}

// New returns a client. Close it.
func New(o Options) *Client {
	if o.Allow == nil {
		o.Allow = func(to netip.AddrPort) bool { return Public(to.Addr()) }
	}
	if o.Timeout == 0 {
		o.Timeout = Timeout
	}
	c := &Client{options: o}
	dialer := &net.Dialer{Timeout: 10 * time.Second, Resolver: o.Resolver, Control: c.guard}
	c.transport = &http.Transport{
		// No proxy: the address that is dialled is the one to judge.
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: o.Roots},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a small answer could become a large file
		DisableKeepAlives:      true,
	}
	return c
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// File is a downloaded file. It has no name on the disk, so that nothing stays behind when the process dies.
type File struct {
	Size int64
	// MimeType is what the server said, perhaps with parameters; empty if it said nothing.
	MimeType string
	content  *os.File
}

// Open reads the file from its beginning; several readers may do so at a time.
func (f *File) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(f.content, 0, f.Size)), nil
}

// Close gives the file's space back.
func (f *File) Close() error { return f.content.Close() }

// Get downloads a file. An error is a [*RefusedError], or one that may be over when it is tried again. Neither shows
// more of the address than its host.
func (c *Client) Get(ctx context.Context, address string) (*File, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return nil, &RefusedError{"the file has no https address"}
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &RefusedError{"the file's address can't be asked"}
	}
	req.Header.Set("User-Agent", c.options.UserAgent)
	client := http.Client{Transport: c.transport, CheckRedirect: redirect}
	res, err := client.Do(req)
	if err != nil {
		return nil, c.trouble(ctx, err)
	}
	defer res.Body.Close()
	if err := judge(res); err != nil {
		return nil, err
	}
	return c.save(ctx, res)
}

// redirect says which redirects are followed.
func redirect(next *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return &RefusedError{fmt.Sprintf("the file's address redirects more than %d times", maxRedirects)}
	case next.URL.Scheme != "https":
		return &RefusedError{"the file's address redirects to one without https"}
	}
	next.Header.Del("Referer") // it may be a key to the file
	return nil
}

// judge says what an answer's head means.
func judge(res *http.Response) error {
	switch s := res.StatusCode; {
	case s == http.StatusRequestTimeout || s == http.StatusTooEarly || s == http.StatusTooManyRequests || s >= 500:
		return fmt.Errorf("the file's server answers %d", s)
	case s != http.StatusOK:
		return &RefusedError{fmt.Sprintf("the file can't be downloaded: its server answers %d", s)}
	case res.ContentLength > MaxSize:
		return errLarge
	}
	return nil
}

var errLarge = &RefusedError{fmt.Sprintf("the file is larger than %d MiB", MaxSize>>20)}

func (c *Client) save(ctx context.Context, res *http.Response) (*File, error) {
	content, err := os.CreateTemp("", "socialhub-sync-file-")
	if err != nil {
		return nil, fmt.Errorf("keep the file: %w", err)
	}
	_ = os.Remove(content.Name()) // it lives as long as it is open
	f := &File{content: content, MimeType: res.Header.Get("Content-Type")}
	f.Size, err = io.Copy(content, io.LimitReader(res.Body, MaxSize+1))
	switch {
	case err != nil:
		err = c.trouble(ctx, err)
	case f.Size > MaxSize:
		err = errLarge
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// trouble is an error of a transport without the address.
func (c *Client) trouble(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused
	}
	if errors.Is(err, errInner) {
		return &RefusedError{"the file's address leads into a private network"}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("download the file: %w", context.Cause(ctx))
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok { // its text has addresses
		err = op.Err
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("download the file: its server can't be found")
	}
	return errors.New("download the file: " + sources.ShownReason(err))
}
