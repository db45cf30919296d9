package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"socialhub-sync/socialhub"
)

// Diff says how a manifest differs from what is wanted, a line for each thing: + it is missing, - it is too much, ~ it is
// otherwise (as it is -> as it should be). Without a line nothing has to be sent. Lines show no secret.
func Diff(current socialhub.Manifest, want Desired) []string {
	lines := slices.Concat(actionLines(current, want), sidebarLines(current, want))
	return append(lines, webhookLine(current.Webhook, want.Webhook)...)
}

func actionLines(current socialhub.Manifest, want Desired) []string {
	if want.Actions == nil {
		return nil
	}
	return compare("action", things(inboxOf(current).TicketActions, ofAction), things(want.Actions, ofAction))
}

func sidebarLines(current socialhub.Manifest, want Desired) []string {
	if want.Sidebar == nil {
		return nil
	}
	return compare("sidebar", things(inboxOf(current).RightSidebar, ofSidebar), things(want.Sidebar, ofSidebar))
}

func inboxOf(m socialhub.Manifest) socialhub.Inbox {
	if m.Inbox == nil {
		return socialhub.Inbox{}
	}
	return *m.Inbox
}

// thing is an element of a list as names and values, in the config's words.
type thing struct {
	id, summary string
	values      []value
}

type value struct{ name, text string }

func things[T any](list []T, of func(T) thing) []thing {
	all := make([]thing, len(list))
	for i, v := range list {
		all[i] = of(v)
	}
	return all
}

// compare says how a list differs from the wanted one.
func compare(kind string, current, want []thing) (lines []string) {
	byID := func(list []thing, id string) int {
		return slices.IndexFunc(list, func(t thing) bool { return t.id == id })
	}
	for _, w := range want {
		at := byID(current, w.id)
		if at < 0 {
			lines = append(lines, fmt.Sprintf("+ %s %s: %s", kind, w.id, w.summary))
		} else if changes := changesOf(current[at].values, w.values); len(changes) > 0 {
			lines = append(lines, fmt.Sprintf("~ %s %s: %s", kind, w.id, strings.Join(changes, ", ")))
		}
	}
	for i, c := range current {
		if byID(want, c.id) < 0 || byID(current, c.id) < i {
			lines = append(lines, fmt.Sprintf("- %s %s: %s", kind, c.id, c.summary))
		}
	}
	if is, should := idsOf(current), idsOf(want); len(lines) == 0 && !slices.Equal(is, should) {
		lines = append(lines, fmt.Sprintf("~ %s order: %s -> %s", kind, strings.Join(is, ", "), strings.Join(should, ", ")))
	}
	return lines
}

func idsOf(list []thing) []string {
	ids := make([]string, len(list))
	for i, t := range list {
		ids[i] = t.id
	}
	return ids
}

func changesOf(current, want []value) (changes []string) {
	find := func(list []value, name string) string {
		if i := slices.IndexFunc(list, func(v value) bool { return v.name == name }); i >= 0 {
			return list[i].text
		}
		return "none"
	}
	for _, w := range want {
		if is := find(current, w.name); is != w.text {
			changes = append(changes, fmt.Sprintf("%s %s -> %s", w.name, is, w.text))
		}
	}
	for _, c := range current {
		if find(want, c.name) == "none" {
			changes = append(changes, fmt.Sprintf("%s %s -> none", c.name, c.text))
		}
	}
	return changes
}

// ofAction leaves out what is as SocialHub has it by default, so that it makes no difference whether an answer repeats it.
func ofAction(a socialhub.ManifestAction) thing {
	t := thing{id: a.ID, summary: fmt.Sprintf("%s %q", a.Type, a.Label.EN)}
	t.add("type", string(a.Type))
	t.label("label", a.Label)
	if c := a.Config; c != nil {
		t.flag("approval", c.ApprovalProcess)
		t.flag("force_tagging", c.ForceTagging)
		if c.MaxLength != 0 {
			t.add("max_length", strconv.Itoa(c.MaxLength))
		}
		if c.Timeout != nil {
			t.add("timeout", c.Timeout.Duration+" after "+c.Timeout.After)
		}
		if c.Templates != nil {
			t.add("templates", c.Templates.URL)
		}
	}
	t.flag("attachments", a.Attachments != nil)
	t.flag("no_text", a.Attachments != nil && a.Attachments.NoText)
	var options []string
	for _, o := range a.Options {
		options = append(options, o.ID)
		t.label("options."+o.ID+".label", o.Label)
		if o.Description != nil {
			t.label("options."+o.ID+".description", *o.Description)
		}
	}
	if len(options) > 0 {
		t.add("options", strings.Join(options, "+"))
	}
	return t
}

func ofSidebar(s socialhub.Sidebar) thing {
	t := thing{id: s.ID, summary: fmt.Sprintf("%s %q", s.TreeBuilder, s.Label.EN)}
	t.add("tree", s.TreeBuilder)
	t.label("label", s.Label)
	return t
}

func (t *thing) add(name, text string) { t.values = append(t.values, value{name, text}) }

func (t *thing) flag(name string, on bool) {
	if on {
		t.add(name, "yes")
	}
}

func (t *thing) label(name string, l socialhub.Label) {
	t.add(name+".en", strconv.Quote(l.EN))
	t.add(name+".de", strconv.Quote(l.DE))
	t.add(name+".fr", strconv.Quote(l.FR))
}

// webhookLine says how the webhook differs, if it does.
func webhookLine(current, want *socialhub.Webhook) []string {
	switch {
	case want == nil || current != nil && current.URL == want.URL:
		return nil
	case current == nil || current.URL == "":
		return []string{"+ webhook: " + unmarked(want.URL)}
	case unmarked(current.URL) == unmarked(want.URL):
		return []string{"~ webhook: the secret is another one than the config's, or it was not registered by this program"}
	}
	return []string{fmt.Sprintf("~ webhook: %s -> %s", unmarked(current.URL), unmarked(want.URL))}
}
