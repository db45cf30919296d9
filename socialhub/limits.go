package socialhub

import (
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of the API. Unless the comment says otherwise the number is SocialHub's own.
const (
	// MaxMessage is the most UTF-16 code units a message may have, see [MessageLength]. SocialHub says
	// "characters"; code units are the strictest reading of that.
	MaxMessage = 10_000
	// MinItemID and MaxItemID bound the length of a networkItemId, see [ValidItemID].
	MinItemID = 6
	MaxItemID = 256
	// MinInteractorID is the least number of characters of an interactorId.
	MinInteractorID = 3
	// MaxRatingScale is the highest scale of a rating; the lowest is 0.
	MaxRatingScale = 100
	// MaxActionID bounds the length of an action's id in the manifest, see [ValidActionID].
	MaxActionID = 256
	// MaxLabel is the most characters of a label in the manifest; at least 1 is needed.
	MaxLabel = 256
	// MinWebhookSecret and MaxWebhookSecret bound the length of a webhook's secret in characters.
	MinWebhookSecret = 32
	MaxWebhookSecret = 512
	// MaxWebhookSkew is how far a webhook's timestamp may be from our clock, either way.
	MaxWebhookSkew = 5 * time.Minute
	// MaxRetryAfter is the longest wait that we take from a 429. It is ours: a longer one is more likely a
	// wrong clock than a wish, and counts as [DefaultRetryAfter].
	MaxRetryAfter = time.Hour
	// DefaultRetryAfter is ours too: the wait after a 429 that names none, or none that makes sense.
	DefaultRetryAfter = time.Minute
)

// The types of a ticket. SocialHub: only channels of reusable manifests may send one; without it a ticket is a [TypeTicket].
const (
	TypePost    = "POST"
	TypeComment = "COMMENT"
	TypeThread  = "THREAD"
	TypeMessage = "MESSAGE"
	TypeRating  = "RATING"
	TypeAlbum   = "ALBUM"
	TypePhoto   = "PHOTO"
	TypeMention = "MENTION"
	TypeDM      = "DM"
	TypeMedia   = "MEDIA"
	TypeVideo   = "VIDEO"
	TypeTweet   = "TWEET"
	TypeReview  = "REVIEW"
	TypeWeb     = "WEB"
	TypeNews    = "NEWS"
	TypeBlog    = "BLOG"
	TypeForum   = "FORUM"
	TypeTicket  = "TICKET"
	TypeAdPost  = "ADPOST"
)

// ValidType tells whether t is one of the types above. The empty one, which is not sent, is not.
func ValidType(t string) bool {
	switch t {
	case TypePost, TypeComment, TypeThread, TypeMessage, TypeRating, TypeAlbum, TypePhoto, TypeMention, TypeDM,
		TypeMedia, TypeVideo, TypeTweet, TypeReview, TypeWeb, TypeNews, TypeBlog, TypeForum, TypeTicket, TypeAdPost:
		return true
	}
	return false
}

const (
	digits   = "0123456789"
	letters  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alphanum = letters + digits
)

// byteSet is a set of bytes; the validators are on the hot path, where a regular expression is too slow.
type byteSet [256]bool

func setOf(members string) *byteSet {
	var s byteSet
	for i := range len(members) {
		s[members[i]] = true
	}
	return &s
}

// holds tells whether every byte of v is in the set.
func (s *byteSet) holds(v string) bool {
	for i := range len(v) {
		if !s[v[i]] {
			return false
		}
	}
	return true
}

var (
	itemIDBytes   = setOf(alphanum + "/|@&$!?()[]{}+*~,;.:=_-")
	ticketIDBytes = setOf(digits + "abcdef")
	actionIDBytes = setOf(alphanum + "-_")
	letterBytes   = setOf(letters)
	alphanumBytes = setOf(alphanum)
	// hostBytes and urlBytes make up the plain URLs that need no parser to be seen as valid.
	hostBytes = setOf(alphanum + ".-")
	urlBytes  = setOf(alphanum + "-._~/?&=+,;@!$'()*:")
)

// ValidItemID tells whether SocialHub takes id as a networkItemId:
// ^[a-zA-Z0-9/|@&$!?()[\]{}+*~,;.:=_-]{6,256}$
func ValidItemID(id string) bool {
	return len(id) >= MinItemID && len(id) <= MaxItemID && itemIDBytes.holds(id)
}

// ValidTicketID tells whether id has the form of SocialHub's own ids, of tickets, channels and accounts alike:
// 24 lower-case hex digits.
func ValidTicketID(id string) bool {
	return len(id) == 24 && ticketIDBytes.holds(id)
}

// ValidActionID tells whether SocialHub takes id for an action in the manifest: ^[a-zA-Z0-9-_]{1,256}$
func ValidActionID(id string) bool {
	return len(id) >= 1 && len(id) <= MaxActionID && actionIDBytes.holds(id)
}

// ValidMimeType tells whether SocialHub takes t as an attachment's mimeType, which has no parameters:
// ^[a-zA-Z]+/[a-zA-Z0-9]+([.+-][a-zA-Z0-9]+)*$
func ValidMimeType(t string) bool {
	kind, sub, ok := strings.Cut(t, "/")
	if !ok || kind == "" || !letterBytes.holds(kind) {
		return false
	}
	word := false // the byte before was a letter or digit
	for i := range len(sub) {
		switch {
		case alphanumBytes[sub[i]]:
			word = true
		case word && (sub[i] == '.' || sub[i] == '+' || sub[i] == '-'):
			word = false
		default:
			return false
		}
	}
	return word
}

// HTTPS tells whether rawURL is an absolute https URL with a host, in the lower case that SocialHub's
// pattern ^https:// wants. Whitespace, control characters, < > and " must be percent-encoded.
func HTTPS(rawURL string) bool {
	rest, ok := strings.CutPrefix(rawURL, "https://")
	return ok && validURL(rawURL, rest)
}

// WebURL is [HTTPS] for the fields that may be http:// as well: link, url and interactor.url.
func WebURL(rawURL string) bool {
	if rest, ok := strings.CutPrefix(rawURL, "http://"); ok {
		return validURL(rawURL, rest)
	}
	return HTTPS(rawURL)
}

// validURL checks a URL whose part after the scheme is rest. A plain one is seen without allocating.
func validURL(rawURL, rest string) bool {
	host, tail := rest, ""
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		host, tail = rest[:end], rest[end:]
	}
	if host != "" && hostBytes.holds(host) && urlBytes.holds(tail) {
		return true
	}
	if strings.ContainsAny(rawURL, " \u0085\u00a0\u2028\u2029<>\"") || !utf8.ValidString(rawURL) {
		return false
	}
	u, err := url.Parse(rawURL)
	return err == nil && u.Hostname() != ""
}

// MessageLength returns the length of s in UTF-16 code units, the measure of [MaxMessage]: most
// characters count one, those beyond U+FFFF (emoji) two. A byte that is not UTF-8 counts one.
func MessageLength(s string) int {
	n := 0
	for n < len(s) && s[n] < utf8.RuneSelf {
		n++
	}
	for _, r := range s[n:] {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
