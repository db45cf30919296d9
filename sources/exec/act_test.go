package execsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// actor opens a source whose actions are a shell script.
func actor(t testing.TB, script, more string) *opened {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "act.sh", script)
	return openIn(t, dir, "command: [sh, -c, 'exit 1']\nact: [sh, act.sh]\n"+more)
}

func actionOf(kind socialhub.ActionType) sources.Action {
	return sources.Action{
		Key: "key-1", Type: kind, ID: "an-id", NetworkItemID: "review-17", Ref: json.RawMessage(`{"id":17}`),
		RootID: "review-1", RootRef: json.RawMessage(`[1]`), Time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
	}
}

// outcomeText shows how an action went in one line.
func outcomeText(p sources.Posted, err error) string {
	text := ""
	if p.NetworkItemID != "" || p.URL != "" || p.Ref != nil || !p.CreatedTime.IsZero() {
		text = strings.TrimSpace(fmt.Sprintf("%s %s %s", p.NetworkItemID, p.URL, p.Ref))
	}
	refused, isRefused := errors.AsType[*sources.RefusedError](err)
	retry, isRetry := errors.AsType[*sources.RetryAfterError](err)
	_, isStop := errors.AsType[*sources.StopError](err)
	switch {
	case isRefused:
		text += "refused(" + refused.Reason + ")"
	case isRetry:
		text += fmt.Sprintf("after %s(%v)", retry.After, err)
	case isStop:
		text += fmt.Sprintf("stop(%v)", err)
	case sources.NotDone(err):
		text += fmt.Sprintf("not done(%v)", err)
	case err != nil:
		text += fmt.Sprintf("unknown(%v)", err)
	}
	return text
}

func TestTheProgramSaysHowAnActionWent(t *testing.T) {
	t.Parallel()
	const noOutcome = `act: the program ended without an outcome; a reply needs one, such as {"posted":{"networkItemId":"…"}}`
	const second = "a second outcome; write one"
	for name, c := range map[string]struct{ script, reply, button string }{
		"posted":          {says(`{"posted":{"networkItemId":"review-18","url":"https://x.example/18","createdTime":"2026-01-31T12:00:00Z","ref":{"id":18}}}`), `review-18 https://x.example/18 {"id":18}`, ""},
		"posted, no more": {says(`{"posted":{}}`), "", ""},
		"without a line end, and other keys are null": {`printf '{"refused":null,"posted":{"networkItemId":"review-18"}}'`, "review-18", ""},
		"refused":                  {says(`{"refused":"the post was\n deleted"}`), "refused(the post was deleted)", ""},
		"refused without a word":   {says(`{"refused":" "}`), "refused(it was refused without a reason)", ""},
		"retry":                    {says(`{"retry":2.5,"reason":"busy"}`), "after 2.5s(act: the program asks to try again: busy)", ""},
		"retry after long":         {says(`{"retry":1e300}`), "after 24h0m0s(act: the program asks to try again: without a reason)", ""},
		"retry when you like":      {says(`{"retry":0}`), "not done(act: the program asks to try again: without a reason)", ""},
		"an error":                 {says(`{"error":"who knows"}`), "unknown(act: the program reports: who knows)", ""},
		"an error for a person":    {says(`{"error":"no token","stop":true}`), "stop(act: the program reports: no token)", ""},
		"nothing":                  {"cat >/dev/null", "unknown(" + noOutcome + ")", "-"},
		"an exit code":             {"echo why >&2; exit 78", "unknown(act: the program ended with exit code 78; it last said: why)", ""},
		"an exit code after all":   {says(`{"posted":{"networkItemId":"review-18"}}`) + "exit 3", "review-18", ""},
		"a refusal and then exit":  {says(`{"refused":"no"}`) + "exit 3", "refused(no)", ""},
		"posted twice":             {says(`{"posted":{"networkItemId":"review-18"}}`, `{"posted":{"networkItemId":"review-19"}}`), "review-18", ""},
		"posted, and then refused": {says(`{"posted":{"networkItemId":"review-18"}}`, `{"refused":"no"}`), "review-18", ""},
		"refused, and then posted": {says(`{"refused":"no"}`, `{"posted":{"networkItemId":"review-18"}}`), "review-18", ""},
		"refused, and then what is not understood": {
			says(`{"refused":"no"}`, `{"post":{}}`), `unknown(act: line 2 of the program's output: unknown key "post"; ` + knownOutcomes + ")", "",
		},
		"an error, and then refused": {says(`{"error":"who knows"}`, `{"refused":"no"}`), "unknown(act: the program reports: who knows)", ""},
		"refused twice":              {says(`{"refused":"no"}`, `{"retry":1}`), "unknown(act: line 2 of the program's output: " + second + ")", ""},
		"not JSON":                   {says(`hello`), "unknown(act: line 1 of the program's output: not valid JSON at byte 1; write what is meant for people to standard error)", ""},
		"an unknown key":             {says(`{"post":{}}`), `unknown(act: line 1 of the program's output: unknown key "post"; ` + knownOutcomes + ")", ""},
		"a wrong kind of value":      {says(`{"retry":"soon"}`), "unknown(act: line 1 of the program's output: retry: want a number of seconds)", ""},
		"two kinds in one":           {says(`{"refused":"no","retry":1}`), "unknown(act: line 1 of the program's output: " + knownOutcomes + ")", ""},
		"a level that is none":       {says(`{"log":"x","level":"loud"}`), "unknown(act: line 1 of the program's output: level: want debug, info, warn or error)", ""},
		"posted with a wrong id":     {says(`{"posted":{"networkItemId":"a b","url":"javascript:x"}}`), "", ""},
		"posted with a wrong key":    {says(`{"posted":{"networkItemId":"review-18","id":18}}`), "review-18", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := actor(t, c.script, "")
			posted, err := s.Reply(t.Context(), &sources.Reply{Action: actionOf(socialhub.ActionReply), Text: "hello"})
			if diff := cmp.Diff(c.reply, outcomeText(posted, err)); diff != "" {
				t.Error(diff)
			}
			action := actionOf(socialhub.ActionButton)
			err = s.PressButton(t.Context(), &action)
			if done := c.button == "-" || !strings.Contains(c.reply, "("); done != (err == nil) {
				t.Errorf("a button: %v", err)
			}
		})
	}
}

