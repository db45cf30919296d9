package builtin

import (
	"reflect"
	"regexp"
	"slices"
	"testing"

	"socialhub-sync/sources"
)

func TestEveryAdapterCanBeListedAndConfigured(t *testing.T) {
	t.Parallel()
	var names []string
	for _, adapter := range Adapters() {
		names = append(names, adapter.Name)
		if !regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(adapter.Name) || adapter.Summary == "" {
			t.Errorf("name %q, summary %q", adapter.Name, adapter.Summary)
		}
		first, second := adapter.Settings(), adapter.Settings()
		if first == second {
			t.Errorf("%s: two sources would share their settings", adapter.Name)
		}
		checkSettings(t, adapter.Name, first)
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(Adapters()) {
		t.Errorf("names are not in order or not unique: %v", names)
	}
}

// checkSettings wants each setting to have its key and its sentence for the reference.
func checkSettings(t *testing.T, name string, s sources.Settings) {
	t.Helper()
	if err := s.Validate(); err == nil {
		t.Errorf("%s: settings without anything in them are fine", name)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(s).Elem()) {
		if field.IsExported() && (field.Tag.Get("yaml") == "" || field.Tag.Get("doc") == "") {
			t.Errorf("%s: %s has no yaml or no doc tag", name, field.Name)
		}
	}
}
