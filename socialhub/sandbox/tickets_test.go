package sandbox_test

import (
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

var hex24 = regexp.MustCompile(`^[0-9a-f]{24}$`)

func TestACreationAnswersWithTheTicket(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	a := r.do("POST", "/inbox/tickets", `{"interaction":{"networkItemId":"item-1","message":"<b>&","rating":{"value":7,"scale":10},
		"createdTime":"2019-01-28T17:58:12.736+01:00","root":{"rootId":"root-1"},
		"interactor":{"interactorId":"person-1","name":"A","picture":"https://x.example/a"}}}`)
	if a.status != http.StatusCreated {
		t.Fatalf("answered %d %s", a.status, a.text)
	}
	item := a.json["interaction"].(map[string]any)
	root, _ := r.Ticket(r.channel.ID, "root-1")
	if got := item["root"].(map[string]any)["rootId"]; got != root.ID {
		t.Errorf("root is %v, want SocialHub's own id %s", got, root.ID)
	}
	who := item["interactor"].(map[string]any)
	if got := who["interactorId"].(string); !hex24.MatchString(got) {
		t.Errorf("interactorId is %q, want an id of SocialHub's", got)
	}
	for _, key := range []string{"_id", "createdTime"} {
		if a.json[key] == nil {
			t.Errorf("%s is missing", key)
		}
		delete(a.json, key)
	}
	delete(item, "root")
	delete(who, "interactorId")
	want := map[string]any{
		"accountId": r.channel.AccountID, "channelId": r.channel.ID,
		"interaction": map[string]any{
			"networkItemId": "item-1", "type": "TICKET", "message": "<b>&", "createdTime": "2019-01-28T16:58:12.736Z",
			"rating": map[string]any{"value": 7.0, "scale": 10.0}, "pictures": []any{}, "attachments": []any{},
			"interactor": map[string]any{"name": "A", "picture": "https://x.example/a"},
		},
	}
	if diff := cmp.Diff(want, a.json); diff != "" {
		t.Error(diff)
	}
}

func TestOnePersonHasOneIDOfSocialHubs(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	seen := map[string]bool{}
	for n, person := range []string{"person-1", "person-1", "person-2"} {
		a := r.do("POST", "/inbox/tickets", fmt.Sprintf(
			`{"interaction":{"networkItemId":"item-%d","message":"a","interactor":{"interactorId":"%s","name":"A"}}}`, n, person))
		seen[a.json["interaction"].(map[string]any)["interactor"].(map[string]any)["interactorId"].(string)] = true
	}
	if len(seen) != 2 {
		t.Errorf("two persons have the ids %v", seen)
	}
}

func TestAnItemIsTakenOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	r.post(simple("item-1"))
	a := r.do("POST", "/inbox/tickets", `{"interaction":{"networkItemId":"item-1","message":"other"}}`)
	const recorded = `{"code":"ConflictError","message":"Error: Ticket with such network item id already exists"}`
	if a.status != http.StatusConflict || a.text != recorded {
		t.Errorf("the second answered %d %s", a.status, a.text)
	}
	if got := r.ticket("item-1"); got.Interaction.Message != "hello" || len(got.Revisions) != 1 {
		t.Errorf("the ticket changed: %+v", got)
	}
}

func TestTwoChannelsMayHaveTheSameItem(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	other, err := r.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.channel = other
	r.post(simple("item-1"))
	if a := r.patch(ticket, "", `"message":"a"`); a.status != http.StatusNotFound {
		t.Errorf("a PATCH of the other channel's ticket answered %d", a.status)
	}
}

func TestAnUnknownRootBecomesAHiddenTicket(t *testing.T) {
	t.Parallel()
	for _, fill := range []bool{false, true} {
		t.Run(fmt.Sprintf("fill %t", fill), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sandbox.Options{FillHiddenRoots: fill}, sandbox.ChannelOptions{})
			r.post(simple("reply-1") + `,"root":{"rootId":"root-1"}`)
			r.post(simple("reply-2") + `,"root":{"rootId":"root-1"}`)
			hidden := r.ticket("root-1")
			if hidden.Folder != sandbox.FolderHidden || hidden.Unread || hidden.Interaction.Message != "" {
				t.Errorf("the root is %+v", hidden)
			}
			if len(r.Tickets(r.channel.ID)) != 3 || r.ticket("reply-2").RootID != hidden.ID {
				t.Error("the second reply made another root")
			}
			a := r.do("POST", "/inbox/tickets", `{"interaction":{`+simple("root-1")+`}}`)
			root := r.ticket("root-1")
			if !fill && (a.status != http.StatusConflict || root.Folder != sandbox.FolderHidden) {
				t.Errorf("answered %d, the root is %+v", a.status, root)
			}
			if fill && (a.status != http.StatusCreated || a.json["_id"] != hidden.ID || root.Folder != sandbox.FolderInbox || !root.Unread) {
				t.Errorf("answered %d %s, the root is %+v", a.status, a.text, root)
			}
			if a := r.do("POST", "/inbox/tickets", `{"interaction":{`+simple("root-1")+`}}`); a.status != http.StatusConflict {
				t.Errorf("once more answered %d", a.status)
			}
			if len(r.Tickets(r.channel.ID)) != 3 {
				t.Error("the root has two tickets")
			}
		})
	}
}

func TestAnItemMayBeItsOwnRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1") + `,"root":{"rootId":"item-1"}`)
	if got := r.ticket("item-1"); got.RootID != ticket || len(r.Tickets(r.channel.ID)) != 1 {
		t.Errorf("the ticket is %+v", got)
	}
}

func TestOurOwnPostIsNotUnread(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{NetworkID: "acme"})
	ticket := r.post(simple("item-1") + `,"interactor":{"interactorId":"acme","name":"Acme"}`)
	if got := r.ticket("item-1"); got.Folder != sandbox.FolderDone || got.Unread || !got.Own {
		t.Errorf("the ticket is %+v", got)
	}
	r.patch(ticket, "?reset=true", `"message":"a"`)
	if got := r.ticket("item-1"); got.Folder != sandbox.FolderInbox || got.Unread || !got.Own {
		t.Errorf("after a reset the ticket is %+v", got)
	}
}

func TestAnUpdateChangesOnlyWhatItCarries(t *testing.T) {
	t.Parallel()
	const full = `"networkItemId":"item-1","message":"a","link":"https://x.example/l","url":"https://x.example/u",
		"pictures":[{"small":"https://x.example/p"}],"attachments":[{"url":"https://x.example/f"}],"rating":{"value":1,"scale":5},
		"interactor":{"interactorId":"person-1","name":"A","url":"https://x.example/a"},"createdTime":"2019-01-28T16:58:12Z"`
	before := socialhub.Interaction{
		NetworkItemID: "item-1", Message: "a", Link: "https://x.example/l", URL: "https://x.example/u",
		Pictures: []socialhub.Picture{{Small: "https://x.example/p"}}, Attachments: []socialhub.Attachment{{URL: "https://x.example/f"}},
		Rating:      &socialhub.Rating{Value: 1, Scale: 5},
		Interactor:  &socialhub.Interactor{InteractorID: "person-1", Name: "A", URL: "https://x.example/a"},
		CreatedTime: time.Date(2019, 1, 28, 16, 58, 12, 0, time.UTC),
	}
	for _, c := range []struct {
		name, members string
		want          func(*socialhub.Interaction)
	}{
		{"the message", `"message":"b"`, func(i *socialhub.Interaction) { i.Message = "b" }},
		{"no message", `"message":""`, func(i *socialhub.Interaction) { i.Message = "" }},
		{"no pictures", `"pictures":[]`, func(i *socialhub.Interaction) { i.Pictures = nil }},
		{"no attachments", `"attachments":[]`, func(i *socialhub.Interaction) { i.Attachments = nil }},
		{"link and url", `"link":"https://y.example","url":"https://z.example"`, func(i *socialhub.Interaction) {
			i.Link, i.URL = "https://y.example", "https://z.example"
		}},
		{"the rating", `"rating":{"value":2,"scale":5}`, func(i *socialhub.Interaction) { i.Rating = &socialhub.Rating{Value: 2, Scale: 5} }},
		{"the interactor's name", `"message":"a","interactor":{"name":"B"}`, func(i *socialhub.Interaction) {
			i.Interactor = &socialhub.Interactor{InteractorID: "person-1", Name: "B", URL: "https://x.example/a"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
			ticket := r.post(full)
			if a := r.patch(ticket, "", c.members); a.status != http.StatusOK || a.json["_id"] != ticket {
				t.Fatalf("answered %d %s", a.status, a.text)
			}
			want := before
			c.want(&want)
			if diff := cmp.Diff(want, r.ticket("item-1").Interaction, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnUpdateMayNameAnAuthorWhereThereWasNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	a := r.patch(r.post(simple("item-1")), "", `"message":"a","interactor":{"name":"B"}`)
	want := map[string]any{"name": "B"}
	if diff := cmp.Diff(want, a.json["interaction"].(map[string]any)["interactor"]); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyAResetBringsATicketBackFromDone(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	for _, step := range []struct {
		query            string
		done             bool
		want             sandbox.Folder
		unread, reopened bool
	}{
		{query: "?reset=true", want: sandbox.FolderInbox, unread: true},
		{done: true, want: sandbox.FolderDone},
		{done: true, query: "?reset=false", want: sandbox.FolderDone},
		{done: true, query: "?reset=true", want: sandbox.FolderInbox, unread: true, reopened: true},
	} {
		if step.done {
			r.Done(ticket)
		}
		if a := r.patch(ticket, step.query, `"message":"b"`); a.status != http.StatusOK {
			t.Fatalf("answered %d %s", a.status, a.text)
		}
		if got := r.ticket("item-1"); got.Folder != step.want || got.Unread != step.unread || got.Reopened != step.reopened {
			t.Errorf("after %+v the ticket is in %s, unread %t, reopened %t", step, got.Folder, got.Unread, got.Reopened)
		}
	}
	if a := r.patch(ticket, "?reset=1", `"message":"b"`); a.status != http.StatusBadRequest {
		t.Errorf("reset=1 answered %d", a.status)
	}
	revisions := r.ticket("item-1").Revisions
	last := revisions[len(revisions)-1]
	if len(revisions) != 5 || last.Method != "PATCH" || !last.Reset || string(last.Body) != `{"interaction":{"message":"b"}}` {
		t.Errorf("there are %d revisions, the last is %+v", len(revisions), last)
	}
}

func TestAHiddenTicketStaysHiddenAfterAReset(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	r.post(simple("item-1") + `,"root":{"rootId":"root-1"}`)
	r.patch(r.ticket("root-1").ID, "?reset=true", `"message":"b"`)
	if got := r.ticket("root-1"); got.Folder != sandbox.FolderHidden || got.Interaction.Message != "b" {
		t.Errorf("the root is %+v", got)
	}
}

func TestAPersonMovesTicketsBetweenInboxAndDone(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	if r.Reopen(ticket) || r.Done("5cc1b08ad62ec72e8388cb47") || !r.Done(ticket) || r.Done(ticket) {
		t.Error("a ticket moved that was not there")
	}
	if got := r.ticket("item-1"); got.Folder != sandbox.FolderDone || got.Unread {
		t.Errorf("the ticket is %+v", got)
	}
	if !r.Reopen(ticket) || r.ticket("item-1").Folder != sandbox.FolderInbox {
		t.Error("the ticket did not come back")
	}
}

func TestALongHistoryIsCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	for n := range 1000 {
		r.patch(ticket, "", fmt.Sprintf(`"message":"%d"`, n))
	}
	got := r.ticket("item-1").Revisions
	if len(got) != 501 || string(got[500].Body) != `{"interaction":{"message":"999"}}` {
		t.Errorf("there are %d revisions", len(got))
	}
}

func TestWithoutBodiesTheHistoryHasNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{NoBodies: true}, sandbox.ChannelOptions{})
	r.post(simple("item-1"))
	if got := r.ticket("item-1"); len(got.Revisions) != 1 || got.Revisions[0].Body != nil || got.Interaction.Message != "hello" {
		t.Errorf("the ticket is %+v", got)
	}
}

func TestConcurrentClientsMakeNoTicketTwice(t *testing.T) {
	t.Parallel()
	const clients, items = 8, 40
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	var created, conflicts atomic.Int64
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for n := range items {
				item := fmt.Sprintf("item-%03d", (n+c*5)%items)
				a, err := r.try("POST", "/inbox/tickets", `{"interaction":{`+simple(item)+`,"root":{"rootId":"item-000"}}}`)
				switch {
				case err != nil:
					t.Error(err)
				case a.status == http.StatusCreated:
					created.Add(1)
					if _, err := r.try("PATCH", "/inbox/tickets/"+a.json["_id"].(string)+"?reset=true", `{"interaction":{"message":"b"}}`); err != nil {
						t.Error(err)
					}
				case a.status == http.StatusConflict:
					conflicts.Add(1)
				}
				r.Tickets(r.channel.ID)
				r.Counts()
			}
		})
	}
	wait.Wait()
	ids, names := map[string]bool{}, map[string]bool{}
	for _, ticket := range r.Tickets(r.channel.ID) {
		ids[ticket.ID], names[ticket.Interaction.NetworkItemID] = true, true
	}
	// The root is hidden unless its own POST came first.
	if len(ids) != items || len(names) != items || created.Load() < items-1 || created.Load()+conflicts.Load() != clients*items {
		t.Errorf("%d ids, %d items, %d created, %d conflicts", len(ids), len(names), created.Load(), conflicts.Load())
	}
}
