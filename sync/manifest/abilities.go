package manifest

import (
	"fmt"
	"slices"
	"strings"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

// Able is a source of the channel, opened to see what it can do. A source that could not be opened is nil.
type Able struct {
	Name   string
	Source sources.Source
}

// Gap is an action that some or all of a channel's sources can't do.
type Gap struct {
	// ID is the action's.
	ID string
	// Fatal tells that none of them can, so that the team would be offered what never works.
	Fatal bool
	// Text says which can't: "reply: source feed can't do it".
	Text string
}

// Gaps are the actions that not all sources can do, in the order of the actions.
func Gaps(actions []socialhub.ManifestAction, all []Able) (gaps []Gap) {
	for _, a := range actions {
		var unable, unknown []string
		for _, s := range all {
			if s.Source == nil {
				unknown = append(unknown, s.Name)
			} else if !sources.Can(s.Source, a.Type, a.ID) {
				unable = append(unable, s.Name)
			}
		}
		if len(unable) == 0 && len(all) > 0 {
			continue
		}
		gap := Gap{ID: a.ID, Fatal: len(unable) == len(all)}
		switch {
		case len(all) == 0:
			gap.Text = fmt.Sprintf("%s: the channel has no source that could do it", a.ID)
		case gap.Fatal:
			gap.Text = fmt.Sprintf("%s: no source of the channel can do a %s (%s); take the action out, or see docs/actions.md for what each adapter can do",
				a.ID, a.Type, strings.Join(unable, ", "))
		case len(unknown)+len(unable) == len(all):
			gap.Text = fmt.Sprintf("%s: %s can't do it, and what %s can do is not known", a.ID, strings.Join(unable, ", "), strings.Join(unknown, ", "))
		default:
			gap.Text = fmt.Sprintf("%s: %s can't do it; the team is told so if it tries with a ticket of that source", a.ID, strings.Join(unable, ", "))
		}
		gaps = append(gaps, gap)
	}
	return gaps
}

// Fatal tells whether one of the gaps is.
func Fatal(gaps []Gap) bool {
	return slices.ContainsFunc(gaps, func(g Gap) bool { return g.Fatal })
}
