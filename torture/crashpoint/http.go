//go:build crashpoints

package crashpoint

import (
	"net/http"
	"strings"
)

// Transport returns a transport with a point before and after each request.
func Transport(t http.RoundTripper) http.RoundTripper { return &transport{t} }

type transport struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	if strings.HasPrefix(path, "/inbox/tickets/") {
		path = "/inbox/tickets/ID"
	}
	reach("before " + r.Method + " " + path)
	res, err := t.RoundTripper.RoundTrip(r)
	reach("after " + r.Method + " " + path)
	return res, err
}

// CloseIdleConnections lets go of the transport's.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
