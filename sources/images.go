package sources

import (
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Images returns the addresses (http or https) of the first pictures in HTML, at most limit, each once, in order of
// appearance. Relative ones are resolved against base, or left out if base is nil. Pictures
// that stand for a character or that nobody is meant to see (one pixel wide or high) are left out.
func Images(markup string, base *url.URL, limit int) []string {
	var found []string
	seen := make(map[string]bool)
	z := html.NewTokenizer(strings.NewReader(markup))
	for len(found) < limit {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		tag, a := readTag(z)
		if tag != atom.Img || a.emoji() || tiny(a.width) || tiny(a.height) {
			continue
		}
		if address := ResolveURL(base, a.src); address != "" && !seen[address] {
			seen[address] = true
			found = append(found, address)
		}
	}
	return found
}

func tiny(length string) bool {
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(length), "px"))
	return err == nil && n <= 1
}

// ResolveURL returns the address that ref means on the page at base (nil: none), or "" if that is no
// absolute http or https address. An address without a scheme gets https if base has none to lend.
func ResolveURL(base *url.URL, ref string) string {
	ref = strings.TrimSpace(ref)
	u, err := url.Parse(ref)
	if err != nil || ref == "" {
		return ""
	}
	if base != nil {
		u = base.ResolveReference(u)
	} else if u.Scheme == "" && u.Host != "" {
		u.Scheme = "https"
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return u.String()
}
