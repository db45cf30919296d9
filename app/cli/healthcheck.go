package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"socialhub-sync/app/config"
)

// healthcheckTimeout is a little more than /readyz takes for the database.
const healthcheckTimeout = 8 * time.Second

// healthcheckCommand asks the daemon of this machine whether it is ready, for containers, which have no other program to ask
// with. It reads the config and changes nothing.
type healthcheckCommand struct{}

func (healthcheckCommand) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	if c.Listen == "" {
		return usage(`listen is "": there is nothing to ask; set it in %s, such as "127.0.0.1:8080"`, c.File)
	}
	url, client := ownListener(c)
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(e.ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the daemon does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New("the daemon is not ready: " + oneLine(strings.TrimSpace(string(body))))
	}
	return err
}

// ownListener is how the daemon with this config is asked from its own machine.
func ownListener(c *config.Config) (url string, client *http.Client) {
	transport := &http.Transport{DisableKeepAlives: true}
	scheme := "http"
	if c.TLS.CertFile != "" || c.TLS.ACME != nil {
		// The certificate is for the name that others use. Nothing secret is sent or believed.
		scheme, transport.TLSClientConfig = "https", &tls.Config{InsecureSkipVerify: true}
		if c.TLS.ACME != nil {
			transport.TLSClientConfig.ServerName = c.TLS.ACME.Domains[0]
		}
	}
	return scheme + "://" + reachable(c.Listen) + "/readyz", &http.Client{Transport: transport, Timeout: healthcheckTimeout}
}

// reachable is the address at which this machine reaches a listener; one on all interfaces is reached by the loopback.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if err == nil && ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}
