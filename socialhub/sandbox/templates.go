package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/socialhub"
)

// maxTemplates is the most bytes that a list of templates may have.
const maxTemplates = 1 << 20

// templates asks the address in a template reply's manifest for its templates, signed with the webhook's secret.
func (s *Server) templates(ctx context.Context, c *channel, offer *socialhub.ManifestAction) ([]socialhub.Template, error) {
	h := c.team.webhook()
	if h == nil {
		return nil, errors.New("the channel has no webhook, whose secret signs the request for templates")
	}
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	address, err := url.Parse(offer.Config.Templates.URL)
	if err != nil {
		return nil, errors.New("the address of the templates can't be asked")
	}
	query := address.Query()
	query.Set("channelId", c.info.ID)
	address.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, errors.New("the address of the templates can't be asked")
	}
	timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	req.Header.Set(socialhub.HeaderTimestamp, timestamp)
	req.Header.Set(socialhub.HeaderSignature, h.secret.Sign(timestamp, nil))
	resp, err := s.opts.Transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("no answer from the address of the templates: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTemplates+1))
	if err != nil {
		return nil, fmt.Errorf("read the templates: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the address of the templates answers %d", resp.StatusCode)
	}
	var list []socialhub.Template
	if len(body) > maxTemplates || json.Unmarshal(body, &list) != nil {
		return nil, errors.New("the address of the templates answers with no list of templates")
	}
	return list, nil
}

// texts are a template's texts by language, in a fixed order.
func texts(t *socialhub.Template) (languages []string, byLanguage map[string]string) {
	byLanguage = map[string]string{"en": t.Text.EN, "de": t.Text.DE, "fr": t.Text.FR}
	for _, l := range []string{"en", "de", "fr"} {
		if byLanguage[l] != "" {
			languages = append(languages, l)
		}
	}
	return languages, byLanguage
}

// gap is what a template leaves open, such as {{firstName}}.
var gap = regexp.MustCompile(`\{\{\s*([^{}\s]+)\s*\}\}`)

// filled is a text with its gaps filled; one without a value stays as it is.
func filled(text string, values map[string]string) string {
	return gap.ReplaceAllStringFunc(text, func(g string) string { return cmp.Or(values[gap.FindStringSubmatch(g)[1]], g) })
}

// gapField is the input for one gap of a template.
type gapField struct {
	Name, Label, Value string
	// Kind is text, number or choice.
	Kind    string
	Choices []string

	schema schema
}

// schema is as much of a gap's JSON schema as the page understands.
type schema struct {
	Type        string
	Title       string
	Description string
	Enum        []any
	Default     any
}

// gapFields are the inputs of a template, by name; values are what was typed so far.
func gapFields(t *socialhub.Template, values map[string]string) (fields []gapField) {
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		var s schema
		_ = json.Unmarshal(t.Variables[name], &s) // what can't be understood is a text
		f := gapField{Name: name, Label: cmp.Or(s.Title, s.Description, name), Value: values[name], Kind: "text", schema: s}
		if _, typed := values[name]; !typed && s.Default != nil {
			f.Value = fmt.Sprint(s.Default)
		}
		switch {
		case len(s.Enum) > 0:
			f.Kind = "choice"
			for _, one := range s.Enum {
				f.Choices = append(f.Choices, fmt.Sprint(one))
			}
		case s.Type == "boolean":
			f.Kind, f.Choices = "choice", []string{"true", "false"}
		case s.Type == "number", s.Type == "integer":
			f.Kind = "number"
		}
		fields = append(fields, f)
	}
	return fields
}

// gapValues are the values of a template's gaps as the event has them; the error names what is missing or no value.
func gapValues(fields []gapField) (map[string]any, error) {
	typed := make(map[string]any)
	for _, f := range fields {
		value := strings.TrimSpace(f.Value)
		chosen := slices.Index(f.Choices, value)
		switch {
		case value == "":
			return nil, fmt.Errorf("%s is missing", f.Label)
		case len(f.Choices) > 0 && chosen < 0:
			return nil, fmt.Errorf("%s: choose one of the list", f.Label)
		case len(f.schema.Enum) > 0:
			typed[f.Name] = f.schema.Enum[chosen]
		case f.schema.Type == "boolean":
			typed[f.Name] = value == "true"
		case f.Kind == "number":
			n := json.Number(value)
			if _, err := json.Marshal(n); err != nil {
				return nil, fmt.Errorf("%s must be a number", f.Label)
			}
			if _, err := n.Int64(); err != nil && f.schema.Type == "integer" {
				return nil, fmt.Errorf("%s must be a whole number", f.Label)
			}
			typed[f.Name] = n
		default:
			typed[f.Name] = value
		}
	}
	return typed, nil
}
