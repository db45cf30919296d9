package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/app/config/schema"
	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/sources"
	"socialhub-sync/sources/builtin"
)

const (
	schemaFile    = "../../docs/schema/config.schema.json"
	referenceFile = "../../docs/configuration.md"
)

func schemaOf(t *testing.T, adapters []sources.Adapter) *validator {
	t.Helper()
	text, err := schema.JSON(Reference(adapters))
	if err != nil {
		t.Fatal(err)
	}
	return newValidator(t, text)
}

// asWritten is a file as an editor sees it: variables are texts. There is none if it is no YAML that we take.
func asWritten(text string) (value any, ok bool) {
	f := strictyaml.New("file.yaml", ".", func(name string) (string, bool) { return "${" + name + "}", true })
	root := f.Parse([]byte(text))
	if root == nil || f.Err() != nil {
		return nil, false
	}
	return root.Value(), true
}

// valid checks that the schema has nothing against a file.
func (v *validator) valid(name, text string) {
	v.t.Helper()
	value, ok := asWritten(text)
	if !ok {
		v.t.Errorf("%s is no YAML", name)
	}
	for _, c := range v.check(value) {
		v.t.Errorf("%s: the schema has something against %s (%s)", name, c.path, c.keyword)
	}
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func filesOf(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", pattern, files, err)
	}
	return files
}

func TestTheGeneratedFilesAreUpToDate(t *testing.T) {
	t.Parallel()
	reference := Reference(builtin.Adapters())
	text, err := schema.JSON(reference)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, schemaFile, string(text))

	docs := readText(t, referenceFile)
	const begin, end = "<!-- made by go generate ./app/config -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(docs, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the tables", referenceFile)
	}
	golden(t, referenceFile, before+begin+schema.Markdown(reference, adapterLink)+"\n"+end+after)
}

func adapterLink(adapter string) string { return "adapters.md#" + adapter }

