package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sync"
)

// A minimal file, in one line because a fault is one.
const (
	minimalChannels = `channels: {support: {access_token: "${SUPPORT_TOKEN}"}}`
	minimalSources  = `sources: {reviews: {adapter: rss, channel: support, settings: {url: "https://example.com/reviews.xml"}}}`
	minimal         = "{" + minimalChannels + ", " + minimalSources + "}"
)

// The levels of the file as they are written; config, channel and source make of them what the program uses.
type (
	fileKeys struct {
		Database       sources.Secret   `yaml:"database"`
		APIURL         string           `yaml:"api_url"`
		Listen         string           `yaml:"listen"`
		PublicURL      string           `yaml:"public_url"`
		TLS            *tlsKeys         `yaml:"tls"`
		TrustedProxies []network        `yaml:"trusted_proxies"`
		Lease          time.Duration    `yaml:"lease"`
		Channels       *strictyaml.Node `yaml:"channels"`
		Sources        *strictyaml.Node `yaml:"sources"`
	}
	channelKeys struct {
		AccessToken sources.Secret `yaml:"access_token"`
		Concurrency int            `yaml:"concurrency"`
		RateLimit   float64        `yaml:"rate_limit"`
		// Webhook is read by itself, as its defaults depend on the top level.
		Webhook *strictyaml.Node `yaml:"webhook"`
		// These three are read in actions.go.
		Actions   *strictyaml.Node `yaml:"actions"`
		Sidebar   *strictyaml.Node `yaml:"sidebar"`
		Templates *strictyaml.Node `yaml:"templates"`
	}
	sourceKeys struct {
		Adapter         string           `yaml:"adapter"`
		Channel         string           `yaml:"channel"`
		Schedule        string           `yaml:"schedule"`
		Reset           bool             `yaml:"reset"`
		OnDelete        sync.OnDelete    `yaml:"on_delete"`
		MassChangeLimit int              `yaml:"mass_change_limit"`
		Settings        *strictyaml.Node `yaml:"settings"`
	}
)

// reader is one reading of one file.
type reader struct {
	*strictyaml.File
	adapters  []sources.Adapter
	lookupEnv func(string) (string, bool)
}

// config fills c from the whole file.
func (r *reader) config(root *strictyaml.Node, c *Config) {
	if root.Kind == strictyaml.Empty {
		r.Fault(root.Place, "the file is empty; a minimal one is "+minimal)
		return
	}
	keys := fileKeys{Database: sources.NewSecret(DefaultDatabase), APIURL: DefaultAPIURL, Listen: DefaultListen, Lease: DefaultLease}
	r.Decode(root, &keys)
	if root.Kind != strictyaml.Mapping {
		return
	}
	var err error
	c.Database, err = database(keys.Database.Reveal(), r.lookupEnv)
	r.Check(root, "database", err)
	c.APIURL, err = apiURL(keys.APIURL)
	r.Check(root, "api_url", err)
	c.Listen = keys.Listen
	r.Check(root, "listen", checkListen(keys.Listen))
	r.listener(root, &keys, c)
	c.Lease = keys.Lease
	r.Check(root, "lease", checkLease(keys.Lease))
	channels := r.named(root, "channels", minimalChannels)
	owners := make(map[string]string)
	for _, e := range channels {
		c.Channels = append(c.Channels, r.channel(e, owners, c))
	}
	for _, e := range r.named(root, "sources", minimalSources) {
		c.Sources = append(c.Sources, r.source(e, channels))
	}
}

// maxName is the most characters of a name: names stand in logs, metrics and addresses.
const maxName = 64

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// named returns the entries of channels or sources, of which there must be at least one, with their names checked.
func (r *reader) named(root *strictyaml.Node, key, example string) []strictyaml.Entry {
	n := root.Get(key)
	switch {
	case n == nil || n.Kind == strictyaml.Empty || n.Kind == strictyaml.Mapping && len(n.Entries) == 0:
		r.Check(root, key, errors.New("there are none; the least to write is "+example))
		return nil
	case n.Kind != strictyaml.Mapping:
		r.Check(root, key, fmt.Errorf("must be a mapping (name: its settings), not %s", n.Kind))
		return nil
	}
	for _, e := range n.Entries {
		if !validName.MatchString(e.Key) {
			r.Fault(e.Value.Place, fmt.Sprintf("the name %s can't be used; take 1 to %d of a-z, 0-9, dot, dash and underscore, "+
				"beginning with a letter or a digit", strictyaml.Quote(e.Key), maxName))
		}
	}
	return n.Entries
}

