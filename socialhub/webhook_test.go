package socialhub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testSecret = "correct-horse-battery-staple-0123456789"

func hookSecret(tb testing.TB) WebhookSecret {
	tb.Helper()
	s, err := ParseWebhookSecret(testSecret)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// signed are the headers of a request as SocialHub sends it.
func signed(s WebhookSecret, at time.Time, body string) http.Header {
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	h := http.Header{}
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, s.Sign(timestamp, []byte(body)))
	return h
}

// TestTheSignatureIsTheDocumentedOne holds the figures that openssl gives for the documented steps.
func TestTheSignatureIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	s := hookSecret(t)
	const timestamp, body = "1577934245000", `{"events":{}}`
	if got, want := s.Challenge(timestamp), "b3ffb8dd13cf920d0bcb7faca84fba416fc9e83eadceb9daa3f3462490a2d87e"; got != want {
		t.Errorf("challenge %s, want %s", got, want)
	}
	if got, want := s.Sign(timestamp, []byte(body)), "22cc32a64217dffe3801d32e3d8362d1359f1b214cea498da7ec28e9d419d12a"; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestOnlySocialHubsRequestsAreBelieved(t *testing.T) {
	t.Parallel()
	s, now := hookSecret(t), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const body = `{"channelId":"5cc1b08ad62ec72e8388cb47","events":{}}`
	good := func() http.Header { return signed(s, now, body) }
	other, err := ParseWebhookSecret(strings.Repeat("x", MinWebhookSecret))
	if err != nil {
		t.Fatal(err)
	}
	with := func(name, value string) http.Header {
		h := good()
		h.Set(name, value)
		return h
	}
	for name, c := range map[string]struct {
		header http.Header
		body   string
		want   error
	}{
		"as it is":               {good(), body, nil},
		"5 minutes old":          {signed(s, now.Add(-MaxWebhookSkew), body), body, nil},
		"5 minutes ahead":        {signed(s, now.Add(MaxWebhookSkew), body), body, nil},
		"in upper case":          {with(HeaderSignature, strings.ToUpper(good().Get(HeaderSignature))), body, nil},
		"too old":                {signed(s, now.Add(-MaxWebhookSkew-time.Millisecond), body), body, ErrClock},
		"too far ahead":          {signed(s, now.Add(MaxWebhookSkew+time.Millisecond), body), body, ErrClock},
		"another body":           {good(), body + " ", ErrSignature},
		"another secret":         {signed(other, now, body), body, ErrSignature},
		"no secret":              {signed(WebhookSecret{}, now, body), body, ErrSignature},
		"another time":           {with(HeaderTimestamp, strconv.FormatInt(now.UnixMilli()+1, 10)), body, ErrSignature},
		"no headers":             {http.Header{}, body, ErrTimestamp},
		"no signature":           {with(HeaderSignature, ""), body, ErrSignature},
		"a cut signature":        {with(HeaderSignature, good().Get(HeaderSignature)[:62]), body, ErrSignature},
		"a signature of letters": {with(HeaderSignature, strings.Repeat("z", 64)), body, ErrSignature},
		"a time in words":        {with(HeaderTimestamp, now.String()), body, ErrTimestamp},
		"a time of no end":       {with(HeaderTimestamp, strings.Repeat("9", 19)), body, ErrTimestamp},
		"a time before all":      {signed(s, time.UnixMilli(-1<<40), body), body, ErrClock},
	} {
		challenge, err := s.Verify(c.header, []byte(c.body), now, MaxWebhookSkew)
		if !errors.Is(err, c.want) || (err == nil) != (challenge != "") {
			t.Errorf("%s: %q, %v, want %v", name, challenge, err, c.want)
		}
		if err == nil && challenge != s.Challenge(c.header.Get(HeaderTimestamp)) {
			t.Errorf("%s: challenge %s", name, challenge)
		}
	}
	if _, err := (WebhookSecret{}).Verify(signed(WebhookSecret{}, now, body), []byte(body), now, MaxWebhookSkew); err == nil {
		t.Error("without a secret everybody is believed")
	}
}

func TestAWebhookSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	s := hookSecret(t)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "in", struct{ S any }{s})
	text, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{log.String(), string(text), fmt.Sprintf("%v %+v %#v %s %q %x", s, &s, s, s, s, s), fmt.Sprintf("%+v", struct{ s WebhookSecret }{s})} {
		if strings.Contains(shown, testSecret) || strings.Contains(shown, fmt.Sprintf("%x", testSecret)) {
			t.Errorf("it is shown: %s", shown)
		}
	}
	for _, wrong := range []string{"", strings.Repeat(" ", MinWebhookSecret), testSecret + "\xff", testSecret[:MinWebhookSecret-1], strings.Repeat("ä", MaxWebhookSecret+1)} {
		if _, err := ParseWebhookSecret(wrong); err == nil || wrong != "" && strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := ParseWebhookSecret(strings.Repeat("ä", MaxWebhookSecret)); err != nil {
		t.Error(err)
	}
}

// TestNoAnswerRepeatsTheWebhookSecret has a SocialHub that quotes what it was sent, at the place where a reason is cut too.
func TestNoAnswerRepeatsTheWebhookSecret(t *testing.T) {
	t.Parallel()
	raw := "spaced  out   " + testSecret
	s, err := ParseWebhookSecret(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{http.StatusOK, http.StatusBadRequest, http.StatusInternalServerError} {
		for _, padding := range []int{0, maxReason - 20} {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				body, _ := json.Marshal(map[string]any{"message": strings.Repeat("x", padding) + raw, "webhook": map[string]string{"url": "u", "secret": raw}})
				w.Write(body)
			})
			got, a := c.ChangeManifest(t.Context(), &Manifest{Webhook: &Webhook{URL: "https://example.com/hook", Secret: s}})
			if shown := fmt.Sprintf("%+v %+v %+v", got, got.Webhook, a); strings.Contains(shown, "spaced") || strings.Contains(shown, testSecret[:10]) {
				t.Errorf("%d: %s", status, shown)
			}
		}
	}
}

func TestBothListsOfTheInboxAreSentWhole(t *testing.T) {
	t.Parallel()
	var sent []byte
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent, _ = io.ReadAll(r.Body)
		io.WriteString(w, "{}")
	})
	if _, a := c.ChangeManifest(t.Context(), &Manifest{Inbox: &Inbox{}}); a.Outcome != Done {
		t.Fatalf("%+v", a)
	}
	if want := `{"inbox":{"ticketActions":[],"rightSidebar":[]}}`; string(sent) != want {
		t.Errorf("sent %s, want %s", sent, want)
	}
}

