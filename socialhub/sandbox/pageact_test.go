package sandbox_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

// everything is a manifest's inbox with one action of each type; the templates are at %s.
const everything = `{"ticketActions":[
	{"type":"reply","id":"reply","label":{"en":"Reply","de":"Antworten","fr":"Répondre"},"attachments":{},"config":{"maxLength":20},
		"options":[{"id":"public","label":{"en":"For everybody","de":"Alle","fr":"Tous"},"description":{"en":"Stands below","de":"a","fr":"a"}},
			{"id":"private","label":{"en":"For them alone","de":"Privat","fr":"Privé"}}]},
	{"type":"reply","id":"file","label":{"en":"Send a file","de":"Datei","fr":"Fichier"},"attachments":{"noText":true}},
	{"type":"reply","id":"note","label":{"en":"Note","de":"Notiz","fr":"Note"}},
	{"type":"reply","id":"late","label":{"en":"In time","de":"Rechtzeitig","fr":"À temps"},
		"config":{"timeout":{"duration":"24h","after":"networkCreationTime"}}},
	{"type":"template_reply","id":"template","label":{"en":"Template","de":"Vorlage","fr":"Modèle"},"config":{"templates":{"url":%q}}},
	{"type":"button","id":"like","label":{"en":"Like","de":"Gefällt","fr":"Aimer"}},
	{"type":"delete","id":"delete","label":{"en":"Delete","de":"Löschen","fr":"Supprimer"}}],"rightSidebar":[]}`

const templates = `[{"name":"Thanks","networkId":"t-1","text":{"en":"Dear {{name}}, thanks for {{ stars }} stars! {{unknown}}","de":"Danke, {{name}}"},
	"variables":{"name":{"type":"string","title":"First name"},"stars":{"type":"integer","default":5},"mood":{"enum":["glad","sorry"]},"urgent":{"type":"boolean"}}},
	{"name":"Sorry","networkId":"t-2","text":{"en":"Sorry."},"variables":{}}]`

// lister answers for the templates, in a way that may change while it does.
type lister struct {
	answer atomic.Pointer[http.HandlerFunc]
}

func (l *lister) set(answer http.HandlerFunc) { l.answer.Store(&answer) }

func (l *lister) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*l.answer.Load())(w, r) }

