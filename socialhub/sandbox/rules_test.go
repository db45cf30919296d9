package sandbox_test

import (
	"net/http"
	"strings"
	"testing"

	"socialhub-sync/socialhub/sandbox"
)

// rule is a body's members and the start of the message that refuses them; no message means that they are taken.
type rule struct{ name, members, problem string }

const id = `"networkItemId":"item-1",`

var sharedRules = []rule{
	{"a message may have 10,000 characters", `"message":"` + strings.Repeat("ä", 10_000) + `"`, ""},
	{"a longer message is refused", `"message":"` + strings.Repeat("ä", 10_001) + `"`, "interaction.message must have at most 10000"},
	{"an emoji counts as two characters", `"message":"` + strings.Repeat("😀", 5_001) + `"`, "interaction.message must have at most 10000"},
	{"a message must be text", `"message":5`, "interaction.message must be a string"},
	{"null is no text", `"message":null`, "interaction.message must be a string"},
	{"pictures alone are content", `"pictures":[{"small":"https://x.example/a.png","large":"https://x.example/b.png"}]`, ""},
	{"pictures must be an array", `"pictures":{}`, "interaction.pictures must be an array"},
	{"a picture must be an object", `"pictures":["https://x.example/a.png"]`, "interaction.pictures[0] must be an object"},
	{"a picture needs small", `"pictures":[{"large":"https://x.example/a.png"}]`, "interaction.pictures[0].small is required"},
	{"small must be https", `"pictures":[{"small":"https://x.example/a"},{"small":"http://x.example/a"}]`, "interaction.pictures[1].small must be a https"},
	{"large must be https", `"pictures":[{"small":"https://x.example/a","large":"ftp://x"}]`, "interaction.pictures[0].large must be a https"},
	{"a picture has no other field", `"pictures":[{"small":"https://x.example/a","alt":"a"}]`, "interaction.pictures[0].alt is not a known field"},
	{"attachments alone are content", `"attachments":[{"url":"https://x.example/a.pdf","name":"a.pdf","size":12,"mimeType":"application/vnd.api+json"}]`, ""},
	{"an attachment needs its url", `"attachments":[{"name":"a"}]`, "interaction.attachments[0].url is required"},
	{"an attachment's url must be https", `"attachments":[{"url":"http://x.example/a"}]`, "interaction.attachments[0].url must be a https"},
	{"an attachment's size may be 0", `"attachments":[{"url":"https://x.example/a","size":0}]`, ""},
	{"an attachment's size can't be negative", `"attachments":[{"url":"https://x.example/a","size":-1}]`, "interaction.attachments[0].size must be at least 0"},
	{"an attachment's size must be a number", `"attachments":[{"url":"https://x.example/a","size":"1"}]`, "interaction.attachments[0].size must be a number"},
	{"an attachment's name must be text", `"attachments":[{"url":"https://x.example/a","name":1}]`, "interaction.attachments[0].name must be a string"},
	{"a mime type has no parameter", `"attachments":[{"url":"https://x.example/a","mimeType":"text/html; charset=utf-8"}]`, "interaction.attachments[0].mimeType must match"},
	{"a link alone is content", `"link":"http://x.example/"`, ""},
	{"a link must be an address", `"link":"x.example"`, "interaction.link must be a URL"},
	{"a link can't be a script", `"link":"javascript:alert(1)"`, "interaction.link must be a URL"},
	{"a rating alone is content", `"rating":{"value":0,"scale":100}`, ""},
	{"a rating needs a value", `"rating":{"scale":5}`, "interaction.rating.value is required"},
	{"a rating needs a scale", `"rating":{"value":5}`, "interaction.rating.scale is required"},
	{"a rating's value can't be negative", `"rating":{"value":-1,"scale":5}`, "interaction.rating.value must be at least 0"},
	{"a rating's scale ends at 100", `"rating":{"value":1,"scale":101}`, "interaction.rating.scale must be from 0 to 100"},
	{"a rating's scale can't be negative", `"rating":{"value":1,"scale":-1}`, "interaction.rating.scale must be from 0 to 100"},
	{"a rating's value must be a number", `"rating":{"value":"4","scale":5}`, "interaction.rating.value must be a number"},
	{"url may be http", `"message":"a","url":"http://x.example/1"`, ""},
	{"url must be an address", `"message":"a","url":"/1"`, "interaction.url must be a URL"},
	{"url must be text", `"message":"a","url":7`, "interaction.url must be a string"},
	{"some content is needed", `"url":"https://x.example/1"`, "interaction must have at least one of message, pictures"},
	{"a type is for reusable manifests", `"message":"a","type":"REVIEW"`, "interaction.type is only for"},
	{"a type must be a known one", `"message":"a","type":"review"`, "interaction.type must be one of"},
	{"followupTo is no field", `"message":"a","followupTo":{}`, "interaction.followupTo is not a known field"},
	{"a long unknown name is shortened", `"message":"a","` + strings.Repeat("x", 100) + `":1`, "interaction." + strings.Repeat("x", 64) + "… is not"},
	{"names are spelt exactly", `"message":"a","Link":"https://x.example"`, "interaction.Link is not a known field"},
	{"an interactor must be an object", `"message":"a","interactor":"x"`, "interaction.interactor must be an object"},
}

