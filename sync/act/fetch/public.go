package fetch

import (
	"errors"
	"net/netip"
	"syscall"
)

// inner are networks that are nobody's on the internet, beyond those that netip knows (IANA's special-purpose registries).
var inner = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by carriers, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocols
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("2001::/23"),       // IETF protocols, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("3fff::/20"),       // documentation
}

// global is all of IPv6 that IANA gives out to be used in the internet.
var global = netip.MustParsePrefix("2000::/3")

// embedding are networks of IPv6 whose addresses lead to the IPv4 address in them, which begins at that byte.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64, RFC 6052
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

// Public tells whether an address is one of the internet: not of this machine, its network, or a special purpose.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, net := range inner {
		if net.Contains(ip) {
			return false
		}
	}
	for _, e := range embedding {
		if e.prefix.Contains(ip) {
			bytes := ip.As16()
			return Public(netip.AddrFrom4([4]byte(bytes[e.at : e.at+4])))
		}
	}
	return ip.Is4() || global.Contains(ip)
}

// errInner says that an address is not of the internet. It does not name it: who sent the reply must not learn it.
var errInner = errors.New("the address leads into a private network")

// guard refuses connections by the address that is really dialled, after names were resolved.
func (c *Client) guard(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !c.options.Allow(at) {
		return errInner
	}
	return nil
}
