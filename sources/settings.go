package sources

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Setting is one key of an adapter's settings, as the reference shows it.
type Setting struct {
	// Key is the path below `settings:`, dotted: "auth.token", "fields[].name".
	Key string
	// Type is in words: "text", "list of whole number".
	Type string
	// Default is what holds when the key is left out; empty if that is the zero value.
	Default string
	// Doc is the field's `doc` tag.
	Doc string
	// Secret tells that the key may be written with _file at its end.
	Secret bool
}

// Reference describes the adapter's settings from their struct: the `yaml` tag is the key, the `doc` tag the sentence.
func (a Adapter) Reference() []Setting {
	return describe("", reflect.ValueOf(a.Settings()).Elem())
}

func describe(prefix string, v reflect.Value) []Setting {
	var list []Setting
	for field, value := range v.Fields() {
		key, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if options == "inline" && isObject(field.Type) {
			list = append(list, describe(prefix, value)...)
			continue
		}
		if !field.IsExported() || key == "-" {
			continue
		}
		if key == "" {
			key = strings.ToLower(field.Name)
		}
		key = prefix + key
		s := Setting{Key: key, Type: words(field.Type), Doc: field.Tag.Get("doc"), Secret: field.Type == reflect.TypeFor[Secret]()}
		if !value.IsZero() && !isObject(field.Type) {
			s.Default = shownDefault(value.Interface())
		}
		list = append(list, s)
		switch inside := field.Type; {
		case isObject(inside):
			list = append(list, describe(key+".", value)...)
		case inside.Kind() == reflect.Slice && isObject(inside.Elem()):
			list = append(list, describe(key+"[].", reflect.Zero(inside.Elem()))...)
		}
	}
	return list
}

// isObject tells whether the type has keys of its own.
func isObject(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// words says what to write for a type.
func words(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Secret]():
		return "secret text"
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case isObject(t):
		return "object"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return words(t.Elem())
	case reflect.Slice:
		return "list of " + words(t.Elem())
	case reflect.Map:
		return "object of " + words(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	}
	return "whole number"
}

// shownDefault is the value as the config would have it. Lists and objects are JSON, which YAML takes; a secret is not shown.
func shownDefault(value any) string {
	switch reflect.ValueOf(value).Kind() {
	case reflect.Slice, reflect.Map:
		if text, err := json.Marshal(value); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(value)
}
