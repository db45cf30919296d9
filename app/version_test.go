package app

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionNamesTheReleaseAndTheCommit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ version, commit, want string }{
		{"1.2.3", "0123456789ab", "1.2.3 (0123456789ab)"},
		{"1.2.3-rc.1", "0123456789ab+changes", "1.2.3-rc.1 (0123456789ab+changes)"},
		{"1.2.3", "", "1.2.3"},
	} {
		if got := released(test.version, test.commit); got != test.want {
			t.Errorf("released(%q, %q) = %q, want %q", test.version, test.commit, got, test.want)
		}
	}
}

func TestABuildByGoIsCalledWhatGoRecorded(t *testing.T) {
	t.Parallel()
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	changed := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, test := range []struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{"(devel)", nil, "(devel)"},
		{"(devel)", []debug.BuildSetting{revision}, "0123456789ab"},
		{"(devel)", []debug.BuildSetting{revision, changed}, "0123456789ab+changes"},
		{"v1.2.3", []debug.BuildSetting{revision}, "v1.2.3"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: test.version}, Settings: test.settings}
		if got := recorded(info); got != test.want {
			t.Errorf("a build of %s with %v is %q, want %q", test.version, test.settings, got, test.want)
		}
	}
}
