package sourcetest

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"socialhub-sync/sources"
)

// asksForItsSettings leaves out each setting in turn, and writes wrong ones.
func asksForItsSettings(c *checker) {
	lines, err := settingLines(c.settings)
	if err != nil {
		c.Fatalf("World.Settings: %v", err)
	}
	needed := map[string]bool{}
	for _, s := range c.suite.Adapter.Reference() {
		needed[s.Key] = strings.HasPrefix(s.Doc, "Needed.")
	}
	for i, left := range lines {
		switch err := validate(c, slices.Delete(slices.Clone(lines), i, i+1)); {
		case err != nil:
			wantSetting(c, err, left.key, "without "+left.key)
		case needed[left.key]:
			c.Errorf("without %s, which is needed, the settings are fine", left.key)
		}
	}
	for _, wrong := range c.suite.Wrong {
		refusesSetting(c, lines, wrong)
	}
}

// refusesSetting writes wrong settings in place of the right ones.
func refusesSetting(c *checker, lines []settingLine, wrong Wrong) {
	added, err := settingLines(wrong.Line)
	if err != nil || len(added) == 0 {
		c.Fatalf("Suite.Wrong: %q is not a setting: %v", wrong.Line, err)
	}
	replaced := func(l settingLine) bool {
		return slices.ContainsFunc(added, func(a settingLine) bool { return a.key == l.key })
	}
	rest := slices.DeleteFunc(slices.Clone(lines), replaced)
	if err := validate(c, append(rest, added...)); err != nil {
		wantSetting(c, err, cmp.Or(wrong.Key, added[0].key), "with "+wrong.Line)
	} else {
		c.Errorf("with %s the settings are fine", wrong.Line)
	}
}

// wantSetting wants every fault to be a *SettingError, one of them on key, and no secret in them.
func wantSetting(c *checker, err error, key, when string) {
	keys := map[string]bool{}
	for _, fault := range unjoin(err) {
		setting, ok := errors.AsType[*sources.SettingError](fault)
		if !ok {
			c.Errorf("%s: %v: want a *sources.SettingError", when, fault)
			continue
		}
		keys[setting.Key] = true
		if setting.Problem == "" {
			c.Errorf("%s: the error does not say what to write instead", when)
		}
	}
	for found := range keys {
		if found == key || strings.HasPrefix(found, key+".") || strings.HasPrefix(found, key+"[") {
			return
		}
	}
	c.Errorf("%s: %v: want the error to be on the key %s", when, err, key)
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, unjoin(e)...)
		}
		return all
	}
	return []error{err}
}

// settingLine is a key with its value as YAML.
type settingLine struct {
	key  string
	text []byte
}

func settingLines(text string) ([]settingLine, error) {
	var values yaml.MapSlice
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		return nil, err
	}
	var lines []settingLine
	for _, v := range values {
		key, _ := v.Key.(string)
		text, err := yaml.Marshal(yaml.MapSlice{v})
		if err != nil {
			return nil, err
		}
		lines = append(lines, settingLine{key, text})
	}
	return lines, nil
}

// validate tells what is wrong with settings, which must not show a secret.
func validate(c *checker, lines []settingLine) error {
	var text []byte
	for _, line := range lines {
		text = append(text, line.text...)
	}
	settings, err := decode(c.suite.Adapter, string(text))
	if err != nil {
		return err
	}
	if err = settings.Validate(); err != nil {
		for _, secret := range append(secretsIn(settings), c.suite.Secrets...) {
			if strings.Contains(err.Error(), secret) {
				c.Errorf("a secret is in the error of Validate: %v", err)
			}
		}
	}
	return err
}
