package sync

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sync/act/fetch"
)

// file puts a file into a reply.
func file(address string) func(*sandbox.Act) {
	return func(a *sandbox.Act) {
		a.Attachment = &socialhub.ActionAttachment{URL: address, Name: "cat.png", Extension: "png", MimeType: "image/png", Size: 4}
	}
}

func TestTheFileOfAReplyIsDownloadedForTheSource(t *testing.T) {
	t.Parallel()
	troubles := 2
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/cat.png":
			w.WriteHeader(http.StatusNotFound)
		case troubles > 0:
			troubles--
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte("meow"))
		}
	}))
	t.Cleanup(s.Close)
	a := newActors(t, migratedPostgres(t), sandbox.ChannelOptions{}, nil) // sockets don't go with fake time
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	files := fetch.New(fetch.Options{Roots: roots, Allow: func(netip.AddrPort) bool { return true }})
	t.Cleanup(files.Close)
	a.options.Files = files
	a.tickets(text("item-1", "hello"))
	stop := a.begin()
	made := a.act("item-1", "reply", "look", file(s.URL+"/cat.png"))
	a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
	missing := a.act("item-1", "reply", "look", file(s.URL+"/dog.png"))
	a.eventually("the team is told", a.is(missing, sandbox.ActionFailed))
	a.ends(stop)
	if diff := cmp.Diff([]post{{made.FollowupID, "item-1", "look [cat.png image/png meow]"}}, a.network.stands()); diff != "" {
		t.Error(diff)
	}
	if got := a.action(missing.UUID).Reason; !strings.Contains(got, "404") || strings.Contains(got, "dog") {
		t.Errorf("the reason is %q", got)
	}
}

func TestAFileOfThisMachineIsNotDownloaded(t *testing.T) {
	t.Parallel()
	asked := false
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(s.Close)
	a := newActors(t, migratedPostgres(t), sandbox.ChannelOptions{}, nil)
	a.tickets(text("item-1", "hello"))
	stop := a.begin()
	made := a.act("item-1", "reply", "look", file(s.URL+"/cat.png"))
	a.eventually("the team is told", a.is(made, sandbox.ActionFailed))
	a.ends(stop)
	if got := a.action(made.UUID).Reason; asked || a.network.called() != 0 || !strings.Contains(got, "private network") {
		t.Errorf("asked: %v, %d calls, because of %q", asked, a.network.called(), got)
	}
}
