package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"socialhub-sync/app/cli"
	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
)

// parrot is a source that can reply if its settings say so.
type (
	parrotSettings struct {
		Replies bool `yaml:"replies"`
	}
	parrot        struct{}
	talkingParrot struct{ parrot }
)

func (*parrotSettings) Validate() error { return nil }
func (s *parrotSettings) Open(context.Context, sources.Env) (sources.Source, error) {
	if s.Replies {
		return talkingParrot{}, nil
	}
	return parrot{}, nil
}
func (parrot) Pull(context.Context, sources.Request) iter.Seq2[sources.Batch, error] {
	return func(func(sources.Batch, error) bool) {}
}
func (parrot) Close() error { return nil }
func (talkingParrot) Reply(context.Context, *sources.Reply) (sources.Posted, error) {
	return sources.Posted{}, nil
}

const manifestSecret = "hunter2-hunter2-hunter2-hunter2-hunter2"

// manifestRig is a sandbox, a receiver, and the command line.
type manifestRig struct {
	t       *testing.T
	box     *sandbox.Server
	channel sandbox.Channel
	folder  string
	env     map[string]string
	down    atomic.Bool
}

func newManifestRig(t *testing.T, o sandbox.ChannelOptions) *manifestRig {
	t.Helper()
	r := &manifestRig{t: t, box: sandbox.New(sandbox.Options{}), folder: t.TempDir()}
	api := httptest.NewServer(r.box)
	secret, err := socialhub.ParseWebhookSecret(manifestSecret)
	if err != nil {
		t.Fatal(err)
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		challenge, err := secret.Verify(q.Header, body, time.Now(), socialhub.MaxWebhookSkew)
		if err != nil || r.down.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set(socialhub.HeaderChallenge, challenge)
	}))
	t.Cleanup(func() { _ = r.box.Close(); api.Close(); receiver.Close() })
	if r.channel, err = r.box.AddChannel(o); err != nil {
		t.Fatal(err)
	}
	r.env = map[string]string{"API_URL": api.URL, "TOKEN": r.channel.Token, "HOOK": receiver.URL + "/hook", "SECRET": manifestSecret,
		"SILENT_REPLIES": "false"}
	return r
}

// run executes a command line with a config whose channel has more keys, and returns what it printed.
func (r *manifestRig) run(keys string, code int, args ...string) (stdout, stderr string) {
	r.t.Helper()
	file := filepath.Join(r.folder, "config.yaml")
	text := "api_url: ${API_URL}\ndatabase: sqlite:" + filepath.Join(r.folder, "a.db") + "\nchannels:\n  support:\n    access_token: ${TOKEN}\n" + keys + `
  empty:
    access_token: ` + emptyToken + `
sources:
  talking: {adapter: parrot, channel: support, settings: {replies: true}}
  silent: {adapter: parrot, channel: support, settings: {replies: ` + r.env["SILENT_REPLIES"] + `}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	got := cli.Run(r.t.Context(), append(args, "--config", file),
		[]sources.Adapter{{Name: "parrot", Settings: func() sources.Settings { return &parrotSettings{} }}},
		cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs, LookupEnv: func(name string) (string, bool) {
			value, ok := r.env[name]
			return value, ok
		}})
	if got != code {
		r.t.Errorf("%s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &out, &errs)
	}
	if strings.Contains(out.String()+errs.String(), "hunter2") {
		r.t.Errorf("%s shows the secret:\n%s%s", strings.Join(args, " "), &out, &errs)
	}
	return out.String(), errs.String()
}

// emptyToken is of a channel that no sandbox has.
const emptyToken = "eyJhbGciOiJIUzI1NiJ9.eyJhY2NvdW50SWQiOiIwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDEiLCJjaGFubmVsSWQiOiIwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDIifQ.eA"

const (
	oneReply = "    webhook: {secret: \"${SECRET}\", url: \"${HOOK}\"}\n    actions: [{type: reply, max_length: 500}]\n"
	warning  = "warning: action reply: silent can't do it; the team is told so if it tries with a ticket of that source\n"
)

func (r *manifestRig) expect(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestAManifestIsComparedAndApplied(t *testing.T) {
	t.Parallel()
	r := newManifestRig(t, sandbox.ChannelOptions{})
	lines := fmt.Sprintf("+ action reply: reply \"Reply\"\n+ webhook: %s\n", r.env["HOOK"])
	out, errs := r.run(oneReply, 0, "manifest", "diff", "support")
	r.expect("diff", out, lines)
	r.expect("warning", errs, warning)
	r.run(oneReply, 1, "manifest", "diff", "support", "--exit-code")
	out, _ = r.run(oneReply, 0, "manifest", "apply", "support")
	r.expect("apply", out, lines+"applied\n")
	out, errs = r.run(oneReply, 0, "manifest", "apply", "support")
	r.expect("apply again", out+errs, "no difference\n"+warning)
	out, _ = r.run(oneReply, 0, "manifest", "diff", "support", "--exit-code")
	r.expect("diff after it", out, "no difference\n")
	out, _ = r.run(oneReply, 0, "manifest", "apply", "support", "--webhook")
	r.expect("apply with the webhook", out, "no difference\nthe webhook is registered anew\n")
	out, _ = r.run(oneReply, 0, "manifest", "show", "support")
	for _, want := range []string{`"ticketActions": [`, `"maxLength": 500`, `"de": "Antworten"`, `"url": "` + r.env["HOOK"] + `?v=`} {
		if !strings.Contains(out, want) {
			t.Errorf("show lacks %s:\n%s", want, out)
		}
	}
	out, _ = r.run("", 0, "manifest", "diff", "support")
	r.expect("nothing mentioned", out, "no difference: the config has no actions, no sidebar and no webhook address for support\n")
}