func TestTheProgramGetsTheWholeAction(t *testing.T) {
	t.Parallel()
	s := actor(t, `cat >request; echo '{"posted":{}}'`, "env: {TOKEN: mine}")
	got := func() string { return strings.TrimSuffix(readFile(t, s.dir, "request"), "\n") }
	const whole = `"id":"an-id","networkItemId":"review-17",%s"ref":{"id":17},"rootId":"review-1","rootRef":[1],"time":"2026-01-31T12:00:00Z"}}`
	begin := func(kind socialhub.ActionType, more string) string {
		return `{"version":1,"source":"test","action":{"key":"key-1","type":"` + string(kind) + `",` + fmt.Sprintf(whole, more)
	}
	reply := &sources.Reply{Action: actionOf(socialhub.ActionReply), Text: "<a> & \"b\"\n", Option: "public"}
	if _, err := s.Reply(t.Context(), reply); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(begin(socialhub.ActionReply, `"text":"<a> & \"b\"\n","option":"public",`), got()); diff != "" {
		t.Error(diff)
	}
	template := &sources.TemplateReply{
		Action: actionOf(socialhub.ActionTemplateReply), TemplateID: "thanks", Name: "Thanks", Language: "de", Variables: map[string]any{"firstName": "Ann"},
	}
	if _, err := s.ReplyWithTemplate(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	more := `"templateId":"thanks","name":"Thanks","language":"de","variables":{"firstName":"Ann"},`
	if diff := cmp.Diff(begin(socialhub.ActionTemplateReply, more), got()); diff != "" {
		t.Error(diff)
	}
	action := actionOf(socialhub.ActionDelete)
	if err := s.Delete(t.Context(), &action); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(begin(socialhub.ActionDelete, ""), got()); diff != "" {
		t.Error(diff)
	}
}

func TestAttachmentsAreFilesUntilTheProgramEnds(t *testing.T) {
	t.Parallel()
	s := actor(t, `read -r request; printf '%s' "$request" >request
path=$(printf '%s' "$request" | sed 's/.*"path":"\([^"]*\)".*/\1/'); cp "$path" copy; ls -ld "$path" >mode; echo '{"posted":{}}'`, "")
	content := strings.Repeat("x\x00", 100_000)
	reply := &sources.Reply{Action: actionOf(socialhub.ActionReply), Attachments: []sources.Attachment{{
		Name: "../../my \"bill\".pdf", MimeType: "application/pdf", Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}}}
	if _, err := s.Reply(t.Context(), reply); err != nil {
		t.Fatal(err)
	}
	if readFile(t, s.dir, "copy") != content || !strings.HasPrefix(readFile(t, s.dir, "mode"), "-rw-------") {
		t.Error("not the file, or one that others can read: " + readFile(t, s.dir, "mode"))
	}
	var request actRequest
	if err := json.Unmarshal([]byte(readFile(t, s.dir, "request")), &request); err != nil {
		t.Fatal(err)
	}
	file := request.Action.Attachments[0]
	if file.Name != "../../my \"bill\".pdf" || file.MimeType != "application/pdf" || file.Size != int64(len(content)) || filepath.Ext(file.Path) != ".pdf" {
		t.Errorf("%+v", file)
	}
	if _, err := os.Stat(filepath.Dir(file.Path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the file is left: %v", err)
	}
	reply.Attachments[0].Open = func() (io.ReadCloser, error) { return nil, errors.New("no such file") }
	if _, err := s.Reply(t.Context(), reply); !sources.NotDone(err) {
		t.Errorf("an attachment can't be read: %v", err)
	}
}

func TestAnActionEndsWithItsTimeOrItsContext(t *testing.T) {
	t.Parallel()
	const waits = "echo $$ >number; mv number program; mkfifo wait; read x <wait"
	action := actionOf(socialhub.ActionReply)
	t.Run("its time", func(t *testing.T) {
		t.Parallel()
		s := actor(t, waits, "act_timeout: 300ms")
		_, err := s.Reply(t.Context(), &sources.Reply{Action: action, Text: "hello"})
		if got := outcomeText(sources.Posted{}, err); !strings.HasPrefix(got, "unknown(act_timeout: the program ran longer than 300ms") {
			t.Error(got)
		}
	})
	t.Run("its context", func(t *testing.T) {
		t.Parallel()
		s := actor(t, waits, "")
		reason := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer whenThere(s.dir, "program", func() { cancel(reason) })()
		_, err := s.Reply(ctx, &sources.Reply{Action: action, Text: "hello"})
		if !errors.Is(err, reason) || sources.NotDone(err) {
			t.Error(err)
		}
		gone(t, s.dir, "program")
		if _, err := s.Reply(ctx, &sources.Reply{Action: action, Text: "hello"}); !errors.Is(err, reason) || !sources.NotDone(err) {
			t.Error(err)
		}
	})
	t.Run("what was said before counts", func(t *testing.T) {
		t.Parallel()
		s := actor(t, says(`{"posted":{"networkItemId":"review-18"}}`, `{"log":"it is said"}`)+waits, "")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var posted sources.Posted
		done := make(chan error, 1)
		go func() {
			var err error
			posted, err = s.Reply(ctx, &sources.Reply{Action: action, Text: "hello"})
			done <- err
		}()
		eventually(t, "the line after the outcome", func() bool { return strings.Contains(s.log.String(), "it is said") })
		cancel()
		err := <-done
		if got := outcomeText(posted, err); got != "review-18" {
			t.Error(got)
		}
	})
}

func TestTheSettingsSayWhatTheProgramCanDo(t *testing.T) {
	t.Parallel()
	all := []string{"reply/a", "reply/b", "template_reply/a", "button/hide", "button/b", "delete/a"}
	for settings, want := range map[string]string{
		"":                              strings.Join(all, " "),
		"actions: [reply, button/hide]": "reply/a reply/b button/hide",
		"actions: [template_reply]":     "template_reply/a",
		"actions: [delete/a, button]":   "button/hide button/b delete/a",
	} {
		s := actor(t, "", settings)
		var can []string
		for _, action := range all {
			kind, id, _ := strings.Cut(action, "/")
			if sources.Can(s.source, socialhub.ActionType(kind), id) {
				can = append(can, action)
			}
		}
		if got := strings.Join(can, " "); got != want {
			t.Errorf("%q: can %s", settings, got)
		}
	}
	reader := openIn(t, t.TempDir(), "command: [sh]")
	if sources.Can(reader.source, socialhub.ActionReply, "a") {
		t.Error("a source without act can reply")
	}
}

func TestAnActionIsRepeatableAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]time.Duration{"": 0, "repeatable: 24h": 24 * time.Hour, "repeatable: always": sources.Always} {
		action := actionOf(socialhub.ActionReply)
		if got := actor(t, "", settings).RepeatableFor(&action); got != want {
			t.Errorf("%q: %s", settings, got)
		}
	}
}

