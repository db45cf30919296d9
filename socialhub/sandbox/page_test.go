package sandbox_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"socialhub-sync/socialhub/sandbox"
)

// show gets a page as a browser does, without following redirects.
func (r *rig) show(path string, header ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.direct(req)
}

// press sends the form of a ticket's button.
func (r *rig) press(from sandbox.Folder, ticket string, header ...string) answer {
	r.t.Helper()
	form := url.Values{"ticket": {ticket}, "page": {"2"}}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost,
		r.url+"/ui/"+r.channel.ID+"/"+string(from)+"/move", strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return r.direct(req)
}

func (r *rig) direct(req *http.Request) answer {
	r.t.Helper()
	client := *r.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := read(client.Do(req))
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) inbox(f sandbox.Folder) string { return "/ui/" + r.channel.ID + "/" + string(f) }

// contains tells which of the texts the page lacks.
func contains(t *testing.T, a answer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.text, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}

func TestABrowserIsLedToTheInbox(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	if a := r.show("/"); a.status != http.StatusSeeOther || a.header.Get("Location") != "/ui/" {
		t.Errorf("/ answered %d %v", a.status, a.header)
	}
	if a := r.show("/?accesstoken=" + r.channel.Token); a.status != http.StatusOK || a.json == nil {
		t.Errorf("/ with a token answered %d %s", a.status, a.text)
	}
	if a := r.show("/", "Accept", "application/json"); a.status != http.StatusUnauthorized {
		t.Errorf("/ for a program answered %d", a.status)
	}
	if a := r.show("/ui/"); a.status != http.StatusSeeOther || a.header.Get("Location") != r.inbox(sandbox.FolderInbox) {
		t.Errorf("/ui/ answered %d %v", a.status, a.header)
	}
	for _, path := range []string{"/ui/x/inbox", "/ui/" + r.channel.ID + "/trash", "/ui/x"} {
		if a := r.show(path); a.status != http.StatusNotFound {
			t.Errorf("%s answered %d", path, a.status)
		}
	}
	if a := r.show(r.inbox(sandbox.FolderInbox) + "?page=0"); a.status != http.StatusBadRequest {
		t.Errorf("page 0 answered %d", a.status)
	}
}

func TestWithoutAChannelThePageSaysSo(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	sandbox.New(sandbox.Options{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ui/", nil))
	contains(t, answer{text: w.Body.String()}, "There is no channel yet")
}

func TestACardShowsTheTicket(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{Name: "Support", NetworkID: "acme"})
	ticket := r.post(`"networkItemId":"mail-1","message":"Dear team","createdTime":"2025-03-12T12:30:00Z","url":"https://forum.example/1",
		"rating":{"value":7,"scale":10},"link":"https://news.example/a","pictures":[{"small":"https://cdn.example/t","large":"https://cdn.example/l"}],
		"attachments":[{"url":"https://files.example/i","name":"invoice.pdf","size":184233,"mimeType":"application/pdf"}],
		"interactor":{"interactorId":"sam","name":"Sam van O'Neill","url":"https://forum.example/sam"}`)
	r.post(simple("reply-1") + `,"root":{"rootId":"mail-1"}`)
	r.post(simple("reply-2") + `,"root":{"rootId":"lost-1"}`)
	r.post(simple("own-01") + `,"interactor":{"interactorId":"acme","name":"Acme"}`)
	a := r.show(r.inbox(sandbox.FolderInbox))
	contains(t, a, "<h1>Support</h1>", `Inbox <span class="count">3<`, `Done <span class="count">1<`, `Hidden <span class="count">1<`,
		">Sam van O&#39;Neill</a>", ">SO</span>", "Dear team", "★★★★☆", "7 of 10", `href="https://news.example/a"`, `href="https://cdn.example/l"`,
		"Picture 1", `href="https://files.example/i"`, "invoice.pdf", "184 kB", `href="https://forum.example/1"`, "12 Mar 2025, 12:30",
		`aria-label="Unread"`, `id="t-`+ticket+`"`, ">Done</button>", "in the thread of <code>lost-1</code>, which has not arrived")
	if strings.Index(a.text, "mail-1") > strings.Index(a.text, "reply-1") || strings.Count(a.text, "unread reply") != 1 {
		t.Error("the reply does not stand below its root")
	}
	if strings.Contains(a.text, "<img") {
		t.Error("the page loads a picture")
	}
	contains(t, r.show(r.inbox(sandbox.FolderDone)), "our own post", ">Back to inbox</button>")
	hidden := r.show(r.inbox(sandbox.FolderHidden))
	contains(t, hidden, "Hidden root", "lost-1")
	if strings.Contains(hidden.text, "<button") {
		t.Error("a hidden ticket has a button")
	}
	r.Done(ticket)
	r.patch(ticket, "?reset=true", `"message":"changed","updatedTime":"2025-03-12T12:41:00Z"`)
	contains(t, r.show(r.inbox(sandbox.FolderInbox)), "back from Done", `<span class="badge">updated</span>`, "12 Mar 2025, 12:41")
	r.Deactivate(r.channel.ID)
	contains(t, r.show(r.inbox(sandbox.FolderInbox)), "deactivated")
}

func TestNumbersAreReadable(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	r.post(`"networkItemId":"item-1","rating":{"value":0,"scale":0},"attachments":[{"url":"https://x.example/a","size":12},
		{"url":"https://x.example/b","size":3400000}],"interactor":{"interactorId":"abc","name":"-- 王 小明"}`)
	r.post(`"networkItemId":"item-2","rating":{"value":9,"scale":5},"interactor":{"interactorId":"abc","name":"…"}`)
	contains(t, r.show(r.inbox(sandbox.FolderInbox)), "12 B", "3.4 MB", "0 of 0", "9 of 5", ">★★★★★<", ">王小</span>", ">?</span>")
}

func TestContentIsOnlyText(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{Name: `<i>name`})
	r.post(`"networkItemId":"item-1","message":"<script>alert(1)</script>",
		"interactor":{"interactorId":"abc","name":"\"><img src=x>"},"attachments":[{"url":"https://x.example/a","name":"<u>file"}]`)
	a := r.show(r.inbox(sandbox.FolderInbox))
	for _, bad := range []string{"<script>alert", "<img", "<u>", "<i>"} {
		if strings.Contains(a.text, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	contains(t, a, "&lt;script&gt;alert(1)&lt;/script&gt;")
	policy := a.header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "img-src data:", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %s", policy, part)
		}
	}
	if strings.Contains(a.text, "style=") || strings.Contains(a.text, "onclick") {
		t.Error("the page has what its policy forbids")
	}
}

