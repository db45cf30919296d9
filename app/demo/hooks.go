package demo

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// hooks leads what SocialHub sends to the daemon, as a proxy in front of it would: the daemon's port is known only when it
// has one.
type hooks struct {
	mu        sync.Mutex
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

// leadTo says where the daemon is.
func (h *hooks) leadTo(daemon string) {
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{Transport: transport}
	// The daemon is stopping, and SocialHub tries again.
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		if u, err := url.Parse(daemon); err == nil {
			r.SetURL(u)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.transport, h.proxy = transport, proxy
}

// close frees the connections.
func (h *hooks) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.transport.CloseIdleConnections()
	return nil
}

// ServeHTTP answers as a proxy does whose server is not up yet, until it is known where the daemon is.
func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	proxy := h.proxy
	h.mu.Unlock()
	if proxy == nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	proxy.ServeHTTP(w, r)
}
