package socialhub

import "encoding/json"

// Template is a text with gaps that the team can choose for a template reply. A list of them is what SocialHub expects
// from the address in [TemplatesAddress].
type Template struct {
	Name string `json:"name"`
	// NetworkID is the template's own id, which comes back with the reply.
	NetworkID string `json:"networkId"`
	// Variables describes what fills the gaps, each by a JSON schema.
	Variables map[string]json.RawMessage `json:"variables"`
	// Text has gaps such as {{firstName}}.
	Text TemplateText `json:"text"`
}

// TemplateText is a template's text by language; one that is missing is left out.
type TemplateText struct {
	EN string `json:"en,omitempty"`
	DE string `json:"de,omitempty"`
	FR string `json:"fr,omitempty"`
}
