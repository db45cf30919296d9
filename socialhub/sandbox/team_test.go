package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

const hookSecret = "a secret that is long enough for SocialHub"

// receiver is a webhook as it should be; answer may spoil it.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	answer func(w http.ResponseWriter, challenge string)
	got    chan *socialhub.Events
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{got: make(chan *socialhub.Events, 100)}
	secret, err := socialhub.ParseWebhookSecret(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		challenge, err := secret.Verify(req.Header, body, time.Now(), socialhub.MaxWebhookSkew)
		if err != nil {
			t.Error(err)
		}
		events, err := socialhub.ParseEvents(body)
		if err != nil || len(events.Strange) > 0 {
			t.Errorf("%s: %v %v", body, events, err)
		}
		r.mu.Lock()
		answer := r.answer
		r.bodies = append(r.bodies, string(body))
		r.mu.Unlock()
		if answer != nil {
			answer(w, challenge)
		} else {
			w.Header().Set(socialhub.HeaderChallenge, challenge)
		}
		r.got <- events
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(f func(w http.ResponseWriter, challenge string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// next is the next request's events.
func (r *receiver) next(t *testing.T) *socialhub.Events {
	t.Helper()
	select {
	case e := <-r.got:
		return e
	case <-time.After(time.Minute):
		t.Fatal("no request came")
		return nil
	}
}

const actions = `{"ticketActions":[
	{"type":"reply","id":"reply-as-us","label":{"en":"Reply","de":"Antworten","fr":"Répondre"},"attachments":{}},
	{"type":"button","id":"like","label":{"en":"Like","de":"Gefällt","fr":"Aimer"}},
	{"type":"delete","id":"delete","label":{"en":"Delete","de":"Löschen","fr":"Supprimer"}}],"rightSidebar":[]}`

// withWebhook registers a receiver and the actions.
func withWebhook(t *testing.T, o sandbox.Options) (*rig, *receiver) {
	t.Helper()
	r, hook := newRig(t, o, sandbox.ChannelOptions{}), newReceiver(t)
	a := r.do("PATCH", "/manifest", fmt.Sprintf(`{"inbox":%s,"webhook":{"url":%q,"secret":%q}}`, actions, hook.URL, hookSecret))
	if a.status != 200 || strings.Contains(a.text, hookSecret) || r.Webhook(r.channel.ID) != hook.URL {
		t.Fatalf("%d %s", a.status, a.text)
	}
	if e := hook.next(t); len(e.Actions) != 0 || e.ChannelID != r.channel.ID {
		t.Fatalf("the test request: %+v", e)
	}
	return r, hook
}

// posted posts an item and returns the _id of its ticket.
func (r *rig) posted(item string) string {
	r.t.Helper()
	a := r.do("POST", "/inbox/tickets", fmt.Sprintf(`{"interaction":{"networkItemId":%q,"message":"How?"}}`, item))
	if a.status != 201 {
		r.t.Fatal(a.text)
	}
	return a.json["_id"].(string)
}

func TestAReplyGoesToTheWebhookAndItsConfirmationMakesATicket(t *testing.T) {
	t.Parallel()
	r, hook := withWebhook(t, sandbox.Options{})
	id := r.posted("question-1")
	made, err := r.Act(r.channel.ID, sandbox.Act{TicketID: id, ActionID: "reply-as-us", Text: "Like this"})
	if err != nil {
		t.Fatal(err)
	}
	e := hook.next(t)
	reply, err := e.Actions[0].Reply()
	if err != nil || reply.Text != "Like this" || reply.FollowupID != made.FollowupID || e.Actions[0].TicketID != id ||
		e.Actions[0].NetworkItemID != "question-1" || e.Actions[0].ActionID != "reply-as-us" {
		t.Fatalf("%+v %v", e, err)
	}
	path := "/inbox/tickets/" + id + "/replies/" + made.FollowupID + "/success"
	body := `{"interaction":{"networkItemId":"answer-1","url":"https://example.com/answer-1"}}`
	a := r.do("POST", path, body)
	if a.status != 201 {
		t.Fatal(a.text)
	}
	own, ok := r.Ticket(r.channel.ID, "answer-1")
	if !ok || !own.Own || own.Unread || own.RootID != id || own.Interaction.Message != "Like this" || own.ID != a.json["_id"] {
		t.Errorf("%+v", own)
	}
	if got := r.Actions(r.channel.ID)[0]; got.State != sandbox.ActionConfirmed || got.Reply != "answer-1" {
		t.Errorf("%+v", got)
	}
	if a := r.do("POST", path, body); a.status != 409 {
		t.Errorf("the second confirmation: %d %s", a.status, a.text)
	}
	for _, wrong := range []string{"/inbox/tickets/" + id + "/replies/" + id + "/success", "/inbox/tickets/" + made.FollowupID + "/replies/" + made.FollowupID + "/success"} {
		if a := r.do("POST", wrong, `{"interaction":{"networkItemId":"answer-2"}}`); a.status != 404 {
			t.Errorf("%s: %d %s", wrong, a.status, a.text)
		}
	}
	if a := r.do("POST", path, `{"interaction":{"message":"x"}}`); a.status != 400 {
		t.Errorf("without an id: %d %s", a.status, a.text)
	}
}

func TestTheTeamIsToldThatAnActionFailed(t *testing.T) {
	t.Parallel()
	r, hook := withWebhook(t, sandbox.Options{})
	id := r.posted("question-1")
	reply, err := r.Act(r.channel.ID, sandbox.Act{TicketID: id, ActionID: "reply-as-us", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Act(r.channel.ID, sandbox.Act{TicketID: id, ActionID: "like"}); err != nil {
		t.Fatal(err)
	}
	types := map[socialhub.ActionType]bool{}
	for range 2 {
		types[hook.next(t).Actions[0].Type] = true
	}
	if !types[socialhub.ActionReply] || !types[socialhub.ActionButton] {
		t.Errorf("%v", types)
	}
	for what, c := range map[string]struct {
		action, body string
		want         int
	}{
		"a reply without its followupId": {"reply-as-us", `{"reason":"x"}`, 400},
		"no JSON":                        {"like", `x`, 400},
		"an unknown followupId":          {"reply-as-us", `{"followupId":"1","reason":"x"}`, 404},
		"an action that was not done":    {"delete", `{"reason":"x"}`, 404},
		"the reply":                      {"reply-as-us", `{"followupId":"` + reply.FollowupID + `","reason":"the account is locked"}`, 201},
		"the button":                     {"like", `{"reason":"no such post"}`, 201},
	} {
		if a := r.do("POST", "/inbox/tickets/"+id+"/reset/"+c.action, c.body); a.status != c.want {
			t.Errorf("%s: %d %s", what, a.status, a.text)
		}
	}
	for i, want := range []string{"the account is locked", "no such post"} {
		if got := r.Actions(r.channel.ID)[i]; got.State != sandbox.ActionFailed || got.Reason != want {
			t.Errorf("%+v", got)
		}
	}
}

func TestAWebhookThatFailsItsTestIsNotRegistered(t *testing.T) {
	t.Parallel()
	r, hook := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{}), newReceiver(t)
	body := fmt.Sprintf(`{"webhook":{"url":%q,"secret":%q}}`, hook.URL, hookSecret)
	for name, answer := range map[string]func(http.ResponseWriter, string){
		"500":          func(w http.ResponseWriter, _ string) { w.WriteHeader(500) },
		"no challenge": func(http.ResponseWriter, string) {},
		"another":      func(w http.ResponseWriter, c string) { w.Header().Set(socialhub.HeaderChallenge, c+"0") },
	} {
		hook.answers(answer)
		if a := r.do("PATCH", "/manifest", body); a.status != 422 || a.json["code"] != "WebhookValidationError" || r.Webhook(r.channel.ID) != "" {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
}

func TestAnEventIsSentAgainUntilItIsTakenAndAWrongChallengeEndsTheWebhook(t *testing.T) {
	t.Parallel()
	r, hook := withWebhook(t, sandbox.Options{})
	id := r.posted("question-1")
	hook.answers(func(w http.ResponseWriter, _ string) { w.WriteHeader(503) })
	if _, err := r.Act(r.channel.ID, sandbox.Act{TicketID: id, ActionID: "like"}); err != nil {
		t.Fatal(err)
	}
	hook.next(t)
	hook.answers(nil)
	if e := hook.next(t); len(e.Actions) != 1 {
		t.Errorf("%+v", e)
	}
	hook.answers(func(http.ResponseWriter, string) {})
	if _, err := r.Act(r.channel.ID, sandbox.Act{TicketID: id, ActionID: "like"}); err != nil {
		t.Fatal(err)
	}
	hook.next(t)
	for range 1000 {
		if r.Webhook(r.channel.ID) == "" {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	if r.Webhook(r.channel.ID) != "" {
		t.Error("the webhook is still there")
	}
}

func TestWhatRemovesAWebhook(t *testing.T) {
	t.Parallel()
	r, _ := withWebhook(t, sandbox.Options{})
	if a := r.do("PATCH", "/manifest", `{"webhook":null}`); a.status != 200 || r.Webhook(r.channel.ID) != "" {
		t.Errorf("null: %d %s", a.status, a.text)
	}
	r, hook := withWebhook(t, sandbox.Options{})
	r.Deactivate(r.channel.ID)
	if e := hook.next(t); e.Disabled.IsZero() {
		t.Errorf("%+v", e)
	}
	r.Activate(r.channel.ID)
	if r.ReplaceToken(r.channel.ID); r.Webhook(r.channel.ID) != "" {
		t.Error("a new token left the webhook")
	}
}

func TestAManifestKeepsTheRules(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	label := `"label":{"en":"a","de":"b","fr":"c"}`
	for body, field := range map[string]string{
		`[]`: "body", `{"colour":{}}`: "colour", `{"inbox":5}`: "inbox", `{"branding":null}`: "branding",
		`{"webhook":5}`: "webhook", `{"webhook":{"url":"http://example.com","secret":"` + hookSecret + `"}}`: "webhook.url",
		`{"webhook":{"url":"https://example.com","secret":"short"}}`:                                                     "webhook.secret",
		`{"inbox":{"ticketActions":[{"type":"dance","id":"a",` + label + `}]}}`:                                          "type must be",
		`{"inbox":{"ticketActions":[{"type":"reply","id":"ü",` + label + `}]}}`:                                          "id must match",
		`{"inbox":{"ticketActions":[{"type":"reply","id":"a","label":{"en":"a"}}]}}`:                                     "label must have",
		`{"inbox":{"ticketActions":[{"type":"button","id":"a",` + label + `,"config":{"maxLength":5}}]}}`:                "maxLength",
		`{"inbox":{"ticketActions":[{"type":"template_reply","id":"a",` + label + `}]}}`:                                 "templates.url",
		`{"inbox":{"ticketActions":[{"type":"reply","id":"a",` + label + `},{"type":"delete","id":"a",` + label + `}]}}`: "twice",
	} {
		if a := r.do("PATCH", "/manifest", body); a.status != 400 || !strings.Contains(a.text, field) {
			t.Errorf("%s: %d %s", body, a.status, a.text)
		}
	}
	if a := r.do("PATCH", "/manifest", `{"inbox":`+actions+`}`); a.status != 200 {
		t.Error(a.text)
	}
	shown := r.do("PATCH", "/manifest", `{}`)
	if root := r.do("GET", "/", ""); fmt.Sprint(root.json["manifest"]) != fmt.Sprint(shown.json) || !strings.Contains(shown.text, "Antworten") {
		t.Errorf("%s\n%s", root.text, shown.text)
	}
}

func TestTheTeamCanDoOnlyWhatTheManifestSays(t *testing.T) {
	t.Parallel()
	r, _ := withWebhook(t, sandbox.Options{})
	id := r.posted("question-1")
	for _, act := range []sandbox.Act{{TicketID: id, ActionID: "share"}, {TicketID: r.channel.ID, ActionID: "like"}, {TicketID: id, ActionID: "reply-as-us"}} {
		if a, err := r.Act(r.channel.ID, act); err == nil {
			t.Errorf("%+v: %+v", act, a)
		}
	}
}

func TestAnActionThatNoWebhookTakesIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{Manifest: json.RawMessage(`{"inbox":` + actions + `}`)})
	if _, err := r.Act(r.channel.ID, sandbox.Act{TicketID: r.posted("question-1"), ActionID: "like"}); err != nil {
		t.Fatal(err)
	}
	if a := r.Actions(r.channel.ID)[0]; a.State != sandbox.ActionLost || a.Reason == "" {
		t.Errorf("%+v", a)
	}
}
