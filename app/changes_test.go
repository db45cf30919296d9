package app

import (
	"reflect"
	"testing"

	"socialhub-sync/app/config"
)

func TestEveryFieldOfTheConfigIsCompared(t *testing.T) {
	t.Parallel()
	// What is compared by name, or stays as it is because it is the same file.
	others := map[string]bool{"File": true, "Dir": true, "Files": true, "Channels": true, "Sources": true}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if _, compared := keys[field.Name]; compared == others[field.Name] {
			t.Errorf("config.Config.%s is in neither list, or in both", field.Name)
		}
	}
}
