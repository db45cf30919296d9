package sqlsource

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/sql/engine"
)

// Actions are what the team can do with an item, each as SQL: one statement or several, parted by semicolons, that run in
// one transaction.
type Actions struct {
	Reply         string            `yaml:"reply" doc:"What stores a reply: INSERT, UPDATE, DELETE, REPLACE, MERGE or WITH; several are parted by semicolons. Parameters are :key, :text, :id and more, see below."`
	TemplateReply string            `yaml:"template_reply" doc:"What stores a reply that is made of a template: :template, :language, :variables."`
	Posted        string            `yaml:"posted" doc:"A SELECT that finds a reply by :key, with the columns id (or networkItemId), url, createdTime and ref. It makes replies safe to repeat and known to the next poll."`
	Delete        string            `yaml:"delete" doc:"What deletes an item."`
	Buttons       map[string]string `yaml:"buttons" doc:"What a button does, by its id in the manifest."`
}

func (a *Actions) isZero() bool {
	return a.Reply == "" && a.TemplateReply == "" && a.Posted == "" && a.Delete == "" && len(a.Buttons) == 0
}

// plan is what the statements were read to.
type plan struct {
	reply, template, remove []*engine.Statement
	buttons                 map[string][]*engine.Statement
	posted                  *engine.Statement // nil: there is none
}

// actionsKey is the setting; the keys in it come after a dot.
const actionsKey = "actions"

func actionError(key, problem string) error {
	return &sources.SettingError{Key: actionsKey + "." + key, Problem: problem}
}

// read reads the statements. All faults are told.
func (a *Actions) read(address *engine.Address) (plan, error) {
	var faults []error
	statements := func(key, text string, names []string) []*engine.Statement {
		found, err := address.Statements(text)
		if err != nil {
			faults = append(faults, actionError(key, err.Error()))
		}
		for _, s := range found {
			if problem := statementProblem(s, names); problem != "" {
				faults = append(faults, actionError(key, problem))
			}
		}
		return found
	}
	p := plan{
		reply:    statements("reply", a.Reply, slices.Concat(itemNames, replyNames)),
		template: statements("template_reply", a.TemplateReply, slices.Concat(itemNames, templateNames)),
		remove:   statements("delete", a.Delete, itemNames),
		buttons:  map[string][]*engine.Statement{},
	}
	for _, id := range slices.Sorted(maps.Keys(a.Buttons)) {
		key := "buttons." + id
		if p.buttons[id] = statements(key, a.Buttons[id], itemNames); len(p.buttons[id]) == 0 || !socialhub.ValidActionID(id) {
			faults = append(faults, actionError(key, "want the id of a button (a-z A-Z 0-9 _ -) and a statement"))
		}
	}
	if a.Posted != "" {
		var err error
		if p.posted, err = a.readPosted(address); err != nil {
			faults = append(faults, err)
		}
	}
	return p, errors.Join(faults...)
}

func (a *Actions) readPosted(address *engine.Address) (*engine.Statement, error) {
	found, err := address.Statements(a.Posted)
	switch {
	case err != nil:
		return nil, actionError("posted", err.Error())
	case len(found) != 1 || found[0].Verb() != "select" && found[0].Verb() != "with":
		return nil, actionError("posted", "want one SELECT")
	case !slices.Contains(found[0].Names(), "key"):
		return nil, actionError("posted", "finds no reply without :key; write WHERE … = :key")
	case a.Reply == "" && a.TemplateReply == "":
		return nil, actionError("posted", "is for replies; write reply or template_reply too")
	}
	if problem := namesProblem(found[0], itemNames); problem != "" {
		return nil, actionError("posted", problem)
	}
	return found[0], nil
}

// verbs may begin a statement. Others would end the transaction in some database, or do nothing that counts.
var verbs = []string{"insert", "update", "delete", "replace", "merge", "with"}

func statementProblem(s *engine.Statement, names []string) string {
	if !slices.Contains(verbs, s.Verb()) {
		return "want statements that begin with INSERT, UPDATE, DELETE, REPLACE, MERGE or WITH"
	}
	return namesProblem(s, names)
}

// namesProblem looks for parameters that there are not.
func namesProblem(s *engine.Statement, names []string) string {
	for _, name := range s.Names() {
		group, field, dotted := strings.Cut(name, ".")
		if !slices.Contains(names, name) && (!dotted || field == "" || group != "ref" && group != "root_ref") {
			return fmt.Sprintf("has no parameter :%.50s; there are :%s", name, strings.Join(names, ", :")+", :ref.NAME, :root_ref.NAME")
		}
	}
	return ""
}

// idempotent tells statements of actions.delete that have no further effect the second time: they delete, or the only one
// marks the row. An UPDATE beside another statement may count something.
func idempotent(statements []*engine.Statement) bool {
	if len(statements) == 1 && statements[0].Verb() == "update" {
		return true
	}
	other := func(s *engine.Statement) bool { return s.Verb() != "delete" }
	return len(statements) > 0 && !slices.ContainsFunc(statements, other)
}
