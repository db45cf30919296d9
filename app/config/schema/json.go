package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// object is a part of a JSON schema.
type object = map[string]any

// Dialect is the version of JSON schema that [JSON] writes.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// variable matches a text that holds ${NAME}, of which only the environment knows what it is.
const variable = `\$\{`

// duration matches what [time.ParseDuration] takes.
const duration = `^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// JSON writes the description of a whole file as a JSON schema (2020-12). A file without faults is always valid by it, and
// so are files with faults that no schema can tell: what the environment, other files or other keys say.
func JSON(file *Key) ([]byte, error) {
	defs := object{}
	w := writer{defs}
	root := w.value(file)
	root["$schema"], root["title"] = Dialect, file.Name
	if len(defs) > 0 {
		root["$defs"] = defs
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(root)
	return out.Bytes(), err
}

// writer collects the definitions that are referred to.
type writer struct{ defs object }

// value is the schema of a key's value, with what editors show of it.
func (w *writer) value(k *Key) object {
	s := w.bare(k)
	if k.Doc != "" {
		s["description"] = k.Doc
	}
	if k.Default != nil {
		s["default"] = k.Default
	}
	return s
}

func (w *writer) bare(k *Key) object {
	switch k.Type {
	case Object:
		return w.object(k)
	case Map:
		s := object{"type": types("object", k.Empty), "additionalProperties": w.value(k.Item)}
		if k.Pattern != "" {
			s["propertyNames"] = object{"pattern": k.Pattern}
		}
		bound(s, "minProperties", k.AtLeast)
		return s
	case List:
		s := object{"type": types("array", k.Empty), "items": w.value(k.Item)}
		bound(s, "minItems", k.AtLeast)
		return s
	case Bool:
		return w.ref("bool", orVariable(object{"type": "boolean"}))
	case Number, Whole:
		return w.number(k)
	case Duration:
		// The one duration that YAML takes for a number is 0.
		return w.ref("duration", object{"anyOf": []any{object{"type": "string", "pattern": duration + "|" + variable}, object{"const": 0}}})
	}
	return w.text(k)
}

// ref puts what many keys share into a definition and refers to it.
func (w *writer) ref(name string, s object) object {
	w.defs[name] = s
	return object{"$ref": "#/$defs/" + name}
}

func (w *writer) number(k *Key) object {
	s := object{"type": map[Type]string{Number: "number", Whole: "integer"}[k.Type]}
	if k.Min != nil {
		s["minimum"] = *k.Min
	}
	if k.Max != nil {
		s["maximum"] = *k.Max
	}
	if s = orVariable(s); k.Min == nil && k.Max == nil {
		return w.ref(strings.ReplaceAll(string(k.Type), " ", "-"), s)
	}
	return s
}

// scalar are the types that YAML takes a text without quotes for.
var scalar = []string{"string", "number", "boolean"}

func (w *writer) text(k *Key) object {
	if len(k.Enum) > 0 {
		return orVariable(object{"enum": k.Enum})
	}
	s, name := object{"type": scalar}, "text"
	switch {
	case k.Type == Secret:
		s["minLength"], name = 1, "secret"
	case k.Empty && !k.Needed:
		s["type"], name = append(scalar[:3:3], "null"), "text-or-nothing"
	}
	if k.Pattern != "" {
		s["pattern"] = k.Pattern + "|" + variable
		return s
	}
	return w.ref(name, s)
}

// types is the type of a value that may be left empty.
func types(name string, empty bool) any {
	if empty {
		return []string{name, "null"}
	}
	return name
}

func bound(s object, keyword string, n int) {
	if n > 0 {
		s[keyword] = n
	}
}

func orVariable(s object) object {
	return object{"anyOf": []any{s, object{"type": "string", "pattern": variable}}}
}

// object is the schema of a value with keys of its own.
func (w *writer) object(k *Key) object {
	properties := object{}
	s := object{"type": types("object", k.Empty), "properties": properties}
	if !k.Open {
		s["additionalProperties"] = false
	}
	bound(s, "minProperties", k.AtLeast)
	var required []string
	var all []any
	for _, inside := range k.Keys {
		if k.varies(inside.Name) {
			properties[inside.Name] = object{"description": inside.Doc}
			continue
		}
		properties[inside.Name] = w.value(inside)
		if inside.Type == Secret {
			properties[inside.Name+"_file"] = w.value(&Key{Type: Secret, Doc: "The file that holds " + inside.Name + "."})
			all = append(all, eitherFile(inside)...)
		} else if inside.Needed {
			required = append(required, inside.Name)
		}
	}
	if len(required) > 0 {
		s["required"] = required
	}
	for _, v := range k.Variants {
		all = append(all, w.variant(k, v))
	}
	if len(all) > 0 {
		s["allOf"] = all
	}
	if k.OrText {
		return object{"anyOf": []any{s, w.text(&Key{Enum: k.Enum, Pattern: k.Pattern})}}
	}
	return s
}

// varies tells whether a key is described by the variants.
func (k *Key) varies(name string) bool {
	return slices.ContainsFunc(k.Variants, func(v Variant) bool {
		return slices.ContainsFunc(v.Keys, func(inside *Key) bool { return inside.Name == name })
	})
}

// eitherFile says that a secret stands in the file itself or in one of its own, not in both. A value that is no object
// fits all that is said of keys, so "not" has to ask for one.
func eitherFile(k *Key) []any {
	here, there := []string{k.Name}, []string{k.Name + "_file"}
	all := []any{object{"not": object{"type": "object", "required": slices.Concat(here, there)}}}
	if k.Needed {
		all = append(all, object{"anyOf": []any{object{"required": here}, object{"required": there}}})
	}
	return all
}

// variant is what else holds for an object of one kind. Its keys are definitions, so that the file stays readable.
func (w *writer) variant(k *Key, v Variant) object {
	properties := object{}
	then := object{"properties": properties}
	var required []string
	for _, inside := range v.Keys {
		name := strings.Join([]string{inside.Name, v.Is}, "-")
		w.defs[name] = w.value(inside)
		properties[inside.Name] = object{"$ref": "#/$defs/" + name}
		if inside.Needed {
			required = append(required, inside.Name)
		}
	}
	for _, name := range v.Without {
		properties[name] = false
	}
	if required = append(required, v.Needed...); len(required) > 0 {
		then["required"] = required
	}
	is := object{"properties": object{k.By: object{"const": v.Is}}, "required": []string{k.By}}
	return object{"if": is, "then": then}
}
