package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Markdown writes the description of a whole file as tables, one for each object, under headings of the second level. What
// the settings of a variant are stands elsewhere: link gives the address for the value that decides, such as an adapter's name.
func Markdown(file *Key, link func(is string) string) string {
	p := page{link: link}
	p.section("", file)
	return p.String()
}

type page struct {
	strings.Builder
	link func(string) string
}

// section writes the table of an object and the sections of those in it. The path of the top level is empty.
func (p *page) section(path string, k *Key) {
	heading := "The top level"
	if path != "" {
		heading = "`" + path + "`"
	}
	fmt.Fprintf(p, "\n## %s\n\n| key | type | default | limits | meaning |\n|---|---|---|---|---|\n", heading)
	for _, inside := range k.Keys {
		name := "`" + inside.Name + "`"
		if inside.Type == Secret {
			name += ", `" + inside.Name + "_file`"
		}
		meaning := inside.Doc
		if inside.Needed {
			meaning = needed + meaning
		}
		if at, k := below(path, inside); k != nil {
			meaning += fmt.Sprintf(" See [`%s`](#%s).", at, anchor(at))
		}
		p.row(name, inside.words(), standard(inside.Default), inside.limits(), meaning)
	}
	if slices.ContainsFunc(k.Variants, func(v Variant) bool { return len(v.Keys) > 0 }) {
		p.variants(k)
	}
	for _, inside := range k.Keys {
		if at, k := below(path, inside); k != nil {
			p.section(at, k)
		}
	}
}

func (p *page) row(cells ...string) {
	for i, text := range cells {
		cells[i] = strings.ReplaceAll(text, "|", `\|`)
	}
	p.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// variants says where the keys of each variant stand.
func (p *page) variants(k *Key) {
	fmt.Fprintf(p, "\n| `%s` | what it reads | needed settings |\n|---|---|---|\n", k.By)
	for _, v := range k.Variants {
		var must []string
		for _, inside := range v.Keys {
			for _, setting := range inside.Keys {
				if setting.Needed {
					must = append(must, "`"+setting.Name+"`")
				}
			}
		}
		p.row(fmt.Sprintf("[`%s`](%s)", v.Is, p.link(v.Is)), v.Doc, strings.Join(must, ", "))
	}
}

// below is the object in a key that has a section of its own, and its path; nil if there is none.
func below(path string, k *Key) (string, *Key) {
	at := k.Name
	if path != "" {
		at = path + "." + k.Name
	}
	switch k.Type {
	case List:
		at, k = at+"[]", k.Item
	case Map:
		at, k = at+".NAME", k.Item
	}
	if k.Type != Object || len(k.Keys) == 0 || k.brief() {
		return "", nil
	}
	return at, k
}

// brief tells whether the keys of an object need no table: they are all texts.
func (k *Key) brief() bool {
	return !slices.ContainsFunc(k.Keys, func(k *Key) bool { return k.Type != Text })
}

// anchor is where a heading is found in GitHub's pages.
func anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(".[]", c) {
			return -1
		}
		return c
	}, strings.ToLower(heading))
}

// words say what to write for a key.
func (k *Key) words() string {
	switch {
	case k.Type == List:
		return "list of " + k.Item.words()
	case k.Type == Map:
		return "names, each with " + k.Item.words()
	case k.OrText && len(k.Enum) > 0:
		return code(k.Enum, " or ") + " or object"
	case k.OrText:
		return "text, or object of " + k.keyNames()
	case k.Type == Object && len(k.Keys) > 0 && k.brief():
		return "object of " + k.keyNames()
	}
	return string(k.Type)
}

func (k *Key) keyNames() string {
	var list []string
	for _, inside := range k.Keys {
		list = append(list, inside.Name)
	}
	return code(list, ", ")
}

func code(list []string, between string) string {
	var marked []string
	for _, text := range list {
		marked = append(marked, "`"+text+"`")
	}
	return strings.Join(marked, between)
}

// limits are what a value must be beside its type, for people.
func (k *Key) limits() string {
	switch {
	case k.Limits != "":
		return k.Limits
	case k.Type == Text && len(k.Enum) > 0:
		return code(k.Enum, ", ")
	case k.Min != nil && k.Max != nil:
		return number(*k.Min) + " to " + number(*k.Max)
	case k.Min != nil:
		return number(*k.Min) + " or more"
	}
	return ""
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// standard is a default as the file would have it.
func standard(value any) string {
	if value == nil {
		return ""
	}
	if text, ok := value.(string); ok {
		return "`" + text + "`"
	}
	if text, err := json.Marshal(value); err == nil {
		value = string(text)
	}
	return fmt.Sprintf("`%s`", value)
}
