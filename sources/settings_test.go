package sources

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type common struct {
	Every time.Duration `yaml:"every" doc:"How often."`
}

type manySettings struct {
	common `yaml:",inline"`

	Token Secret   `yaml:"token" doc:"Who we are."`
	Tags  []string `yaml:"tags" doc:"What to read."`
	Exact bool     `yaml:"exact" doc:"Whether case counts."`
	Share float64  `yaml:"share" doc:"How much."`
	Most  *int     `yaml:"most" doc:"How many."`
	Auth  struct {
		Password Secret `yaml:"password" doc:"Proof."`
		User     string `yaml:"user" doc:"Name."`
	} `yaml:"auth" doc:"How to log in."`
	Headers map[string]string `yaml:"headers" doc:"What to send."`
	Fields  []struct {
		From time.Time `yaml:"from" doc:"Since when."`
	} `yaml:"fields" doc:"Where things stand."`
	Unnamed int8 `doc:"Has no key."`
	Ours    int  `yaml:"-"`
	hidden  int
}

func (*manySettings) Validate() error                           { return nil }
func (*manySettings) Open(context.Context, Env) (Source, error) { return nil, nil }

func TestTheReferenceSaysEverySettingInWords(t *testing.T) {
	t.Parallel()
	a := Adapter{Settings: func() Settings {
		s := &manySettings{Token: NewSecret("t0ken"), Tags: []string{"a", "b"}, Share: 0.5, hidden: 1}
		s.Every = 90 * time.Second
		s.Auth.User = "jo"
		return s
	}}
	want := []Setting{
		{Key: "every", Type: "duration", Default: "1m30s", Doc: "How often."},
		{Key: "token", Type: "secret text", Default: "[redacted]", Doc: "Who we are.", Secret: true},
		{Key: "tags", Type: "list of text", Default: `["a","b"]`, Doc: "What to read."},
		{Key: "exact", Type: "true or false", Doc: "Whether case counts."},
		{Key: "share", Type: "number", Default: "0.5", Doc: "How much."},
		{Key: "most", Type: "whole number", Doc: "How many."},
		{Key: "auth", Type: "object", Doc: "How to log in."},
		{Key: "auth.password", Type: "secret text", Doc: "Proof.", Secret: true},
		{Key: "auth.user", Type: "text", Default: "jo", Doc: "Name."},
		{Key: "headers", Type: "object of text", Doc: "What to send."},
		{Key: "fields", Type: "list of object", Doc: "Where things stand."},
		{Key: "fields[].from", Type: "text", Doc: "Since when."},
		{Key: "unnamed", Type: "whole number", Doc: "Has no key."},
	}
	if diff := cmp.Diff(want, a.Reference()); diff != "" {
		t.Error(diff)
	}
}
