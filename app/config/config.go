// Package config reads the configuration file. The file is YAML, read strictly: an unknown key, a wrong
// type or a value that can't work is a fault, and all faults are told at once, each with its line.
// config.example.yaml documents every key.
package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/store"
	"socialhub-sync/sync"
)

// What a file that does not say otherwise gets.
const (
	DefaultDatabase    = "sqlite:socialhub-sync.db"
	DefaultAPIURL      = "https://api.socialhub.io"
	DefaultListen      = "127.0.0.1:8080"
	DefaultLease       = time.Minute
	DefaultSchedule    = "@every 5m"
	DefaultConcurrency = 8
	// DefaultMassChangeLimit is in tickets that one poll changes.
	DefaultMassChangeLimit = 200
)

// MaxConcurrency is the largest number of requests in flight that a channel may ask for.
const MaxConcurrency = 256

// The bounds of a lease: a shorter one is lost in a short stall, a longer one leaves the work of a dead process lying.
const (
	MinLease = 2 * time.Second
	MaxLease = 10 * time.Minute
)

// maxFile is the most bytes that a config file may have.
const maxFile = 1 << 20

// Error is all that is wrong with a file, and Fault one thing of that.
type (
	Error = strictyaml.Error
	Fault = strictyaml.Fault
)

// Config is a file without faults.
type Config struct {
	// File is the name that the file was read by, Dir the folder it lies in: relative paths in settings start there.
	File, Dir string
	// Files are the file and those with secrets that it names.
	Files []string
	// Database is a postgres:// or postgresql:// URL, or sqlite: and an absolute path.
	Database sources.Secret
	// APIURL is where SocialHub's API is, without a slash at the end.
	APIURL string
	// Listen is host:port; empty means that nothing listens.
	Listen string
	// Readers may read the status page and the metrics.
	Readers Readers
	// PublicURL is how SocialHub reaches Listen, without a slash at the end; empty if the file does not say.
	PublicURL string
	TLS       TLS
	// TrustedProxies are believed when they say whom they ask for.
	TrustedProxies []netip.Prefix
	// Lease is how long the work of a process that died waits for another one, [MinLease] to [MaxLease].
	Lease time.Duration
	// Retention is how long is kept what nobody needs any more.
	Retention store.Retention
	// Channels and Sources are in the order of the file.
	Channels []Channel
	Sources  []Source
}

// Channel is a SocialHub Custom Channel.
type Channel struct {
	// Name is what people call it; its identity is the token's ChannelID, which no other channel here has.
	Name string
	// Digest changes with whatever the file says of the channel, secrets in other files included.
	Digest strictyaml.Digest
	Token  socialhub.Token
	// Concurrency is the most requests in flight at a time, 1 to [MaxConcurrency].
	Concurrency int
	// RateLimit is the most requests per second; 0 means no limit of our own.
	RateLimit float64
	// Webhook is nil if SocialHub does not tell what the team does.
	Webhook *Webhook
	// Actions are what the team can do with a ticket, Sidebar what it sees beside one; nil leaves those that SocialHub has.
	Actions []socialhub.ManifestAction
	Sidebar []socialhub.Sidebar
	// Templates are offered for template replies, beside those of the sources.
	Templates []socialhub.Template
}

// Source is one place to pull from.
type Source struct {
	// Name is the source's identity.
	Name string
	// Digest is like that of a channel.
	Digest  strictyaml.Digest
	Adapter sources.Adapter
	// Channel is the name of the channel that gets the tickets.
	Channel string
	// Schedule says when to poll, in local time unless ScheduleText names a zone.
	Schedule     cron.Schedule
	ScheduleText string
	// Reset tells whether changed content brings a ticket back into the inbox.
	Reset    bool
	OnDelete sync.OnDelete
	// MassChangeLimit is how many delivered tickets one poll may change before a person is asked; 0 is no limit.
	MassChangeLimit int
	// Settings are decoded and valid, but not opened.
	Settings sources.Settings
}

// Load reads the file at path. Faults in it come as [*Error]; an error of another type says that the file
// itself can't be read. ${NAME} in values is looked up with lookupEnv, in the program [os.LookupEnv].
func Load(path string, adapters []sources.Adapter, lookupEnv func(string) (string, bool)) (*Config, error) {
	data, err := strictyaml.ReadFile(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", path, err)
	}
	return Parse(path, data, dir, adapters, lookupEnv)
}

// Parse is Load for a file that is in memory already: name is what faults call it, dir its folder.
func Parse(name string, data []byte, dir string, adapters []sources.Adapter, lookupEnv func(string) (string, bool)) (*Config, error) {
	r := &reader{File: strictyaml.New(name, dir, lookupEnv), adapters: adapters, lookupEnv: lookupEnv}
	c := &Config{File: name, Dir: dir}
	if root := r.Parse(data); root != nil {
		r.config(root, c)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	c.Files = append([]string{name}, r.Files()...)
	return c, nil
}

// DatabaseFile is the path of an embedded database; ok is false for a server.
func (c *Config) DatabaseFile() (path string, ok bool) {
	return strings.CutPrefix(c.Database.Reveal(), "sqlite:")
}
