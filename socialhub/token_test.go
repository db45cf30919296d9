package socialhub

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

const (
	testChannel = "5cc1b08ad62ec72e8388cb47"
	testAccount = "5cc1b08ad62ec72e8388cb48"
	testTicket  = "5cc1b08ad62ec72e8388cb49"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// rawToken makes a JWT in the shape of SocialHub's with the payload.
func rawToken(payload string) string {
	return b64(`{"alg":"HS256","typ":"JWT"}`) + "." + b64(payload) + "." + b64("a signature of exactly 32 bytes!")
}

var testRaw = rawToken(`{"accountId":"` + testAccount + `","channelId":"` + testChannel + `","iat":1548694732}`)

func testToken(tb testing.TB) Token {
	tb.Helper()
	t, err := ParseToken(testRaw)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// noSecret fails if text holds the token or a part of it that is secret.
func noSecret(tb testing.TB, text string) {
	tb.Helper()
	parts := strings.Split(testRaw, ".")
	for _, secret := range []string{testRaw, parts[1] + "." + parts[2], parts[2]} {
		if strings.Contains(text, secret) {
			tb.Errorf("the token leaks into %q", text)
			return
		}
	}
}

func TestATokenTellsWhatItsPayloadSays(t *testing.T) {
	t.Parallel()
	tok, err := ParseToken(" " + testRaw + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if tok.ChannelID() != testChannel || tok.AccountID() != testAccount {
		t.Errorf("channel %q of account %q", tok.ChannelID(), tok.AccountID())
	}
	if want := time.Date(2019, 1, 28, 16, 58, 52, 0, time.UTC); tok.IssuedAt() != want {
		t.Errorf("issued at %v, want %v", tok.IssuedAt(), want)
	}
	if tok.Reveal() != testRaw || tok.IsZero() {
		t.Error("the token is not the one parsed")
	}
	if tok != testToken(t) {
		t.Error("the same token twice is not equal")
	}
}

func TestATokenMayLackAUsableIssueTime(t *testing.T) {
	t.Parallel()
	for _, iat := range []string{``, `,"iat":"yesterday"`, `,"iat":-5`, `,"iat":1e300`, `,"iat":null`} {
		tok, err := ParseToken(rawToken(`{"accountId":"` + testAccount + `","channelId":"` + testChannel + `"` + iat + `}`))
		if err != nil || !tok.IssuedAt().IsZero() {
			t.Errorf("iat %q: %v, issued at %v", iat, err, tok.IssuedAt())
		}
	}
}

func TestTheZeroTokenIsNone(t *testing.T) {
	t.Parallel()
	var tok Token
	if !tok.IsZero() || tok.Reveal() != "" || tok.Fingerprint() != "" || !tok.IssuedAt().IsZero() || tok.String() != redacted {
		t.Error("the zero token pretends to be one")
	}
}

func TestADamagedTokenIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	parts := strings.Split(testRaw, ".")
	for name, raw := range map[string]string{
		"empty":                       " \n",
		"one part":                    parts[1],
		"two parts":                   parts[0] + "." + parts[1],
		"four parts":                  testRaw + "." + parts[2],
		"no signature":                parts[0] + "." + parts[1] + ".",
		"no header":                   "." + parts[1] + "." + parts[2],
		"a line break inside":         parts[0] + "." + parts[1][:9] + "\n" + parts[1][9:] + "." + parts[2],
		"padding":                     parts[0] + "." + parts[1] + "." + parts[2] + "=",
		"standard base64":             parts[0] + "." + parts[1] + ".++//",
		"a length base64 cannot have": parts[0] + "." + parts[1] + ".abcde",
		"payload is not JSON":         parts[0] + "." + b64("hello there") + "." + parts[2],
		"payload without a channel":   rawToken(`{"accountId":"` + testAccount + `"}`),
		"payload without an account":  rawToken(`{"channelId":"` + testChannel + `"}`),
		"channel is not an id":        rawToken(`{"accountId":"` + testAccount + `","channelId":"support"}`),
		"channel is a number":         rawToken(`{"accountId":"` + testAccount + `","channelId":5}`),
		"too long":                    rawToken(strings.Repeat(" ", maxToken)),
	} {
		_, err := ParseToken(raw)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if !strings.Contains(err.Error(), "copy it again from the channel's settings in SocialHub") {
			t.Errorf("%s: %q does not say what to do", name, err)
		}
		for _, part := range strings.FieldsFunc(raw, func(r rune) bool { return r == '.' || r == ' ' || r == '\n' }) {
			if len(part) > 5 && strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q shows a part of the token", name, err)
			}
		}
		noSecret(t, err.Error())
	}
}

func TestAFingerprintTellsTokensApartAndIsNotThePlainHash(t *testing.T) {
	t.Parallel()
	tok := testToken(t)
	other, err := ParseToken(rawToken(`{"accountId":"` + testAccount + `","channelId":"` + testChannel + `","iat":1548694733}`))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Fingerprint() == other.Fingerprint() {
		t.Error("two tokens share a fingerprint")
	}
	// Stored by releases: a change of the rule would let every paused channel run again.
	if got, want := tok.Fingerprint(), "4daf5c98bfd15c42"; got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}

type holder struct {
	Token   Token
	Pointer *Token
	hidden  Token
	behind  *Token
}

func TestATokenCannotBePrinted(t *testing.T) {
	t.Parallel()
	tok := testToken(t)
	h := holder{tok, &tok, tok, &tok}
	for _, v := range []any{tok, &tok, h, &h, []Token{tok}, map[string]Token{"a": tok}, map[Token]int{tok: 1}, []any{h}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%p", "%t", "%w", "%100v", "%T", "%v%!", "no verb"} {
			noSecret(t, fmt.Sprintf(verb, v))
		}
		noSecret(t, fmt.Sprint(v))
		noSecret(t, fmt.Errorf("%v", v).Error())
		noSecret(t, logged(v))
		text, err := json.Marshal(v)
		if err != nil {
			t.Errorf("marshal %T: %v", v, err)
		}
		noSecret(t, string(text))
	}
}

// logged is v as both handlers of slog write it, alone and in a group.
func logged(v any) string {
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).With("with", v).Info("test", "value", v, slog.Group("group", "value", v))
	}
	return out.String()
}

func TestAPrintedTokenSaysThatItIsRedacted(t *testing.T) {
	t.Parallel()
	tok := testToken(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{tok, &tok} {
			if got := fmt.Sprintf(verb, v); got != redacted {
				t.Errorf("%s of %T gives %q", verb, v, got)
			}
		}
	}
	if tok.String() != redacted || tok.GoString() != redacted {
		t.Errorf("%s, %s", tok.String(), tok.GoString())
	}
	text, err := json.Marshal(holder{Token: tok, Pointer: &tok})
	if want := `{"Token":"[redacted]","Pointer":"[redacted]"}`; err != nil || string(text) != want {
		t.Errorf("JSON %s (%v), want %s", text, err, want)
	}
	if got := logged(tok); strings.Count(got, redacted) != 6 {
		t.Errorf("slog wrote %s", got)
	}
}

func TestRedactTakesTheTokenAndItsSignatureOutOfAText(t *testing.T) {
	t.Parallel()
	tok := testToken(t)
	got := tok.redact("GET /?accesstoken=" + testRaw + ": bad signature " + testRaw[strings.LastIndexByte(testRaw, '.')+1:] + "!")
	if want := "GET /?accesstoken=[redacted]: bad signature [redacted]!"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Token{}).redact("as it is"); got != "as it is" {
		t.Errorf("no token changed the text to %q", got)
	}
}
