package config

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
)

func TestAWebhookIsTakenOver(t *testing.T) {
	t.Parallel()
	c, err := Load("testdata/good/webhook.yaml", adapters, env)
	if err != nil {
		t.Fatal(err)
	}
	secret := func(text string) socialhub.WebhookSecret {
		s, err := socialhub.ParseWebhookSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	same := cmp.Comparer(func(a, b socialhub.WebhookSecret) bool { return a == b })
	for n, want := range []*Webhook{
		{
			Secret: secret("hunter2-of-a-webhook-0123456789abcdef"), Tolerance: 5 * time.Minute,
			URL: "https://Sync.example.com/behind/a/proxy/webhook/000000000000000000000001",
		},
		{Secret: secret("hunter2-in-a-file-0123456789abcdef0123"), URL: "http://localhost:8443/elsewhere", Manage: true, Tolerance: 30 * time.Second},
	} {
		if diff := cmp.Diff(want, c.Channels[n].Webhook, same); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestTheListenerIsTakenOver(t *testing.T) {
	t.Parallel()
	c, err := Load("testdata/good/webhook.yaml", adapters, env)
	if err != nil {
		t.Fatal(err)
	}
	wantTLS := TLS{ACME: &ACME{
		Domains: []string{"sync.example.com"}, Email: "admin@example.com", Cache: "/var/lib/socialhub-sync/acme", Directory: DefaultDirectory,
	}}
	if diff := cmp.Diff(wantTLS, c.TLS); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.0.2.7/32"),
	}
	if diff := cmp.Diff(want, c.TrustedProxies, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// withTLS is a whole file with a database and the text under `tls`.
func withTLS(database, text string) string {
	return "database: " + database + "\ntls: " + text + "\n" + least("      url: x\n")
}

func TestFilesOfACertificateLieBesideTheConfig(t *testing.T) {
	t.Parallel()
	c := load(t, withTLS("sqlite:x.db", "{cert_file: certs/a.pem, key_file: /etc/../etc/key.pem}"))
	if want := (TLS{CertFile: filepath.Join(c.Dir, "certs/a.pem"), KeyFile: "/etc/key.pem"}); c.TLS != want {
		t.Errorf("got %+v, want %+v", c.TLS, want)
	}
}

func TestWhereTheCertificatesOfACMEAreKept(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ database, cache, want string }{
		{"sqlite:/data/sync.db", "", "/data/acme"},
		{"sqlite:sync.db", "", "/var/lib/socialhub-sync/acme"},
		{"postgres://u@h/d", "", "/var/lib/socialhub-sync/acme"},
		{"sqlite:/data/sync.db", "certs", "/var/lib/socialhub-sync/certs"},
		{"sqlite:/data/sync.db", "/certs/", "/certs"},
	} {
		c := load(t, withTLS(test.database, "{acme: {domains: [Sync.Example.COM], cache: \""+test.cache+"\", directory: \"https://ca.example.com/dir\"}}"))
		want := ACME{Domains: []string{"sync.example.com"}, Cache: test.want, Directory: "https://ca.example.com/dir"}
		if diff := cmp.Diff(&want, c.TLS.ACME); diff != "" {
			t.Errorf("%+v: -want +got:\n%s", test, diff)
		}
	}
}

func TestPublicURLNeedsTLSUnlessItIsThisMachine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "https://sync.example.com//": "https://sync.example.com", "https://example.com:8443/sync": "https://example.com:8443/sync",
		"http://127.0.0.1:8080": "http://127.0.0.1:8080", "http://[::1]:1": "http://[::1]:1", "http://localhost": "http://localhost",
	} {
		if got, err := publicURL(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"http://sync.example.com", "sync.example.com", "https://", "ftp://localhost", "https://u@example.com", "https://example.com?",
		"https://example.com/#x", "http://localhost.example.com", "https://a b"} {
		if got, err := publicURL(text); err == nil {
			t.Errorf("%q is taken as %q", text, got)
		}
	}
}

func TestNamesThatACertificateCanBeFor(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"a.de": true, "A.B-c.example.COM": true, "xn--mnchen-3ya.de": true, "1.example.com": true,
		"": false, "localhost": false, "*.example.com": false, "192.0.2.1": false, "::1": false, "-a.de": false, "a-.de": false, "a..de": false, "a.de.": false,
		"münchen.de": false, "a_b.de": false, "a.de:443": false, "https://a.de": false,
	} {
		if got, err := domain(text); (err == nil) != good {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
