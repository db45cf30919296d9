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

// Gap are actions that the same ones, some or all, of a channel's sources can't do.
type Gap struct {
	// IDs are the actions'.
	IDs []string
	// Fatal tells that none of them can, so that the team would be offered what never works.
	Fatal bool
	// Text says which can't: "reply: feed can't do it".
	Text string
}

// Gaps are the actions that not all sources can do, in the order of the actions.
func Gaps(actions []socialhub.ManifestAction, all []Able) []Gap {
	var found []lack
	for _, a := range actions {
		l := lackOf(&a, all)
		switch i := slices.IndexFunc(found, l.same); {
		case len(l.unable) == 0 && len(all) > 0:
		case i >= 0:
			found[i].ids = append(found[i].ids, a.ID)
		default:
			found = append(found, l)
		}
	}
	var gaps []Gap
	for _, l := range found {
		gaps = append(gaps, Gap{IDs: l.ids, Fatal: len(l.unable) == len(all), Text: strings.Join(l.ids, ", ") + ": " + l.text(len(all))})
	}
	return gaps
}

// lack are actions with the names of the sources that can't do them, and of those of which that is not known.
type lack struct{ ids, unable, unknown []string }

func lackOf(a *socialhub.ManifestAction, all []Able) lack {
	l := lack{ids: []string{a.ID}}
	for _, s := range all {
		if s.Source == nil {
			l.unknown = append(l.unknown, s.Name)
		} else if !sources.Can(s.Source, a.Type, a.ID) {
			l.unable = append(l.unable, s.Name)
		}
	}
	return l
}

// same tells whether the same sources can't do other actions.
func (l lack) same(other lack) bool {
	return slices.Equal(l.unable, other.unable) && slices.Equal(l.unknown, other.unknown)
}

// text says what is wrong in a channel with that many sources.
func (l lack) text(all int) string {
	it := "it"
	if len(l.ids) > 1 {
		it = "them"
	}
	unable := strings.Join(l.unable, ", ")
	switch {
	case all == 0:
		return "the channel has no source that could do " + it
	case len(l.unable) == all:
		return fmt.Sprintf("no source of the channel can do %s (%s); take %[1]s out, or see docs/actions.md for what each adapter can do", it, unable)
	case len(l.unable)+len(l.unknown) == all:
		return fmt.Sprintf("%s can't do %s, and what %s can do is not known", unable, it, strings.Join(l.unknown, ", "))
	}
	return fmt.Sprintf("%s can't do %s; the team is told so if it tries with a ticket of that source", unable, it)
}

// Fatal tells whether one of the gaps is.
func Fatal(gaps []Gap) bool {
	return slices.ContainsFunc(gaps, func(g Gap) bool { return g.Fatal })
}