func TestALongMessageIsFolded(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	r.post(`"networkItemId":"item-1","message":"` + strings.Repeat("Wörter ", 200) + `The end"`)
	r.post(`"networkItemId":"item-2","message":"` + strings.Repeat("line\\n", 20) + `"`)
	a := r.show(r.inbox(sandbox.FolderInbox))
	contains(t, a, "Wörter …", "The end</p></details>")
	if got := strings.Count(a.text, "<details"); got != 2 {
		t.Errorf("%d messages are folded", got)
	}
}

func TestTheButtonMovesATicketThereAndBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	if a := r.press(sandbox.FolderInbox, ticket, "Sec-Fetch-Site", "same-origin"); a.status != http.StatusSeeOther ||
		a.header.Get("Location") != r.inbox(sandbox.FolderInbox)+"?page=2" {
		t.Errorf("Done answered %d %v", a.status, a.header)
	}
	if got := r.ticket("item-1").Folder; got != sandbox.FolderDone {
		t.Errorf("the ticket is in %s", got)
	}
	if a := r.press(sandbox.FolderInbox, ticket); a.status != http.StatusSeeOther || r.ticket("item-1").Folder != sandbox.FolderDone {
		t.Errorf("Done twice answered %d, the ticket is in %s", a.status, r.ticket("item-1").Folder)
	}
	r.press(sandbox.FolderDone, ticket)
	if got := r.ticket("item-1").Folder; got != sandbox.FolderInbox {
		t.Errorf("the ticket is in %s", got)
	}
	if a := r.press(sandbox.FolderHidden, ticket); a.status != http.StatusNotFound {
		t.Errorf("a button for hidden tickets answered %d", a.status)
	}
}

func TestNothingElseMovesATicket(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
		if a := r.press(sandbox.FolderInbox, ticket, header...); a.status != http.StatusForbidden {
			t.Errorf("%v answered %d", header, a.status)
		}
	}
	r.show(r.inbox(sandbox.FolderInbox) + "/move?ticket=" + ticket)
	r.show(r.inbox(sandbox.FolderInbox) + "?ticket=" + ticket)
	if got := r.ticket("item-1").Folder; got != sandbox.FolderInbox {
		t.Errorf("the ticket is in %s", got)
	}
}

func TestThePartIsSentOnlyWhenItChanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	r.post(simple("item-1"))
	part := r.inbox(sandbox.FolderInbox) + "?part=list"
	a := r.show(part)
	contains(t, a, "item-1")
	if strings.Contains(a.text, "<html") {
		t.Error("the part is a whole page")
	}
	etag := a.header.Get("ETag")
	contains(t, r.show(r.inbox(sandbox.FolderInbox)), `data-etag="`+strings.ReplaceAll(etag, `"`, "&#34;")+`"`)
	if a := r.show(part, "If-None-Match", etag); a.status != http.StatusNotModified {
		t.Errorf("without a change it answered %d", a.status)
	}
	r.post(simple("item-2"))
	if a := r.show(part, "If-None-Match", etag); a.status != http.StatusOK || a.header.Get("ETag") == etag {
		t.Errorf("after a change it answered %d", a.status)
	}
}

func TestTheListHasPagesNewestActivityFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	oldest := ""
	for n := range 60 {
		if made := r.post(simple(fmt.Sprintf("item-%02d", n))); n == 0 {
			oldest = made
		}
	}
	first, second := r.show(r.inbox(sandbox.FolderInbox)), r.show(r.inbox(sandbox.FolderInbox)+"?page=2")
	contains(t, first, "item-59", "item-10", "Older")
	contains(t, second, "item-09", "item-00", "Newer")
	if strings.Contains(first.text, "item-09") || strings.Contains(second.text, "item-10") || strings.Contains(second.text, "Older") {
		t.Error("the pages overlap")
	}
	if strings.Index(first.text, "item-59") > strings.Index(first.text, "item-58") {
		t.Error("the newest is not first")
	}
	r.patch(oldest, "", `"message":"b"`)
	contains(t, r.show(r.inbox(sandbox.FolderInbox)), "item-00")
	contains(t, r.show(r.inbox(sandbox.FolderInbox)+"?page=9"), "Nothing to do")
}

func TestStyleAndScriptAreTheSandboxsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	for path, kind := range map[string]string{"/ui/style.css": "text/css", "/ui/inbox.js": "text/javascript"} {
		if a := r.show(path); a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), kind) || a.text == "" {
			t.Errorf("%s answered %d %v", path, a.status, a.header)
		}
	}
	if len(r.Counts()) != 0 {
		t.Error("the page's requests are counted")
	}
}
