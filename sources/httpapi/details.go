package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"socialhub-sync/sources/jq"
)

// details hands out what hangs below an item. A setting that fails for this item is a fault of it, which does not keep the
// others back.
func (p *pull) details(native any, place string, vars jq.Vars) error {
	vars.Item = native
	for i := range p.settings.Details {
		d := &p.settings.Details[i]
		key := fmt.Sprintf("details[%d]", i)
		wanted := true
		var err error
		if !d.When.IsZero() {
			if wanted, err = d.When.Is(p.ctx, native, vars); err != nil {
				err = p.detailFault(place+", "+key, programError(p.ctx, key+".when", err))
			}
		}
		if err == nil && wanted {
			err = p.detailPages(p.settings.detail(d, key+"."), native, place+", "+key, vars)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// detailFault hands out a fault, unless ctx is done.
func (p *pull) detailFault(place string, err error) error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	return p.add(mapped{item: faultAt(place, err.Error())})
}

// detail is the list of one of the details.
func (s *Settings) detail(d *Detail, key string) *list {
	origin := d.origin()
	if origin == nil {
		origin = s.origin()
	}
	return &list{request: &d.Request, paging: &d.Paging, items: d.Items, mapping: d.Map, origin: origin, key: key}
}

// detailPages walks through the pages of one list below an item.
func (p *pull) detailPages(l *list, native any, place string, vars jq.Vars) error {
	pages := p.source.pages(l.paging, l.key+"paging", l.origin)
	for {
		vars.Page = pages.at.vars()
		r, err := l.build(p.ctx, pages.at, native, vars)
		if err != nil {
			return p.detailFault(place, err)
		}
		a, err := p.ask(p.ctx, l, r, vars)
		if gone(err) {
			return p.detailFault(place, err)
		}
		if err != nil {
			return err
		}
		inner := a.vars(vars)
		if err := l.find(p.ctx, a, inner); err != nil {
			return p.detailFault(place, err)
		}
		next, more, err := pages.next(p.ctx, a, inner)
		if err != nil {
			return err
		}
		if err := p.detailItems(l, pages, a, place, inner); err != nil || !more {
			return err
		}
		pages.at = next
	}
}

// detailItems hands out the items of a page below an item.
func (p *pull) detailItems(l *list, pages *pages, a *answer, place string, vars jq.Vars) error {
	var read content
	for _, item := range a.items {
		if err := p.hand(l, item, place+" "+placeOf(item), vars, &read); err != nil {
			return err
		}
	}
	return pages.fresh(read)
}

// gone tells whether a server says that there is nothing (any more) at a detail's address.
func gone(err error) bool {
	status, _, _ := failedAnswer(err)
	return status == http.StatusNotFound || status == http.StatusGone
}
