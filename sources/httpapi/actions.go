package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// Actions say how to carry out what the team does. What is left out can't be done.
type Actions struct {
	Reply         Reply          `yaml:"reply" doc:"How to post a reply."`
	TemplateReply Posting        `yaml:"template_reply" doc:"How to post a reply that is made of a template."`
	Delete        Act            `yaml:"delete" doc:"How to delete the item. 404 and 410 say that it is deleted."`
	Buttons       map[string]Act `yaml:"buttons" doc:"How to do what a button stands for, by its id in the channel's actions; each has the settings of delete."`
}

// Act is a request that does something.
type Act struct {
	Request    `yaml:",inline" doc:"What to send."`
	Multipart  string     `yaml:"multipart" doc:"Sends multipart/form-data: the members of the object that body gives, and the attachment in the field of this name."`
	Repeatable Repeatable `yaml:"repeatable" doc:"How long after the first try the same request has no further effect: always, or a duration such as 24h if the API takes an idempotency key ($action.key). Never if left out."`
}

// Posting is a request that posts a reply.
type Posting struct {
	Act    `yaml:",inline" doc:"What to send."`
	Posted jq.Program `yaml:"posted" doc:"Needed. jq on the answer: what map will make of the reply. Only networkItemId, url, createdTime and ref count. empty if the answer does not say."`
}

// Reply is a posting that may be looked for.
type Reply struct {
	Posting `yaml:",inline" doc:"What to send."`
	Find    Find `yaml:"find" doc:"How to tell whether a reply was posted, after a try whose answer was lost. Left out: the team is asked to look."`
}

// Find is a request that looks for a reply.
type Find struct {
	Request `yaml:",inline" doc:"How to ask. $since is a minute before the first try."`
	Posted  jq.Program `yaml:"posted" doc:"Needed. jq on the answer: the reply as in reply.posted, or nothing if it is not there. The answer must be all that came after $since."`
}

// Repeatable is for how long an action may be repeated, see [sources.Repeater].
type Repeatable time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Repeatable) UnmarshalText(text []byte) error {
	if string(text) == "always" {
		*r = Repeatable(sources.Always)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return errors.New("want always or a duration such as 24h")
	}
	*r = Repeatable(d)
	return nil
}

// given tells whether the config has any of the settings.
func (a *Act) given() bool     { return !reflect.ValueOf(a).Elem().IsZero() }
func (p *Posting) given() bool { return !reflect.ValueOf(p).Elem().IsZero() }
func (r *Reply) given() bool   { return !reflect.ValueOf(r).Elem().IsZero() }
func (f *Find) given() bool    { return !reflect.ValueOf(f).Elem().IsZero() }

// act returns the request for an action, with its setting; nil if there is none.
func (a *Actions) act(t socialhub.ActionType, id string) (*Act, string) {
	switch t {
	case socialhub.ActionReply:
		if a.Reply.given() {
			return &a.Reply.Act, "actions.reply."
		}
	case socialhub.ActionTemplateReply:
		if a.TemplateReply.given() {
			return &a.TemplateReply.Act, "actions.template_reply."
		}
	case socialhub.ActionDelete:
		if a.Delete.given() {
			return &a.Delete, "actions.delete."
		}
	case socialhub.ActionButton:
		if button, ok := a.Buttons[id]; ok {
			return &button, "actions.buttons." + id + "."
		}
	}
	return nil, ""
}

// actList is what a request of an action is built of.
func (s *Settings) actList(r *Request, key, method string) *list {
	request := *r
	request.Method = cmp.Or(r.Method, method)
	origin := r.origin()
	if origin == nil {
		origin = s.origin()
	}
	return &list{request: &request, key: key, origin: origin}
}

// defaultMethod is that of an action whose settings name none.
func defaultMethod(t socialhub.ActionType) string {
	if t == socialhub.ActionDelete {
		return http.MethodDelete
	}
	return http.MethodPost
}

// mentions tells whether any of the request's programs has the word in it.
func (a *Act) mentions(word string) bool { return strings.Contains(fmt.Sprint(a.Request), word) }

// takesFiles tells whether attachments go out with the request.
func (a *Act) takesFiles() bool { return a.Multipart != "" || a.mentions("attachments") }

func (a *Actions) validate(f *faults) {
	if a.Reply.given() {
		a.Reply.Posting.validate(f, "actions.reply.")
		if a.Reply.Find.given() {
			a.Reply.Find.validate(f, "actions.reply.find.")
		}
	}
	if a.TemplateReply.given() {
		a.TemplateReply.validate(f, "actions.template_reply.")
	}
	if a.Delete.given() {
		a.Delete.validate(f, "actions.delete.")
	}
	for _, id := range slices.Sorted(maps.Keys(a.Buttons)) {
		if !socialhub.ValidActionID(id) {
			f.add("actions.buttons", "want ids of 1 to 256 characters out of a-z A-Z 0-9 _ -")
			continue
		}
		button := a.Buttons[id]
		button.validate(f, "actions.buttons."+id+".")
	}
}

func (a *Act) validate(f *faults, prefix string) {
	a.Request.validate(f, prefix, "POST", "PUT", "PATCH", "DELETE", "GET")
	if strings.ContainsAny(a.Multipart, "\r\n\x00") {
		f.add(prefix+"multipart", "want the name of a field, such as file")
	}
}

const wantPosted = "what map will make of the reply, such as {networkItemId: item_id($prefix; .id), url: .html_url}"

func (p *Posting) validate(f *faults, prefix string) {
	p.Act.validate(f, prefix)
	f.need(prefix+"posted", p.Posted, wantPosted)
}

func (f *Find) validate(found *faults, prefix string) {
	f.Request.validate(found, prefix, "GET", "POST")
	found.need(prefix+"posted", f.Posted, wantPosted+", of the one that is $action's")
}
