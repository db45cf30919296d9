package socialhub

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// double is a transport that answers by itself.
type double func(*http.Request) (*http.Response, error)

func (d double) RoundTrip(r *http.Request) (*http.Response, error) { return d(r) }

// answering returns a client that gets this answer to everything.
func answering(tb testing.TB, status int, header http.Header, body io.Reader) *Client {
	tb.Helper()
	return newTestClient(tb, "https://api.example.com", func(o *Options) {
		o.Transport = double(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(body), Request: r}, nil
		})
	})
}

func create(tb testing.TB, status int, header http.Header, body string) Answer {
	tb.Helper()
	a := answering(tb, status, header, strings.NewReader(body)).Create(tb.Context(), fullInteraction())
	checkAnswer(tb, a)
	return a
}

func TestEveryStatusHasItsMeaningOnEveryRoute(t *testing.T) {
	t.Parallel()
	everywhere := map[int]Outcome{401: Unauthorized, 403: Forbidden, 408: Unavailable, 425: Unavailable, 429: RateLimited}
	special := map[string]map[int]Outcome{
		"channel":  {200: Done},
		"create":   {201: Done, 409: Conflict},
		"update":   {200: Done, 404: NotFound},
		"confirm":  {201: Done, 404: NotFound, 409: Conflict},
		"fail":     {201: Done, 404: NotFound},
		"manifest": {200: Done},
		"remove":   {200: Done},
	}
	// What every route takes for its success, so that the status alone decides.
	const body = `{"_id":"` + testTicket + `","channel":{"_id":"` + testChannel + `"}}`
	for name, call := range routes {
		for status := 100; status <= 599; status++ {
			want := Unavailable
			if status >= 400 && status < 500 {
				want = Rejected
			}
			for _, table := range []map[int]Outcome{everywhere, special[name]} {
				if o, ok := table[status]; ok {
					want = o
				}
			}
			a := call(t.Context(), answering(t, status, http.Header{}, strings.NewReader(body)))
			checkAnswer(t, a)
			if a.Outcome != want {
				t.Errorf("%s: status %d means %d, want %d", name, status, a.Outcome, want)
			}
		}
	}
}

func TestASuccessWithoutTheDocumentedBodyIsUnavailable(t *testing.T) {
	t.Parallel()
	statuses := map[string]int{"channel": 200, "create": 201, "update": 200, "confirm": 201, "fail": 201}
	for what, body := range map[string]string{
		"nothing":           "",
		"white space":       " \n",
		"a page":            "<!doctype html><title>Welcome to the hotel</title>",
		"text":              "OK",
		"an empty object":   "{}",
		"null":              "null",
		"an array":          `[{"_id":"` + testTicket + `"}]`,
		"a cut object":      `{"_id":"` + testTicket + `","channel":{"_id":"` + testChannel + `"},`,
		"two objects":       `{"_id":"` + testTicket + `","channel":{"_id":"` + testChannel + `"}}{}`,
		"a numeric id":      `{"_id":5,"channel":{"_id":5}}`,
		"an id too short":   `{"_id":"5cc1","channel":{"_id":"5cc1"}}`,
		"an upper-case id":  `{"_id":"5CC1B08AD62EC72E8388CB49","channel":{"_id":"5CC1B08AD62EC72E8388CB47"}}`,
		"more than 1 MiB":   `{"_id":"` + testTicket + `","channel":{"_id":"` + testChannel + `"}}` + strings.Repeat(" ", maxAnswer),
		"the token":         testRaw,
		"an error":          `{"code":"InternalServerError","message":"` + testRaw + `"}`,
		"compressed noise":  "\x1f\x8b\x08\x00\xff\xfe",
		"a nested document": `{"ticket":{"_id":"` + testTicket + `"}}`,
	} {
		for name, status := range statuses {
			a := routes[name](t.Context(), answering(t, status, http.Header{}, strings.NewReader(body)))
			checkAnswer(t, a)
			if a.Outcome != Unavailable {
				t.Errorf("%s answered with %s: %+v", name, what, a)
			}
		}
	}
}

