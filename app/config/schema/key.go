// Package schema describes the keys of a configuration and writes the description as a JSON schema, for editors, and
// as a reference, for people. What it knows comes from the structs that the configuration is decoded into.
package schema

import (
	"encoding"
	"reflect"
	"strings"
	"time"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/sources"
)

// Type is what to write for a value, in words.
type Type string

const (
	Text     Type = "text"
	Secret   Type = "secret text"
	Duration Type = "duration"
	Whole    Type = "whole number"
	Number   Type = "number"
	Bool     Type = "true or false"
	// List has items that are all like [Key.Item].
	List Type = "list"
	// Map has free names and values that are all like [Key.Item].
	Map Type = "names"
	// Object has the keys of [Key.Keys].
	Object Type = "object"
)

// Key is one key of the configuration and what its value may be.
type Key struct {
	Name string
	// Doc is what the key means.
	Doc  string
	Type Type
	// Default holds when the key is left out; nil if there is none worth telling.
	Default any
	// Needed tells that the key, or for a secret the one with _file at its end, must be there.
	Needed bool
	// Empty tells that the key may have nothing after it.
	Empty bool
	// Enum are the texts that are allowed, all if there are none.
	Enum []string
	// Pattern is what a text, or each name of a Map, must match; ECMA 262 and Go read it alike.
	Pattern string
	// Min and Max bound a number, nil for no bound.
	Min, Max *float64
	// AtLeast is the fewest keys or items.
	AtLeast int
	// Limits tells people what else holds.
	Limits string
	Item   *Key
	Keys   Keys
	// OrText tells that a text may stand for the Object. Enum is about that text.
	OrText bool
	// Open tells that an Object may have other keys too.
	Open bool
	// By is the key of an Object whose value decides which of the Variants it is.
	By       string
	Variants []Variant
}

// Variant is what else holds for an Object whose deciding key says Is.
type Variant struct {
	Is, Doc string
	// Keys take the place of those of the Object with the same name.
	Keys Keys
	// Without are keys of the Object that the variant does not take, Needed those that it can't do without.
	Without, Needed []string
}

// Keys are the keys of an object, in their order.
type Keys []*Key

// Get returns the key with a name that must be there.
func (keys Keys) Get(name string) *Key {
	for _, k := range keys {
		if k.Name == name {
			return k
		}
	}
	panic("no key " + name) // a slip in a description, which a test finds
}

// needed begins the doc tag of a key that must be there.
const needed = "Needed. "

// Of describes the struct that settings points to, as [strictyaml.File.Decode] fills it: the `doc` tag is what a key means,
// "Needed." at its beginning that it must be there, and what the struct holds already is the default. A field of type
// *strictyaml.Node has no Type: the caller knows more.
func Of(settings any) Keys { return fields(reflect.ValueOf(settings).Elem()) }

func fields(v reflect.Value) Keys {
	var keys Keys
	for field, value := range v.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if options == "inline" && value.Kind() == reflect.Struct {
			keys = append(keys, fields(value)...)
			continue
		}
		if !field.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = strings.ToLower(field.Name)
		}
		k := of(field.Type, value)
		k.Name = name
		k.Doc, k.Needed = strings.CutPrefix(field.Tag.Get("doc"), needed)
		if k.Type == Bool || k.Type != Secret && k.Type != Object && k.Type != "" && !value.IsZero() {
			k.Default = shown(value)
		}
		keys = append(keys, k)
	}
	return keys
}

// shown is a default as the file would have it.
func shown(v reflect.Value) any {
	if d, ok := v.Interface().(time.Duration); ok {
		return Span(d)
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return v.Interface()
}

// Span is a duration without the zeros at its end: 5m, not 5m0s.
func Span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// of describes values of a type; v is one of them.
func of(t reflect.Type, v reflect.Value) *Key {
	switch {
	case t == reflect.TypeFor[*strictyaml.Node]():
		return &Key{}
	case t == reflect.TypeFor[sources.Secret]():
		return &Key{Type: Secret}
	case t == reflect.TypeFor[time.Duration]():
		return &Key{Type: Duration}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return &Key{Type: Text}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return of(t.Elem(), reflect.Zero(t.Elem()))
	case reflect.Struct:
		return &Key{Type: Object, Empty: true, Keys: fields(v)}
	case reflect.Slice:
		return &Key{Type: List, Empty: true, Item: of(t.Elem(), reflect.Zero(t.Elem()))}
	case reflect.Map:
		return &Key{Type: Map, Empty: true, Item: of(t.Elem(), reflect.Zero(t.Elem()))}
	case reflect.Bool:
		return &Key{Type: Bool}
	case reflect.Float32, reflect.Float64:
		return &Key{Type: Number}
	case reflect.String:
		return &Key{Type: Text, Empty: true}
	}
	if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uintptr {
		return &Key{Type: Whole, Min: new(0.0)}
	}
	return &Key{Type: Whole}
}
