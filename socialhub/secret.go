package socialhub

import (
	"fmt"
	"io"
	"log/slog"
	"unique"
)

// redacted stands wherever a secret would.
const redacted = "[redacted]"

// secret is a text that is never shown: however it is printed, logged or marshalled it says "[redacted]". Secrets
// compare with ==. The zero value is the empty text.
type secret struct {
	// A handle, because package fmt ignores the methods of values in unexported fields of other
	// structs and shows what they hold; of a handle it shows an address.
	raw unique.Handle[string]
}

func newSecret(text string) secret { return secret{unique.Make(text)} }

// Reveal returns the text itself.
func (s secret) Reveal() string {
	if s == (secret{}) {
		return ""
	}
	return s.raw.Value()
}

// String, GoString, Format, MarshalText, MarshalJSON and LogValue give "[redacted]".

func (s secret) String() string               { return redacted }
func (s secret) GoString() string             { return redacted }
func (s secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (s secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (s secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
