package httpapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// keys are made once: RSA takes its time.
var keys = sync.OnceValues(func() (*rsa.PrivateKey, *ecdsa.PrivateKey) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return r, e
})

// pkcs8 writes a private key as PEM.
func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// block puts a text below a key of YAML as a block.
func block(text string) string {
	return "|\n      " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      ") + "\n"
}

func TestCredentialsAreSentWhereTheAPIWantsThem(t *testing.T) {
	t.Parallel()
	for settings, has := range map[string]func(r *http.Request) bool{
		"auth: {bearer: s3cret}": func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer s3cret" },
		"auth: {basic: {user: me/token, password: s3cret}}": func(r *http.Request) bool {
			user, password, _ := r.BasicAuth()
			return user == "me/token" && password == "s3cret"
		},
		"auth: {header: {name: Api-Key, value: s3cret}}": func(r *http.Request) bool { return r.Header.Get("Api-Key") == "s3cret" },
		"auth: {query: {name: key, value: s3cret&}}":     func(r *http.Request) bool { return r.URL.Query().Get("key") == "s3cret&" },
		"auth: {bearer: s3cret, query: {name: key, value: k3y}, header: {name: X-App, value: app}}": func(r *http.Request) bool {
			return r.Header.Get("Authorization") == "Bearer s3cret" && r.URL.Query().Get("key") == "k3y" && r.Header.Get("X-App") == "app"
		},
	} {
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if !has(r) {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, posts(1))
		})
		poll(t, open(t, "url: "+a.URL+"/x?a=b\n"+settings)).want(t, "test-1")
	}
}

func TestRefusedCredentialsStopTheSourceAndNameTheSetting(t *testing.T) {
	t.Parallel()
	status := http.StatusUnauthorized
	a := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "s3cret", status) })
	for settings, want := range map[string]string{
		"":                       "url",
		"auth: {bearer: s3cret}": "auth.bearer",
		"auth: {basic: {user: me, password: s3cret}}":    "auth.basic",
		"auth: {header: {name: Api-Key, value: s3cret}}": "auth.header.value",
		"auth: {query: {name: key, value: s3cret}}":      "auth.query.value",
	} {
		p := poll(t, open(t, "url: "+a.URL+"/x\n"+settings))
		p.fails(t, want+": "+a.URL+"/… answered 401 Unauthorized: check the credentials and what they may read")
		if key, stops := settingOf(p.err); key != want || !stops {
			t.Errorf("%s: %s %v", settings, key, stops)
		}
	}
}

// tokens is a token endpoint of client credentials. It gives the tokens token-1, token-2, … .
type tokens struct {
	*api
	inHeader bool
	lifetime int
	given    atomic.Int32
	refuse   func(w http.ResponseWriter) bool
}

func serveTokens(t testing.TB, inHeader bool) *tokens {
	e := &tokens{inHeader: inHeader, lifetime: 3600, refuse: func(http.ResponseWriter) bool { return false }}
	e.api = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if e.refuse(w) {
			return
		}
		id, secret, fromHeader := r.BasicAuth()
		if !fromHeader {
			id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
		}
		if id != "app" || secret != "s3cret" || fromHeader != e.inHeader || r.FormValue("grant_type") != "client_credentials" ||
			r.FormValue("scope") != "read write" || r.Header.Get("User-Agent") != "sync/1" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client","error_description":"s3cret is wrong"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":%d}`, e.given.Add(1), e.lifetime)
	})
	return e
}

func (e *tokens) settings(secret string) string {
	return fmt.Sprintf("\nauth: {oauth2: {token_url: '%s/token', client_id: app, client_secret: %s, scopes: [read, write]}}", e.URL, secret)
}

func TestClientCredentialsGetATokenOnce(t *testing.T) {
	t.Parallel()
	for _, inHeader := range []bool{true, false} {
		e := serveTokens(t, inHeader)
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer token-1" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			fmt.Fprint(w, posts(1))
		})
		s := open(t, "url: "+a.URL+e.settings("s3cret"))
		poll(t, s).want(t, "test-1")
		poll(t, s).want(t, "test-1")
	}
}

func TestARefreshTokenGetsTokensForAPerson(t *testing.T) {
	t.Parallel()
	refused := false
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id, secret, fromHeader := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case !fromHeader || id != "app" || secret != "s3cret" || r.FormValue("grant_type") != "refresh_token" || r.FormValue("refresh_token") != "r3fresh":
			t.Error(r.Form)
		case refused:
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"r3fresh has been revoked"}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"token-1","token_type":"bearer","expires_in":1}`)
	})
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token-1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprint(w, posts(1))
	})
	s := open(t, "url: "+a.URL+"\nauth: {oauth2: {token_url: "+e.URL+"/token, client_id: app, client_secret: s3cret, refresh_token: r3fresh}}")
	poll(t, s).want(t, "test-1")
	refused = true
	p := poll(t, s)
	p.fails(t, "auth.oauth2.refresh_token: "+e.URL+"/… refuses it: invalid_grant; check the credentials and what they may ask for")
	if _, stops := settingOf(p.err); !stops {
		t.Error("it does not stop")
	}
}