func TestTheReferenceLinksToSectionsThatAreThere(t *testing.T) {
	t.Parallel()
	docs := readText(t, "../../docs/adapters.md")
	for _, adapter := range builtin.Adapters() {
		if !strings.Contains(docs, "\n## `"+adapter.Name+"`\n") {
			t.Errorf("docs/adapters.md has no section for %s", adapterLink(adapter.Name))
		}
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	var look func(path string, k *schema.Key)
	look = func(path string, k *schema.Key) {
		if k.Type == "" || k.Doc == "" && k.Name != "" {
			t.Errorf("%s has the type %q and the meaning %q", path, k.Type, k.Doc)
		}
		for _, inside := range k.Keys {
			look(path+"."+inside.Name, inside)
		}
		if k.Item != nil {
			look(path+"[]", k.Item)
		}
		for _, v := range k.Variants {
			for _, inside := range v.Keys {
				look(path+"."+v.Is+"."+inside.Name, inside)
			}
		}
	}
	file := Reference(builtin.Adapters())
	file.Doc = "the file"
	look("", file)
}

func TestGoodFilesAreValidByTheSchema(t *testing.T) {
	t.Parallel()
	v := schemaOf(t, builtin.Adapters())
	for _, pattern := range []string{exampleFile, "../../docs/recipes/*.yaml", "../../docs/examples/*.yaml"} {
		for _, file := range filesOf(t, pattern) {
			v.valid(file, readText(t, file))
		}
	}
	v.valid("the example with what is commented out", commented.ReplaceAllString(
		regexp.MustCompile(`(?m)^#tls:\n#  acme:\n(#    .*\n)+`).ReplaceAllString(readText(t, exampleFile), ""), "$1$2"))
	v.valid("the minimal file", minimal)
	v = schemaOf(t, adapters)
	for _, file := range filesOf(t, "testdata/good/*.yaml") {
		v.valid(file, readText(t, file))
	}
}

// valuesThatAreTaken are written in ways that a schema could be too strict for.
var valuesThatAreTaken = []string{
	"lease: 0h1m0.5s", "lease: ${LEASE}", "listen:", `listen: ""`, "listen: :8080", "listen: '[::1]:80'", "public_url: HTTPS://a.example/x/", "public_url:",
	"trusted_proxies:", "trusted_proxies: ['::1', 10.0.0.0/8, fe80::1%eth0]", "tls: {acme: }", "database: postgresql://db/sync",
	"channels:\n  a:\n    access_token: a.b.c\n    concurrency: ${N}\n    rate_limit: 2.5", "channels: {a: {access_token_file: 7}}",
	"sources: {a: {adapter: feed, channel: a, settings: {url: x, auth: , headers: , tags: , fields: }}}",
	"channels: {a: {access_token: x, actions: [], sidebar: [], templates: []}}",
	"channels: {a: {access_token: x, actions: [{type: button, label: 1}, {type: reply, timeout: 120m, label: {en: Yes}}, {type: '${T}'}]}}",
	"channels: {a: {access_token: x, templates: [{id: 1, text: {en: a}, variables: {a: text, b: {type: string, minLength: 1}}}]}}",
}

func TestTheSchemaIsNotStricterThanTheProgram(t *testing.T) {
	t.Parallel()
	v := schemaOf(t, adapters)
	environ := func(name string) (string, bool) {
		value, ok := map[string]string{"LEASE": "1m", "N": "3", "T": "delete"}[name]
		return value, ok
	}
	for _, text := range append(valuesThatAreTaken, schedulesThatAreTaken()...) {
		for _, rest := range []string{"channels: {a: {access_token: x}}", "sources: {a: {adapter: feed, channel: a, settings: {url: x}}}"} {
			if key, _, _ := strings.Cut(rest, ":"); !strings.HasPrefix(text, key) {
				text += "\n" + rest
			}
		}
		v.valid(text, text)
		_, err := Parse("test.yaml", []byte(text), "testdata", adapters, environ)
		faults, ok := errors.AsType[*Error](err)
		if !ok {
			continue
		}
		for _, fault := range faults.Faults {
			// Tokens and certificates are no matter of the schema.
			if !strings.Contains(fault.Key, "access_token") && !strings.Contains(fault.Key, "tls.acme") {
				t.Errorf("is no value that is taken: %s", fault)
			}
		}
	}
}

func schedulesThatAreTaken() (files []string) {
	for _, text := range []string{
		"* * * * *", "*/5 8-18 * * mon-fri", "@daily", "@every 1s", "@every 1h30m", "CRON_TZ=Asia/Tokyo 0 9 * * *", "TZ=UTC @every 5m", "TZ=UTC @daily", " 0  0 1 1 ? ",
	} {
		files = append(files, fmt.Sprintf("sources: {a: {adapter: feed, channel: a, schedule: %q, settings: {url: x}}}", text))
	}
	return files
}

// structural is what a schema must find too: it follows from the file alone, and from nothing but the one value.
var structural = regexp.MustCompile(`^(unknown key|unknown type|unknown on_delete|unknown adapter|must be (a |true |the |whole |1 to |requests)|is set too|is missing|` +
	`there are none|the name |is not for a|is neither|is no schedule|is empty|names no file)`)

// bySight are faults that sound structural and that a schema can't see.
var bySight = regexp.MustCompile(`unknown type "(text|\$\{CHANNEL\})"; known: string|a duration.*has a unit|names no file; write sqlite:PATH|` +
	`is missing beside|is missing; write the names that|CRON_TZ=|names no usable|the feed's address$|must be @every|an https|must be a text of 1|is missing$`)

func TestTheSchemaFindsWhatIsWrongWithTheStructure(t *testing.T) {
	t.Parallel()
	v, findings := schemaOf(t, adapters), ""
	for _, file := range filesOf(t, "testdata/bad/*.yaml") {
		text := readText(t, file)
		value, ok := asWritten(text)
		if !ok {
			continue
		}
		_, err := Parse(filepath.Base(file), []byte(text), "testdata", adapters, env)
		faults, _ := errors.AsType[*Error](err)
		complaints := v.check(value)
		for _, c := range complaints {
			findings += fmt.Sprintf("%s: %s: %s\n", filepath.Base(file), c.path, c.keyword)
			if !slices.ContainsFunc(faults.Faults, func(f Fault) bool { return related(f.Key, c.path) }) {
				t.Errorf("%s: the schema has something against %s (%s), the program has not", file, c.path, c.keyword)
			}
		}
		for _, f := range faults.Faults {
			if structural.MatchString(f.Problem) && !bySight.MatchString(f.Problem) && !strings.Contains(text, "${") &&
				!slices.ContainsFunc(complaints, func(c complaint) bool { return related(f.Key, c.path) }) {
				t.Errorf("the schema has nothing against %s", f)
			}
		}
	}
	golden(t, "testdata/schema-findings.txt", findings)
}

// related tells whether two paths are about one value, or one is inside of the other.
func related(a, b string) bool {
	return under(a, b) || under(b, a)
}

func under(a, b string) bool {
	rest, ok := strings.CutPrefix(a, b)
	return ok && (rest == "" || b == "" || rest[0] == '.' || rest[0] == '[')
}

func TestTheLimitsInTheSchemaAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	v := schemaOf(t, adapters)
	const file = "channels: {a: {access_token: %q, concurrency: %s, rate_limit: %s}}\nsources: {a: {adapter: feed, channel: a, mass_change_limit: %s, settings: {url: x}}}"
	for _, test := range []struct {
		concurrency, rate, limit string
		good                     bool
	}{
		{"1", "0", "0", true}, {"256", "0.5", "200", true}, {"0", "0", "0", false}, {"257", "0", "0", false}, {"1", "-0.1", "0", false}, {"1", "0", "-1", false}, {"1.5", "0", "0", false},
	} {
		text := fmt.Sprintf(file, token(1), test.concurrency, test.rate, test.limit)
		value, _ := asWritten(text)
		_, err := Parse("test.yaml", []byte(text), ".", adapters, env)
		if bySchema := len(v.check(value)) == 0; bySchema != test.good || (err == nil) != test.good {
			t.Errorf("%+v: good by the schema: %v, by the program: %v", test, bySchema, err)
		}
	}
}

