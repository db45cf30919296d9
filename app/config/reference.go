package config

import (
	"fmt"
	"slices"

	"socialhub-sync/app/config/schema"
	"socialhub-sync/sources"
	"socialhub-sync/sync"
)

//go:generate go test -run ^(TestTheGeneratedFilesAreUpToDate|TestTheSchemaFindsWhatIsWrongWithTheStructure)$ . -update

// What texts look like, as far as the JSON schema can tell. Whatever the file is read with is allowed by these too.
const (
	databasePattern  = `^sqlite:.|^postgres(ql)?://`
	addressPattern   = `^[Hh][Tt][Tt][Pp][Ss]?://`
	listenPattern    = `^$|:[0-9]+$`
	usernamePattern  = `^[^:]+$`
	proxyPattern     = `^[0-9A-Fa-f:.]+(%[^/]+)?(/[0-9]+)?$`
	domainPattern    = `^[A-Za-z0-9.-]+$`
	schedulePattern  = `^((CRON_)?TZ=\S*\s+)?\s*(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|@every\s.+|[^@\s]\S*(\s+\S+){4})\s*$`
	idPattern        = `^[a-zA-Z0-9_-]{1,256}$`
	timeoutPattern   = `^\+?([0-9]+d|([0-9.]+(h|m|s|ms|us|µs|μs|ns))+)$`
	notBlankPattern  = `\S`
	variablesPattern = `^[A-Za-z_][A-Za-z0-9_]{0,63}$`
)

// Reference describes the file and each key in it, with the settings of these adapters.
func Reference(adapters []sources.Adapter) *schema.Key {
	usual := usualFile()
	keys := schema.Of(&usual)
	database := keys.Get("database")
	database.Default, database.Pattern = DefaultDatabase, databasePattern
	api := keys.Get("api_url")
	api.Pattern, api.Limits, api.Empty = addressPattern, "https", false
	keys.Get("listen").Pattern = listenPattern
	describeReaders(keys.Get("readers"))
	public := keys.Get("public_url")
	public.Pattern, public.Limits = `^$|`+addressPattern, "https; http for this machine only"
	describeTLS(keys.Get("tls"))
	keys.Get("trusted_proxies").Item.Pattern = proxyPattern
	keys.Get("lease").Limits = fmt.Sprintf("%s to %s", schema.Span(MinLease), schema.Span(MaxLease))
	entries(keys.Get("channels"), describeChannel())
	entries(keys.Get("sources"), describeSource(adapters))
	return &schema.Key{Name: "The configuration of socialhub-sync", Type: schema.Object, Keys: keys}
}

// entries makes of a key one that holds items by names.
func entries(k, item *schema.Key) {
	k.Type, k.Pattern, k.AtLeast, k.Item = schema.Map, namePattern, 1, item
	k.Limits = fmt.Sprintf("names of 1 to %d of a-z, 0-9, dot, dash and underscore, beginning with a letter or a digit", maxName)
}

func describeReaders(k *schema.Key) {
	k.Empty, k.AtLeast, k.Limits = false, 1, "username and password, or bearer_token, or all three"
	username := k.Keys.Get("username")
	username.Pattern, username.Empty, username.Limits = usernamePattern, false, "no colon"
	k.Keys.Get("password").Limits = fmt.Sprintf("%d characters or more", MinPassword)
	k.Keys.Get("bearer_token").Limits = fmt.Sprintf("%d characters or more", MinPassword)
}

func describeTLS(k *schema.Key) {
	k.Empty, k.AtLeast, k.Limits = false, 1, "cert_file and key_file, or acme"
	acme := k.Keys.Get("acme").Keys
	acme.Get("domains").Item.Pattern = domainPattern
	directory := acme.Get("directory")
	directory.Default, directory.Pattern, directory.Limits = DefaultDirectory, `^$|`+addressPattern, "https"
}

func describeChannel() *schema.Key {
	usual := usualChannel()
	keys := schema.Of(&usual)
	concurrency := keys.Get("concurrency")
	concurrency.Min, concurrency.Max = new(1.0), new(float64(MaxConcurrency))
	rate := keys.Get("rate_limit")
	rate.Min, rate.Default = new(0.0), 0
	hook := keys.Get("webhook")
	usualHook := usualWebhook()
	hook.Type, hook.Keys = schema.Object, schema.Of(&usualHook)
	hook.Keys.Get("secret").Limits = "32 to 512 characters"
	hook.Keys.Get("tolerance").Limits = fmt.Sprintf("%s to %s", schema.Span(minTolerance), schema.Span(maxTolerance))
	url := hook.Keys.Get("url")
	url.Pattern, url.Limits = `^$|`+addressPattern, "https; http for this machine only"
	list(keys.Get("actions"), describeAction())
	list(keys.Get("sidebar"), describeSidebar())
	list(keys.Get("templates"), describeTemplate())
	return &schema.Key{Type: schema.Object, Keys: keys}
}