func TestATokenThatHasEndedIsReplaced(t *testing.T) {
	t.Parallel()
	e := serveTokens(t, true)
	e.lifetime = 1
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `[{"id":%q,"text":"t"}]`, r.Header.Get("Authorization")[len("Bearer "):])
	})
	s := open(t, "url: "+a.URL+e.settings("s3cret"))
	poll(t, s).want(t, "test-token-1")
	poll(t, s).want(t, "test-token-2")
}

func TestATokenThatIsRefusedBeforeItsTimeIsReplacedOnce(t *testing.T) {
	t.Parallel()
	e := serveTokens(t, true)
	good := "token-1"
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+good {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprint(w, posts(1))
	})
	s := open(t, "url: "+a.URL+e.settings("s3cret"))
	poll(t, s).want(t, "test-1")
	good = "token-2"
	poll(t, s).want(t, "test-1")
	good = "none"
	p := poll(t, s)
	if key, stops := settingOf(p.err); key != "auth.oauth2" || !stops || e.given.Load() != 3 {
		t.Errorf("%v after %d tokens", p.err, e.given.Load())
	}
}

func TestATokenEndpointInTroubleSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string
		stops  bool
	}{
		"wrong secret": {nil, "auth.oauth2.client_secret: HOST/… refuses it: invalid_client; check the credentials and what they may ask for", true},
		"wrong scope":  {func(w http.ResponseWriter) { w.WriteHeader(400); fmt.Fprint(w, `{"error":"invalid_scope"}`) }, "auth.oauth2.scopes: HOST/… refuses them: invalid_scope", true},
		"forbidden":    {func(w http.ResponseWriter) { w.WriteHeader(403); fmt.Fprint(w, "wr0ng") }, "auth.oauth2.client_secret: HOST/… refuses it: 403; check the credentials", true},
		"own words":    {func(w http.ResponseWriter) { w.WriteHeader(400); fmt.Fprint(w, `{"error":"wr0ng is wrong"}`) }, "get a token from HOST/…: it answered 400 Bad Request", false},
		"down":         {func(w http.ResponseWriter) { w.WriteHeader(503) }, "get a token from HOST/…: it answered 503 Service Unavailable", false},
		"no token":     {func(w http.ResponseWriter) { fmt.Fprint(w, `{"wr0ng":1}`) }, "get a token from HOST/…: the answer is no token", false},
		"login page":   {func(w http.ResponseWriter) { fmt.Fprint(w, `<html>wr0ng`) }, "get a token from HOST/…: the answer is no token", false},
		"elsewhere":    {func(w http.ResponseWriter) { w.Header().Set("Location", "/wr0ng"); w.WriteHeader(307) }, "get a token from HOST/…: it answered 307 Temporary Redirect", false},
		"no answer":    {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "get a token from HOST/…: no answer", false},
	} {
		e := serveTokens(t, true)
		if test.answer != nil {
			e.refuse = func(w http.ResponseWriter) bool { test.answer(w); return true }
		}
		p := poll(t, open(t, "url: "+e.URL+"/api"+e.settings("wr0ng")))
		p.fails(t, strings.ReplaceAll(test.want, "HOST", e.URL))
		if _, stops := settingOf(p.err); stops != test.stops {
			t.Errorf("%s: stops is %v", name, stops)
		}
	}
}

