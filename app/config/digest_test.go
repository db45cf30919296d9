package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const digested = `
channels:
  support: {access_token: "${TOKEN}", concurrency: 4}
  sales: {access_token_file: token}
sources:
  a: {adapter: feed, channel: support, settings: {url: "https://example.com", token_file: key, tags: [x, y]}}
  b: {adapter: feed, channel: sales, settings: {url: "https://example.com"}}
`

// folder has the files that the text names, with these contents.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// changed names the channels and sources whose digests differ.
func changed(a, b *Config) (names []string) {
	for n, c := range b.Channels {
		if i := slices.IndexFunc(a.Channels, func(o Channel) bool { return o.Name == c.Name }); a.Channels[i].Digest != b.Channels[n].Digest {
			names = append(names, c.Name)
		}
	}
	for n, s := range b.Sources {
		if i := slices.IndexFunc(a.Sources, func(o Source) bool { return o.Name == s.Name }); a.Sources[i].Digest != b.Sources[n].Digest {
			names = append(names, s.Name)
		}
	}
	return names
}

func TestADigestChangesWithWhatIsSaidAndNotWithHow(t *testing.T) {
	t.Parallel()
	usual := map[string]string{"token": token(2), "key": "hunter2"}
	for name, test := range map[string]struct {
		text  string
		files map[string]string
		vars  map[string]string
		want  []string
	}{
		"nothing": {text: digested},
		"in another order, with comments and in other lines": {text: `
sources:
  b: {settings: {url: https://example.com}, adapter: feed, channel: sales}
  a:
    settings:
      tags:
        - x # the first
        - "y"
      token_file: key
      url: https://example.com
    channel: support
    adapter: feed
channels:
  sales: {access_token_file: token}
  support: {concurrency: 4, access_token: "${TOKEN}"}
`},
		"a secret that moved to a file": {text: `
channels:
  support: {access_token_file: token1, concurrency: 4}
  sales: {access_token: "${OTHER_TOKEN}"}
sources:
  a: {adapter: feed, channel: support, settings: {url: "https://example.com", token: hunter2, tags: [x, y]}}
  b: {adapter: feed, channel: sales, settings: {url: "https://example.com"}}
`, files: map[string]string{"token1": token(1) + "\n", "token": token(2), "key": ""}},
		"another secret in a file": {text: digested, files: map[string]string{"token": token(2), "key": "hunter3"}, want: []string{"a"}},
		"another token in a file":  {text: digested, files: map[string]string{"token": token(3), "key": "hunter2"}, want: []string{"sales"}},
		"another variable":         {text: digested, vars: map[string]string{"TOKEN": token(4)}, want: []string{"support"}},
		"a list in another order, a new key": {text: `
channels:
  support: {access_token: "${TOKEN}", concurrency: 4}
  sales: {access_token_file: token}
sources:
  a: {adapter: feed, channel: support, settings: {url: "https://example.com", token_file: key, tags: [y, x]}}
  b: {adapter: feed, channel: sales, reset: false, settings: {url: "https://example.com"}}
`, want: []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, err := Parse("test.yaml", []byte(digested), folder(t, usual), adapters, env)
			if err != nil {
				t.Fatal(err)
			}
			files := usual
			if test.files != nil {
				files = test.files
			}
			second, err := Parse("test.yaml", []byte(test.text), folder(t, files), adapters, func(name string) (string, bool) {
				if value, ok := test.vars[name]; ok {
					return value, true
				}
				return env(name)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := changed(first, second); !slices.Equal(got, test.want) {
				t.Errorf("changed: %q, want %q", got, test.want)
			}
		})
	}
}

func TestTheFilesThatAConfigIsReadFromAreKnownAlsoWithFaults(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"config.yaml": digested, "token": token(2)})
	path := filepath.Join(dir, "config.yaml")
	want := []string{filepath.Join(dir, "token"), filepath.Join(dir, "key")}
	_, err := Load(path, adapters, env)
	faults, ok := errors.AsType[*Error](err)
	if !ok || !slices.Equal(faults.Files, want) {
		t.Fatalf("a file is missing: %v, %q, want %q", err, faults.Files, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, adapters, env)
	if err != nil || !slices.Equal(c.Files, append([]string{path}, want...)) {
		t.Errorf("%v; %q", err, c.Files)
	}
}
