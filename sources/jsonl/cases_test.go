package jsonl

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/goccy/go-yaml"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sourcetest"
)

func TestCases(t *testing.T) {
	t.Parallel()
	sourcetest.Cases(t, New(), "testdata")
}

// openSettings opens a source in dir from settings as they stand in a config.
func openSettings(t *testing.T, dir string, settings []byte) *source {
	t.Helper()
	s := New().Settings()
	if err := yaml.UnmarshalWithOptions(settings, s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(t.Context(), sources.Env{Name: "test", Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened.(*source)
}

func pullAll(t *testing.T, s *source, req sources.Request) (batches []sources.Batch, err error) {
	t.Helper()
	for batch, e := range s.Pull(t.Context(), req) {
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		batches = append(batches, batch)
	}
	return batches, err
}

func TestWrongSettingsAreToldByKey(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "in/[a.jsonl"} {
		err := (&Settings{Path: path}).Validate()
		if setting, ok := errors.AsType[*sources.SettingError](err); !ok || setting.Key != "path" {
			t.Errorf("%q: %v", path, err)
		}
	}
}