func TestTheSchemaTellsGoodNamesFromBadOnes(t *testing.T) {
	t.Parallel()
	v := schemaOf(t, adapters)
	for name, good := range map[string]bool{
		"a": true, "0.a_b-c": true, strings.Repeat("a", 64): true, "A": false, "-a": false, "a b": false, "": false, strings.Repeat("a", 65): false,
	} {
		text := fmt.Sprintf("channels: {a: {access_token: %q}}\nsources: {%q: {adapter: feed, channel: a, settings: {url: x}}}", token(1), name)
		value, _ := asWritten(text)
		_, err := Parse("test.yaml", []byte(text), ".", adapters, env)
		if bySchema := len(v.check(value)) == 0; bySchema != good || (err == nil) != good {
			t.Errorf("%q: good by the schema: %v, by the program: %v", name, bySchema, err)
		}
	}
}

// fenced is an example in a page, of whatever depth.
var fenced = regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```$")

func TestTheExamplesOfTheDocsAreValidByTheSchema(t *testing.T) {
	t.Parallel()
	v, seen := schemaOf(t, builtin.Adapters()), 0
	known := names(Reference(builtin.Adapters()).Keys, func(k *schema.Key) string { return k.Name })
	for _, file := range append(filesOf(t, "../../docs/*.md"), "../../README.md") {
		docs := readText(t, file)
		for _, at := range fenced.FindAllStringSubmatchIndex(docs, -1) {
			text := regexp.MustCompile("(?m)^"+docs[at[2]:at[3]]).ReplaceAllString(docs[at[4]:at[5]], "")
			if first, _, _ := strings.Cut(text, ":"); !slices.Contains(known, first) || strings.Contains(text, "adapter: forum") {
				text = asConfig(adapterOf(docs[:at[0]]), dedent(text))
			}
			if text == "" { // a part that only its surroundings explain, or of another program
				continue
			}
			seen++
			value, ok := asWritten(text)
			if !ok {
				t.Errorf("%s: no YAML: %s", file, text)
			}
			for _, c := range v.check(value) {
				// Examples leave out what they are not about; a needed secret is an anyOf.
				if c.keyword != "required" && (c.keyword != "anyOf" || !strings.HasSuffix(c.path, ".settings")) {
					t.Errorf("%s: the schema has something against %s (%s) in\n%s", file, c.path, c.keyword, text)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d examples were seen", seen)
	}
}

// adapterOf is the adapter whose section a page is in, where a text of it ends.
func adapterOf(text string) string {
	sections := adapterSection.FindAllStringSubmatch(text, -1)
	if len(sections) == 0 {
		return ""
	}
	return sections[len(sections)-1][1]
}

func dedent(text string) string {
	depth := len(text) - len(strings.TrimLeft(text, " "))
	return regexp.MustCompile("(?m)^"+strings.Repeat(" ", depth)).ReplaceAllString(text, "")
}

func TestTheFirstLineOfTheExampleTellsEditorsTheSchema(t *testing.T) {
	t.Parallel()
	first, _, _ := strings.Cut(readText(t, exampleFile), "\n")
	file, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
	if diff := cmp.Diff(schemaFile, filepath.ToSlash(filepath.Join(filepath.Dir(exampleFile), file))); !ok || diff != "" {
		t.Errorf("%s: %s", first, diff)
	}
}
