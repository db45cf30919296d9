package socialhub

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReason is the most characters of an [Answer.Reason].
const maxReason = 300

// reason makes text fit to show: one line of at most maxReason characters without the token.
func (c *Client) reason(text string) string {
	// Redacted last but one: cleaning could join a token that came in pieces, and of one that is cut
	// the rest would stay.
	return shorten(c.token.redact(oneLine(text)), maxReason)
}

// oneLine drops control and invisible characters and makes every run of white space one space. What is not UTF-8 becomes U+FFFD.
func oneLine(text string) string {
	var b strings.Builder
	space := false
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
		case unicode.IsControl(r) || r > unicode.MaxLatin1 && unicode.Is(unicode.Cf, r) || r == '\u00ad':
		default:
			if space {
				b.WriteByte(' ')
				space = false
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// shorten cuts s to limit characters, the last of which is an ellipsis if anything was cut.
func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	n, keep := 0, 0
	for i := range s {
		if n++; n == limit {
			keep = i
			break
		}
	}
	return s[:keep] + "…"
}

// explain says why the answer is not the success that the route documents.
func explain(r call, res *http.Response, body []byte) string {
	status := statusText(res.StatusCode)
	switch {
	case res.StatusCode < 200:
		return "the answer is " + status + ", which is not documented: check api_url"
	case res.StatusCode < 300:
		return "the answer is " + status + " where " + statusText(r.want) + " is documented: check api_url"
	case res.StatusCode < 400:
		return "the answer is " + status + ", a redirect" + target(res) +
			", which is not followed because the token would travel along: check api_url"
	}
	var e struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &e) == nil {
		// Cleaned before they are looked at: a message of invisible characters alone says nothing.
		e.Message, e.Code = strings.TrimPrefix(oneLine(e.Message), "Error: "), oneLine(e.Code) // SocialHub: "Error: Invalid access token"
		switch {
		case e.Message != "" && e.Code != "":
			return e.Message + " (" + e.Code + ")" + detail(e.Code, e.Data)
		case e.Message != "" || e.Code != "":
			return e.Message + e.Code
		}
	}
	if text := excerpt(res.Header.Get("Content-Type"), body); text != "" {
		return status + ": " + text
	}
	return status
}

// codeWebhook is the code of the answer to a webhook whose test request failed.
const codeWebhook = "WebhookValidationError"

// longHex is what a challenge and a signature look like. For some minutes who knows a challenge can sign requests.
var longHex = regexp.MustCompile(`[0-9a-fA-F]{64}`)

// detail is why a webhook's test request failed. SocialHub documents that `data` says so, but not how: a text is taken, or
// the texts of an object.
func detail(code string, data json.RawMessage) string {
	if code != codeWebhook {
		return ""
	}
	var texts []string
	var text string
	var object map[string]any
	if json.Unmarshal(data, &text) == nil {
		texts = append(texts, text)
	} else if json.Unmarshal(data, &object) == nil {
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if text, ok := object[name].(string); ok {
				texts = append(texts, text)
			}
		}
	}
	texts = slices.DeleteFunc(texts, func(t string) bool { return oneLine(t) == "" })
	if len(texts) == 0 {
		return ""
	}
	return ": " + longHex.ReplaceAllString(oneLine(strings.Join(texts, ", ")), redacted)
}

// statusText is "404 Not Found", or the number alone if it has no name. The server's own words are not used.
func statusText(status int) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// target names where a redirect leads, without path and query: they may repeat the token.
func target(res *http.Response) string {
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	return " to " + u.Scheme + "://" + u.Host
}

var title = regexp.MustCompile(`(?i)<title[^>]*>([^<]*)`)

// excerpt is what a body says that is not SocialHub's JSON: a page's title, or the text up to the first tag.
func excerpt(contentType string, body []byte) string {
	if !utf8.Valid(body) {
		return "" // compressed or worse
	}
	body = bytes.TrimSpace(body)
	if strings.Contains(contentType, "html") || bytes.HasPrefix(body, []byte("<")) {
		found := title.FindSubmatch(body)
		if found == nil {
			return ""
		}
		body = found[1]
	}
	text, _, _ := strings.Cut(string(body), "<")
	return oneLine(text)
}
