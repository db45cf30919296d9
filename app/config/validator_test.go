package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// validator holds values against a JSON schema (2020-12), with the keywords that ours has; any other ends the test.
type validator struct {
	t    *testing.T
	root map[string]any
}

func newValidator(t *testing.T, schema []byte) *validator {
	t.Helper()
	v := &validator{t: t}
	if err := json.Unmarshal(schema, &v.root); err != nil {
		t.Fatal(err)
	}
	return v
}

// complaint is what a schema has against a value.
type complaint struct{ path, keyword string }

// check returns what the whole schema has against a value, which is as [strictyaml.Node.Value] gives it.
func (v *validator) check(value any) []complaint { return v.value(v.root, value, "") }

func (v *validator) value(schema, value any, path string) []complaint {
	switch s := schema.(type) {
	case bool:
		if s {
			return nil
		}
		return []complaint{{path, "false"}}
	case map[string]any:
		var all []complaint
		for _, keyword := range slices.Sorted(maps.Keys(s)) {
			all = append(all, v.keyword(s, keyword, value, path)...)
		}
		return all
	}
	v.t.Fatalf("a schema is %T", schema)
	return nil
}

func (v *validator) keyword(s map[string]any, keyword string, value any, path string) []complaint {
	bad := []complaint{{path, keyword}}
	switch arg := s[keyword]; keyword {
	case "$schema", "$defs", "title", "description", "default", "then":
		return nil
	case "$ref":
		name, ok := strings.CutPrefix(arg.(string), "#/$defs/")
		target, found := v.root["$defs"].(map[string]any)[name]
		if !ok || !found {
			v.t.Fatalf("$ref %v leads nowhere", arg)
		}
		return v.value(target, value, path)
	case "type":
		if names, ok := arg.([]any); ok && slices.ContainsFunc(names, func(name any) bool { return isType(value, name) }) || isType(value, arg) {
			return nil
		}
		return bad
	case "enum":
		if slices.ContainsFunc(arg.([]any), func(one any) bool { return same(one, value) }) {
			return nil
		}
		return bad
	case "const":
		if same(arg, value) {
			return nil
		}
		return bad
	case "if":
		if len(v.value(arg, value, path)) == 0 {
			return v.value(s["then"], value, path)
		}
		return nil
	case "allOf", "anyOf", "oneOf", "not":
		return v.combined(keyword, arg, value, path)
	case "pattern", "minLength":
		if text, ok := value.(string); ok && !fits(keyword, arg, text) {
			return bad
		}
		return nil
	case "minimum", "maximum":
		if n, ok := value.(json.Number); ok {
			f, err := n.Float64()
			if err != nil || keyword == "minimum" && f < arg.(float64) || keyword == "maximum" && f > arg.(float64) {
				return bad
			}
		}
		return nil
	case "items", "minItems":
		if list, ok := value.([]any); ok {
			return v.list(keyword, arg, list, path)
		}
		return nil
	case "properties", "additionalProperties", "required", "propertyNames", "minProperties":
		if object, ok := value.(map[string]any); ok {
			return v.object(s, keyword, object, path)
		}
		return nil
	}
	v.t.Fatalf("the validator does not know the keyword %s", keyword)
	return nil
}

func (v *validator) combined(keyword string, arg, value any, path string) []complaint {
	if keyword == "not" {
		if len(v.value(arg, value, path)) == 0 {
			return []complaint{{path, keyword}}
		}
		return nil
	}
	var all []complaint
	schemas, good := arg.([]any), 0
	for _, s := range schemas {
		found := v.value(s, value, path)
		all = append(all, found...)
		if len(found) == 0 {
			good++
		}
	}
	switch {
	case keyword == "allOf":
		return all
	case good == 1, good > 1 && keyword == "anyOf":
		return nil
	}
	return []complaint{{path, keyword}}
}

func (v *validator) list(keyword string, arg any, list []any, path string) (all []complaint) {
	if keyword == "minItems" {
		if float64(len(list)) < arg.(float64) {
			all = append(all, complaint{path, keyword})
		}
		return all
	}
	for i, item := range list {
		all = append(all, v.value(arg, item, path+"["+strconv.Itoa(i)+"]")...)
	}
	return all
}

func (v *validator) object(s map[string]any, keyword string, object map[string]any, path string) (all []complaint) {
	properties, _ := s["properties"].(map[string]any)
	switch arg := s[keyword]; keyword {
	case "required":
		for _, name := range arg.([]any) {
			if _, there := object[name.(string)]; !there {
				all = append(all, complaint{inside(path, name.(string)), keyword})
			}
		}
	case "minProperties":
		if float64(len(object)) < arg.(float64) {
			all = append(all, complaint{path, keyword})
		}
	default:
		for _, name := range slices.Sorted(maps.Keys(object)) {
			own, known := properties[name]
			switch {
			case keyword == "propertyNames":
				if len(v.value(arg, name, path)) > 0 {
					all = append(all, complaint{inside(path, name), keyword})
				}
			case keyword == "properties" && known:
				all = append(all, v.value(own, object[name], inside(path, name))...)
			case keyword == "additionalProperties" && !known:
				all = append(all, v.value(arg, object[name], inside(path, name))...)
			}
		}
	}
	return all
}

// inside is the path of a key as a fault has it.
func inside(path, name string) string {
	if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(name) {
		name = strconv.Quote(name)
	}
	return strings.TrimPrefix(path+"."+name, ".")
}

func isType(value, name any) bool {
	switch value := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	case json.Number:
		f, err := value.Float64()
		return name == "number" || name == "integer" && err == nil && f == float64(int64(f))
	}
	panic(fmt.Sprintf("a value is %T", value))
}

func same(arg, value any) bool {
	if n, ok := value.(json.Number); ok {
		f, err := n.Float64()
		return err == nil && arg == f
	}
	return reflect.DeepEqual(arg, value)
}

func fits(keyword string, arg any, text string) bool {
	if keyword == "minLength" {
		return float64(utf8.RuneCountInString(text)) >= arg.(float64)
	}
	return regexp.MustCompile(arg.(string)).MatchString(text)
}
