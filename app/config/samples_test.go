package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"socialhub-sync/sources/builtin"
)

// adapterSection is a part of docs/adapters.md about one adapter, codeBlock a fenced or an indented example in it.
var (
	adapterSection = regexp.MustCompile("(?m)^## `([a-z]+)`$")
	codeBlock      = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$|((?:^    [^\n]*\n|^\n)+)")
	sourceEntry    = regexp.MustCompile(`^[a-z][a-z-]*:\n  adapter: `)
)

// asConfig makes a whole config of an example; "" if it is none of a source.
func asConfig(adapter, text string) string {
	indent := func(s string, by int) string {
		return regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(s, strings.Repeat(" ", by)+"$1")
	}
	const channels = "channels: {support: {access_token: \"${TOKEN}\"}}\n"
	switch {
	case strings.HasPrefix(text, "sources:"):
		return channels + text
	case strings.HasPrefix(text, "settings:"):
		return channels + "sources:\n  sample:\n    adapter: " + adapter + "\n    channel: support\n" + indent(text, 4)
	case sourceEntry.MatchString(text):
		return channels + "sources:\n" + indent(text, 2)
	}
	return ""
}

// anything is an environment that has every variable.
func anything(name string) (string, bool) {
	if name == "TOKEN" {
		return token(1), true
	}
	return "a-value", true
}

func TestTheExamplesOfTheAdaptersAreGood(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/adapters.md")
	if err != nil {
		t.Fatal(err)
	}
	with := make(map[string]int)
	sections := adapterSection.FindAllStringSubmatchIndex(string(docs), -1)
	for n, at := range sections {
		name, end := string(docs[at[2]:at[3]]), len(docs)
		if n+1 < len(sections) {
			end = sections[n+1][0]
		}
		for _, block := range codeBlock.FindAllStringSubmatch(string(docs[at[1]:end]), -1) {
			text := block[1] + strings.TrimLeft(regexp.MustCompile(`(?m)^    `).ReplaceAllString(block[2], ""), "\n")
			sample := asConfig(name, text)
			if sample == "" {
				continue
			}
			with[name]++
			if _, err := Parse(name+".yaml", []byte(sample), t.TempDir(), builtin.Adapters(), anything); err != nil {
				t.Errorf("%v\n%s", err, sample)
			}
		}
	}
	for _, name := range []string{"exec", "http", "imap", "mastodon", "sql"} {
		if with[name] == 0 {
			t.Errorf("%s has no example", name)
		}
	}
}

func TestTheExampleOfExecIsGood(t *testing.T) {
	t.Parallel()
	if _, err := Load("../../docs/examples/exec.yaml", builtin.Adapters(), func(name string) (string, bool) {
		if name == "SUPPORT_TOKEN" {
			name = "TOKEN"
		}
		return anything(name)
	}); err != nil {
		t.Error(err)
	}
}
