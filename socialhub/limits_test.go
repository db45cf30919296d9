package socialhub

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
)

// The patterns as SocialHub writes them; its engine has no line break before the end, so \z stands for $.
var (
	itemIDPattern   = regexp.MustCompile(`\A[a-zA-Z0-9/|@&$!?()[\]{}+*~,;.:=_-]{6,256}\z`)
	ticketIDPattern = regexp.MustCompile(`\A[a-f0-9]{24}\z`)
	actionIDPattern = regexp.MustCompile(`\A[a-zA-Z0-9-_]{1,256}\z`)
	mimeTypePattern = regexp.MustCompile(`\A[a-zA-Z]+/[a-zA-Z0-9]+([.+-][a-zA-Z0-9]+)*\z`)
)

func patternCases() []string {
	cases := []string{
		"", "a", "abcde", "abcdef", "question-q_0000000001", testTicket, strings.ToUpper(testTicket),
		testTicket + "0", testTicket[1:], testTicket + "\n", "abcdef\n", "abc def", "äbcdefg", "abc\x00defg",
		strings.Repeat("a", 255), strings.Repeat("a", 256), strings.Repeat("a", 257),
		"/|@&$!?()[]{}+*~,;.:=_-", "image/png", "application/vnd.ms-excel", "image/svg+xml", "text/plain; charset=utf-8",
		"/png", "image/", "image", "image/.png", "image/png.", "image/a..b", "image/a.+b", "image/a/b", "im-age/png",
		"x/y_z", "image/png\n", "a/1", "1/a", "reply-as_comment",
	}
	for b := range 256 { // every byte at every kind of place
		c := string([]byte{byte(b)})
		cases = append(cases, c, c+"abcdefg", "abcdefg"+c, "a"+c+"/b", "a/b"+c, "a/b"+c+"c", testTicket[:23]+c)
	}
	return cases
}

func TestTheValidatorsAgreeWithSocialHubsPatterns(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		valid   func(string) bool
		pattern *regexp.Regexp
	}{
		"ValidItemID":   {ValidItemID, itemIDPattern},
		"ValidTicketID": {ValidTicketID, ticketIDPattern},
		"ValidActionID": {ValidActionID, actionIDPattern},
		"ValidMimeType": {ValidMimeType, mimeTypePattern},
	} {
		for _, s := range patternCases() {
			if got, want := v.valid(s), v.pattern.MatchString(s); got != want {
				t.Errorf("%s(%q) = %v, the pattern says %v", name, s, got, want)
			}
		}
	}
}

func TestAnAddressIsCompleteOrRefused(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"https://example.com":                      true,
		"https://example.com/":                     true,
		"https://example.com?a=b":                  true,
		"https://example.com#top":                  true,
		"https://example.com/a/b.png?x=1&y=2,3":    true,
		"https://example.com/a%20b#c":              true,
		"https://example.com:8443/a":               true,
		"https://user@example.com/":                true,
		"https://[2001:db8::1]/a":                  true,
		"https://bücher.example/größe":             true,
		"https://example.com/[x]|{y}":              true,
		"":                                         false,
		"https:":                                   false,
		"https://":                                 false,
		"https:///path":                            false,
		"https://?q":                               false,
		"https://:443/":                            false,
		"https://user@/":                           false,
		"https:example.com":                        false,
		"//example.com/a":                          false,
		"/a.png":                                   false,
		"example.com/a.png":                        false,
		"HTTPS://example.com/":                     false,
		" https://example.com/":                    false,
		"https://example.com/a b":                  false,
		"https://example.com/a\nb":                 false,
		"https://example.com/\x7f":                 false,
		"https://example.com/a\u00a0b":             false,
		"https://example.com/\"><script>":          false,
		"https://example.com/%zz":                  false,
		"https://example.com:port/":                false,
		"https://exam ple.com/":                    false,
		"https://example.com/\xff":                 false,
		"ftp://example.com/a":                      false,
		"javascript:alert(1)//https://example.com": false,
	} {
		if got := HTTPS(raw); got != want {
			t.Errorf("HTTPS(%q) = %v, want %v", raw, got, want)
		}
		if got := WebURL(raw); got != want {
			t.Errorf("WebURL(%q) = %v, want %v", raw, got, want)
		}
		if rest, ok := strings.CutPrefix(raw, "https://"); ok {
			if HTTPS("http://"+rest) || WebURL("http://"+rest) != want {
				t.Errorf("with http://%s the answer differs", rest)
			}
		}
	}
}

func TestMessageLengthCountsLikeUTF16(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "plain text", "Grüße", "ab\u0800", "\uffff", "😀", "a😀b", "👩‍👩‍👧", "e\u0301", "bad \xff\xc3 bytes", "\xf0\x9f"} {
		if got, want := MessageLength(s), len(utf16.Encode([]rune(s))); got != want {
			t.Errorf("MessageLength(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestEveryDocumentedTypeIsValid(t *testing.T) {
	t.Parallel()
	for typ := range strings.FieldsSeq("POST COMMENT THREAD MESSAGE RATING ALBUM PHOTO MENTION DM MEDIA VIDEO TWEET " +
		"REVIEW WEB NEWS BLOG FORUM TICKET ADPOST") {
		if !ValidType(typ) {
			t.Errorf("%s is not valid", typ)
		}
	}
	for _, typ := range []string{"", "ticket", "LIKE", "POST "} {
		if ValidType(typ) {
			t.Errorf("%q is valid", typ)
		}
	}
}
