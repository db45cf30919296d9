package config

import (
	"os"
	"reflect"
	"regexp"
	"testing"

	"socialhub-sync/sources"
	"socialhub-sync/sources/builtin"
	"socialhub-sync/sync"
)

const exampleFile = "../../config.example.yaml"

func TestTheExampleIsGoodAndShowsTheDefaults(t *testing.T) {
	t.Parallel()
	c, err := Load(exampleFile, builtin.Adapters(), func(name string) (string, bool) {
		value, ok := map[string]string{"SUPPORT_TOKEN": token(1), "STATE_DIRECTORY": "/state"}[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Database.Reveal() != "sqlite:/state/socialhub-sync.db" || c.APIURL != DefaultAPIURL || c.Listen != DefaultListen || c.Lease != DefaultLease {
		t.Errorf("got %q, %q, %q, %v", c.Database.Reveal(), c.APIURL, c.Listen, c.Lease)
	}
	if got := c.Channels[0]; got.Concurrency != DefaultConcurrency || got.RateLimit != 0 {
		t.Errorf("got %+v", got)
	}
	if got := c.Sources[0]; got.ScheduleText != DefaultSchedule || !got.Reset || got.OnDelete != sync.Keep || got.MassChangeLimit != DefaultMassChangeLimit {
		t.Errorf("got %+v", got)
	}
}

// commented is a line of the example that is a key and no sentence: `#` without a space, or with the two of a deeper level.
var commented = regexp.MustCompile(`(?m)^( *)#((?:  +)?(?:- )?[a-z_]+:)`)

func TestWhatIsCommentedOutInTheExampleIsGoodToo(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	text := commented.ReplaceAllString(string(example), "$1$2")
	// There are two kinds of TLS, of which a file has one.
	first := regexp.MustCompile(`(?m)^tls:\n  cert_file: .*\n  key_file: .*\n`)
	c, err := Parse(exampleFile, []byte(first.ReplaceAllString(text, "")), "/dir", builtin.Adapters(), anyToken)
	if err != nil {
		t.Fatal(err)
	}
	if c.TLS.ACME == nil || c.TLS.ACME.Directory != DefaultDirectory || c.Channels[0].Webhook == nil || c.Channels[0].Webhook.Tolerance != DefaultTolerance {
		t.Errorf("got %+v, %+v", c.TLS, c.Channels[0].Webhook)
	}
	if got := c.Readers; got.Username != "admin" || got.Password.IsZero() || got.BearerToken.IsZero() {
		t.Errorf("got %+v", got)
	}
	if ch := c.Channels[0]; len(ch.Actions) != 2 || len(ch.Actions[0].Options) != 2 || len(ch.Sidebar) != 1 || len(ch.Templates) != 1 {
		t.Errorf("got %+v, %+v, %+v", ch.Actions, ch.Sidebar, ch.Templates)
	}
	second := regexp.MustCompile(`(?m)^tls:\n  acme:\n(    .*\n)+`)
	if c, err = Parse(exampleFile, []byte(second.ReplaceAllString(text, "")), "/dir", builtin.Adapters(), anyToken); err != nil || c.TLS.CertFile == "" {
		t.Errorf("got %+v, %v", c, err)
	}
}

// anyToken is an environment in which every variable is set.
func anyToken(name string) (string, bool) {
	if name == "SUPPORT_TOKEN" {
		return token(1), true
	}
	return "a-value-of-0123456789abcdef0123456789", true
}

func TestTheExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range []reflect.Type{
		reflect.TypeFor[fileKeys](), reflect.TypeFor[readersKeys](), reflect.TypeFor[retentionKeys](), reflect.TypeFor[tlsKeys](), reflect.TypeFor[acmeKeys](), reflect.TypeFor[channelKeys](),
		reflect.TypeFor[webhookKeys](), reflect.TypeFor[actionKeys](), reflect.TypeFor[sidebarKeys](), reflect.TypeFor[templateKeys](), reflect.TypeFor[sourceKeys](),
	} {
		for field := range level.Fields() {
			key := field.Tag.Get("yaml")
			if !regexp.MustCompile(`(?m)^ *(#  |#)? *(- )?` + key + `:( |$)`).Match(example) {
				t.Errorf("%s is missing", key)
			}
			if field.Type == reflect.TypeFor[sources.Secret]() && !regexp.MustCompile(`(?m)^ *(#  )?# `+key+`_file: `).Match(example) {
				t.Errorf("%s_file is missing", key)
			}
		}
	}
}