// list makes of a key one that holds a list.
func list(k, item *schema.Key) { k.Type, k.Item = schema.List, item }

func describeAction() *schema.Key {
	keys := schema.Of(&actionKeys{})
	kind := keys.Get("type")
	for _, t := range actionTypes {
		kind.Enum = append(kind.Enum, string(t))
	}
	id(keys.Get("id"))
	label(keys.Get("label"))
	length := keys.Get("max_length")
	length.Min = new(1.0)
	timeout := keys.Get("timeout")
	timeout.Pattern, timeout.Limits, timeout.Empty = timeoutPattern, "whole hours or days", false
	options := schema.Of(&optionKeys{})
	id(options.Get("id"))
	label(options.Get("label"))
	label(options.Get("description"))
	list(keys.Get("options"), &schema.Key{Type: schema.Object, Keys: options})
	k := &schema.Key{Type: schema.Object, Keys: keys, By: "type"}
	for _, t := range actionTypes {
		v := schema.Variant{Is: string(t)}
		for _, only := range onlyFor {
			if !slices.Contains(only.types, t) {
				v.Without = append(v.Without, only.key)
			}
		}
		if usualLabels[t].EN == "" {
			v.Needed = []string{"label"}
		}
		k.Variants = append(k.Variants, v)
	}
	for _, only := range onlyFor {
		if len(only.types) == 1 {
			key := keys.Get(only.key)
			key.Limits = "for " + string(only.types[0]) + " only"
		}
	}
	return k
}

func id(k *schema.Key) {
	k.Pattern, k.Limits, k.Empty = idPattern, "1 to 256 of a-z, A-Z, 0-9, dash and underscore", false
}

// label describes a text for the team, in one language or in each.
func label(k *schema.Key) {
	k.Type, k.OrText, k.Pattern, k.AtLeast = schema.Object, true, notBlankPattern, 1
	k.Keys, k.Limits = languages(), "1 to 256 characters"
}

func languages() schema.Keys {
	keys := schema.Of(&labelKeys{})
	for _, k := range keys {
		k.Pattern, k.Empty = notBlankPattern, false
	}
	return keys
}

func describeSidebar() *schema.Key {
	keys := schema.Of(&sidebarKeys{ID: usualSidebar})
	id(keys.Get("id"))
	label(keys.Get("label"))
	tree := keys.Get("tree")
	tree.Enum = []string{"flat_with_root", "flat_without_root", trees["flat_with_root"], trees["flat_without_root"]}
	tree.Limits = "flat_with_root or flat_without_root"
	return &schema.Key{Type: schema.Object, Keys: keys}
}

func describeTemplate() *schema.Key {
	keys := schema.Of(&templateKeys{})
	id(keys.Get("id"))
	name := keys.Get("name")
	name.Pattern, name.Empty, name.Limits = notBlankPattern, false, "1 to 256 characters"
	text := keys.Get("text")
	text.Empty, text.AtLeast, text.Limits, text.Keys = false, 1, "1 to 10,000 characters", languages()
	variables := keys.Get("variables")
	variables.Type, variables.Empty, variables.Pattern = schema.Map, true, variablesPattern
	variables.Limits = "names of 1 to 64 of a-z, A-Z, 0-9 and underscore, without a digit at the beginning"
	variables.Item = &schema.Key{Type: schema.Object, OrText: true, Open: true, AtLeast: 1, Enum: []string{"number", "text"}}
	return &schema.Key{Type: schema.Object, Keys: keys}
}

func describeSource(adapters []sources.Adapter) *schema.Key {
	usual := usualSource()
	keys := schema.Of(&usual)
	k := &schema.Key{Type: schema.Object, Keys: keys, By: "adapter"}
	keys.Get("adapter").Enum = names(adapters, func(a sources.Adapter) string { return a.Name })
	schedule := keys.Get("schedule")
	schedule.Pattern, schedule.Limits, schedule.Empty = schedulePattern, "@every 1s or more", false
	keys.Get("on_delete").Enum = []string{string(sync.Keep), string(sync.Redact)}
	keys.Get("mass_change_limit").Min = new(0.0)
	settings := keys.Get("settings")
	settings.Type, settings.Open, settings.Empty = schema.Object, true, true
	for _, a := range adapters {
		inside := schema.Of(a.Settings())
		needed := slices.ContainsFunc(inside, func(k *schema.Key) bool { return k.Needed })
		k.Variants = append(k.Variants, schema.Variant{Is: a.Name, Doc: a.Summary, Keys: schema.Keys{
			{Name: "settings", Type: schema.Object, Doc: a.Summary, Keys: inside, Needed: needed, Empty: !needed},
		}})
	}
	return k
}
