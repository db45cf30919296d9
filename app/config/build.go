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
		Database       sources.Secret   `yaml:"database" doc:"Where the state is kept: sqlite:PATH, or postgres://USER:PASSWORD@HOST/DATABASE, which several instances may share. A relative PATH starts in $STATE_DIRECTORY (systemd: StateDirectory=), or else in the working directory. A change takes a restart."`
		APIURL         string           `yaml:"api_url" doc:"SocialHub's API. http is for a host on this machine only, such as the sandbox."`
		Listen         string           `yaml:"listen" doc:"HOST:PORT of the status page, the metrics and the webhooks; :8080 listens on all interfaces, an empty text turns it off."`
		Readers        *readersKeys     `yaml:"readers" doc:"Who may read the status page and the metrics: username and password, bearer_token, or both ways. Without it everybody who reaches listen may."`
		PublicURL      string           `yaml:"public_url" doc:"How SocialHub reaches listen, such as https://sync.example.com, with the path that a proxy in front takes away, if any. Empty if SocialHub can't reach it."`
		TLS            *tlsKeys         `yaml:"tls" doc:"TLS on listen, if no proxy in front does that: with files, or with a certificate by ACME."`
		TrustedProxies []network        `yaml:"trusted_proxies" doc:"The proxies in front, by address or network, such as 127.0.0.1 or 10.0.0.0/8. The log of refused requests then names the client that they tell in X-Forwarded-For."`
		Lease          time.Duration    `yaml:"lease" doc:"How long the work of an instance that died or hangs waits until another one, or the next start, takes it over. A request to SocialHub is given up after two thirds of it at the earliest, so below 45s a slow answer may be lost. A change takes a restart."`
		Retention      retentionKeys    `yaml:"retention" doc:"How long is kept what nobody needs any more; 0 is for ever."`
		Channels       *strictyaml.Node `yaml:"channels" doc:"Needed. SocialHub's Custom Channels by a name of yours. No two may have tokens of the same channel."`
		Sources        *strictyaml.Node `yaml:"sources" doc:"Needed. The places to pull from. A source is known by its name: under a new name it starts from the beginning."`
	}
	channelKeys struct {
		AccessToken sources.Secret `yaml:"access_token" doc:"Needed. The access token from the channel's settings in SocialHub."`
		Concurrency int            `yaml:"concurrency" doc:"The most requests at a time."`
		RateLimit   float64        `yaml:"rate_limit" doc:"The most requests per second, such as 2.5; 0 is no limit of our own. SocialHub's limit is kept in any case."`
		// Webhook is read by itself, as its defaults depend on the top level.
		Webhook *strictyaml.Node `yaml:"webhook" doc:"How SocialHub tells what the team does (replies, buttons), at /webhook/ and the channelId. Without it nothing comes back."`
		// These three are read in actions.go.
		Actions   *strictyaml.Node `yaml:"actions" doc:"What the team can do with a ticket. Without this key SocialHub's actions stay as they are, an empty list takes them all away."`
		Sidebar   *strictyaml.Node `yaml:"sidebar" doc:"What the team sees beside a ticket: the tickets of its thread. Without this key SocialHub's stays as it is, an empty list takes it away."`
		Templates *strictyaml.Node `yaml:"templates" doc:"Texts for actions of the type template_reply, beside those that the sources know."`
	}
	sourceKeys struct {
		Adapter         string           `yaml:"adapter" doc:"Needed. The kind of source."`
		Channel         string           `yaml:"channel" doc:"Needed. The name of the channel that gets the tickets."`
		Schedule        string           `yaml:"schedule" doc:"When to poll: five fields (minute, hour, day of the month, month, day of the week), @hourly, @daily and the like, or @every and a duration. Times are local; CRON_TZ=Europe/Berlin before them names another zone."`
		Reset           bool             `yaml:"reset" doc:"Whether changed content brings a ticket that is done back into the inbox."`
		OnDelete        sync.OnDelete    `yaml:"on_delete" doc:"When an item is deleted in the source: keep the ticket as it is, or redact it (its text becomes a short note, its pictures and attachments go)."`
		MassChangeLimit int              `yaml:"mass_change_limit" doc:"The most tickets that one poll may change. Of more, all changes are held until a person says resume; 0 is no limit. New tickets and a backfill are not limited."`
		Settings        *strictyaml.Node `yaml:"settings" doc:"What the adapter needs to know."`
	}
)

// What holds for keys that the file leaves out.

func usualFile() fileKeys {
	return fileKeys{Database: sources.NewSecret(DefaultDatabase), APIURL: DefaultAPIURL, Listen: DefaultListen, Lease: DefaultLease, Retention: usualRetention()}
}

func usualChannel() channelKeys { return channelKeys{Concurrency: DefaultConcurrency} }

func usualSource() sourceKeys {
	return sourceKeys{Schedule: DefaultSchedule, Reset: true, OnDelete: sync.Keep, MassChangeLimit: DefaultMassChangeLimit}
}

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
	keys := usualFile()
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
	c.Readers = r.readers(root, keys.Readers)
	r.listener(root, &keys, c)
	c.Lease = keys.Lease
	r.Check(root, "lease", checkLease(keys.Lease))
	c.Retention = r.retention(root, &keys.Retention)
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

// namePattern is what a name must match, also by the JSON schema.
const namePattern = `^[a-z0-9][a-z0-9._-]{0,63}$`

var validName = regexp.MustCompile(namePattern)

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
	keys := usualChannel()
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
	c.Digest = n.Digest()
	return c
}

// source reads one source.
func (r *reader) source(e strictyaml.Entry, channels []strictyaml.Entry) Source {
	n := e.Value
	keys := usualSource()
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
	s.Digest = n.Digest()
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