// withEverything registers all actions with a receiver; answer is where the templates are.
func withEverything(t *testing.T) (r *rig, hook *receiver, answer *lister) {
	t.Helper()
	r, hook = newRig(t, sandbox.Options{}, sandbox.ChannelOptions{}), newReceiver(t)
	secret, err := socialhub.ParseWebhookSecret(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	answer = new(lister)
	answer.set(func(w http.ResponseWriter, req *http.Request) {
		if _, err := secret.Verify(req.Header, nil, time.Now(), time.Minute); err != nil || req.URL.Query().Get("channelId") != r.channel.ID {
			t.Errorf("%s: %v", req.URL, err)
		}
		_, _ = w.Write([]byte(templates))
	})
	list := httptest.NewServer(answer)
	t.Cleanup(list.Close)
	inbox := fmt.Sprintf(everything, list.URL+"/?x=1")
	if a := r.do("PATCH", "/manifest", fmt.Sprintf(`{"inbox":%s,"webhook":{"url":%q,"secret":%q}}`, inbox, hook.URL, hookSecret)); a.status != 200 {
		t.Fatal(a.text)
	}
	hook.next(t)
	return r, hook, answer
}

// form is where an action's form is.
func (r *rig) form(ticket, action string) string {
	return r.inbox(sandbox.FolderInbox) + "/act/" + ticket + "/" + action
}

// send sends a form by POST; values are names and values.
func (r *rig) send(path string, values []string, header ...string) answer {
	r.t.Helper()
	form := url.Values{}
	for i := 0; i < len(values); i += 2 {
		form.Set(values[i], values[i+1])
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.direct(req)
}

// until looks at the page until it has a text.
func (r *rig) until(path, text string) answer {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		a := r.show(path)
		if strings.Contains(a.text, text) {
			return a
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the page never had %q", text)
		}
	}
}

func TestACardOffersWhatTheManifestSays(t *testing.T) {
	t.Parallel()
	r, _, _ := withEverything(t)
	id := r.posted("question-1")
	old := r.post(simple("question-0") + `,"createdTime":"2025-03-12T12:30:00Z"`)
	r.post(simple("answer-1") + `,"root":{"rootId":"lost-root"}`)
	a := r.show(r.inbox(sandbox.FolderInbox))
	for _, action := range []string{"reply", "file", "note", "late", "template", "delete"} {
		contains(t, a, `href="`+r.form(id, action)+`"`)
	}
	contains(t, a, ">Reply</a>", ">Like</button>", `action="`+r.form(id, "like")+`"`)
	if strings.Contains(a.text, r.form(old, "late")) {
		t.Error("an action is offered whose time is over")
	}
	if a := r.show(r.inbox(sandbox.FolderHidden)); strings.Contains(a.text, "/act/") {
		t.Error("a hidden ticket has actions")
	}
	contains(t, r.show(r.form(id, "reply")), "<h1>Reply</h1>", "How?", `<textarea id="text"`, `maxlength="20"`, "For everybody", "Stands below", `type="url"`)
	contains(t, r.show(r.form(id, "delete")), "can't be undone", ">Cancel</a>")
	contains(t, r.show(r.form(id, "like")), ">Like</button>")
	for _, path := range []string{r.form(id, "dance"), r.form(r.channel.ID, "like"), "/ui/x/inbox/act/" + id + "/like"} {
		if a := r.show(path); a.status != http.StatusNotFound {
			t.Errorf("%s answered %d", path, a.status)
		}
	}
}

func TestAReplyByThePageIsSeenUntilItIsConfirmedBelowItsQuestion(t *testing.T) {
	t.Parallel()
	r, hook, _ := withEverything(t)
	id := r.posted("question-1")
	list := r.inbox(sandbox.FolderInbox)
	a := r.send(r.form(id, "note"), []string{"text", " Like\r\nthis ", "page", "3", "form", "f1"}, "Sec-Fetch-Site", "same-origin")
	if want := list + "?page=3#t-" + id; a.status != http.StatusSeeOther || a.header.Get("Location") != want {
		t.Fatalf("%d %v", a.status, a.header)
	}
	action := hook.next(t).Actions[0]
	reply, err := action.Reply()
	if err != nil || reply.Text != "Like\nthis" || action.ActionID != "note" || action.TicketID != id {
		t.Fatalf("%+v %v", action, err)
	}
	pending := r.until(list+"?part=list", "the webhook has it")
	contains(t, pending, `data-state="pending"`, "<strong>Note</strong>", "<q>Like this</q>")
	if a := r.do("POST", "/inbox/tickets/"+id+"/replies/"+reply.FollowupID+"/success", `{"interaction":{"networkItemId":"answer-1"}}`); a.status != 201 {
		t.Fatal(a.text)
	}
	done := r.show(list+"?part=list", "If-None-Match", pending.header.Get("ETag"))
	contains(t, done, `data-state="confirmed"`, "our own post", `class="card reply own"`, "Like\nthis", "answer-1", `Inbox <span class="count">1<`)
	if strings.Count(done.text, `aria-label="Unread"`) != 1 || strings.Count(done.text, ">Done</button>") != 1 || strings.Count(done.text, "Unknown author") != 1 {
		t.Error("the answer looks like a ticket to work on")
	}
	if own := r.ticket("answer-1"); strings.Contains(done.text, r.form(own.ID, "note")) || !strings.Contains(done.text, r.form(own.ID, "delete")) {
		t.Error("our own answer is to be deleted, not answered")
	}
}

func TestAnAnswerStandsBelowWhatWasAnsweredWhereItsRootIsElsewhere(t *testing.T) {
	t.Parallel()
	r, hook, _ := withEverything(t)
	root := r.posted("root-01")
	id := r.post(simple("comment-1") + `,"root":{"rootId":"root-01"}`)
	r.post(simple("comment-2") + `,"root":{"rootId":"root-01"}`)
	r.Done(root)
	r.send(r.form(id, "note"), []string{"text", "x"})
	reply, err := hook.next(t).Actions[0].Reply()
	if err != nil {
		t.Fatal(err)
	}
	r.do("POST", "/inbox/tickets/"+id+"/replies/"+reply.FollowupID+"/success", `{"interaction":{"networkItemId":"answer-1"}}`)
	a := r.show(r.inbox(sandbox.FolderInbox))
	ids := []string{"t-" + r.ticket("comment-2").ID, "t-" + id, "t-" + r.ticket("answer-1").ID}
	if !strings.Contains(a.text, ids[2]) || strings.Index(a.text, ids[1]) > strings.Index(a.text, ids[2]) ||
		strings.Index(a.text, ids[0]) > strings.Index(a.text, ids[1]) || strings.Count(a.text, `class="card reply own"`) != 1 {
		t.Error("the answer does not stand below its comment")
	}
}

func TestAnActionThatFailedOrWasLostSaysWhy(t *testing.T) {
	t.Parallel()
	r, hook, _ := withEverything(t)
	id := r.posted("question-1")
	list := r.inbox(sandbox.FolderInbox)
	r.send(r.form(id, "like"), nil)
	hook.next(t)
	before := r.until(list+"?part=list", `data-state="sent"`).header.Get("ETag")
	r.do("POST", "/inbox/tickets/"+id+"/reset/like", `{"reason":"<b>no such post"}`)
	contains(t, r.show(list+"?part=list", "If-None-Match", before), `data-state="failed"`, "&lt;b&gt;no such post")
	r.do("PATCH", "/manifest", `{"webhook":null}`)
	contains(t, r.show(list), "no webhook: what the team does is lost")
	r.send(r.form(id, "delete"), nil)
	contains(t, r.show(list), `data-state="lost"`, "the channel has no webhook")
}

func TestAFormThatIsSentTwiceDoesItOnce(t *testing.T) {
	t.Parallel()
	r, hook, _ := withEverything(t)
	id := r.posted("question-1")
	for range 10 {
		if a := r.send(r.form(id, "note"), []string{"text", "x", "form", "the same"}); a.status != http.StatusSeeOther {
			t.Fatal(a.status, a.text)
		}
	}
	r.send(r.form(id, "note"), []string{"text", "x", "form", "another"})
	all := r.Actions(r.channel.ID)
	if len(all) != 2 {
		t.Fatalf("%d actions", len(all))
	}
	for range 2 {
		if uuid := hook.next(t).Actions[0].UUID; uuid != all[0].UUID && uuid != all[1].UUID {
			t.Error("an event is of no action")
		}
	}
}

func TestWhatCanNotBeDoneIsToldInTheFormThatKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	r, _, _ := withEverything(t)
	id := r.post(simple("question-0") + `,"createdTime":"2025-03-12T12:30:00Z"`)
	for name, c := range map[string]struct {
		action string
		values []string
		want   string
	}{
		"no text":           {"note", []string{"text", " \n"}, "a reply needs a text or a file"},
		"too long":          {"reply", []string{"text", "twenty-one characters", "option", "public"}, "the text has 21 characters, at most 20 are allowed"},
		"no option":         {"reply", []string{"text", "<u>&"}, "choose one of the options"},
		"a strange option":  {"reply", []string{"text", "x", "option", "secret"}, "choose one of the options"},
		"a file for none":   {"note", []string{"file", "https://x.example/a.png"}, "this reply takes no file"},
		"a text and a file": {"file", []string{"text", "x", "file", "https://x.example/a.png"}, "a text or a file, not both"},
		"no https":          {"file", []string{"file", "http://x.example/a.png"}, "must begin with https://"},
		"too late":          {"late", []string{"text", "x"}, "the time for this is over"},
		"no template":       {"template", nil, "choose a template"},
		"a missing gap":     {"template", []string{"template", "t-1", "gap.name", "Anna"}, "mood is missing"},
		"no choice":         {"template", []string{"template", "t-1", "gap.name", "A", "gap.mood", "grim", "gap.urgent", "true"}, "mood: choose one of the list"},
		"no number": {"template", []string{"template", "t-1", "gap.name", "A", "gap.mood", "glad", "gap.urgent", "true", "gap.stars", "NaN"},
			"stars must be a number"},
		"no whole number": {"template", []string{"template", "t-1", "gap.name", "A", "gap.mood", "glad", "gap.urgent", "true", "gap.stars", "4.5"},
			"stars must be a whole number"},
	} {
		a := r.send(r.form(id, c.action), c.values)
		if a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: answered %d", name, a.status)
			continue
		}
		contains(t, a, `role="alert"`, c.want)
		for i := 1; i < len(c.values); i += 2 {
			if !strings.Contains(html.UnescapeString(a.text), c.values[i]) && c.values[i] != "secret" && c.values[i] != "grim" &&
				c.values[i-1] != "file" {
				t.Errorf("%s: %q is gone", name, c.values[i])
			}
		}
	}
	if n := len(r.Actions(r.channel.ID)); n != 0 {
		t.Errorf("%d actions", n)
	}
}