var creationRules = []rule{
	{"the id is required", `"message":"a"`, "interaction.networkItemId is required"},
	{"the id needs 6 characters", `"message":"a","networkItemId":"abcde"`, "interaction.networkItemId must match"},
	{"the id ends at 256 characters", `"message":"a","networkItemId":"` + strings.Repeat("a", 257) + `"`, "interaction.networkItemId must match"},
	{"the id may have 256 of any allowed characters", `"message":"a","networkItemId":"/|@&$!?()[]{}+*~,;.:=_-` + strings.Repeat("a", 233) + `"`, ""},
	{"the id has no space", `"message":"a","networkItemId":"item 1"`, "interaction.networkItemId must match"},
	{"the id has no backslash", `"message":"a","networkItemId":"item\\1"`, "interaction.networkItemId must match"},
	{"the id must be text", `"message":"a","networkItemId":1234567`, "interaction.networkItemId must be a string"},
	{"empty content is no content", id + `"message":"","pictures":[]`, "interaction must have at least one of"},
	{"createdTime may have a zone", id + `"message":"a","createdTime":"2019-01-28T16:58:12.736+01:00"`, ""},
	{"createdTime must be a time", id + `"message":"a","createdTime":"yesterday"`, "interaction.createdTime must be an ISO 8601"},
	{"createdTime must be text", id + `"message":"a","createdTime":1548694692736`, "interaction.createdTime must be a string"},
	{"updatedTime can't be set on creation", id + `"message":"a","updatedTime":"2019-01-28T16:58:12Z"`, "interaction.updatedTime can't be set"},
	{"a root needs its id", id + `"message":"a","root":{}`, "interaction.root.rootId is required"},
	{"a root's id follows the pattern", id + `"message":"a","root":{"rootId":"a b"}`, "interaction.root.rootId must match"},
	{"a root has no other field", id + `"message":"a","root":{"rootId":"root-1","x":1}`, "interaction.root.x is not a known field"},
	{"an interactor needs its id", id + `"message":"a","interactor":{"name":"A"}`, "interaction.interactor.interactorId is required"},
	{"an interactor's id needs 3 characters", id + `"message":"a","interactor":{"name":"A","interactorId":"ab"}`, "interaction.interactor.interactorId must have"},
	{"an interactor needs a name", id + `"message":"a","interactor":{"interactorId":"abc"}`, "interaction.interactor.name is required"},
	{"an interactor's name isn't empty", id + `"message":"a","interactor":{"interactorId":"abc","name":""}`, "interaction.interactor.name must not be empty"},
	{"an interactor's picture must be https", id + `"message":"a","interactor":{"interactorId":"abc","name":"A","picture":"http://x.example/a"}`, "interaction.interactor.picture must be a https"},
	{"an interactor's url must be an address", id + `"message":"a","interactor":{"interactorId":"abc","name":"A","url":"a"}`, "interaction.interactor.url must be a URL"},
}

var updateRules = []rule{
	{"empty lists clear, and count as content", `"pictures":[]`, ""},
	{"updatedTime may be set", `"message":"a","updatedTime":"2019-01-28T16:58:12Z"`, ""},
	{"updatedTime must be a time", `"message":"a","updatedTime":"2019"`, "interaction.updatedTime must be an ISO 8601"},
	{"createdTime can't be changed", `"message":"a","createdTime":"2019-01-28T16:58:12Z"`, "interaction.createdTime can't be changed"},
	{"the id can't be changed", `"message":"a","networkItemId":"item-1"`, "interaction.networkItemId can't be changed"},
	{"the root can't be changed", `"message":"a","root":{"rootId":"root-1"}`, "interaction.root can't be changed"},
	{"an interactor's id can't be changed", `"message":"a","interactor":{"interactorId":"abc","name":"A"}`, "interaction.interactor.interactorId can't be changed"},
	{"an interactor needs a name", `"message":"a","interactor":{"url":"https://x.example"}`, "interaction.interactor.name is required"},
}

