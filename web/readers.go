package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
)

// Readers are who may read the status page and the metrics; the zero value is everybody. It has hashes alone, which are of
// one length, so that comparing them does not tell how long a secret is.
type Readers struct {
	username, password, token [sha256.Size]byte
	basic, bearer, closed     bool
}

// NewReaders lets in who knows the username and its password (basic auth), and who knows the token (bearer). With a username and
// no password, or the other way round, that way is closed for all. If all three are empty, everybody may read.
func NewReaders(username, password, token string) Readers {
	if username == "" && password == "" && token == "" {
		return Readers{}
	}
	return Readers{
		username: sha256.Sum256([]byte(username)), password: sha256.Sum256([]byte(password)), token: sha256.Sum256([]byte(token)),
		basic: username != "" && password != "", bearer: token != "", closed: true,
	}
}

// Everybody tells whether nothing is asked of readers.
func (r Readers) Everybody() bool { return !r.closed }

// admit tells whether a request may read, in the same time whatever of it is wrong.
func (r Readers) admit(req *http.Request) bool {
	if username, password, ok := req.BasicAuth(); ok {
		return r.Everybody() || r.basic && same(r.username, username)&same(r.password, password) == 1
	}
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return r.Everybody() || r.bearer && strings.EqualFold(scheme, "Bearer") && same(r.token, strings.TrimSpace(token)) == 1
}

// same is 1 if the text has the hash, else 0.
func same(hash [sha256.Size]byte, text string) int {
	other := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(hash[:], other[:])
}

// refuse asks for what would let the request in. It does not say what was wrong.
func (r Readers) refuse(w http.ResponseWriter) {
	if r.basic {
		w.Header().Add("WWW-Authenticate", `Basic realm="socialhub-sync", charset="UTF-8"`)
	}
	if r.bearer {
		w.Header().Add("WWW-Authenticate", `Bearer realm="socialhub-sync"`)
	}
	say(w, http.StatusUnauthorized, "the status page and the metrics are for the `readers` of the config")
}

// door lets readers through to the status page and the metrics, and nobody else.
type door struct {
	readers atomic.Pointer[Readers]
	proxies func() []netip.Prefix
	refused *limitedLog
}

func newDoor(readers Readers, proxies func() []netip.Prefix, log *slog.Logger) *door {
	d := &door{proxies: proxies, refused: newLimitedLog(log)}
	d.readers.Store(&readers)
	return d
}

// before guards next. It logs who tried a wrong password or token, but not who came without any: each browser does at first.
func (d *door) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		readers := d.readers.Load()
		if readers.admit(r) {
			next.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Authorization") != "" {
			d.refused.warn("reader refused, the username, password or token is wrong",
				slog.String("path", r.URL.Path), slog.String("peer", peer(r, d.proxies())))
		}
		readers.refuse(w)
	})
}
