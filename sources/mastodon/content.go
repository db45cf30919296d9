package mastodon

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// firstLink returns the first address that a status links to. Names of people and hashtags are links to profiles and
// searches; they don't count, as in [sources.Text].
func firstLink(markup string) string {
	z := html.NewTokenizer(strings.NewReader(markup))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken:
			token := z.Token()
			if token.Data != "a" || isMention(token.Attr) {
				continue
			}
			if link := address(attribute(token.Attr, "href")); link != "" {
				return link
			}
		}
	}
}

// isMention tells whether a link stands for a person or a hashtag. Mastodon and GoToSocial write class="mention", for
// hashtags too, Pleroma class="hashtag"; others only rel="tag".
func isMention(attributes []html.Attribute) bool {
	words := strings.Fields(attribute(attributes, "class"))
	return slices.Contains(words, "mention") || slices.Contains(words, "hashtag") ||
		slices.Contains(strings.Fields(attribute(attributes, "rel")), "tag")
}

func attribute(attributes []html.Attribute, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
