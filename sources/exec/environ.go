package execsource

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// inherited are the variables of the daemon that a program gets: what it needs to find its way, and nothing that
// could hold a token. Variables of locales, LC_*, come on top.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR"}

// environ is the program's environment.
func (s *Settings) environ() []string {
	env := []string{} // nil would mean the daemon's
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(inherited, name) || strings.HasPrefix(name, "LC_") {
			env = append(env, variable)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		env = append(env, name+"="+s.Env[name].Reveal()) // of equal names the last counts
	}
	return env
}

// secrets are the texts of the settings that must not be shown.
func (s *Settings) secrets() []string {
	var texts []string
	for _, value := range s.Env {
		texts = append(texts, value.Reveal())
	}
	return append(texts, s.configTexts()...)
}