func (c rule) check(t *testing.T, a answer, good int) {
	t.Helper()
	switch {
	case c.problem == "" && a.status != good:
		t.Errorf("answered %d %s, want %d", a.status, a.text, good)
	case c.problem == "":
	case a.status != http.StatusBadRequest || a.json["code"] != "BadRequestError":
		t.Errorf("answered %d %s, want a BadRequestError", a.status, a.text)
	case !strings.HasPrefix(a.json["message"].(string), "Error: "+c.problem):
		t.Errorf("message is %q, want it to begin with %q", a.json["message"], c.problem)
	}
}

func TestACreationFollowsEveryRule(t *testing.T) {
	t.Parallel()
	rules := creationRules
	for _, c := range sharedRules {
		c.members = id + c.members
		rules = append(rules, c)
	}
	for _, c := range rules {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
			c.check(t, r.do("POST", "/inbox/tickets", `{"interaction":{`+c.members+`}}`), http.StatusCreated)
			if n := len(r.Tickets(r.channel.ID)); (n > 0) != (c.problem == "") {
				t.Errorf("there are %d tickets after it", n)
			}
		})
	}
}

func TestAnUpdateFollowsEveryRule(t *testing.T) {
	t.Parallel()
	for _, c := range append(updateRules, sharedRules...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
			ticket := r.post(simple("item-1"))
			c.check(t, r.patch(ticket, "", c.members), http.StatusOK)
			if n := len(r.ticket("item-1").Revisions); (n == 2) != (c.problem == "") {
				t.Errorf("there are %d revisions after it", n)
			}
		})
	}
}

func TestABodyIsCheckedAroundTheInteraction(t *testing.T) {
	t.Parallel()
	good := `"interaction":{` + simple("item-1") + `}`
	for _, c := range []rule{
		{"no body", ``, "body must be JSON"},
		{"half a body", `{` + good, "body must be JSON"},
		{"two bodies", `{` + good + `}{}`, "body must be JSON"},
		{"a list", `[]`, "body must be an object"},
		{"no interaction", `{}`, "interaction is required"},
		{"an interaction of the wrong type", `{"interaction":[]}`, "interaction must be an object"},
		{"followupTo", `{` + good + `,"followupTo":{"followupToId":"5cc1b08ad62ec72e8388cb47"}}`, "followupTo can't be set"},
		{"a field beside the interaction", `{` + good + `,"_id":"5cc1b08ad62ec72e8388cb47"}`, "_id is not a known field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
			c.check(t, r.do("POST", "/inbox/tickets", c.members), http.StatusCreated)
		})
	}
}

func TestAReusableManifestAllowsATypeAndShowsNoManifest(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{Reusable: true})
	r.post(simple("item-1") + `,"type":"REVIEW"`)
	if got := r.ticket("item-1").Interaction.Type; got != "REVIEW" {
		t.Errorf("type is %q", got)
	}
	r.patch(r.ticket("item-1").ID, "", `"message":"a","type":"COMMENT"`)
	if got := r.ticket("item-1").Interaction.Type; got != "COMMENT" {
		t.Errorf("after the update type is %q", got)
	}
	if _, has := r.do("GET", "/", "").json["manifest"]; has {
		t.Error("GET / shows a manifest")
	}
}

func TestALoosePatchNeedsNoContent(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{LoosePatch: true}, sandbox.ChannelOptions{})
	ticket := r.post(simple("item-1"))
	if a := r.patch(ticket, "", `"url":"https://x.example/1"`); a.status != http.StatusOK {
		t.Errorf("answered %d %s", a.status, a.text)
	}
}

func TestTheBodyMustBeJSONOfBoundedSize(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{MaxBody: 100}, sandbox.ChannelOptions{})
	if a := r.do("POST", "/inbox/tickets", `{"interaction":{"message":"`+strings.Repeat("a", 100)+`"}}`); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body answered %d %s", a.status, a.text)
	}
	a, err := read(r.client.Post(r.url+"/inbox/tickets?accesstoken="+r.channel.Token, "text/plain",
		strings.NewReader(`{"interaction":{`+simple("item-1")+`}}`)))
	if err != nil || a.status != http.StatusBadRequest || !strings.Contains(a.text, "Content-Type") {
		t.Errorf("text/plain answered %d %s %v", a.status, a.text, err)
	}
	a, err = read(r.client.Post(r.url+"/inbox/tickets?accesstoken="+r.channel.Token, "application/json; charset=utf-8",
		strings.NewReader(`{"interaction":{`+simple("item-1")+`}}`)))
	if err != nil || a.status != http.StatusCreated {
		t.Errorf("JSON with a charset answered %d %s %v", a.status, a.text, err)
	}
}
