package config

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/robfig/cron/v3"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/builtin"
	"socialhub-sync/store"
	"socialhub-sync/sync"
)

var update = flag.Bool("update", false, "write the expected errors anew")

// leak is in every secret of the tests, so that none may be found in an error.
const leak = "hunter2"

// token returns a token of the channel whose id ends with n.
func token(n int) string {
	payload := fmt.Sprintf(`{"accountId":"%024x","channelId":"%024x","iat":1700000000}`, 1, n)
	return "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + leak
}

// env is the environment of all tests.
func env(name string) (string, bool) {
	value, ok := map[string]string{
		"TOKEN":           token(1),
		"OTHER_TOKEN":     token(2),
		"SAME_CHANNEL":    token(1) + "replaced",
		"BAD_TOKEN":       leak + "-is-no-token",
		"WEBHOOK_SECRET":  leak + "-of-a-webhook-0123456789abcdef",
		"EMPTY":           "",
		"PASSWORD":        leak + "-password",
		"YAML":            "x\n  reset: false",
		"CHANNEL":         "support",
		"NUMBER":          "12",
		"LEADING_ZEROS":   "007",
		"YES":             "true",
		"STATE_DIRECTORY": "/var/lib/socialhub-sync:/var/lib/other",
		"HOME_OF_SECRETS": "secrets",
		"DATABASE":        "postgres://sync:" + leak + "@db/sync",
		"BAD_DATABASE":    "postgres://sync:" + leak + "%zz@db/sync",
	}[name]
	return value, ok
}

// feed are the settings of the tests' adapter.
type feed struct {
	URL     string            `yaml:"url"`
	Token   sources.Secret    `yaml:"token"`
	Every   time.Duration     `yaml:"every"`
	Limit   int               `yaml:"limit"`
	Tags    []string          `yaml:"tags"`
	Headers map[string]string `yaml:"headers"`
	Auth    struct {
		User     string         `yaml:"user"`
		Password sources.Secret `yaml:"password"`
	} `yaml:"auth"`
	Fields []struct {
		Name string `yaml:"name"`
	} `yaml:"fields"`
}

func (f *feed) Open(context.Context, sources.Env) (sources.Source, error) {
	return nil, errors.New("not here")
}

func (f *feed) Validate() error {
	var faults []error
	if f.URL == "" {
		faults = append(faults, &sources.SettingError{Key: "url", Problem: "is missing; write the feed's address"})
	}
	if strings.Contains(f.URL, "@") {
		faults = append(faults, &sources.SettingError{Key: "url", Problem: "holds a password: " + f.URL})
	}
	if f.Auth.User == "" && !f.Auth.Password.IsZero() {
		faults = append(faults, &sources.SettingError{Key: "auth.user", Problem: "is missing beside the password " + f.Auth.Password.Reveal()})
	}
	for n, field := range f.Fields {
		if field.Name == "" {
			faults = append(faults, &sources.SettingError{Key: fmt.Sprintf("fields[%d].name", n), Problem: "is missing"})
		}
	}
	if f.Limit < 0 {
		faults = append(faults, errors.New("these settings\ncan't work"))
	}
	return errors.Join(faults...)
}

var adapters = []sources.Adapter{
	{Name: "feed", Settings: func() sources.Settings { return &feed{Limit: 100} }},
	{Name: "other", Settings: func() sources.Settings { return &feed{} }},
}

