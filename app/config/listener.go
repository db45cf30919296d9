package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"socialhub-sync/app/config/strictyaml"
)

// DefaultDirectory is the ACME server that issues certificates unless the file names another.
const DefaultDirectory = "https://acme-v02.api.letsencrypt.org/directory"

// TLS says how the listener encrypts: with a certificate of files, or with one by ACME; with neither it does not.
type TLS struct {
	// CertFile and KeyFile are absolute paths of PEM files; both or none.
	CertFile, KeyFile string
	// ACME is nil if nothing asks for certificates.
	ACME *ACME
}

// ACME says which certificates are asked for, and where.
type ACME struct {
	// Domains are at least one name of this machine.
	Domains []string
	// Email is told to the ACME server; it may be empty.
	Email string
	// Cache is the absolute path of the folder for keys and certificates.
	Cache string
	// Directory is the URL of the ACME server.
	Directory string
}

// The keys under `tls` as they are written.
type (
	tlsKeys struct {
		CertFile string    `yaml:"cert_file" doc:"The certificate with those that it leads to, in PEM. Renewed files are taken up within seconds."`
		KeyFile  string    `yaml:"key_file" doc:"The certificate's key, in PEM."`
		ACME     *acmeKeys `yaml:"acme" doc:"A certificate by ACME, whose terms you agree to by that. Port 443 of each name must lead to listen."`
	}
	acmeKeys struct {
		Domains   []string `yaml:"domains" doc:"The names that the certificate is for; the one in public_url if left out."`
		Email     string   `yaml:"email" doc:"An address for the ACME server to write to."`
		Cache     string   `yaml:"cache" doc:"The folder for keys and certificates, in $STATE_DIRECTORY or else the working directory; acme beside the database's file if left out."`
		Directory string   `yaml:"directory" doc:"The address of the ACME server."`
	}
)

// network is an entry of `trusted_proxies`: an address or a network.
type network struct{ netip.Prefix }

// UnmarshalText makes a network of one address out of an address.
func (n *network) UnmarshalText(text []byte) error {
	prefix, err := netip.ParsePrefix(string(text))
	if addr, e := netip.ParseAddr(string(text)); e == nil {
		prefix, err = netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
	}
	if err != nil {
		return errors.New("must be an address such as 127.0.0.1 or a network such as 10.0.0.0/8")
	}
	if addr := prefix.Addr(); addr.Is4In6() {
		if prefix.Bits() < 96 {
			return errors.New("must be written as an IPv4 network, such as 10.0.0.0/8")
		}
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	n.Prefix = prefix.Masked()
	return nil
}

// listener reads what the listener needs beside its address.
func (r *reader) listener(root *strictyaml.Node, keys *fileKeys, c *Config) {
	var err error
	if c.PublicURL, err = publicURL(keys.PublicURL); err != nil {
		r.Check(root, "public_url", err)
		c.PublicURL = keys.PublicURL // there is one, so that nothing else is at fault for it
	}
	for _, n := range keys.TrustedProxies {
		c.TrustedProxies = append(c.TrustedProxies, n.Prefix)
	}
	if keys.TLS == nil {
		return
	}
	switch t := keys.TLS; {
	case t.ACME != nil && (t.CertFile != "" || t.KeyFile != ""):
		r.Check(root, "tls", errors.New("has both files and acme; keep cert_file and key_file, or acme"))
	case t.ACME != nil:
		c.TLS.ACME = r.acme(root, t.ACME, c)
	case t.CertFile == "" && t.KeyFile == "":
		r.Check(root, "tls", errors.New("says nothing; write cert_file and key_file, or acme, or leave tls out"))
	case t.CertFile == "":
		r.Check(root, "tls.cert_file", errors.New("is missing beside key_file; write the path of the certificate"))
	case t.KeyFile == "":
		r.Check(root, "tls.key_file", errors.New("is missing beside cert_file; write the path of the certificate's key"))
	default:
		c.TLS.CertFile, c.TLS.KeyFile = within(c.Dir, t.CertFile), within(c.Dir, t.KeyFile)
	}
}

func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

func (r *reader) acme(root *strictyaml.Node, keys *acmeKeys, c *Config) *ACME {
	a := &ACME{Email: keys.Email, Directory: keys.Directory}
	for n, text := range keys.Domains {
		name, err := domain(text)
		r.Check(root, fmt.Sprintf("tls.acme.domains[%d]", n), err)
		a.Domains = append(a.Domains, name)
	}
	if len(keys.Domains) == 0 {
		name, err := domain(hostOf(c.PublicURL))
		if err != nil {
			r.Check(root, "tls.acme.domains", errors.New("is missing; write the names that the certificate is for, such as [sync.example.com]"))
		}
		a.Domains = []string{name}
	}
	if a.Directory == "" {
		a.Directory = DefaultDirectory
	}
	if u, err := url.Parse(a.Directory); err != nil || u.User != nil || u.Hostname() == "" || u.Scheme != "https" {
		r.Check(root, "tls.acme.directory", errors.New("is no https:// address of an ACME server; write "+DefaultDirectory))
	}
	var err error
	a.Cache, err = r.cacheFolder(keys.Cache, c)
	r.Check(root, "tls.acme.cache", err)
	return a
}

// cacheFolder is where certificates are kept: unless the file says so, beside the database's file. A relative path starts
// where the database's does.
func (r *reader) cacheFolder(path string, c *Config) (string, error) {
	if file, ok := c.DatabaseFile(); ok && path == "" {
		return filepath.Join(filepath.Dir(file), "acme"), nil
	}
	if path == "" {
		path = "acme"
	}
	return stateful(path, r.lookupEnv)
}

var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// domain is a name that an ACME server can check by tls-alpn-01, in lower case.
func domain(text string) (string, error) {
	name := strings.ToLower(text)
	switch {
	case strings.HasPrefix(name, "*."):
		return "", errors.New("can't be a wildcard; write each name")
	case len(name) > 253 || !domainName.MatchString(name):
		return "", errors.New("is no name of a machine on the Internet; write one such as sync.example.com (xn--… for one with other letters)")
	}
	return name, nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// publicURL checks an address under which SocialHub reaches the listener, and takes slashes from its end.
func publicURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("is no address that SocialHub could reach; write one such as https://sync.example.com")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("must have no user, ? or #; write it as https://sync.example.com")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", errors.New("must begin with https://, as SocialHub wants; http:// is for the sandbox on this machine (localhost) only")
	}
	return strings.TrimRight(text, "/"), nil
}