// event is a ticket_action with one member replaced, or taken out if value is nil.
func event(tb testing.TB, name string, value any) string {
	tb.Helper()
	e := map[string]any{
		"ticketId": testTicket, "networkItemId": "item-1", "type": "reply", "actionId": "reply-as-us", "time": 1577934245000, "uuid": "u-1",
		"payload": map[string]any{"followupId": "f-1", "text": "Hello"},
	}
	if e[name] = value; value == nil {
		delete(e, name)
	}
	text, err := json.Marshal(e)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func requestBody(events string) []byte {
	return []byte(`{"manifestId":"5cc1b08ad62ec72e8388cb40","accountId":"` + testAccount + `","channelId":"` + testChannel + `","events":` + events + `}`)
}

func TestEventsAreReadAndStrangeOnesPassedOver(t *testing.T) {
	t.Parallel()
	got, err := ParseEvents(requestBody(`{"ticket_action":[` + event(t, "more", 1) + `,` + event(t, "type", "button") + `,` +
		event(t, "type", "dance") + `,5,` + event(t, "ticketId", "../x") + `,` + event(t, "uuid", nil) + `,` + event(t, "uuid", "\x00") + `,` + event(t, "payload", nil) + `],
		"channel_action":[{"type":"disabled","channelId":"` + testChannel + `","time":1577934245000,"uuid":"u-2"},{"type":"painted"},
			{"type":"disabled","time":1577934244000},{"type":"disabled"},{"type":"disabled","channelId":"` + testTicket + `","time":1577934246000}],"weather":[{"rain":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Actions) != 2 || !got.Disabled.Equal(time.UnixMilli(1577934245000)) || got.ChannelID != testChannel {
		t.Errorf("%+v", got)
	}
	want := []string{
		"channel_action: not a type that is documented", "channel_action: of another channel", "channel_action: without a usable time",
		"ticket_action: not a type of action that is documented", "ticket_action: without a usable uuid",
		"ticket_action: not the documented JSON", "ticket_action: without a usable ticketId", "ticket_action: without a usable uuid",
		"ticket_action: the payload of the reply is not the documented JSON", "weather: not a kind of event that is documented",
	}
	slices.Sort(want)
	slices.Sort(got.Strange)
	if diff := cmp.Diff(want, got.Strange); diff != "" {
		t.Error(diff)
	}
	reply := got.Actions[0]
	payload, err := reply.Reply()
	if err != nil || payload.Text != "Hello" || reply.Key() != "f-1" || !reply.Time().Equal(time.UnixMilli(1577934245000)) {
		t.Errorf("%+v, %v, key %s", payload, err, reply.Key())
	}
	if button := got.Actions[1]; button.Key() != "u-1" {
		t.Errorf("the key of a button is %s", button.Key())
	}
}

func TestATimeThatMakesNoSenseIsNone(t *testing.T) {
	t.Parallel()
	for _, ms := range []int64{0, -1, math.MinInt64, math.MaxInt64, 253_402_300_800_000} {
		if a := (TicketAction{Milliseconds: ms}); !a.Time().IsZero() {
			t.Errorf("%d ms is %s", ms, a.Time())
		}
	}
}

func TestAKindOfEventThatIsNoListCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	got, err := ParseEvents(requestBody(`{"channel_action":{"type":"disabled"},"ticket_action":[` + event(t, "more", 1) + `],"weather":true}`))
	if err != nil || len(got.Actions) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"channel_action: not a list of events", "weather: not a list of events"}, got.Strange); diff != "" {
		t.Error(diff)
	}
}

func TestTheTestRequestBringsNothing(t *testing.T) {
	t.Parallel()
	for _, events := range []string{"{}", "null"} {
		got, err := ParseEvents(requestBody(events))
		if err != nil || len(got.Actions) != 0 || !got.Disabled.IsZero() || got.Strange != nil {
			t.Errorf("%s: %+v, %v", events, got, err)
		}
	}
}

func TestABodyThatIsNoneOfSocialHubsIsRefused(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null", "[]", `{"events":{}}`, `{"channelId":"x","events":{}}`, `{"channelId":5}`,
		string(requestBody(`[]`)), "\xff\xfe"} {
		if got, err := ParseEvents([]byte(body)); err == nil {
			t.Errorf("%q: %+v", body, got)
		}
	}
}

func FuzzWebhook(f *testing.F) {
	s := hookSecret(f)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	body := requestBody(`{"ticket_action":[` + event(f, "more", 1) + `]}`)
	good := signed(s, now, string(body))
	f.Add(good.Get(HeaderTimestamp), good.Get(HeaderSignature), body)
	f.Add("", "", requestBody(`{}`))
	f.Add("-1", "00", requestBody(`{"channel_action":[{"type":"disabled"}],"\u202e":[null]}`))
	f.Fuzz(func(t *testing.T, timestamp, signature string, body []byte) {
		h := http.Header{HeaderTimestamp: {timestamp}, "X-Socialhub-Timestamp": {timestamp}, "X-Socialhub-Signature": {signature}}
		if _, err := s.Verify(h, body, now, MaxWebhookSkew); err == nil && !strings.EqualFold(signature, s.Sign(timestamp, body)) {
			t.Errorf("believed: %q %q", timestamp, signature)
		}
		events, err := ParseEvents(body)
		if err != nil {
			return
		}
		for _, a := range events.Actions {
			if !ValidTicketID(a.TicketID) || !ValidItemID(a.NetworkItemID) || !ValidActionID(a.ActionID) || a.Key() == "" {
				t.Errorf("%+v", a)
			}
		}
		for _, text := range events.Strange {
			if text != oneLine(text) {
				t.Errorf("%q", text)
			}
		}
	})
}
