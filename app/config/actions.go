package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/app/config/strictyaml"
	"socialhub-sync/socialhub"
)

// The levels of a channel's manifest as they are written.
type (
	actionKeys struct {
		Type         socialhub.ActionType `yaml:"type" doc:"Needed. What the action is."`
		ID           string               `yaml:"id" doc:"What SocialHub knows the action by; the type if left out."`
		Label        *strictyaml.Node     `yaml:"label" doc:"What the team reads on it. Only a button needs one."`
		Approval     bool                 `yaml:"approval" doc:"Whether a second person has to agree. Not for a delete."`
		ForceTagging bool                 `yaml:"force_tagging" doc:"Whether the ticket needs a tag first."`
		MaxLength    int                  `yaml:"max_length" doc:"The most characters of a reply; no limit if left out."`
		Timeout      string               `yaml:"timeout" doc:"How long after its creation on its network an item can be acted on, such as 24h or 7d. Not for a delete."`
		Attachments  bool                 `yaml:"attachments" doc:"Whether a reply may have a file."`
		NoText       bool                 `yaml:"no_text" doc:"Whether a reply has a file or a text, not both."`
		Options      *strictyaml.Node     `yaml:"options" doc:"What the team chooses from with a reply."`
	}
	optionKeys struct {
		ID          string           `yaml:"id" doc:"Needed. What the source gets."`
		Label       *strictyaml.Node `yaml:"label" doc:"Needed. What the team reads."`
		Description *strictyaml.Node `yaml:"description" doc:"What the team reads below it."`
	}
	sidebarKeys struct {
		ID    string           `yaml:"id" doc:"What SocialHub knows the sidebar by."`
		Label *strictyaml.Node `yaml:"label" doc:"What the team reads above it."`
		Tree  string           `yaml:"tree" doc:"Needed. The tickets of the thread, with their root or without."`
	}
	labelKeys struct {
		EN string `yaml:"en" doc:"In English."`
		DE string `yaml:"de" doc:"In German."`
		FR string `yaml:"fr" doc:"In French."`
	}
)

// actionTypes are what `type:` may say.
var actionTypes = []socialhub.ActionType{
	socialhub.ActionReply, socialhub.ActionTemplateReply, socialhub.ActionButton, socialhub.ActionDelete,
}

// usualLabels are the labels of actions that the file gives none. What a button does only its owner knows.
var usualLabels = map[socialhub.ActionType]socialhub.Label{
	socialhub.ActionReply:         {EN: "Reply", DE: "Antworten", FR: "Répondre"},
	socialhub.ActionTemplateReply: {EN: "Reply with a template", DE: "Mit Vorlage antworten", FR: "Répondre avec un modèle"},
	socialhub.ActionDelete:        {EN: "Delete", DE: "Löschen", FR: "Supprimer"},
}

// What the sidebar of a thread is called unless the file says otherwise.
const usualSidebar = "thread"

var usualSidebarLabel = socialhub.Label{EN: "Thread", DE: "Verlauf", FR: "Fil de discussion"}

// trees are what `tree:` may say, SocialHub's own words among them.
var trees = map[string]string{
	"flat_without_root": socialhub.FlatListWithoutRoot, socialhub.FlatListWithoutRoot: socialhub.FlatListWithoutRoot,
	"flat_with_root": socialhub.FlatListWithRoot, socialhub.FlatListWithRoot: socialhub.FlatListWithRoot,
}

// onlyFor says which types take a key; keys that all types take are not here. SocialHub: the length is for replies only, a
// delete takes forceTagging only. Files and options are part of a reply's event alone.
var onlyFor = []struct {
	key   string
	types []socialhub.ActionType
}{
	{"approval", actionTypes[:3]},
	{"max_length", actionTypes[:1]},
	{"timeout", actionTypes[:3]},
	{"attachments", actionTypes[:1]},
	{"no_text", actionTypes[:1]},
	{"options", actionTypes[:1]},
}