func TestEveryFaultIsToldAtOnceWithItsLine(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(file), data, "testdata", adapters, env)
			faults, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got %v, want faults", err)
			}
			got := faults.Error() + "\n"
			if strings.Contains(got, leak) {
				t.Errorf("a secret is in the error: %s", got)
			}
			if strings.Count(got, "\n") != len(faults.Faults) {
				t.Errorf("%d faults are not in a line each:\n%s", len(faults.Faults), got)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", got)
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func load(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test.yaml", []byte(text), "testdata", adapters, env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// least is the least that a file must hold; settings are the adapter's.
func least(settings string) string {
	return "channels: {support: {access_token: \"${TOKEN}\"}}\nsources:\n  a:\n    adapter: feed\n    channel: support\n    settings:\n" + settings
}

func TestDefaultsFillWhatTheFileLeavesOut(t *testing.T) {
	t.Parallel()
	c, err := Load("testdata/good/least.yaml", adapters, env)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata/good")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		File: "testdata/good/least.yaml", Dir: dir, Files: []string{"testdata/good/least.yaml"},
		Database:  sources.NewSecret("sqlite:/var/lib/socialhub-sync/socialhub-sync.db"),
		APIURL:    "https://api.socialhub.io",
		Listen:    "127.0.0.1:8080",
		Lease:     time.Minute,
		Retention: store.Retention{Actions: 30 * 24 * time.Hour, Polls: 30 * 24 * time.Hour},
		Channels:  []Channel{{Name: "support", Token: parsed(t, token(1)), Concurrency: 8}},
		Sources: []Source{{
			Name: "app-reviews", Adapter: adapters[0], Channel: "support",
			Schedule: cron.Every(5 * time.Minute), ScheduleText: "@every 5m",
			Reset: true, OnDelete: sync.Keep, MassChangeLimit: DefaultMassChangeLimit, Settings: &feed{URL: "https://example.com/feed.xml", Limit: 100},
		}},
	}
	if diff := cmp.Diff(want, c, comparers...); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEveryKeyIsTakenOver(t *testing.T) {
	t.Parallel()
	c, err := Load("testdata/good/full.yaml", adapters, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Database.Reveal() != "postgres://sync:hunter2@db/sync" || c.APIURL != "http://127.0.0.1:9000/api" || c.Listen != "" ||
		c.Lease != 90*time.Second {
		t.Errorf("got %q, %q, %q, %v", c.Database.Reveal(), c.APIURL, c.Listen, c.Lease)
	}
	wantChannels := []Channel{
		{Name: "zoo", Token: parsed(t, token(1)), Concurrency: 12, RateLimit: 2.5},
		{Name: "app.store_1", Token: parsed(t, token(3)), Concurrency: 256},
	}
	if diff := cmp.Diff(wantChannels, c.Channels, comparers...); diff != "" {
		t.Errorf("channels: -want +got:\n%s", diff)
	}
	settings := &feed{
		URL: "https://example.com/007?a=$x&b=${c}", Token: sources.NewSecret("hunter2 of a file"), Every: 90 * time.Second, Limit: 1000,
		Tags: []string{"007", "1.10", "true", "x\n  reset: false"}, Headers: map[string]string{"X-Api": "support", "1": ""},
	}
	settings.Auth.User, settings.Auth.Password = "me", sources.NewSecret("hunter2-password")
	wantSources := []Source{
		{Name: "z", Channel: "app.store_1", ScheduleText: "CRON_TZ=Europe/Berlin */10 8-18 * * 1-5", OnDelete: sync.Redact, Settings: settings, Adapter: adapters[0]},
		{Name: "a", Channel: "zoo", ScheduleText: "@hourly", Reset: true, OnDelete: sync.Keep, MassChangeLimit: 12, Settings: &feed{URL: "https://example.com"}, Adapter: adapters[1]},
	}
	for n := range c.Sources {
		if c.Sources[n].Schedule == nil {
			t.Errorf("source %d has no schedule", n)
		}
		c.Sources[n].Schedule = nil
	}
	if diff := cmp.Diff(wantSources, c.Sources, comparers...); diff != "" {
		t.Errorf("sources: -want +got:\n%s", diff)
	}
}

var comparers = []cmp.Option{
	cmp.Comparer(func(a, b sources.Secret) bool { return a == b }),
	cmp.Comparer(func(a, b socialhub.Token) bool { return a == b }),
	cmp.Comparer(func(a, b sources.Adapter) bool { return a.Name == b.Name }),
	cmpopts.IgnoreTypes(strictyaml.Digest(0)),
}

func parsed(t *testing.T, raw string) socialhub.Token {
	t.Helper()
	token, err := socialhub.ParseToken(raw)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestScheduleFollowsItsZone(t *testing.T) {
	t.Parallel()
	c, err := Load("testdata/good/full.yaml", adapters, env)
	if err != nil {
		t.Fatal(err)
	}
	friday := time.Date(2026, 7, 3, 16, 55, 0, 0, time.UTC) // 18:55 in Berlin
	want := time.Date(2026, 7, 6, 6, 0, 0, 0, time.UTC)     // Monday, 8:00 in Berlin
	if got := c.Sources[0].Schedule.Next(friday); !got.Equal(want) {
		t.Errorf("next poll is %s, want %s", got.UTC(), want)
	}
}

func TestAFileThatIsNotThereIsNoFault(t *testing.T) {
	t.Parallel()
	_, err := Load("testdata/none.yaml", adapters, env)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "testdata/none.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestAHugeFileIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(file, []byte(strings.Repeat("#\n", maxFile/2+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, adapters, env); err == nil || !strings.Contains(err.Error(), "1024 KiB") {
		t.Errorf("got %v", err)
	}
}

func TestTheMinimalFileThatAnErrorShowsIsGood(t *testing.T) {
	t.Parallel()
	lookup := func(string) (string, bool) { return token(1), true }
	for _, text := range []string{minimal, minimalChannels + "\n" + minimalSources} {
		if _, err := Parse("minimal.yaml", []byte(text), ".", builtin.Adapters(), lookup); err != nil {
			t.Error(err)
		}
	}
}

func TestDatabaseIsResolved(t *testing.T) {
	t.Parallel()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ text, state, want string }{
		{"sqlite:a.db", "/var/lib/x", "sqlite:/var/lib/x/a.db"},
		{"sqlite:sub/../a b.db", "/var/lib/x:/var/lib/y", "sqlite:/var/lib/x/a b.db"},
		{"sqlite:/srv//a.db", "/var/lib/x", "sqlite:/srv/a.db"},
		{"sqlite:a.db", "", "sqlite:" + wd + "/a.db"},
		{"postgres://u:p%40ss@h:5432/d?sslmode=verify-full", "/x", "postgres://u:p%40ss@h:5432/d?sslmode=verify-full"},
		{"postgresql:///d?host=/run/postgresql", "", "postgresql:///d?host=/run/postgresql"},
		{"postgres://u@h1:5432,h2:5433/d", "", "postgres://u@h1:5432,h2:5433/d"},
	} {
		got, err := database(test.text, func(string) (string, bool) { return test.state, true })
		if err != nil || got.Reveal() != test.want {
			t.Errorf("%s with state directory %q: got %q, %v, want %q", test.text, test.state, got.Reveal(), err, test.want)
		}
	}
	for _, text := range []string{"", "sqlite:", "sqlite", "sqlite://a.db", "sqlite::memory:", "sqlite:a.db?mode=ro", "sqlite:file#1", "postgres:x", "postgres", "postgres://%zz",
		"mysql://h/d", "a.db", "host=db user=u", "POSTGRES://h/d"} {
		if got, err := database(text, env); err == nil {
			t.Errorf("%q is taken as %q", text, got.Reveal())
		}
	}
}

func TestAPIURLNeedsTLSUnlessItIsThisMachine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://api.socialhub.io/": "https://api.socialhub.io", "https://proxy.example/socialhub": "https://proxy.example/socialhub",
		"http://localhost:8081": "http://localhost:8081", "http://127.8.8.8": "http://127.8.8.8", "http://[::1]:80//": "http://[::1]:80",
		"http://api.socialhub.io": "", "http://localhost.example": "", "http://10.0.0.1": "", "api.socialhub.io": "", "ftp://api.socialhub.io": "", "https://": "",
		"https://user:pass@api.socialhub.io": "", "https://api.socialhub.io?x=y": "", "https://api.socialhub.io?": "", "https://api.socialhub.io#x": "", "": "", "https://a b": "",
	} {
		if got, err := apiURL(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestListenTakesHostAndPort(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"": true, ":8080": true, "127.0.0.1:0": true, "[::1]:65535": true, "localhost:80": true,
		"8080": false, "127.0.0.1": false, "::1:80": false, ":65536": false, ":http": false, "http://localhost:80": false, ":": false, "a b:80": false, ":-1": false, ":+1": false,
	} {
		if err := checkListen(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"* * * * *": true, "*/5 8-18 * * mon-fri": true, "@daily": true, "@every 1s": true, "@every 1h30m": true, "CRON_TZ=Asia/Tokyo 0 9 * * *": true, "TZ=UTC @every 5m": true,
		"0 0 29 2 *": true,
		"":           false, "5m": false, "@every": false, "@every 5": false, "@every 999ms": false, "@every -5m": false, "@every 0s": false, "CRON_TZ=UTC @every 1ms": false,
		"* * * *": false, "* * * * * *": false, "60 * * * *": false, "0 0 30 2 *": false, ", * * * *": false, "CRON_TZ=": false, "TZ=UTC": false, "CRON_TZ=Mars/X 0 9 * * *": false,
		"@reboot": false,
	} {
		got, err := schedule(text)
		if (err == nil) != good || (got != nil) != good {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestVariablesCannotBringYAML(t *testing.T) {
	t.Parallel()
	for _, quote := range []string{"", `"`} {
		c := load(t, least("      url: "+quote+"${YAML}"+quote+"\n"))
		if got := c.Sources[0].Settings.(*feed).URL; got != "x\n  reset: false" || !c.Sources[0].Reset {
			t.Errorf("got %q, reset %v", got, c.Sources[0].Reset)
		}
	}
}

func TestVariablesInTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`${CHANNEL}`: "support", `a-${CHANNEL}-${NUMBER}`: "a-support-12", `$x`: "$x", `$$`: "$$", `$${CHANNEL}`: "${CHANNEL}", `x$${`: "x${", `'${LEADING_ZEROS}'`: "007",
		`${LEADING_ZEROS}`: "007", `$`: "$", `$$$${CHANNEL}`: "$$${CHANNEL}", `$${a}${CHANNEL}`: "${a}support", `${YES}`: "true", `"{ ${CHANNEL} }"`: "{ support }",
		"|\n        .a as $x\n        | \"${CHANNEL}\"": ".a as $x\n| \"support\"\n", `x${EMPTY}`: "x",
	} {
		c := load(t, least("      url: "+text+"\n"))
		if got := c.Sources[0].Settings.(*feed).URL; got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestLineEndsAndByteOrderMarkOfWindowsAreFine(t *testing.T) {
	t.Parallel()
	text := "\ufeff" + strings.ReplaceAll(least("      url: https://example.com\n"), "\n", "\r\n")
	if got := load(t, text).Sources[0].Settings.(*feed).URL; got != "https://example.com" {
		t.Errorf("got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", "../../config.example.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(bytes.ReplaceAll(data, []byte(leak), []byte("value")))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// What comes from the environment or a file of its own must not be in an error; a text in the file itself may be, as an unknown key.
		if len(data) > 16<<10 || strings.Contains(string(data), leak) {
			return
		}
		c, err := Parse("fuzz.yaml", data, "testdata", adapters, env)
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v", c, err)
		}
		if err == nil {
			return
		}
		faults, ok := errors.AsType[*Error](err)
		if !ok || len(faults.Faults) == 0 {
			t.Fatalf("got %v", err)
		}
		if strings.Contains(err.Error(), leak) {
			t.Errorf("a secret is in the error: %v", err)
		}
		for _, fault := range faults.Faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Problem == "" || strings.Contains(fault.String(), "\n") {
				t.Errorf("bad fault: %+v", fault)
			}
		}
	})
}

func TestRetentionHasBoundsAndMayBeForEver(t *testing.T) {
	t.Parallel()
	text := least("      url: https://example.com\n")
	got := load(t, text+"retention: {actions: 0, tickets: 2160h}\n").Retention
	if want := (store.Retention{Polls: DefaultRetention, Tickets: 2160 * time.Hour}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
