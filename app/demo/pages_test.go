package demo

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

	"github.com/chromedp/chromedp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/web/browsertest"
)

const pagesSecret = "a secret that only these pages have"

// team is a sandbox whose webhook keeps what it gets.
type team struct {
	*sandbox.Server
	t       *testing.T
	channel sandbox.Channel
	url     string

	mu  sync.Mutex
	got []socialhub.TicketAction
}

func newTeam(t *testing.T) *team {
	t.Helper()
	d := &team{t: t, Server: sandbox.New(sandbox.Options{})}
	secret, err := socialhub.ParseWebhookSecret(pagesSecret)
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		challenge, err := secret.Verify(r.Header, body, time.Now(), time.Minute)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set(socialhub.HeaderChallenge, challenge)
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `[{"name":"Thanks","networkId":"thanks","text":{"en":"Dear {{name}},\nthank you for your {{stars}} stars!","de":"Danke, {{name}}"},
				"variables":{"name":{"title":"First name"},"stars":{"type":"integer","default":5},"mood":{"enum":["glad","sorry"],"title":"Mood"}}},
				{"name":"Sorry","networkId":"sorry","text":{"en":"We are sorry to hear that."},"variables":{}}]`)
			return
		}
		events, err := socialhub.ParseEvents(body)
		if err != nil {
			t.Error(err)
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.got = append(d.got, events.Actions...)
	}))
	t.Cleanup(hook.Close)
	server := httptest.NewServer(d.Server)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = d.Close() })
	d.url = server.URL
	if d.channel, err = d.AddChannel(sandbox.ChannelOptions{Name: "Shop reviews", UniqueName: "Nordlicht Shop"}); err != nil {
		t.Fatal(err)
	}
	d.call("PATCH", "/manifest", fmt.Sprintf(`{"webhook":{"url":%q,"secret":%q},"inbox":{"ticketActions":[
		{"type":"reply","id":"reply","label":{"en":"Reply","de":"a","fr":"a"},"attachments":{},"config":{"maxLength":500},
			"options":[{"id":"public","label":{"en":"For everybody","de":"a","fr":"a"},"description":{"en":"Stands below the review","de":"a","fr":"a"}},
				{"id":"private","label":{"en":"For the customer alone","de":"a","fr":"a"}}]},
		{"type":"template_reply","id":"template","label":{"en":"Reply with a template","de":"a","fr":"a"},"config":{"templates":{"url":%[1]q}}},
		{"type":"button","id":"highlight","label":{"en":"Highlight","de":"a","fr":"a"}},
		{"type":"delete","id":"delete","label":{"en":"Delete","de":"a","fr":"a"}}],"rightSidebar":[]}}`, hook.URL, pagesSecret), 200)
	return d
}

func (d *team) call(method, path, body string, want int) (answer struct {
	ID string `json:"_id"`
}) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path+"?accesstoken="+d.channel.Token, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if _ = json.Unmarshal(text, &answer); resp.StatusCode != want {
		d.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return answer
}

// taken waits for the n-th action at the webhook, from 1.
func (d *team) taken(n int) (a socialhub.TicketAction) {
	d.t.Helper()
	if !until(d.t.Context(), func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.got) < n {
			return false
		}
		a = d.got[n-1]
		return true
	}) {
		d.t.Fatalf("action %d did not arrive", n)
	}
	return a
}

func (d *team) form(ticket, action string) string {
	return d.url + "/ui/" + d.channel.ID + "/inbox/act/" + ticket + "/" + action
}

// With JavaScript the list changes in place; the forms are pages of their own.
func TestThePagesFitPhonesAndDesktopsLightAndDark(t *testing.T) {
	t.Parallel()
	d := newTeam(t)
	ctx := browsertest.New(t)
	inbox := d.url + "/ui/" + d.channel.ID + "/inbox"
	anna := d.call("POST", "/inbox/tickets", `{"interaction":{"networkItemId":"review-1","message":"Love my new espresso machine!","rating":{"value":5,"scale":5},
		"interactor":{"interactorId":"anna","name":"Anna Sørensen"},"url":"https://shop.example/e1"}}`, 201).ID
	mehmet := d.call("POST", "/inbox/tickets", `{"interaction":{"networkItemId":"review-2","message":"Mine drips `+strings.Repeat("and drips ", 20)+`",
		"interactor":{"interactorId":"mehmet","name":"Mehmet Yıldız"}}}`, 201).ID
	for _, act := range []sandbox.Act{
		{TicketID: anna, ActionID: "reply", Text: "Thank you, Anna! Tighten the ring under the group head, a quarter turn is enough.", Option: "public"},
		{TicketID: mehmet, ActionID: "delete"}, {TicketID: anna, ActionID: "highlight"},
		{TicketID: mehmet, ActionID: "reply", Text: "We are on it. " + strings.Repeat("Averylongwordwithoutanyspaceinside", 4), Option: "public"},
	} {
		before := len(d.Actions(d.channel.ID))
		if _, err := d.Act(d.channel.ID, act); err != nil {
			t.Fatal(err)
		}
		d.taken(before + 1)
	}
	reply, err := func() (socialhub.ReplyPayload, error) { a := d.taken(1); return a.Reply() }()
	if err != nil {
		t.Fatal(err)
	}
	browse(ctx, t, chromedp.Navigate(inbox), wait(`document.querySelectorAll(".deed[data-state=pending]").length === 2 && document.querySelectorAll(".deed[data-state=sent]").length === 2`))
	d.call("POST", "/inbox/tickets/"+anna+"/replies/"+reply.FollowupID+"/success", `{"interaction":{"networkItemId":"answer-1"}}`, 201)
	d.call("POST", "/inbox/tickets/"+mehmet+"/reset/delete", `{"reason":"the review is gone already; please look at the shop's own page"}`, 201)
	browse(ctx, t, wait(`document.querySelector(".deed[data-state=confirmed]") && document.querySelector(".deed[data-state=failed]")`))
	browsertest.Photograph(ctx, t, inbox, "inbox")
	for _, action := range []string{"reply", "template", "template?template=thanks", "delete", "highlight"} {
		browsertest.Photograph(ctx, t, d.form(anna, action), strings.NewReplacer("?", "-", "=", "-").Replace(action))
	}
	http.DefaultClient.CloseIdleConnections()
}
