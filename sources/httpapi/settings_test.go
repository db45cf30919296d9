package httpapi

import (
	"strings"
	"testing"
)

func TestWrongSettingsAreToldByKey(t *testing.T) {
	t.Parallel()
	const good = "url: https://api.example.com/x\nitems: .[]\nmap: .\n"
	for settings, want := range map[string]string{
		good:                                     "",
		"prefix: x":                              "url: missing; write the address to ask\nitems: missing; write where the items are, such as .reviews[]\nmap: missing; write the interactions of an item, such as {networkItemId: item_id($prefix; .id), message: .text}",
		good + "method: DELETE":                  "method: want GET or POST",
		good + "headers: {'a b': x}":             "headers: want names such as X-Api-Version, and values of one line",
		good + "headers: {a: \"x\\ny\"}":         "headers: want names such as X-Api-Version, and values of one line",
		good + "paging: {kind: url}":             "paging.next: missing; write where the next one is in an answer, such as .next",
		good + "paging: {kind: page, next: .x}":  "paging.next: is for the kinds url and token only; take it out or change paging.kind",
		good + "paging: {kind: pages}":           "paging.kind: want link, url, token, page or offset",
		good + "paging: {kind: link, first: 0}":  "paging.first: want 0 or more, for the kinds page and offset only",
		good + "paging: {kind: page, first: -1}": "paging.first: want 0 or more, for the kinds page and offset only",
		good + "cursor: {order: up}":             "cursor.order: want oldest or newest, or nothing if the API does not sort by cursor.value",
		good + "cursor: {order: oldest}":         "cursor.order: needs cursor.value, by which it is",
		good + "cursor: {lookback: -1s}":         "cursor.lookback: want 0s or more",
		good + "details: [{paging: {kind: token}}]": "details[0].url: missing; write the address to ask\ndetails[0].items: missing; write where the inner items are, such as .comments[]\n" +
			"details[0].map: missing; write the interactions of an inner item, such as {networkItemId: item_id($prefix; .id), message: .text}\ndetails[0].paging.next: missing; write where the next one is in an answer, such as .next",
		good + "errors: [{do: stop, when: .x}, {}]": "errors[1].when: missing; write when the rule holds, such as .error == \"expired\"\nerrors[1].do: want stop, retry, wait or skip",
		good + "rescan: -1h":                        "rescan: want a duration such as 72h",
		good + "interval: 2m":                       "interval: want 0s to 1m0s",
		good + "timeout: 1h":                        "timeout: want more than 0s and at most 10m0s",
		good + "max_size: 0":                        "max_size: want 1 to 268435456 bytes",
		good + "prefix: a b":                        "prefix: want at most 250 characters out of a-z A-Z 0-9 and /|@&$!?()[]{}+*~,;.:=_-",
	} {
		problem := ""
		if err := read(t, settings).Validate(); err != nil {
			problem = err.Error()
		}
		if problem != want {
			t.Errorf("%s:\n%s\nwant\n%s", settings, problem, want)
		}
	}
}

func TestTheHostMustBeWrittenOut(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		`https://api.example.com`:          "api.example.com",
		`https://api.example.com:8443?a=b`: "api.example.com:8443",
		`http://api.example.com/\($since)`: "api.example.com",
		`https://api.example.com\($since)`: "",
		`https://\($since)/x`:              "",
		`\($since)`:                        "",
		`ftp://api.example.com/`:           "",
		`https://u:s3cret@api.example.com`: "",
		`/x`:                               "",
		`https:///x`:                       "",
		`https://[/x`:                      "",
	} {
		s := read(t, "url: '"+address+"'\nitems: .[]\nmap: .")
		err := s.Validate()
		host := ""
		if origin := s.origin(); origin != nil {
			host = origin.Host
		}
		if host != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %s %v", address, host, err)
		}
	}
}

func TestEverySettingIsInTheReference(t *testing.T) {
	t.Parallel()
	keys := map[string]bool{}
	for _, s := range New().Reference() {
		keys[s.Key] = true
		if s.Doc == "" {
			t.Errorf("%s has no doc", s.Key)
		}
	}
	for _, key := range []string{"url", "query", "auth.jwt.key", "paging.first", "cursor.lookback", "details[].url", "details[].paging.kind", "errors[].when"} {
		if !keys[key] {
			t.Errorf("%s is not there", key)
		}
	}
}
