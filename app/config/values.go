package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"socialhub-sync/sources"
)

// database resolves what `database:` says. A relative path of SQLite's file starts in $STATE_DIRECTORY, which systemd
// sets for a unit with StateDirectory=, or else in the working directory. Errors don't quote the value: it
// may hold a password.
func database(text string, lookupEnv func(string) (string, bool)) (sources.Secret, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "postgres", "postgresql":
		if _, err := url.Parse(text); err != nil || !strings.HasPrefix(rest, "//") {
			return sources.Secret{}, errors.New("is no valid URL; write postgres://USER:PASSWORD@HOST/DATABASE, " +
				"with %XX for special characters in the password")
		}
		return sources.NewSecret(text), nil
	case "sqlite":
		path, err := databasePath(rest, lookupEnv)
		return sources.NewSecret("sqlite:" + path), err
	}
	return sources.Secret{}, errors.New("is neither SQLite nor PostgreSQL; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")
}

func databasePath(path string, lookupEnv func(string) (string, bool)) (string, error) {
	switch {
	case path == "":
		return "", errors.New("names no file; write sqlite:PATH, such as " + DefaultDatabase)
	case strings.HasPrefix(path, "//"), strings.HasPrefix(path, ":"), strings.ContainsAny(path, "?#\x00"):
		return "", errors.New("names no usable file; write sqlite:PATH, without // before the path, :memory: or ?options")
	}
	return stateful(path, lookupEnv)
}

// stateful makes a path absolute that lies in $STATE_DIRECTORY, or else in the working directory.
func stateful(path string, lookupEnv func(string) (string, bool)) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.Clean(path), nil
	}
	// systemd separates several directories by colons.
	state, _ := lookupEnv("STATE_DIRECTORY")
	state, _, _ = strings.Cut(state, ":")
	full, err := filepath.Abs(filepath.Join(state, path))
	if err != nil {
		return "", fmt.Errorf("can't be resolved: %w; write an absolute path", err)
	}
	return full, nil
}

// apiURL checks api_url and takes slashes from its end. Tokens travel in URLs, so only hosts on this machine may do without TLS.
func apiURL(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("is no URL of a server; write " + DefaultAPIURL)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("must have no user, ? or #; write " + DefaultAPIURL)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", errors.New("must begin with https://; http:// would show the access tokens to the network and is for this machine (localhost) only")
	}
	return strings.TrimRight(text, "/"), nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

func checkListen(text string) error {
	if text == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, "/@ \t\n") {
		return fmt.Errorf(`is no address to listen on; write HOST:PORT such as %s, :8080 for all interfaces, or "" for none`, DefaultListen)
	}
	return nil
}

func checkLease(d time.Duration) error {
	if d < MinLease || d > MaxLease {
		return errors.New("must be 2s to 10m")
	}
	return nil
}

// mendSchedule ends every error about a schedule.
const mendSchedule = `; write five fields such as "*/10 * * * *", with CRON_TZ=Europe/Berlin before them if need be, or "@every 5m"`

// schedule reads robfig/cron's standard line.
func schedule(text string) (cron.Schedule, error) {
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		// The cron library panics when nothing follows the zone.
		if !strings.Contains(text, " ") {
			return nil, errors.New("has a time zone but no times" + mendSchedule)
		}
	}
	parsed, err := cron.ParseStandard(text)
	if err != nil {
		return nil, fmt.Errorf("is no schedule: %w%s", err, mendSchedule)
	}
	if every, ok := parsed.(cron.ConstantDelaySchedule); ok {
		_, after, _ := strings.Cut(text, "@every")
		if d, err := time.ParseDuration(strings.TrimSpace(after)); err != nil || d < time.Second {
			// The library takes it for 1s.
			return nil, errors.New("must be @every 1s or more" + mendSchedule)
		}
		return every, nil
	}
	// Any day will do: the search goes on for five years, past a 29 February.
	if parsed.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, errors.New("names a day that never comes" + mendSchedule)
	}
	return parsed, nil
}
