package web

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// peer is the address of who asks: that of the connection, unless it is a proxy that is trusted. Then it is the last one
// in X-Forwarded-For that is none of the trusted proxies; what stands before it anybody may have written.
func peer(r *http.Request, proxies []netip.Prefix) string {
	at, ok := address(r.RemoteAddr)
	if !ok {
		return "unknown"
	}
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(chain) {
		if !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(at) }) {
			break
		}
		before, ok := address(strings.TrimSpace(hop))
		if !ok {
			break
		}
		at = before
	}
	return at.String()
}

// address reads an address with or without a port.
func address(text string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone(""), err == nil
}
