package app

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"socialhub-sync/app/config"
)

// Changes are how one config differs from another, by name.
type Changes struct {
	Channels, Sources Names
	// Keys are those of the top level, without channels and sources.
	Keys []string
}

// Names say what became of named things. They are sorted.
type Names struct{ Added, Changed, Removed []string }

// None tells whether both say the same.
func (c Changes) None() bool { return c.String() == nothing }

const nothing = "nothing"

// String tells the changes in one line, without any value: "channels: added sales; keys: listen".
func (c Changes) String() string {
	var parts []string
	for _, part := range []struct{ what, text string }{
		{"channels", c.Channels.String()}, {"sources", c.Sources.String()}, {"keys", strings.Join(c.Keys, ", ")},
	} {
		if part.text != "" {
			parts = append(parts, part.what+": "+part.text)
		}
	}
	if len(parts) == 0 {
		return nothing
	}
	return strings.Join(parts, "; ")
}

// String is empty if there are none.
func (n Names) String() string {
	var parts []string
	for _, part := range []struct {
		how   string
		names []string
	}{{"added", n.Added}, {"changed", n.Changed}, {"removed", n.Removed}} {
		if len(part.names) > 0 {
			parts = append(parts, part.how+" "+strings.Join(part.names, ", "))
		}
	}
	return strings.Join(parts, ", ")
}

// compare tells what becomes other when a config takes the place of another.
func compare(before, after *config.Config) Changes {
	return Changes{
		Channels: compareNames(channelVersions(before), channelVersions(after)),
		Sources:  compareNames(sourceVersions(before), sourceVersions(after)),
		Keys:     compareKeys(before, after),
	}
}

func compareNames(before, after map[string]string) (n Names) {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		switch version, known := before[name]; {
		case !known:
			n.Added = append(n.Added, name)
		case version != after[name]:
			n.Changed = append(n.Changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[name]; !stays {
			n.Removed = append(n.Removed, name)
		}
	}
	return n
}

func channelVersions(c *config.Config) map[string]string {
	all := make(map[string]string)
	for _, ch := range c.Channels {
		all[ch.Name] = channelVersion(c, &ch)
	}
	return all
}

func sourceVersions(c *config.Config) map[string]string {
	ids, all := channelIDs(c), make(map[string]string)
	for _, src := range c.Sources {
		all[src.Name] = sourceVersion(&src, ids)
	}
	return all
}

// keys are those of the file's top level by the field of [config.Config] that has what they say.
var keys = map[string]string{
	"Database": "database", "Lease": "lease", "APIURL": "api_url", "Listen": "listen", "PublicURL": "public_url", "TLS": "tls",
	"TrustedProxies": "trusted_proxies", "Readers": "readers", "Retention": "retention",
}

// compareKeys compares what the keys came to: one that is written out with its default value is no change.
func compareKeys(before, after *config.Config) (changed []string) {
	b, a := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	for field, key := range keys {
		if !reflect.DeepEqual(b.FieldByName(field).Interface(), a.FieldByName(field).Interface()) {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	return changed
}