func TestASuccessOfExactlyOneMebibyteIsTaken(t *testing.T) {
	t.Parallel()
	body := `{"_id":"` + testTicket + `"}`
	a := create(t, 201, http.Header{}, body+strings.Repeat(" ", maxAnswer-len(body)))
	if a.Outcome != Done {
		t.Errorf("%+v", a)
	}
}

func TestAnAnswerAboutAnotherThingIsUnavailable(t *testing.T) {
	t.Parallel()
	body := `{"_id":"` + testAccount + `","channel":{"_id":"` + testAccount + `"}}`
	for _, name := range []string{"channel", "update"} {
		a := routes[name](t.Context(), answering(t, 200, http.Header{}, strings.NewReader(body)))
		checkAnswer(t, a)
		if a.Outcome != Unavailable || !strings.Contains(a.Reason, "another") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	channel, _ := answering(t, 200, http.Header{}, strings.NewReader(body)).Channel(t.Context())
	if channel != (Channel{}) {
		t.Errorf("the other channel is returned: %+v", channel)
	}
}

func TestAReasonSaysWhatSocialHubSaid(t *testing.T) {
	t.Parallel()
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	long := strings.Repeat("ä", 1000)
	for _, c := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   string
	}{
		{"message and code", 401, nil, `{"code":"AccessTokenInvalidError","message":"Error: Invalid access token"}`,
			"Invalid access token (AccessTokenInvalidError)"},
		{"message alone", 400, nil, `{"message":"too long"}`, "too long"},
		{"code alone", 403, nil, `{"code":"ChannelDeactivated","message":""}`, "ChannelDeactivated"},
		{"why a webhook was not taken", 422, nil, `{"code":"WebhookValidationError","message":"Error: no","data":"Challenge\nmissing"}`, "no (WebhookValidationError): Challenge missing"},
		{"why a webhook was not taken, in an object", 422, nil, `{"code":"WebhookValidationError","message":"no","data":{"status":502,"reason":"bad gateway","b":" "}}`,
			"no (WebhookValidationError): bad gateway"},
		{"why a webhook was not taken, at length", 422, nil, `{"code":"WebhookValidationError","message":"no","data":"` + long + `"}`,
			"no (WebhookValidationError): " + long[:2*(299-29)] + "…"},
		{"a challenge", 422, nil, `{"code":"WebhookValidationError","message":"no","data":"want ` + strings.Repeat("0af", 21) + `9, got none"}`,
			"no (WebhookValidationError): want [redacted], got none"},
		{"the token in what is wrong with a webhook", 422, nil, `{"code":"WebhookValidationError","message":"no","data":"x` + testRaw + `"}`, "no (WebhookValidationError): x[redacted]"},
		{"nothing about a webhook", 422, nil, `{"code":"WebhookValidationError","message":"no","data":[1]}`, "no (WebhookValidationError)"},
		{"more fields", 422, nil, `{"code":"A","message":"b","data":{"x":1}}`, "b (A)"},
		{"a message that nobody can see", 403, nil, `{"code":"ChannelDeactivated","message":"\u200b \u0007"}`, "ChannelDeactivated"},
		{"nothing that can be seen", 500, nil, `{"code":"\u00ad","message":"Error: "}`, "Error:"},
		{"invisible alone", 500, nil, `{"code":"\u00ad","message":"\u2028\u200b"}`, "500 Internal Server Error: {\"code\":\"\\u00ad\",\"message\":\"\\u2028\\u200b\"}"},
		{"neither", 400, nil, `{"error":"no"}`, `400 Bad Request: {"error":"no"}`},
		{"fields of another kind", 400, nil, `{"code":5,"message":"x"}`, `400 Bad Request: {"code":5,"message":"x"}`},
		{"empty", 500, nil, "", "500 Internal Server Error"},
		{"unknown status", 599, nil, "", "599"},
		{"text", 503, nil, "upstream\r\n\tconnect  error", "503 Service Unavailable: upstream connect error"},
		{"text before a tag", 503, nil, "down <b>for</b> today", "503 Service Unavailable: down"},
		{"a page", 502, html, "<html><head><TITLE lang=en>502 Bad\nGateway</TITLE></head><body><script>evil()</script>", "502 Bad Gateway: 502 Bad Gateway"},
		{"a page without a type", 502, nil, "\n <!doctype html><body>nginx</body>", "502 Bad Gateway"},
		{"a page that does not begin like one", 502, html, "nginx", "502 Bad Gateway"},
		{"bytes", 502, nil, "\x1f\x8b\xff", "502 Bad Gateway"},
		{"control characters", 400, nil, `{"message":"a\u0000b\u001b[31m\u202ec\u2028d\u00ade\u200f"}`, "ab[31mc de"},
		{"too long", 400, nil, `{"message":"` + long + `"}`, long[:2*299] + "…"},
		{"just not too long", 400, nil, `{"message":"` + long[:2*300] + `"}`, long[:2*300]},
		{"too long text", 500, nil, strings.Repeat("x", 2*maxAnswer), "500 Internal Server Error: " + strings.Repeat("x", 299-27) + "…"},
		{"the token", 400, nil, `{"message":"bad ` + testRaw + `!"}`, "bad [redacted]!"},
		{"the token in pieces", 400, nil, `{"message":"bad ` + testRaw[:99] + `\u0007` + testRaw[99:] + `!"}`, "bad [redacted]!"},
		{"the token at the cut", 400, nil, `{"message":"` + strings.Repeat("x", 280) + testRaw + `"}`, strings.Repeat("x", 280) + "[redacted]"},
		{"another success", 202, nil, `{"_id":"` + testTicket + `"}`, "the answer is 202 Accepted where 201 Created is documented: check api_url"},
		{"redirect", 301, http.Header{"Location": {"https://new.example.com/inbox?accesstoken=" + testRaw}}, "",
			"the answer is 301 Moved Permanently, a redirect to https://new.example.com, which is not followed because the token would travel along: check api_url"},
		{"redirect to nowhere", 302, http.Header{"Location": {"/elsewhere"}}, "",
			"the answer is 302 Found, a redirect, which is not followed because the token would travel along: check api_url"},
		{"switching protocols", 101, nil, "", "the answer is 101 Switching Protocols, which is not documented: check api_url"},
	} {
		if got := create(t, c.status, c.header, c.body).Reason; got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestTheTokenLeaksThroughNoAnswer(t *testing.T) {
	t.Parallel()
	signature := testRaw[strings.LastIndexByte(testRaw, '.')+1:]
	for _, secret := range []string{testRaw, signature, "/inbox/tickets?accesstoken=" + testRaw + "&reset=true", strings.Repeat(testRaw, 30)} {
		for _, format := range []string{"%s", `{"code":"%s"}`, `{"message":"%s","code":"%[1]s"}`, `{"_id":"%s"}`, "<title>%s</title>", "{%s", "\u200b%s"} {
			for _, status := range []int{101, 200, 201, 204, 301, 307, 400, 401, 403, 404, 409, 418, 429, 500, 502} {
				h := http.Header{}
				for _, name := range []string{"Location", "Retry-After", "Date", "Content-Type", "X-Ratelimit-Limit", "X-Ratelimit-Remaining"} {
					h.Set(name, secret)
				}
				create(t, status, h, fmt.Sprintf(format, secret)) // checks it
				h.Set("Location", "https://"+secret+"/")
				create(t, status, h, fmt.Sprintf(format, secret))
			}
		}
	}
}

func TestTheWaitAfter429(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name, retry, date string
		want              time.Duration
	}{
		{"missing", "", "", time.Minute},
		{"seconds", "7", "", 7 * time.Second},
		{"the longest", "3600", "", time.Hour},
		{"too long", "3601", "", time.Minute},
		{"zero", "0", "", time.Minute},
		{"negative", "-5", "", time.Minute},
		{"beyond a Duration", "9223372036854775807", "", time.Minute},
		{"wraps to 1 s in a Duration", "18446744074709551617", "", time.Minute},
		{"wraps in a Duration", "36893488148", "", time.Minute},
		{"a fraction", "1.5", "", time.Minute},
		{"nonsense", "soon", "", time.Minute},
		{"a date", at(90 * time.Second), "", 90 * time.Second},
		{"a date in the sender's clock", at(time.Hour + 5*time.Second), at(time.Hour), 5 * time.Second},
		{"a date past in our clock only", at(-time.Hour + 5*time.Second), at(-time.Hour), 5 * time.Second},
		{"a date past in the sender's clock", at(5 * time.Second), at(10 * time.Second), time.Minute},
		{"a date now", at(0), at(0), time.Minute},
		{"a date too far", at(2 * time.Hour), "", time.Minute},
		{"a date beside a clock far off", at(30 * time.Second), at(-25 * time.Hour), 30 * time.Second},
		{"a date beside nonsense", at(30 * time.Second), "today", 30 * time.Second},
		{"another form of date", now.Add(time.Second).Format(time.ANSIC), "", time.Second},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.retry)
		h.Set("Date", c.date)
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if a := create(t, 429, http.Header{"Retry-After": {"7"}}, ""); a.RetryAfter != 7*time.Second {
		t.Errorf("%+v", a)
	}
	if a := create(t, 503, http.Header{"Retry-After": {"7"}}, ""); a.RetryAfter != 0 {
		t.Errorf("a wait without a 429: %+v", a)
	}
}

func TestTheRateLimitIsKnownOnlyWhenBothHeadersSaySo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, remaining string
		want             RateLimit
	}{
		{"100", "42", RateLimit{true, 100, 42}},
		{"100", "0", RateLimit{true, 100, 0}},
		{"", "", RateLimit{}},
		{"100", "", RateLimit{}},
		{"", "42", RateLimit{}},
		{"100", "-1", RateLimit{}},
		{"-1", "0", RateLimit{}},
		{"many", "42", RateLimit{}},
		{"99999999999999999999", "1", RateLimit{}},
	} {
		for _, status := range []int{201, 429, 500} {
			h := http.Header{}
			h.Set("X-RateLimit-Limit", c.limit)
			h.Set("X-RateLimit-Remaining", c.remaining)
			if got := create(t, status, h, `{"_id":"`+testTicket+`"}`).Limit; got != c.want {
				t.Errorf("%d with %q and %q: %+v, want %+v", status, c.limit, c.remaining, got, c.want)
			}
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(201, "", "", "", `{"_id":"`+testTicket+`"}`)
	f.Add(409, "text/html", "", "", `{"code":"ConflictError","message":"Error: Ticket with such network item id already exists"}`)
	f.Add(429, "", "Sun, 01 Mar 2026 12:00:00 GMT", "7", "")
	f.Add(301, "", "", "https://"+testRaw, "")
	f.Add(502, "text/html", "", "", "<title>"+testRaw+"</title>")
	f.Add(400, "", "", "", `{"message":"`+testRaw[:20]+"\\u200b"+testRaw[20:]+`"}`)
	f.Add(503, "", "", "", `{"message":"\u200b"}`)
	f.Add(500, "", "", "", testRaw[:9]+"\x00"+testRaw[9:]+"\xff")
	f.Fuzz(func(t *testing.T, status int, contentType, date, value, body string) {
		h := http.Header{"Content-Type": {contentType}, "Date": {date}, "Retry-After": {value}, "Location": {value},
			"X-Ratelimit-Limit": {value}, "X-Ratelimit-Remaining": {value}}
		a := create(t, status, h, body)
		again := create(t, status, h, body)
		if again.RetryAfter = a.RetryAfter; a != again { // the wait may be counted from now
			t.Errorf("the same answer twice: %+v and %+v", a, again)
		}
		if a.Outcome == Conflict && status != 409 || a.Outcome == Done && status != 201 {
			t.Errorf("status %d: %+v", status, a)
		}
		if slices.Contains([]Outcome{NotFound, Conflict, Rejected, Unauthorized, Forbidden, RateLimited}, a.Outcome) && status/100 != 4 {
			t.Errorf("status %d: %+v", status, a)
		}
	})
}