// manifest reads what a channel, whose webhook is read already, says of its manifest.
func (r *reader) manifest(channel *strictyaml.Node, c *Channel) {
	c.Actions = manifestList(r, channel, "actions", r.action)
	c.Sidebar = manifestList(r, channel, "sidebar", r.sidebar)
	c.Templates = manifestList(r, channel, "templates", r.template)
	r.distinct(channel, "actions", names(c.Actions, func(a socialhub.ManifestAction) string { return a.ID }))
	r.distinct(channel, "sidebar", names(c.Sidebar, func(s socialhub.Sidebar) string { return s.ID }))
	r.distinct(channel, "templates", names(c.Templates, func(t socialhub.Template) string { return t.NetworkID }))
	if r.Faulty(channel, "webhook") || c.Webhook != nil && c.Webhook.URL != "" {
		return
	}
	for i, a := range c.Actions {
		if a.Type == socialhub.ActionTemplateReply {
			r.Check(channel, element("actions", i)+".type", errors.New("SocialHub asks for the templates below the webhook's address, and there is none; "+
				"write public_url: https://… at the top of the file and webhook: {secret: …} in this channel"))
		}
	}
}

// manifestList reads the list under a key; nil if the file does not have it.
func manifestList[T any](r *reader, parent *strictyaml.Node, key string, read func(*strictyaml.Node) T) []T {
	n := parent.Get(key)
	if n == nil {
		return nil
	}
	if n.Kind == strictyaml.Empty {
		r.Check(parent, key, errors.New("says nothing; write [] for none, or leave the key out"))
		return nil
	}
	var items []*strictyaml.Node
	r.Decode(n, &items)
	list := make([]T, len(items))
	for i, item := range items {
		list[i] = read(item)
	}
	return list
}

