package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/socialhub"
)

// templateKeys are those of a template as they are written.
type templateKeys struct {
	ID        string           `yaml:"id" doc:"Needed. What the source gets."`
	Name      string           `yaml:"name" doc:"What the team reads; the id if left out."`
	Text      labelKeys        `yaml:"text" doc:"Needed. The text, with gaps such as {{firstName}}; a language without a text is left out."`
	Variables *strictyaml.Node `yaml:"variables" doc:"What fills each gap: text, number, or a JSON schema."`
}

// variableKinds are the short forms for what fills a gap.
var variableKinds = map[string]string{"text": `{"type":"string"}`, "number": `{"type":"number"}`}

// schemaTypes are the types that JSON schema knows (2020-12, section 6.1.1 of its validation).
var schemaTypes = []string{"string", "number", "integer", "boolean", "array", "object", "null"}

var (
	// validVariable is ours: what is easy to tell from the text around it.
	validVariable = regexp.MustCompile(variablesPattern)
	gap           = regexp.MustCompile(`\{\{([^{}]*)\}\}`)
)

func (r *reader) template(n *strictyaml.Node) socialhub.Template {
	var keys templateKeys
	r.Decode(n, &keys)
	r.checkID(n, keys.ID)
	t := socialhub.Template{
		NetworkID: keys.ID, Name: keys.Name, Text: socialhub.TemplateText(keys.Text), Variables: make(map[string]json.RawMessage),
	}
	if n.Has("name") {
		r.Check(n, "name", checkLabel(keys.Name))
	} else {
		t.Name = keys.ID
	}
	r.variables(n, t.Variables)
	text := n.Get("text")
	if text == nil || len(text.Entries) == 0 {
		r.Check(n, "text", errors.New("is missing; write the text in at least one language, such as {en: \"Hello {{firstName}}\"}"))
		return t
	}
	for _, given := range []struct{ language, text string }{{"en", keys.Text.EN}, {"de", keys.Text.DE}, {"fr", keys.Text.FR}} {
		if text.Has(given.language) {
			r.Check(n, "text."+given.language, r.checkTemplate(given.text, t.Variables))
		}
	}
	return t
}

// variables reads what fills the gaps of a template.
func (r *reader) variables(template *strictyaml.Node, into map[string]json.RawMessage) {
	n := template.Get("variables")
	if n == nil {
		return
	}
	var nodes map[string]*strictyaml.Node
	r.Decode(n, &nodes) // only to see that it is a mapping
	for _, e := range n.Entries {
		into[e.Key] = nil
		if !validVariable.MatchString(e.Key) {
			r.Fault(e.Value.Place, "the variable's name must have 1 to 64 of a-z, A-Z, 0-9 and underscore, and no digit at its beginning")
			continue
		}
		into[e.Key] = r.schema(e.Value)
	}
}

// schema reads a JSON schema or its short form.
func (r *reader) schema(n *strictyaml.Node) json.RawMessage {
	const mend = "; write text, number or a JSON schema such as {type: string, maxLength: 20}"
	v := n.Value()
	switch v := v.(type) {
	case map[string]any:
		if kind, ok := v["type"].(string); ok && !slices.Contains(schemaTypes, kind) {
			r.Check(n, "type", errors.New(strictyaml.Unknown("type", r.Mask(kind), schemaTypes)))
		}
		if len(v) == 0 {
			r.Fault(n.Place, "says nothing of the variable"+mend)
		}
	case string:
		if schema, ok := variableKinds[v]; ok {
			return json.RawMessage(schema)
		}
		r.Fault(n.Place, "is not a kind of variable"+mend)
	default:
		if n.Kind != strictyaml.Faulty {
			r.Fault(n.Place, "is not a kind of variable"+mend)
		}
	}
	raw, err := json.Marshal(v)
	if err != nil { // a text is UTF-8 and a number was read, so that can't be
		r.Fault(n.Place, "can't be written as JSON"+mend)
	}
	return raw
}

// checkTemplate checks a template's text: each gap is a variable that is declared.
func (r *reader) checkTemplate(text string, declared map[string]json.RawMessage) error {
	if strings.TrimSpace(text) == "" || socialhub.MessageLength(text) > socialhub.MaxMessage {
		return fmt.Errorf("must be a text of 1 to %d characters", socialhub.MaxMessage)
	}
	for _, found := range gap.FindAllStringSubmatch(text, -1) {
		name := found[1]
		_, known := declared[name]
		switch {
		case known:
		case strings.TrimSpace(name) != name:
			return errors.New("has a gap with spaces around its name; write {{name}}")
		case !validVariable.MatchString(name):
			return errors.New("has a gap whose name can't be a variable's; write {{name}}, with a-z, A-Z, 0-9 and underscore")
		default:
			return fmt.Errorf("has a gap {{%s}} that is no variable; write variables: {%[1]s: text}", r.Mask(name))
		}
	}
	if rest := gap.ReplaceAllString(text, ""); strings.Contains(rest, "{{") || strings.Contains(rest, "}}") {
		return errors.New("has {{ or }} without the other; write {{name}}")
	}
	return nil
}
