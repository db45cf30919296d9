package mastodon

import (
	"testing"

	"socialhub-sync/sources/sourcetest"
)

func TestCases(t *testing.T) { sourcetest.Cases(t, New(), "testdata") }