// element is the path of one element of a list.
func element(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// distinct checks that no two elements of a list have the same id.
func (r *reader) distinct(parent *strictyaml.Node, key string, ids []string) {
	for i, id := range ids {
		if first := slices.Index(ids, id); first < i && id != "" && !r.Faulty(parent, element(key, first)+".id") {
			r.Check(parent, element(key, i)+".id", fmt.Errorf("%s is the id of %s already; give each its own", strictyaml.Quote(r.Mask(id)), element(key, first)))
		}
	}
}

func (r *reader) action(n *strictyaml.Node) socialhub.ManifestAction {
	var keys actionKeys
	r.Decode(n, &keys)
	r.reference(n, "type", string(keys.Type), names(actionTypes, func(t socialhub.ActionType) string { return string(t) }))
	a := socialhub.ManifestAction{Type: keys.Type, ID: keys.ID}
	if !n.Has("id") {
		a.ID = string(keys.Type)
	} else {
		r.checkID(n, a.ID)
	}
	if !slices.Contains(actionTypes, a.Type) {
		return a
	}
	a.Label = r.label(n, "label", usualLabels[a.Type])
	for _, only := range onlyFor {
		if n.Has(only.key) && !slices.Contains(only.types, a.Type) {
			r.Check(n, only.key, fmt.Errorf("is not for a %s, only for %s; leave it out", a.Type,
				strings.Join(names(only.types, func(t socialhub.ActionType) string { return string(t) }), ", ")))
		}
	}
	r.conduct(n, &keys, &a)
	return a
}

// conduct reads how an action behaves.
func (r *reader) conduct(n *strictyaml.Node, keys *actionKeys, a *socialhub.ManifestAction) {
	if n.Has("max_length") && keys.MaxLength < 1 {
		r.Check(n, "max_length", errors.New("must be a number of characters, 1 or more; leave it out for no limit"))
	}
	config := socialhub.ActionConfig{ApprovalProcess: keys.Approval, ForceTagging: keys.ForceTagging, MaxLength: keys.MaxLength}
	if n.Has("timeout") {
		hours, err := timeoutHours(keys.Timeout)
		r.Check(n, "timeout", err)
		config.Timeout = &socialhub.ActionTimeout{Duration: fmt.Sprintf("%dh", hours), After: afterCreation}
	}
	if config != (socialhub.ActionConfig{}) {
		a.Config = &config
	}
	if keys.Attachments {
		a.Attachments = &socialhub.ActionFiles{NoText: keys.NoText}
	} else if keys.NoText {
		r.Check(n, "no_text", errors.New("is about replies with a file; write attachments: true too"))
	}
	a.Options = manifestList(r, n, "options", r.option)
	r.distinct(n, "options", names(a.Options, func(o socialhub.ActionOption) string { return o.ID }))
}

// timeoutHours reads a duration of whole hours, the one unit that SocialHub documents.
func timeoutHours(text string) (int, error) {
	number, unit := text, time.Hour
	if days, ok := strings.CutSuffix(text, "d"); ok {
		number, unit = days, 24*time.Hour
	} else if d, err := time.ParseDuration(text); err == nil && d%time.Hour == 0 {
		number = strconv.FormatInt(int64(d/time.Hour), 10)
	}
	n, err := strconv.Atoi(number)
	if hours := n * int(unit/time.Hour); err == nil && n >= 1 && n <= maxTimeout && text != number {
		return hours, nil
	}
	return 0, errors.New("must be whole hours or days after the item was created on its network, such as 24h or 7d")
}

// afterCreation is SocialHub's word for the time from which an action's timeout counts.
const afterCreation = "networkCreationTime"

// maxTimeout is in hours or days; it is ours: above it a number is a slip.
const maxTimeout = 24 * 365

func (r *reader) option(n *strictyaml.Node) socialhub.ActionOption {
	var keys optionKeys
	r.Decode(n, &keys)
	r.checkID(n, keys.ID)
	o := socialhub.ActionOption{ID: keys.ID, Label: r.label(n, "label", socialhub.Label{})}
	if n.Has("description") {
		description := r.label(n, "description", socialhub.Label{})
		o.Description = &description
	}
	return o
}

func (r *reader) sidebar(n *strictyaml.Node) socialhub.Sidebar {
	keys := sidebarKeys{ID: usualSidebar}
	r.Decode(n, &keys)
	if n.Has("id") {
		r.checkID(n, keys.ID)
	}
	if tree, ok := trees[keys.Tree]; ok {
		keys.Tree = tree
	} else {
		r.reference(n, "tree", keys.Tree, []string{"flat_without_root", "flat_with_root"})
	}
	return socialhub.Sidebar{ID: keys.ID, Label: r.label(n, "label", usualSidebarLabel), TreeBuilder: keys.Tree}
}

// checkID checks what SocialHub will know something by.
func (r *reader) checkID(n *strictyaml.Node, id string) {
	switch {
	case !n.Has("id"):
		r.Check(n, "id", errors.New("is missing; write 1 to 256 of a-z, A-Z, 0-9, dash and underscore"))
	case !socialhub.ValidActionID(id):
		r.Check(n, "id", errors.New("must have 1 to 256 of a-z, A-Z, 0-9, dash and underscore"))
	}
}

// label reads a text for the team: one for all languages, or one for each. A language without one gets the usual one, or
// else the first that there is.
func (r *reader) label(parent *strictyaml.Node, key string, usual socialhub.Label) socialhub.Label {
	n := parent.Get(key)
	switch {
	case n == nil && usual != socialhub.Label{}:
		return usual
	case n == nil || n.Kind == strictyaml.Empty:
		r.Check(parent, key, errors.New("is missing; write a text for the team, or one for each of en, de and fr"))
		return usual
	case n.Kind == strictyaml.Scalar:
		var text string
		r.Decode(n, &text)
		r.Check(parent, key, checkLabel(text))
		return socialhub.Label{EN: text, DE: text, FR: text}
	}
	var keys labelKeys
	r.Decode(n, &keys)
	first := ""
	for _, given := range []struct{ language, text string }{{"en", keys.EN}, {"de", keys.DE}, {"fr", keys.FR}} {
		if n.Has(given.language) {
			r.Check(parent, key+"."+given.language, checkLabel(given.text))
			first = cmp.Or(first, given.text)
		}
	}
	if len(n.Entries) == 0 {
		r.Check(parent, key, errors.New("says nothing; write a text for the team, or one for each of en, de and fr"))
	}
	return socialhub.Label{EN: cmp.Or(keys.EN, usual.EN, first), DE: cmp.Or(keys.DE, usual.DE, first), FR: cmp.Or(keys.FR, usual.FR, first)}
}

func checkLabel(text string) error {
	if strings.TrimSpace(text) == "" || socialhub.MessageLength(text) > socialhub.MaxLabel {
		return fmt.Errorf("must be a text of 1 to %d characters", socialhub.MaxLabel)
	}
	return nil
}
