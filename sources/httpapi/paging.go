package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strings"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// Kinds of paging.
const (
	kindLink   = "link"
	kindURL    = "url"
	kindToken  = "token"
	kindPage   = "page"
	kindOffset = "offset"
)

// maxPages bounds the pages of one walk.
const maxPages = 100_000

// position is where a page is. It is stored, so its address has no key in it.
type position struct {
	// Number counts pages, Offset items; both from [Paging.First] where that is theirs.
	Number int `json:"number,omitempty"`
	Offset int `json:"offset,omitempty"`
	// Token and URL are what the answer before gave.
	Token json.RawMessage `json:"token,omitempty"`
	URL   string          `json:"url,omitempty"`
}

// vars is $page.
func (p *position) vars() map[string]any {
	var token any
	if len(p.Token) > 0 {
		token, _ = jq.Decode(p.Token)
	}
	return map[string]any{"number": p.Number, "offset": p.Offset, "token": token}
}

// first is where the pages begin.
func (p *Paging) first() position {
	at := position{Number: 1}
	switch {
	case p.First == nil:
	case p.Kind == kindPage:
		at.Number = *p.First
	case p.Kind == kindOffset:
		at.Offset = *p.First
	}
	return at
}

// overlapping is where to go on after a pause. What was removed meanwhile has moved items to the pages before.
func (p *Paging) overlapping(at position, pageSize int) position {
	first := p.first()
	switch p.Kind {
	case kindPage:
		at.Number = max(first.Number, at.Number-1)
	case kindOffset:
		at.Offset = max(first.Offset, at.Offset-pageSize)
	}
	return at
}

// pages walks through the pages of one list.
type pages struct {
	source *source
	paging *Paging
	key    string // the setting of paging
	origin *url.URL
	at     position
	count  int
	seen   map[uint64]bool // hashes of addresses, tokens and contents
}

// seed is of all hashes here.
var seed = maphash.MakeSeed()

// content is a hash of what a page became, 0 if that is nothing.
type content uint64

func (c *content) add(text []byte) {
	if len(text) > 0 {
		*c = content(maphash.Comparable(seed, [2]uint64{uint64(*c), maphash.Bytes(seed, text)})) | 1
	}
}

func (s *source) pages(paging *Paging, key string, origin *url.URL) *pages {
	return &pages{source: s, paging: paging, key: key, origin: origin, at: paging.first(), seen: map[uint64]bool{}}
}

// again tells whether an address or a token has been seen before in this walk.
func (p *pages) again(text []byte) bool { return p.saw(maphash.Bytes(seed, text)) }

func (p *pages) saw(hash uint64) bool {
	was := p.seen[hash]
	p.seen[hash] = true
	return was
}

// fresh wants a page not to be one that was read before.
func (p *pages) fresh(c content) error {
	if c != 0 && p.saw(uint64(c)) {
		return p.fault("", fmt.Sprintf("page %d holds the same as one before, so there is no end; check how the next page is asked for", p.count))
	}
	return nil
}

func (p *pages) fault(key, problem string) error {
	return &sources.SettingError{Key: p.key + key, Problem: problem}
}

// next returns where the page after this answer is; more is false after the last one.
func (p *pages) next(ctx context.Context, a *answer, vars jq.Vars) (at position, more bool, err error) {
	if p.count++; p.count >= maxPages {
		return at, false, p.fault("", fmt.Sprintf("there is no end after %d pages; see to it that the last page is known", maxPages))
	}
	if a.skip {
		return at, false, nil
	}
	if !p.paging.Stop.IsZero() {
		last, err := p.paging.Stop.Is(ctx, a.body, vars)
		if err != nil {
			return at, false, programError(ctx, p.key+".stop", err)
		}
		if last {
			return at, false, nil
		}
	}
	at = position{Number: p.at.Number + 1, Offset: p.at.Offset + len(a.items)}
	switch p.paging.Kind {
	case "":
		return at, false, nil
	case kindPage, kindOffset:
		return at, len(a.items) > 0, nil
	case kindLink:
		return p.follow(at, a, nextLink(a.header), ".kind")
	}
	out, err := p.paging.Next.One(ctx, a.body, vars)
	switch {
	case err != nil:
		return at, false, programError(ctx, p.key+".next", err)
	case out == nil, out == false, out == "":
		return at, false, nil
	case p.paging.Kind == kindToken:
		return p.take(at, out)
	}
	text, ok := out.(string)
	if !ok {
		return at, false, p.fault(".next", "gives "+jq.TypeOf(out)+" where an address is wanted")
	}
	return p.follow(at, a, text, ".next")
}

// take goes on with a token.
func (p *pages) take(at position, token any) (position, bool, error) {
	text, err := jq.Encode(token)
	if err != nil || len(text) > maxPosition {
		return at, false, p.fault(".next", fmt.Sprintf("gives a token of more than %d bytes", maxPosition))
	}
	if p.again(text) {
		return at, false, p.fault(".next", "the API gives the token of a page that was read before, so there is no end")
	}
	at.Token = text
	return at, true, nil
}

// maxPosition bounds a token or an address of a page, in bytes.
const maxPosition = 16 << 10

// follow goes on at an address; key is the setting to blame.
func (p *pages) follow(at position, a *answer, address, key string) (position, bool, error) {
	if address == "" {
		return at, false, nil
	}
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || len(address) > maxPosition {
		return at, false, p.fault(key, "the API gives an address of the next page that can't be read")
	}
	u = a.url.ResolveReference(u)
	if u.Host != p.origin.Host {
		return at, false, p.fault(key, fmt.Sprintf("the API gives an address of the next page on another host, %s; if that is right, write it in url", shownHost(u)))
	}
	secure(u, p.origin)
	secure(u, a.url)
	u.User, u.Fragment = nil, ""
	p.source.auth.Strip(u)
	at.URL = u.String()
	if p.again([]byte(at.URL)) {
		return at, false, p.fault(key, "the API gives the address of a page that was read before, so there is no end")
	}
	return at, true, nil
}

func shownHost(u *url.URL) string {
	const most = 100
	return u.Host[:min(len(u.Host), most)]
}

// nextLink is the address with rel="next" in a header Link, RFC 8288.
func nextLink(h http.Header) string {
	rest := strings.Join(h.Values("Link"), ",")
	for {
		_, after, found := strings.Cut(rest, "<")
		address, after, ended := strings.Cut(after, ">")
		if !found || !ended {
			return ""
		}
		var params string
		params, rest = linkParams(after)
		for param := range strings.SplitSeq(params, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			if strings.EqualFold(strings.TrimSpace(name), "rel") && containsFold(strings.Fields(value), "next") {
				return address
			}
		}
	}
}

// linkParams cuts at the comma that ends a link, which is not one in quotes.
func linkParams(s string) (params, rest string) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func containsFold(list []string, want string) bool {
	for _, s := range list {
		if strings.EqualFold(s, want) {
			return true
		}
	}
	return false
}
