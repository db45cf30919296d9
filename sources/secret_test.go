package sources

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const hidden = "hunter2-is-the-password"

type withSecret struct {
	Key    Secret `yaml:"key" json:"key"`
	hidden Secret
}

func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	s := NewSecret(hidden)
	both := withSecret{Key: s, hidden: s}
	shown := map[string]func() string{
		"text handler": func() string {
			return logged(func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) }, s)
		},
		"JSON handler": func() string {
			return logged(func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) }, both)
		},
		"JSON":      func() string { return marshalled(t, json.Marshal, both) },
		"YAML":      func() string { return marshalled(t, func(v any) ([]byte, error) { return yaml.Marshal(v) }, both) },
		"text":      func() string { return marshalled(t, func(any) ([]byte, error) { return s.MarshalText() }, s) },
		"string":    s.String,
		"Go string": s.GoString,
		"error":     func() string { return fmt.Errorf("open: %w", errors.New(fmt.Sprint(s))).Error() },
		"panic": func() (out string) {
			defer func() { out = fmt.Sprint(recover()) }()
			panic(s)
		},
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		for name, value := range map[string]any{
			"value": s, "pointer": &s, "slice": []Secret{s}, "map": map[string]Secret{"k": s}, "struct": both, "struct pointer": &both,
		} {
			shown[verb+" of "+name] = func() string { return fmt.Sprintf(verb, value) }
		}
	}
	for name, show := range shown {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := show()
			if leaks(got) {
				t.Errorf("shows the secret: %s", got)
			}
			if got == "" {
				t.Error("shows nothing")
			}
		})
	}
	for name, got := range map[string]string{"String": s.String(), "%#v": fmt.Sprintf("%#v", s), "an empty one": Secret{}.String()} {
		if got != "[redacted]" {
			t.Errorf("%s shows %q", name, got)
		}
	}
}

func leaks(shown string) bool {
	return strings.Contains(shown, hidden) || strings.Contains(strings.ToLower(shown), fmt.Sprintf("%x", hidden))
}

func logged(handler func(*bytes.Buffer) slog.Handler, value any) string {
	var b bytes.Buffer
	slog.New(handler(&b)).Info("open", "value", value)
	return b.String()
}

func marshalled(t *testing.T, marshal func(any) ([]byte, error), v any) string {
	t.Helper()
	b, err := marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSecretRevealsItsText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", hidden, " white space stays\n", "äöü"} {
		s := NewSecret(text)
		if s.Reveal() != text || s.IsZero() != (text == "") || s != NewSecret(text) {
			t.Errorf("NewSecret(%q) reveals %q, IsZero is %v", text, s.Reveal(), s.IsZero())
		}
	}
	if NewSecret("a") == NewSecret("b") {
		t.Error("different secrets are equal")
	}
}

func TestSecretIsDecodedFromStrings(t *testing.T) {
	t.Parallel()
	for name, decode := range map[string]func(*withSecret) error{
		"YAML": func(v *withSecret) error { return yaml.UnmarshalWithOptions([]byte("key: "+hidden), v, yaml.Strict()) },
		"JSON": func(v *withSecret) error { return json.Unmarshal([]byte(`{"key":"`+hidden+`"}`), v) },
	} {
		var v withSecret
		if err := decode(&v); err != nil || v.Key.Reveal() != hidden {
			t.Errorf("%s: %q, %v", name, v.Key.Reveal(), err)
		}
	}
}
