package httpauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/url"
	"testing"
	"time"

	"socialhub-sync/sources"
)

// newKey returns a private key as PEM.
func newKey(t *testing.T) sources.Secret {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return sources.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func TestASignedTokenIsUsedForHalfOfItsLife(t *testing.T) {
	t.Parallel()
	s, err := newSigner(&JWT{Key: newKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	_, until, err := s.new(t.Context())
	if left := time.Until(until); err != nil || left < 4*time.Minute || left > 5*time.Minute {
		t.Error(left, err)
	}
}

func TestATokenIsRenewedOnlyIfItWasUsedBefore(t *testing.T) {
	t.Parallel()
	a, err := (&Settings{JWT: JWT{Key: newKey(t)}}).Open(time.Second, "sync/1")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	used := func() string {
		header := http.Header{}
		if err := a.Apply(t.Context(), header, &url.URL{}); err != nil {
			t.Fatal(err)
		}
		return header.Get("Authorization")
	}
	first := used()
	if a.Renew() {
		t.Error("a new token is to be replaced")
	}
	if second := used(); second != first || !a.Renew() || used() == first {
		t.Error("an old token is not replaced")
	}
	if a.Renew() {
		t.Error("the token is replaced again")
	}
}
