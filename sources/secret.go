package sources

import (
	"fmt"
	"io"
	"log/slog"
	"unique"
)

// redacted stands wherever a secret would.
const redacted = "[redacted]"

// Secret is a text from outside that must not be shown: a password, a key, an address that holds one.
// However it is printed, logged or marshalled it says "[redacted]"; [Secret.Reveal] is the one way to the
// text. Secrets compare with ==. The zero value is the empty text.
//
// A settings struct that has a Secret under the key `k` takes `k_file` too: the config reads the text from there.
type Secret struct {
	// A handle, because package fmt ignores the methods of values in unexported fields of other
	// structs and shows what they hold; of a handle it shows an address.
	text unique.Handle[string]
}

// NewSecret returns the secret with this text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: unique.Make(text)}
}

// Reveal returns the text itself.
func (s Secret) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.text.Value()
}

// IsZero tells whether the text is empty.
func (s Secret) IsZero() bool { return s == Secret{} }

// UnmarshalText makes a Secret decodable from a YAML or JSON string.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// String, GoString, Format, MarshalText, MarshalJSON, MarshalYAML and LogValue give "[redacted]".

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (s Secret) MarshalYAML() (any, error)    { return redacted, nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
