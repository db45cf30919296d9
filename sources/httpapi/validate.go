package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// faults collects what is wrong with the settings.
type faults []error

func (f *faults) add(key, problem string) {
	*f = append(*f, &sources.SettingError{Key: key, Problem: problem})
}

// need wants a program.
func (f *faults) need(key string, p jq.Program, what string) {
	if p.IsZero() {
		f.add(key, "missing; write "+what)
	}
}

// Validate implements [sources.Settings].
func (s *Settings) Validate() error {
	var f faults
	s.Request.validate(&f, "", "GET", "POST")
	if s.origin() == nil && !s.URL.IsZero() {
		f.add("url", "must begin with http:// or https:// and a host, written out and without a user, such as https://api.example.com/reviews")
	}
	f.need("items", s.Items, "where the items are, such as .reviews[]")
	f.need("map", s.Map, "the interactions of an item, such as {networkItemId: item_id($prefix; .id), message: .text}")
	f = append(f, s.Auth.Validate())
	s.Paging.validate(&f, "paging")
	s.Cursor.validate(&f)
	for i := range s.Details {
		s.Details[i].validate(&f, fmt.Sprintf("details[%d].", i))
	}
	for i := range s.Errors {
		s.Errors[i].validate(&f, fmt.Sprintf("errors[%d].", i))
	}
	s.Actions.validate(&f)
	f = append(f, sources.CheckPrefix(s.Prefix))
	if s.Rescan < 0 {
		f.add("rescan", "want a duration such as 72h")
	}
	if s.Interval < 0 || s.Interval > maxInterval {
		f.add("interval", fmt.Sprintf("want 0s to %s", maxInterval))
	}
	if s.Timeout <= 0 || s.Timeout > maxTimeout {
		f.add("timeout", fmt.Sprintf("want more than 0s and at most %s", maxTimeout))
	}
	if s.MaxSize <= 0 || s.MaxSize > maxMaxSize {
		f.add("max_size", fmt.Sprintf("want 1 to %d bytes", maxMaxSize))
	}
	return errors.Join(f...)
}

// token is a name of a header, RFC 9110, 5.6.2.
var token = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

func (r *Request) validate(f *faults, prefix string, methods ...string) {
	if r.URL.IsZero() {
		f.add(prefix+"url", "missing; write the address to ask")
	}
	if r.Method != "" && !slices.Contains(methods, r.Method) {
		f.add(prefix+"method", "want "+strings.Join(methods[:len(methods)-1], ", ")+" or "+methods[len(methods)-1])
	}
	for name, value := range r.Headers {
		if literal, whole := value.Literal(); !token.MatchString(name) || whole && strings.ContainsAny(literal, "\r\n\x00") {
			f.add(prefix+"headers", "want names such as X-Api-Version, and values of one line")
			break
		}
	}
}

// origin is the scheme and host that the address begins with, nil if they are not written out.
func (r *Request) origin() *url.URL {
	text, whole := r.URL.Literal()
	scheme, rest, found := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	} else if !whole {
		return nil // an expression may go on with the host
	}
	u, err := url.Parse(scheme + "://" + rest)
	if !found || err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return u
}

func (p *Paging) validate(f *faults, key string) {
	switch p.Kind {
	case "", kindLink, kindPage, kindOffset:
		if !p.Next.IsZero() {
			f.add(key+".next", "is for the kinds url and token only; take it out or change "+key+".kind")
		}
	case kindURL, kindToken:
		f.need(key+".next", p.Next, "where the next one is in an answer, such as .next")
	default:
		f.add(key+".kind", "want link, url, token, page or offset")
	}
	if p.First != nil && (*p.First < 0 || p.Kind != kindPage && p.Kind != kindOffset) {
		f.add(key+".first", "want 0 or more, for the kinds page and offset only")
	}
}

func (c *Cursor) validate(f *faults) {
	switch {
	case !slices.Contains([]string{"", orderOldest, orderNewest}, c.Order):
		f.add("cursor.order", "want oldest or newest, or nothing if the API does not sort by cursor.value")
	case c.Order != "" && c.Value.IsZero():
		f.add("cursor.order", "needs cursor.value, by which it is")
	}
	if c.Lookback < 0 {
		f.add("cursor.lookback", "want 0s or more")
	}
}

func (d *Detail) validate(f *faults, prefix string) {
	d.Request.validate(f, prefix, "GET", "POST")
	f.need(prefix+"items", d.Items, "where the inner items are, such as .comments[]")
	f.need(prefix+"map", d.Map, "the interactions of an inner item, such as {networkItemId: item_id($prefix; .id), message: .text}")
	d.Paging.validate(f, prefix+"paging")
}

func (r *Rule) validate(f *faults, prefix string) {
	f.need(prefix+"when", r.When, `when the rule holds, such as .error == "expired"`)
	if !slices.Contains([]string{doStop, doRetry, doWait, doSkip, doRefuse}, r.Do) {
		f.add(prefix+"do", "want stop, retry, wait, skip or refuse")
	}
	if r.Do == doRefuse && r.Message == "" {
		f.add(prefix+"message", "missing; write what to tell the team")
	}
}