func TestAManifestThatCannotBeAppliedSaysWhy(t *testing.T) {
	t.Parallel()
	const like = "    actions: [{type: button, id: like, label: Like}]\n"
	for name, test := range map[string]struct {
		options sandbox.ChannelOptions
		spoil   func(*manifestRig)
		keys    string
		args    []string
		code    int
		want    string
	}{
		"no source can do it": {keys: like, args: []string{"apply", "support"}, code: 1,
			want: "error: action like: no source of the channel can do it (talking, silent); take it out"},
		"diff of what no source can do": {keys: like, args: []string{"diff", "support"}, code: 1, want: "error: action like: no source"},
		"the receiver is down": {spoil: func(r *manifestRig) { r.down.Store(true) }, keys: oneReply, args: []string{"apply", "support"}, code: 1,
			want: "error: SocialHub's test request to the webhook http://127.0.0.1:"},
		"a reusable manifest": {options: sandbox.ChannelOptions{Reusable: true}, args: []string{"show", "support"}, code: 1,
			want: "error: this channel's manifest can't be changed with its token, because it is a reusable one"},
		"a reusable manifest to apply to": {options: sandbox.ChannelOptions{Reusable: true}, keys: oneReply, args: []string{"apply", "support"}, code: 1,
			want: "error: this channel's manifest can't be changed with its token, because it is a reusable one"},
		"another token":            {args: []string{"show", "empty"}, code: 1, want: "error: SocialHub refuses the access token; "},
		"an unknown channel":       {args: []string{"show", "suport"}, code: 2, want: `error: no channel "suport" in `},
		"no channel":               {args: []string{"show"}, code: 2, want: "see `socialhub-sync manifest show --help`"},
		"no webhook to send":       {args: []string{"apply", "support", "--webhook"}, code: 2, want: "error: --webhook: the config has no webhook with an address for support; "},
		"a fault of the config":    {keys: "    actions: [{type: replay}]\n", args: []string{"show", "support"}, code: 2, want: `unknown type "replay"`},
		"a command that is no one": {args: []string{"delete", "support"}, code: 2, want: "error: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newManifestRig(t, test.options)
			if test.spoil != nil {
				test.spoil(r)
			}
			_, errs := r.run(test.keys, test.code, append([]string{"manifest"}, test.args...)...)
			if !strings.Contains(errs, test.want) {
				t.Errorf("got %q", errs)
			}
			if r.box.Webhook(r.channel.ID) != "" {
				t.Error("the webhook was registered")
			}
		})
	}
}

func TestCheckSaysWhatTheSourcesCanDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ keys, replies, want string }{
		"some can":   {oneReply, "false", `WARNING: reply: silent can't do it; the team is told so if it tries with a ticket of that source`},
		"none can":   {"    actions: [{type: delete}]\n", "false", "FAILED: delete: no source of the channel can do it (talking, silent); "},
		"all can":    {oneReply, "true", "1 action, each source can do them"},
		"no webhook": {"    actions: [{type: reply}]\n", "true", "WARNING: the channel has no webhook, so nothing is heard of what the team does"},
		"no actions": {"", "false", ""},
	} {
		r := newManifestRig(t, sandbox.ChannelOptions{})
		r.env["SILENT_REPLIES"] = test.replies
		out, _ := r.run(test.keys, 1, "check") // 1 because of the other channel's token
		_, line, found := strings.Cut(out, "actions of support")
		line, _, _ = strings.Cut(strings.TrimSpace(line), "\n")
		if found != (test.want != "") || !strings.HasPrefix(line, test.want) {
			t.Errorf("%s: got\n%s", name, out)
		}
	}
}