// channel reads one channel; owners maps the channelId of each one before it to its path, top has what the top level says.
func (r *reader) channel(e strictyaml.Entry, owners map[string]string, top *Config) Channel {
	n := e.Value
	keys := channelKeys{Concurrency: DefaultConcurrency}
	r.Decode(n, &keys)
	if n.Kind != strictyaml.Mapping && n.Kind != strictyaml.Empty {
		return Channel{}
	}
	c := Channel{Name: e.Key, Concurrency: keys.Concurrency, RateLimit: keys.RateLimit}
	var err error
	if c.Token, err = socialhub.ParseToken(keys.AccessToken.Reveal()); !n.Has("access_token") {
		err = errors.New("is missing; write access_token: ${NAME} or access_token_file: PATH")
	} else if owner, taken := owners[c.Token.ChannelID()]; taken && err == nil {
		err = fmt.Errorf("is for the same SocialHub channel as the one of %s (channelId %s); keep one of the two", owner, c.Token.ChannelID())
	}
	r.Check(n, "access_token", err)
	if err == nil {
		owners[c.Token.ChannelID()] = n.Path
	}
	if c.Concurrency < 1 || c.Concurrency > MaxConcurrency {
		r.Check(n, "concurrency", fmt.Errorf("must be 1 to %d requests at a time", MaxConcurrency))
	}
	if c.RateLimit < 0 {
		r.Check(n, "rate_limit", errors.New("must be requests per second, or 0 for no limit"))
	}
	c.Webhook = r.webhook(n, c.Token.ChannelID(), top)
	r.manifest(n, &c)
	return c
}

// source reads one source.
func (r *reader) source(e strictyaml.Entry, channels []strictyaml.Entry) Source {
	n := e.Value
	keys := sourceKeys{Schedule: DefaultSchedule, Reset: true, OnDelete: sync.Keep, MassChangeLimit: DefaultMassChangeLimit}
	r.Decode(n, &keys)
	if n.Kind != strictyaml.Mapping && n.Kind != strictyaml.Empty {
		return Source{}
	}
	s := Source{Name: e.Key, Channel: keys.Channel, ScheduleText: keys.Schedule, Reset: keys.Reset, OnDelete: keys.OnDelete,
		MassChangeLimit: keys.MassChangeLimit}
	var err error
	s.Schedule, err = schedule(keys.Schedule)
	if err != nil && r.Mask(keys.Schedule) != keys.Schedule {
		// The cron library quotes parts of the line, which are not to be seen if a variable is in it.
		err = errors.New("is no schedule" + mendSchedule)
	}
	r.Check(n, "schedule", err)
	if len(channels) > 0 {
		r.reference(n, "channel", keys.Channel, names(channels, func(e strictyaml.Entry) string { return e.Key }))
	}
	r.reference(n, "on_delete", string(keys.OnDelete), []string{string(sync.Keep), string(sync.Redact)})
	if keys.MassChangeLimit < 0 {
		r.Check(n, "mass_change_limit", errors.New("must be a number of tickets, or 0 for no limit"))
	}
	r.reference(n, "adapter", keys.Adapter, names(r.adapters, func(a sources.Adapter) string { return a.Name }))
	for _, adapter := range r.adapters {
		if adapter.Name == keys.Adapter {
			s.Adapter, s.Settings = adapter, adapter.Settings()
			r.settings(n, s.Settings)
		}
	}
	return s
}

// settings decodes a source's settings and lets the adapter check them.
func (r *reader) settings(source *strictyaml.Node, settings sources.Settings) {
	if n := source.Get("settings"); n != nil {
		r.Decode(n, settings)
		if n.Kind != strictyaml.Mapping && n.Kind != strictyaml.Empty {
			return
		}
	}
	var problems []func()
	for _, err := range leaves(settings.Validate()) {
		problem := r.Mask(err.Error())
		e, ok := errors.AsType[*sources.SettingError](err)
		switch {
		case !ok || e.Key == "":
			problems = append(problems, func() { r.Fault(source.At("settings"), problem) })
		case !r.Faulty(source, "settings."+e.Key):
			problems = append(problems, func() { r.Fault(source.At("settings."+e.Key), r.Mask(e.Problem)) })
		}
	}
	// Only now, so that the second problem of a setting isn't taken for what follows from the first.
	for _, tell := range problems {
		tell()
	}
}

// leaves takes what errors.Join joined apart.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, err := range joined.Unwrap() {
		all = append(all, leaves(err)...)
	}
	return all
}

// reference checks that the value of a key is something known.
func (r *reader) reference(n *strictyaml.Node, key, got string, known []string) {
	switch {
	case slices.Contains(known, got):
	case n.Get(key) == nil:
		r.Check(n, key, fmt.Errorf("is missing; known: %s", strings.Join(known, ", ")))
	default:
		r.Check(n, key, errors.New(strictyaml.Unknown(key, r.Mask(got), known)))
	}
}

func names[T any](all []T, name func(T) string) []string {
	out := make([]string, len(all))
	for n, v := range all {
		out[n] = name(v)
	}
	return out
}
