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

func TestTheExampleHasEveryKey(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range []reflect.Type{reflect.TypeFor[fileKeys](), reflect.TypeFor[channelKeys](), reflect.TypeFor[sourceKeys]()} {
		for field := range level.Fields() {
			key := field.Tag.Get("yaml")
			if !regexp.MustCompile(`(?m)^ *` + key + `:( |$)`).Match(example) {
				t.Errorf("%s is missing", key)
			}
			if field.Type == reflect.TypeFor[sources.Secret]() && !regexp.MustCompile(`(?m)^ *# `+key+`_file: `).Match(example) {
				t.Errorf("%s_file is missing", key)
			}
		}
	}
}