func TestAFileIsHandedOnByItsAddress(t *testing.T) {
	t.Parallel()
	r, hook, _ := withEverything(t)
	id := r.posted("question-1")
	r.send(r.form(id, "file"), []string{"file", "https://files.example/a/picture.png?x=1"})
	r.send(r.form(id, "reply"), []string{"text", "See there", "option", "private", "file", "https://files.example/"})
	got := map[string]socialhub.ReplyPayload{}
	for range 2 {
		action := hook.next(t).Actions[0]
		payload, err := action.Reply()
		if err != nil {
			t.Fatal(err)
		}
		payload.FollowupID = ""
		got[action.ActionID] = payload
	}
	want := map[string]socialhub.ReplyPayload{
		"file": {Attachments: []socialhub.ActionAttachment{
			{URL: "https://files.example/a/picture.png?x=1", Name: "picture.png", Extension: "png", MimeType: "image/png"},
		}},
		"reply": {Text: "See there", Option: "private", Attachments: []socialhub.ActionAttachment{
			{URL: "https://files.example/", Name: "file", MimeType: "application/octet-stream"},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestATemplateIsChosenFilledInAndSent(t *testing.T) {
	t.Parallel()
	r, hook, _ := withEverything(t)
	id := r.posted("question-1")
	path := r.form(id, "template")
	contains(t, r.show(path), "Choose a template", `href="?template=t-1`, "Thanks", "Sorry.")
	contains(t, r.show(path+"?template=t-1"), "First name", `name="gap.stars" value="5"`, "<option>glad", "<option>true", "Deutsch",
		"Dear {{name}}, thanks for 5 stars! {{unknown}}")
	contains(t, r.show(path+"?template=t-1&language=de&gap.name=Anna"), ">Danke, Anna<", `<option value="de" selected>`)
	contains(t, r.show(path+"?template=t-2"), `role="group" aria-labelledby="preview">Sorry.<`)
	a := r.send(path, []string{"template", "t-1", "language", "en", "gap.name", "Anna", "gap.stars", "4", "gap.mood", "glad", "gap.urgent", "false"})
	if a.status != http.StatusSeeOther {
		t.Fatal(a.text)
	}
	action := hook.next(t).Actions[0]
	reply, err := action.Reply()
	if err != nil {
		t.Fatal(err)
	}
	want := socialhub.ReplyPayload{FollowupID: reply.FollowupID, Name: "Thanks", NetworkID: "t-1", Language: "en",
		Variables: map[string]any{"name": "Anna", "stars": float64(4), "mood": "glad", "urgent": false}}
	if diff := cmp.Diff(want, reply); diff != "" {
		t.Error(diff)
	}
	r.do("POST", "/inbox/tickets/"+id+"/replies/"+reply.FollowupID+"/success", `{"interaction":{"networkItemId":"answer-1"}}`)
	if got := r.ticket("answer-1").Interaction.Message; got != "Dear Anna, thanks for 4 stars! {{unknown}}" {
		t.Error(got)
	}
}

func TestTemplatesThatCanNotBeHadAreToldWhy(t *testing.T) {
	t.Parallel()
	r, _, list := withEverything(t)
	path := r.form(r.posted("question-1"), "template")
	for want, answer := range map[string]http.HandlerFunc{
		"the address of the templates answers 503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"answers with no list of templates":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"no answer from the address":               func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"There are no templates.":                  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) },
	} {
		list.set(answer)
		contains(t, r.show(path), want)
		if a := r.send(path, []string{"template", "t-1"}); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: answered %d", want, a.status)
		}
	}
	r.do("PATCH", "/manifest", `{"webhook":null}`)
	contains(t, r.show(path), "the channel has no webhook")
}

func TestOnlyThePagesOwnFormsAct(t *testing.T) {
	t.Parallel()
	r, _, _ := withEverything(t)
	path := r.form(r.posted("question-1"), "note")
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		if a := r.send(path, []string{"text", "x"}, header...); a.status != http.StatusForbidden {
			t.Errorf("%v answered %d", header, a.status)
		}
	}
	r.show(path + "?text=x")
	if n := len(r.Actions(r.channel.ID)); n != 0 {
		t.Errorf("%d actions", n)
	}
}

// The race detector sees work that begins while Close waits for what there is.
func TestAnActionMayMeetTheEnd(t *testing.T) {
	t.Parallel()
	for range 20 {
		r, _, _ := withEverything(t)
		id := r.posted("question-1")
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if _, err := r.Act(r.channel.ID, sandbox.Act{TicketID: id, ActionID: "like"}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Go(func() { _ = r.Close() })
		group.Wait()
		if _, err := r.Act(r.channel.ID, sandbox.Act{TicketID: id, ActionID: "like"}); err != nil {
			t.Error(err)
		}
		all := r.Actions(r.channel.ID)
		if last := all[len(all)-1]; last.State != sandbox.ActionLost || !strings.Contains(last.Reason, "closed") {
			t.Errorf("after the end: %+v", last)
		}
	}
}

func TestAManifestFromTheStartIsOfferedWithoutAWebhook(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{Manifest: json.RawMessage(`{"inbox":` + actions + `}`)})
	r.posted("question-1")
	contains(t, r.show(r.inbox(sandbox.FolderInbox)), "no webhook", ">Reply</a>")
}
