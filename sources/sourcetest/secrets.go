package sourcetest

import (
	"net/url"
	"reflect"
	"strings"

	"socialhub-sync/sources"
)

// shortestSecret is how long a part of an address must be, in bytes, to be looked for.
const shortestSecret = 4

// secretsIn returns the texts in settings that nobody may see.
func secretsIn(settings any) []string {
	var found []string
	collect(reflect.ValueOf(settings), func(s sources.Secret) {
		text := s.Reveal()
		u, err := url.Parse(text)
		address := err == nil && u.Host != ""
		if address {
			found = append(found, partsOfAddress(u)...)
		}
		// An error may show scheme and host.
		if len(text) >= shortestSecret && !(address && strings.HasPrefix(sources.ShownURL(u), text)) {
			found = append(found, text)
		}
	})
	return found
}

// partsOfAddress returns the password and the query's values of an address.
func partsOfAddress(u *url.URL) []string {
	var parts []string
	if password, ok := u.User.Password(); ok {
		parts = append(parts, password)
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	long := parts[:0]
	for _, part := range parts {
		if len(part) >= shortestSecret {
			long = append(long, part)
		}
	}
	return long
}

// collect finds the secrets in exported fields, lists and maps.
func collect(v reflect.Value, add func(sources.Secret)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			collect(v.Elem(), add)
		}
	case reflect.Struct:
		if secret, ok := v.Interface().(sources.Secret); ok {
			add(secret)
			return
		}
		for field, value := range v.Fields() {
			if field.IsExported() {
				collect(value, add)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			collect(v.Index(i), add)
		}
	case reflect.Map:
		for _, value := range v.Seq2() {
			collect(value, add)
		}
	}
}
