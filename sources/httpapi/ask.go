package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// answer is a page as the API sent it.
type answer struct {
	status  int
	header  http.Header
	url     *url.URL
	body    any
	items   []any // what the program `items` makes of body
	skip    bool  // a last page without items: a rule says so, or 204
	odd     bool  // no success, or no JSON: a program that fails on it says nothing
	ruled   bool  // of an action: a rule says what it means
	headers map[string]any
}

// vars adds what programs see of the answer.
func (a *answer) vars(v jq.Vars) jq.Vars {
	v.Status, v.Headers = a.status, a.headers
	return v
}

// list is one list of items that comes in pages: the source's own, or one below an item.
type list struct {
	request *Request
	paging  *Paging
	items   jq.Program
	mapping jq.Program
	key     string   // of its settings: "" or "details[0]."
	origin  *url.URL // where its requests may go
}

// programError is an error of a setting's program at run time.
func programError(ctx context.Context, key string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &sources.SettingError{Key: key, Problem: err.Error()}
}

// ask sends the request of a page and reads the answer.
func (s *source) ask(ctx context.Context, l *list, r sources.HTTPRequest, vars jq.Vars) (*answer, error) {
	got, err := s.send(ctx, l, r)
	return s.read(ctx, l, got, err, vars)
}

// find fills in the answer's items.
func (l *list) find(ctx context.Context, a *answer, vars jq.Vars) error {
	if a.skip {
		return nil
	}
	for out, err := range l.items.Run(ctx, a.body, vars) {
		if err != nil {
			return programError(ctx, l.key+"items", err)
		}
		a.items = append(a.items, out)
	}
	return nil
}

// build makes the request of a page, without what says who we are. input is what templates see as their input.
func (l *list) build(ctx context.Context, at position, input any, vars jq.Vars) (sources.HTTPRequest, error) {
	r := sources.HTTPRequest{Method: l.request.Method, Header: http.Header{"Accept": {"application/json"}}}
	u, err := l.address(ctx, at, input, vars)
	if err != nil {
		return r, err
	}
	r.URL = u.String()
	for name, template := range l.request.Headers {
		value, present, err := template.Text(ctx, input, vars)
		if err != nil {
			return r, programError(ctx, l.key+"headers", err)
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return r, &sources.SettingError{Key: l.key + "headers", Problem: "a value has more than one line"}
		}
		if present {
			r.Header.Set(name, value)
		}
	}
	if l.request.Body.IsZero() {
		return r, nil
	}
	body, err := l.request.Body.One(ctx, input, vars)
	if err != nil {
		return r, programError(ctx, l.key+"body", err)
	}
	text, err := jq.Text(body)
	if err != nil {
		return r, programError(ctx, l.key+"body", err)
	}
	if _, isText := body.(string); !isText && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Body = []byte(text)
	return r, nil
}

// address is where a page is.
func (l *list) address(ctx context.Context, at position, input any, vars jq.Vars) (*url.URL, error) {
	text := at.URL
	if text == "" {
		var err error
		if text, _, err = l.request.URL.URL(ctx, input, vars); err != nil {
			return nil, programError(ctx, l.key+"url", err)
		}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.User != nil || u.Host == "":
		return nil, &sources.SettingError{Key: l.key + "url", Problem: "gives no address that can be used"}
	case u.Host != l.origin.Host:
		return nil, &sources.SettingError{Key: l.key + "url", Problem: fmt.Sprintf(
			"gives an address on another host, %q, than %s; write the host out if that is right", shownHost(u), l.origin.Host)}
	}
	secure(u, l.origin)
	if at.URL != "" {
		return u, nil
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, &sources.SettingError{Key: l.key + "url", Problem: "has a parameter that can't be read; write it in query, or %3B for ; and %25 for %"}
	}
	for name, template := range l.request.Query {
		value, present, err := template.Text(ctx, input, vars)
		if err != nil {
			return nil, programError(ctx, l.key+"query", err)
		}
		if present {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u, nil
}

// secure makes an address https where the origin is: what tells who we are must not go out in the open because an API behind
// a proxy takes itself for one without TLS.
func secure(u, origin *url.URL) {
	if origin.Scheme == "https" {
		u.Scheme = "https"
	}
}

// send makes a request when the API lets us. A token that the server refuses though it is valid is replaced once.
func (s *source) send(ctx context.Context, l *list, r sources.HTTPRequest) (*sources.HTTPAnswer, error) {
	for {
		if err := s.waitForTurn(ctx); err != nil {
			return nil, err
		}
		u, err := url.Parse(r.URL)
		if err != nil {
			return nil, &sources.SettingError{Key: l.key + "url", Problem: "gives no address that can be used"}
		}
		if err := s.auth.Apply(ctx, r.Header, u); err != nil {
			return nil, err
		}
		signed := r
		signed.URL = u.String()
		got, err := s.client.Do(ctx, signed)
		s.notBefore = time.Now().Add(s.settings.Interval)
		if err == nil {
			return got, nil
		}
		if _, refused := errors.AsType[*sources.StopError](err); refused && s.auth.Renew() {
			continue
		}
		return nil, s.blame(l, err)
	}
}

// blame names the setting that a refusal is about.
func (s *source) blame(l *list, err error) error {
	wrong, ok := errors.AsType[*sources.SettingError](err)
	if !ok {
		return err
	}
	_, refused := errors.AsType[*sources.StopError](err)
	status, _, _ := failedAnswer(err)
	switch key := s.auth.Setting(); {
	case refused && status != http.StatusGone && key != "":
		wrong.Key = key
	case wrong.Key == "url":
		wrong.Key = l.key + "url"
	}
	return err
}

// failedAnswer returns the answer that an error is about, status 0 if there is none.
func failedAnswer(err error) (status int, header http.Header, body []byte) {
	if a, ok := errors.AsType[*sources.StatusError](err); ok {
		return a.Status, a.Header, a.Body
	}
	return 0, nil, nil
}

// read takes an answer apart, or what is known of one that is not a success, and asks the rules what it means.
func (s *source) read(ctx context.Context, l *list, got *sources.HTTPAnswer, failure error, vars jq.Vars) (*answer, error) {
	a := &answer{}
	var text []byte
	if failure == nil {
		a.status, a.header, a.url, text = got.Status, got.Header, got.URL, got.Body
	} else if a.status, a.header, text = failedAnswer(failure); a.status == 0 {
		return nil, failure
	}
	a.headers = headerVars(a.header)
	var err error
	a.body, err = jq.Decode(bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF")))
	a.odd = failure != nil || err != nil
	skip, ruled := s.judge(ctx, a, vars)
	if ruled != nil {
		return nil, ruled
	}
	a.skip = skip || a.status == http.StatusNoContent
	if err := s.heed(ctx, a, vars); err != nil {
		return nil, err
	}
	switch {
	case a.skip:
		return a, nil
	case failure != nil:
		return nil, s.quotaError(a, failure)
	case err != nil:
		return nil, &sources.SettingError{Key: l.key + "url", Problem: notJSON(a, text, err)}
	}
	return a, nil
}

// notJSON says what an answer is instead.
func notJSON(a *answer, text []byte, err error) string {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return sources.ShownURL(a.url) + " answered with nothing in it"
	case text[0] == '<':
		return sources.ShownURL(a.url) + " answered with a page or XML instead of JSON: a login page? Check the address and the credentials"
	}
	return sources.ShownURL(a.url) + " answered with something that is " + err.Error()
}

// headerVars is $headers.
func headerVars(h http.Header) map[string]any {
	vars := make(map[string]any, len(h))
	for name, values := range h {
		vars[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return vars
}