func TestAProgramThatCantActIsToldByItsName(t *testing.T) {
	t.Parallel()
	_, err := decode(t, "command: [sh]\nact: [./missing.py]").Open(t.Context(), sources.Env{Name: "test", Dir: t.TempDir()})
	if err == nil || !strings.HasPrefix(err.Error(), "act: ./missing.py: no such file or directory; check") {
		t.Error(err)
	}
	s := openIn(t, t.TempDir(), "command: [sh]\nact: [sh]\ndir: not/there")
	action := actionOf(socialhub.ActionButton)
	if err := s.PressButton(t.Context(), &action); !sources.NotDone(err) || err.Error() != "act: can't start sh: no such file or directory; check act and dir" {
		t.Error(err)
	}
}

func TestWhatTheActingProgramSaysShowsNoSecretAndNoReply(t *testing.T) {
	t.Parallel()
	s := actor(t, `echo "with $TOKEN" >&2; echo '{"log":"token s3cret-token","level":"warn"}'; echo '{"refused":"no s3cret-token"}'`, "env: {TOKEN: s3cret-token}")
	_, err := s.Reply(t.Context(), &sources.Reply{Action: actionOf(socialhub.ActionReply), Text: "private"})
	if got := outcomeText(sources.Posted{}, err); got != "refused(no [redacted])" {
		t.Error(got)
	}
	log := s.log.String()
	if strings.Contains(log, "s3cret") || strings.Contains(log, "private") || !strings.Contains(log, `level=WARN msg=program from=log line="token [redacted]"`) {
		t.Error(log)
	}
}

