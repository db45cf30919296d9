package httpapi

import (
	"os"
	"strings"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
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
		good + "errors: [{do: stop, when: .x}, {}]":                  "errors[1].when: missing; write when the rule holds, such as .error == \"expired\"\nerrors[1].do: want stop, retry, wait, skip or refuse",
		good + "actions: {reply: {method: POST}}":                    "actions.reply.url: missing; write the address to ask\nactions.reply.posted: missing; write " + wantPosted,
		good + "actions: {reply: {find: {}, url: x, posted: empty}}": "",
		good + "actions: {reply: {url: x, posted: empty, find: {method: PUT}}}": "actions.reply.find.url: missing; write the address to ask\nactions.reply.find.method: want GET or POST\n" +
			"actions.reply.find.posted: missing; write " + wantPosted + ", of the one that is $action's",
		good + "actions: {template_reply: {url: x}}":             "actions.template_reply.posted: missing; write " + wantPosted,
		good + "actions: {delete: {repeatable: always}}":         "actions.delete.url: missing; write the address to ask",
		good + "actions: {delete: {url: x, method: HEAD}}":       "actions.delete.method: want POST, PUT, PATCH, DELETE or GET",
		good + "actions: {buttons: {a b: {url: x}}}":             "actions.buttons: want ids of 1 to 256 characters out of a-z A-Z 0-9 _ -",
		good + "actions: {buttons: {close: {method: POST}}}":     "actions.buttons.close.url: missing; write the address to ask",
		good + "actions: {delete: {url: x, multipart: \"\\n\"}}": "actions.delete.multipart: want the name of a field, such as file",
		good + "errors: [{do: refuse, when: .x}]":                "errors[0].message: missing; write what to tell the team",
		good + "rescan: -1h":                                     "rescan: want a duration such as 72h",
		good + "interval: 2m":                                    "interval: want 0s to 1m0s",
		good + "timeout: 1h":                                     "timeout: want more than 0s and at most 10m0s",
		good + "max_size: 0":                                     "max_size: want 1 to 268435456 bytes",
		good + "prefix: a b":                                     "prefix: want at most 250 characters out of a-z A-Z 0-9 and /|@&$!?()[]{}+*~,;.:=_-",
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
	for _, key := range []string{"url", "query", "auth.jwt.key", "paging.first", "cursor.lookback", "details[].url", "details[].paging.kind", "errors[].when", "actions.reply.url", "actions.reply.find.posted", "actions.template_reply.posted", "actions.delete.repeatable", "actions.buttons"} {
		if !keys[key] {
			t.Errorf("%s is not there", key)
		}
	}
}

func TestARepetitionIsForAWhileOrAlways(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Repeatable{"always": Repeatable(sources.Always), "24h": Repeatable(24 * time.Hour), "0s": 0, "-1h": 0, "never": 0} {
		var r Repeatable
		if err := r.UnmarshalText([]byte(text)); r != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %v %v", text, r, err)
		}
	}
}

func TestTheExampleInTheDocsOfActionsIsGood(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/actions.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(docs), "\n## `http`\n")
	_, block, _ := strings.Cut(section, "\n```yaml\n")
	_, settings, found := strings.Cut(block, "    settings:\n")
	settings, _, ended := strings.Cut(settings, "```\n")
	if !found || !ended {
		t.Fatal("there is none")
	}
	s := read(t, settings)
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	for _, test := range []struct {
		kind socialhub.ActionType
		id   string
	}{{socialhub.ActionReply, ""}, {socialhub.ActionDelete, ""}, {socialhub.ActionButton, "close"}} {
		if act, _ := s.Actions.act(test.kind, test.id); act == nil {
			t.Errorf("%s is not shown", test.kind)
		}
	}
}
