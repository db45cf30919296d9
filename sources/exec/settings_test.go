package execsource

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"socialhub-sync/sources"
)

func keysOf(err error) []string {
	found := map[string]bool{}
	var walk func(error)
	walk = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				walk(e)
			}
		} else if setting, ok := errors.AsType[*sources.SettingError](err); ok {
			found[setting.Key] = true
		}
	}
	walk(err)
	return slices.Sorted(maps.Keys(found))
}

func TestWrongSettingsAreToldByKey(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"command: [x]":                                      "",
		"command: [x, '', y]":                               "",
		"{}":                                                "command",
		"command: []":                                       "command",
		"command: ['']":                                     "command",
		`command: [x, "a\0"]`:                               "command",
		"command: [x]\n" + `dir: "a\0"`:                     "dir",
		"command: [x]\nenv: {A=B: c}":                       "env",
		"command: [x]\nenv: {'': c}":                        "env",
		"command: [x]\n" + `env: {A: "b\0"}`:                "env.A",
		"command: [x]\ntimeout: 0s":                         "timeout",
		"command: [x]\ntimeout: 25h":                        "timeout",
		"command: [x]\nformat: json":                        "format",
		"command: [x]\nmapping: .":                          "mapping",
		"command: [x]\nconfig: '{}'\ncatalog: c\nprefix: p": "catalog config prefix",
		"command: [x]\nformat: singer":                      "mapping",
		"command: [x]\nformat: singer\nmapping: .":          "",
		"command: [x]\nformat: singer\nmapping: .\nconfig: 's3cret'":    "config",
		"command: [x]\nformat: singer\nmapping: .\nconfig: '[]'":        "config",
		"command: [x]\nformat: singer\nmapping: .\nprefix: 'a b'":       "prefix",
		"command: [x]\nformat: singer\nmapping: .\n" + `catalog: "c\0"`: "catalog",
	} {
		err := decode(t, settings).Validate()
		if got := strings.Join(keysOf(err), " "); got != want || (err == nil) != (want == "") || strings.Contains(errorText(err), "s3cret") {
			t.Errorf("%s\ngot %q (%v), want %q", settings, got, err, want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTheProgramIsFoundBesideTheConfigOrInPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "desk"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{filepath.Join(dir, "my-sh"), filepath.Join(dir, "desk", "my-sh")} {
		if err := os.Symlink("/bin/sh", link); err != nil {
			t.Fatal(err)
		}
	}
	for _, settings := range []string{
		"command: [sh, -c, pwd >here]\ndir: desk",
		"command: [./my-sh, -c, pwd >here]\ndir: desk",
		"command: [desk/my-sh, -c, pwd >here]\ndir: " + filepath.Join(dir, "desk"),
		"command: [" + filepath.Join(dir, "my-sh") + ", -c, pwd >here]\ndir: ./desk/",
	} {
		_ = os.Remove(filepath.Join(dir, "desk", "here"))
		if r := openIn(t, dir, settings).pull(t, sources.Request{}); r.err != nil {
			t.Error(r.err)
		}
		if got := strings.TrimSpace(readFile(t, filepath.Join(dir, "desk"), "here")); filepath.Base(got) != "desk" {
			t.Errorf("%s: in %s", settings, got)
		}
	}
}

func TestAProgramThatCantBeRunIsToldByItsName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "plain.txt", "x")
	for settings, want := range map[string]string{
		"command: [no-such-program-7]":  "command: no-such-program-7: executable file not found in $PATH; check",
		"command: [./missing.py]":       "command: ./missing.py: no such file or directory; check",
		"command: [./plain.txt]":        "command: ./plain.txt: permission denied; check",
		"command: [sh]\ndir: not/there": "command: can't start sh: no such file or directory; check command and dir",
		"command: [sh]\ndir: plain.txt": "command: can't start sh: not a directory; check command and dir",
	} {
		opener, err := decode(t, settings).Open(t.Context(), sources.Env{Name: "test", Dir: dir})
		if err == nil {
			err = (&opened{source: opener.(*source)}).pull(t, sources.Request{}).err
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// The daemon's own variables may hold tokens.
func TestTheEnvironmentIsTheProgramsOwn(t *testing.T) {
	t.Setenv("SUPPORT_TOKEN", "s3cret")
	t.Setenv("CREDENTIALS_DIRECTORY", "/s3cret")
	t.Setenv("LC_TIME", "C")
	t.Setenv("TZ", "UTC")
	s := openIn(t, t.TempDir(), "command: [sh, -c, env >env]\nenv: {TOKEN: mine, TZ: Europe/Berlin}")
	if r := s.pull(t, sources.Request{}); r.err != nil {
		t.Fatal(r.err)
	}
	env := "\n" + readFile(t, s.dir, "env")
	for _, want := range []string{"\nTOKEN=mine\n", "\nTZ=Europe/Berlin\n", "\nLC_TIME=C\n", "\nPATH=" + os.Getenv("PATH") + "\n"} {
		if !strings.Contains(env, want) {
			t.Errorf("missing: %q", want)
		}
	}
	if strings.Contains(env, "s3cret") {
		t.Errorf("the daemon's variables are there:\n%s", env)
	}
}