func TestTokensThatWeSignAreVerifiedByThePublicKey(t *testing.T) {
	t.Parallel()
	r, e := keys()
	for method, key := range map[string][2]any{"RS256": {r, r.Public()}, "ES256": {e, e.Public()}} {
		a := serve(t, func(w http.ResponseWriter, req *http.Request) {
			token, err := jwt.Parse(strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "),
				func(*jwt.Token) (any, error) { return key[1], nil },
				jwt.WithValidMethods([]string{method}), jwt.WithIssuer("team"), jwt.WithSubject("app"), jwt.WithAudience("appstoreconnect-v1"),
				jwt.WithExpirationRequired(), jwt.WithIssuedAt())
			if err != nil || token.Header["kid"] != "K1" {
				t.Errorf("%s: %v %v", method, err, token)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			claims := token.Claims.(jwt.MapClaims)
			if lifetime := claims["exp"].(float64) - claims["iat"].(float64); lifetime != 20*60 || claims["aud"] != "appstoreconnect-v1" {
				t.Errorf("%s: %v", method, claims)
			}
			fmt.Fprint(w, posts(1))
		})
		s := open(t, "url: "+a.URL+"\nauth:\n  jwt:\n    key_id: K1\n    issuer: team\n    subject: app\n    audience: appstoreconnect-v1\n    lifetime: 20m\n    key: "+block(pkcs8(t, key[0])))
		poll(t, s).want(t, "test-1")
	}
}

func TestAServiceAccountGetsATokenByASignedAssertion(t *testing.T) {
	t.Parallel()
	r, _ := keys()
	var address string
	good := true
	a := serve(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if req.URL.Path != "/token" {
			if req.Header.Get("Authorization") != "Bearer g00gle" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			fmt.Fprint(w, posts(1))
			return
		}
		claims := jwt.MapClaims{}
		token, err := jwt.ParseWithClaims(req.FormValue("assertion"), claims, func(*jwt.Token) (any, error) { return r.Public(), nil },
			jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("bot@example.com"), jwt.WithAudience(address+"/token"), jwt.WithSubject("boss"))
		if err != nil || token.Header["kid"] != "g1" || claims["scope"] != "a b" || !good {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"no"}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"g00gle","expires_in":3599}`)
	})
	address = a.URL
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "bot@example.com", "private_key": pkcs8(t, r), "private_key_id": "g1", "token_uri": a.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	settings := "url: " + a.URL + "/x\nauth:\n  google:\n    scopes: [a, b]\n    subject: boss\n    key: '" + string(account) + "'\n"
	s := open(t, settings)
	poll(t, s).want(t, "test-1")
	poll(t, s).want(t, "test-1")
	if asked := strings.Join(a.asked(), " "); asked != "/token /x /x" {
		t.Error(asked)
	}
	good = false
	poll(t, open(t, settings)).fails(t, "auth.google.key: "+a.URL+"/… refuses it: invalid_grant; check the credentials and what they may ask for")
}

func TestCredentialsStayOnTheirHost(t *testing.T) {
	t.Parallel()
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if text := fmt.Sprint(r.Header, r.URL, string(body)); strings.Contains(text, "s3cret") {
			t.Error(text)
		}
		fmt.Fprint(w, posts(1))
	})
	var answer func(w http.ResponseWriter)
	a := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w) })
	const auth = "\nauth: {bearer: s3cret, header: {name: Api-Key, value: s3cret}, query: {name: key, value: s3cret}}"

	answer = func(w http.ResponseWriter) { w.Header().Set("Location", other.URL); w.WriteHeader(http.StatusFound) }
	poll(t, open(t, "url: "+a.URL+auth)).want(t, "test-1")

	host := strings.TrimPrefix(other.URL, "http://")
	answer = func(w http.ResponseWriter) {
		w.Header().Set("Link", "<"+other.URL+">; rel=next")
		fmt.Fprintf(w, `[{"id":1,"text":"t","more":%q}]`, other.URL)
	}
	poll(t, open(t, "url: "+a.URL+auth+"\npaging: {kind: link}")).
		fails(t, "paging.kind: the API gives an address of the next page on another host, "+host+"; if that is right, write it in url")
	poll(t, open(t, "url: "+a.URL+auth+"\ndetails: [{url: \\(.more), items: '.[]', map: empty}]")).
		want(t, "test-1", `! item "1", details[0]: details[0].url: gives an address on another host, "`+host+`", than `+strings.TrimPrefix(a.URL, "http://")+"; write the host out if that is right")
	if asked := other.asked(); len(asked) != 1 {
		t.Error(asked)
	}
}

func TestAKeyInTheAddressIsNotStored(t *testing.T) {
	t.Parallel()
	n := 0
	a := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("key") != "s3cret" {
			t.Error(r.URL)
		}
		if n++; n > leastWalk+2 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, `{"next":"/x?n=%d&key=s3cret","items":%s}`, n, posts(n))
	})
	p := poll(t, open(t, "url: "+a.URL+"/x\nitems: .items[]\npaging: {kind: url, next: .next}\nauth: {query: {name: key, value: s3cret}}"))
	if p.err == nil || strings.Contains(p.err.Error()+p.cursor, "s3cret") || !strings.Contains(p.cursor, "/x?n=12") {
		t.Errorf("%v %s", p.err, p.cursor)
	}
}

func TestWrongCredentialsAreToldWhenTheConfigIsRead(t *testing.T) {
	t.Parallel()
	_, e := keys()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for auth, want := range map[string]string{
		"{bearer: s3cret, basic: {user: u}}":                         "auth: has basic and bearer, which exclude each other; keep one",
		"{basic: {password: s3cret}}":                                "auth.basic.user: missing",
		"{header: {value: s3cret}}":                                  "auth.header.name: want the name that the API gives to the key, such as X-Api-Key",
		"{header: {name: a b, value: s3cret}}":                       "auth.header.name: want the name that the API gives to the key, such as X-Api-Key",
		"{query: {name: key}}":                                       "auth.query.value: missing; write the key",
		`{header: {name: X, value: "s3cret\n"}}`:                     "auth.header.value: has more than one line",
		"{oauth2: {scopes: [a]}}":                                    "auth.oauth2.token_url: want an http or https address, without a user\nauth.oauth2.client_id: missing\nauth.oauth2.client_secret: missing",
		"{jwt: {issuer: x}}":                                         "auth.jwt.key: missing; write the private key, or its file as key_file",
		"{jwt: {key: s3cret}}":                                       "auth.jwt.key: is no private RSA or P-256 key in PEM, which begins with -----BEGIN PRIVATE KEY-----",
		"\n  jwt:\n    key: " + block(pkcs8(t, p384)):                "auth.jwt.key: is on another curve than P-256, which ES256 wants",
		"\n  jwt:\n    lifetime: 2h\n    key: " + block(pkcs8(t, e)): "auth.jwt.lifetime: want 1m to 1h",
		"{google: {scopes: [a]}}":                                    "auth.google.key: missing; write the JSON key, or its file as key_file",
		"{oauth2: {token_url: 'https://a.example/t', client_id: a, client_secret: b, refresh_token: r3fresh, scopes: [c]}}": "auth.oauth2.scopes: can't be chosen with a refresh token, which has its own; take them out",
		"{google: {key: s3cret}}":                                    "auth.google.key: is no key of a service account, which is JSON with \"type\": \"service_account\"\nauth.google.scopes: missing; write what the API wants, such as https://www.googleapis.com/auth/androidpublisher",
		`{google: {scopes: [a], key: '{"type":"service_account"}'}}`: "auth.google.key: has no usable client_email, private_key or token_uri; make a new key",
	} {
		err := read(t, "url: https://api.example.com\nitems: .[]\nmap: .\nauth: "+auth).Validate()
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", auth, err, want)
		}
	}
}