func TestTheExampleInShellAnswersLetters(t *testing.T) {
	t.Parallel()
	program, err := filepath.Abs(examples + "/letters.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	folder := filepath.Join(dir, "letters")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openIn(t, dir, "command: ["+program+", letters]\nact: ["+program+", letters]")
	writeFile(t, folder, "20260131-120000-1.txt", "anna@example.com\nHi\n")
	reply := &sources.Reply{Action: actionOf(socialhub.ActionReply), Text: "Dear \"Anna\",\n\tC:\\temp ,\"key\":\"x\" <b> ä\u2028\x01 100% \\n\nus"}
	reply.NetworkItemID = "letter-20260131-120000-1"
	for range 2 {
		posted, err := s.Reply(t.Context(), reply)
		if got := outcomeText(posted, err); got != "answer-key-1" {
			t.Fatal(got)
		}
	}
	want := "to: anna@example.com\n\nDear \"Anna\",\n\tC:\\temp ,\"key\":\"x\" <b> ä 100% \\n\nus\n"
	if diff := cmp.Diff(want, readFile(t, filepath.Join(folder, "answers"), "key-1.txt")); diff != "" {
		t.Error(diff)
	}
	action := actionOf(socialhub.ActionDelete)
	if err := s.Delete(t.Context(), &action); outcomeText(sources.Posted{}, err) != "refused(Letters can only be answered.)" {
		t.Error(err)
	}
	reply.NetworkItemID = "letter-../20260131-120000-1"
	if _, err := s.Reply(t.Context(), reply); outcomeText(sources.Posted{}, err) != "refused(The letter is not there any more.)" {
		t.Error(err)
	}
}
