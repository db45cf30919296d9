package app

import "runtime/debug"

// The linker sets these two in builds by scripts/build (-X); others know as much as Go recorded.
var (
	version string // such as 1.2.3
	commit  string // its first 12 digits, with +changes behind them if the tree had some
)

// Version is the version and commit of this build, such as "1.2.3 (0123456789ab)".
func Version() string {
	if version != "" {
		return released(version, commit)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return recorded(info)
}

// released is how a build by scripts/build calls itself.
func released(version, commit string) string {
	if commit == "" {
		return version
	}
	return version + " (" + commit + ")"
}

// recorded is how a build by `go build` or `go install` calls itself.
func recorded(info *debug.BuildInfo) string {
	version, dirty := info.Main.Version, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && (version == "" || version == "(devel)"):
			version = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	return version + dirty
}
