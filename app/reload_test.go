package app_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/app"
	"socialhub-sync/app/config"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources/builtin"
)

// edited is an app that runs by a file in the world's folder, which the test edits.
type edited struct {
	*world
	*app.App
	log lines
}

// edit runs an app by the text; it ends with the test.
func edit(t *testing.T, w *world, text string) *edited {
	t.Helper()
	e := &edited{world: w}
	e.put(t, "token", w.channel.Token)
	e.put(t, "secret", hookSecret)
	e.put(t, "config.yaml", text)
	c, err := e.load()
	if err != nil {
		t.Fatal(err)
	}
	if e.App, err = app.New(c, slog.New(slog.NewTextHandler(&e.log, nil))); err != nil {
		t.Fatal(err)
	}
	e.Load = e.load
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(t, e.App)
		for _, secret := range []string{w.channel.Token, hookSecret} {
			if strings.Contains(e.log.String(), secret) {
				t.Error("a secret is in the log")
			}
		}
	})
	return e
}

func (e *edited) load() (*config.Config, error) {
	values := map[string]string{"DATABASE": e.database(), "API": e.api}
	return config.Load(filepath.Join(e.dir, "config.yaml"), builtin.Adapters(), func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	})
}

func (e *edited) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// change reloads after an edit and wants these changes.
func (e *edited) change(t *testing.T, text, want string) {
	t.Helper()
	e.put(t, "config.yaml", text)
	changes, err := e.Reload(t.Context())
	if err != nil || changes.String() != want {
		t.Fatalf("changed: %s, %v, want %s", changes, err, want)
	}
}

// refuse reloads after an edit and wants that refused.
func (e *edited) refuse(t *testing.T, text string, want ...string) {
	t.Helper()
	e.put(t, "config.yaml", text)
	changes, err := e.Reload(t.Context())
	if err == nil || !changes.None() {
		t.Fatalf("it was taken: %s", changes)
	}
	for _, want := range want {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

const (
	top      = "{database: '${DATABASE}', api_url: '${API}', "
	usual    = top + "listen: '127.0.0.1:0', "
	channels = "channels: {support: {access_token_file: token}}, "
	items    = `items: {adapter: jsonl, channel: support, schedule: "@every 1s", settings: {path: items.jsonl}}`
	more     = `more: {adapter: jsonl, channel: support, schedule: "@every 1s", settings: {path: more.jsonl}}`
	one      = usual + channels + "sources: {" + items + "}}"
)

func TestAReloadAddsAndRemovesSources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := edit(t, w, one)
	e.put(t, "more.jsonl", `{"networkItemId":"item-2","message":"two"}`)
	e.change(t, usual+channels+"sources: {"+items+", "+more+"}}", "sources: added more")
	e.waitFor(t, "two")
	e.waitFor(t, "one")
	if page := get(t, "http://"+e.Addr()+"/"); !strings.Contains(page, "more") {
		t.Error("the page does not show the new source")
	}

	e.change(t, usual+channels+"sources: {"+more+"}}", "sources: removed items")
	e.write(t, `{"networkItemId":"item-1","message":"nobody reads this"}`)
	e.put(t, "more.jsonl", `{"networkItemId":"item-2","message":"three"}`)
	e.waitFor(t, "three")
	for _, ticket := range w.box.Tickets(w.channel.ID) {
		if strings.HasPrefix(ticket.Interaction.Message, "nobody") {
			t.Error("a source that is gone was polled")
		}
	}
	page := get(t, "http://"+e.Addr()+"/metrics")
	if !strings.Contains(page, `source="more"`) || strings.Contains(page, `socialhub_sync_polls_total{channel="support",outcome="found",source="items"}`) {
		t.Errorf("metrics:\n%s", page)
	}
	if log := e.log.String(); !strings.Contains(log, `msg="config read anew" changed="sources: removed items"`) {
		t.Error("not told:", log)
	}
}

func TestAnAddedChannelIsDeliveredTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := edit(t, w, one)
	sales, err := w.box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.put(t, "sales", sales.Token)
	e.put(t, "more.jsonl", `{"networkItemId":"item-2","message":"two"}`)
	const both = "channels: {sales: {access_token_file: sales}, support: {access_token_file: token, concurrency: 2}}, "
	e.change(t, usual+both+"sources: {"+items+", "+strings.Replace(more, "support", "sales", 1)+"}}",
		"channels: added sales, changed support; sources: added more")
	w.channel = sales
	e.waitFor(t, "two")
}

func TestAFileThatSaysTheSameChangesNothing(t *testing.T) {
	t.Parallel()
	e := edit(t, newWorld(t), one)
	e.change(t, "# a comment\n"+strings.Replace(one, "{access_token_file: token}", "{concurrency: 8, access_token_file: token}", 1), "channels: changed support")
	e.change(t, strings.Replace(one, "{access_token_file: token}", "{access_token_file: token, concurrency: 8}", 1), "nothing")
	e.change(t, "# a comment\n"+one, "channels: changed support")
	e.change(t, one, "nothing")
	if log := e.log.String(); strings.Count(log, "changed=nothing") != 2 {
		t.Error("not told:", log)
	}
}

func TestABadFileChangesNothingAndEachFaultIsTold(t *testing.T) {
	t.Parallel()
	e := edit(t, newWorld(t), one)
	e.waitFor(t, "one")
	const bad = top + "listne: x, channels: {support: {access_token_file: none}}, \n" + "sources: {}}"
	e.refuse(t, bad, `config.yaml:1:`, `unknown key "listne"`, "can't read", "config.yaml:2:", "sources: there are none")
	if n := strings.Count(e.log.String(), `level=ERROR msg="the new config can't be used, the old one stays"`); n != 3 {
		t.Errorf("%d faults are told, not 3:\n%s", n, e.log.String())
	}
	e.write(t, `{"networkItemId":"item-1","message":"it runs on"}`)
	e.waitFor(t, "it runs on")
	words := func() string {
		words, err := e.Check(t.Context(), time.Minute)
		if err != nil {
			t.Error(err)
		}
		return words
	}
	if got := words(); got != "1 channel, 1 source; the new config can't be used" {
		t.Errorf("in words: %s", got)
	}
	const gauge = "socialhub_sync_config_last_reload_successful "
	if page := get(t, "http://"+e.Addr()+"/metrics"); !strings.Contains(page, gauge+"0") {
		t.Error("the metrics don't tell")
	}
	e.change(t, one, "nothing")
	if got := words(); got != "1 channel, 1 source; all is well" {
		t.Errorf("in words: %s", got)
	}
	if page := get(t, "http://"+e.Addr()+"/metrics"); !strings.Contains(page, gauge+"1") {
		t.Error("the metrics don't tell")
	}
	if err := os.Remove(filepath.Join(e.dir, "config.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "read config: ") {
		t.Errorf("without a file: %v", err)
	}
}

func TestARotatedTokenInAFileIsTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := edit(t, w, one)
	e.waitFor(t, "one")
	token, ok := w.box.ReplaceToken(w.channel.ID)
	if !ok {
		t.Fatal("no other token")
	}
	e.put(t, "token", token)
	e.change(t, one, "channels: changed support")
	e.write(t, `{"networkItemId":"item-1","message":"two"}`)
	e.waitFor(t, "two")
	if strings.Contains(e.log.String(), token) {
		t.Error("the new token is in the log")
	}
}

func TestTheListenerMovesAndIsTurnedOffAndOn(t *testing.T) {
	t.Parallel()
	e := edit(t, newWorld(t), one)
	rest := channels + "sources: {" + items + "}}"
	before := e.Addr()
	e.change(t, top+"listen: 'localhost:0', "+rest, "keys: listen")
	if after := e.Addr(); after == before || get(t, "http://"+after+"/readyz") != "ok\n" {
		t.Errorf("it is at %s, before at %s", after, before)
	}
	wantFree(t, before)
	before = e.Addr()
	e.change(t, top+"listen: '', "+rest, "keys: listen")
	if e.Addr() != "" {
		t.Errorf("it listens on %s", e.Addr())
	}
	wantFree(t, before)
	e.change(t, top+"listen: '', tls: {cert_file: none.pem, key_file: none.pem}, "+rest, "keys: tls") // for when it listens
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	e.refuse(t, top+"listen: '"+taken.Addr().String()+"', "+rest, "choose another address in "+e.dir)
	e.change(t, one, "keys: listen, tls")
	if get(t, "http://"+e.Addr()+"/readyz") != "ok\n" {
		t.Error("it does not answer")
	}
	e.refuse(t, top+"listen: '"+taken.Addr().String()+"', "+rest, "choose another address in "+e.dir)
	if get(t, "http://"+e.Addr()+"/readyz") != "ok\n" {
		t.Error("it does not answer after a refusal")
	}
}

func TestTheListenerBeginsToEncryptOnItsPort(t *testing.T) {
	t.Parallel()
	e := edit(t, newWorld(t), one)
	here := e.Addr()
	rest := channels + "sources: {" + items + "}}"
	e.refuse(t, usual+"tls: {cert_file: none.pem, key_file: none.pem}, "+rest, "tls.cert_file: stat "+e.dir)
	get(t, "http://"+here+"/readyz")
	cert, key, roots := certificate(t)
	e.put(t, "cert.pem", cert)
	e.put(t, "key.pem", key)
	e.change(t, usual+"tls: {cert_file: cert.pem, key_file: key.pem}, "+rest, "keys: tls")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}}}
	resp, err := client.Get("https://" + here + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	e.change(t, one, "keys: tls")
	get(t, "http://"+here+"/readyz")
}

// certificate is the one that httptest has for example.com, in PEM.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	secret, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), roots
}

func TestAWebhookIsRegisteredWithTheAddressThatAReloadBrings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rest := "sources: {" + items + "}}"
	e := edit(t, w, top+"listen: '', "+channels+rest)
	const hook = "channels: {support: {access_token_file: token, webhook: {secret_file: secret, manage: true, url: 'http://%s/webhook/%s'}}}, "
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	e.change(t, top+"listen: '"+address+"', "+fmt.Sprintf(hook, address, w.channel.ID)+rest, "channels: changed support; keys: listen")
	deadline := time.After(30 * time.Second)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for w.box.Webhook(w.channel.ID) == "" {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not registered; log: %s", e.log.String())
		}
	}
}

func TestWhatCanNotChangeWhileItRunsIsRefused(t *testing.T) {
	t.Parallel()
	e := edit(t, newWorld(t), one)
	rest := "listen: '', " + channels + "sources: {" + items + "}}"
	e.refuse(t, "{database: 'sqlite:other.db', api_url: '${API}', "+rest, e.dir, "database can't change while the daemon runs; restart it")
	e.refuse(t, top+"lease: 30s, "+rest, "lease can't change while the daemon runs; restart it")
	if get(t, "http://"+e.Addr()+"/readyz") != "ok\n" {
		t.Error("half of it was taken")
	}
	e.change(t, strings.Replace(one, "{d", "{lease: 60s, d", 1), "nothing") // as it is without the key
}

func TestReloadsAtATimeWaitForEachOther(t *testing.T) {
	t.Parallel()
	e := edit(t, newWorld(t), one)
	e.put(t, "more.jsonl", "")
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			text := one
			if n%2 == 0 {
				text = strings.Replace(usual, "127.0.0.1:0", "localhost:0", 1) + channels + "sources: {" + more + "}}"
			}
			// In one step, as another one may be reading.
			name := fmt.Sprintf("config%d.yaml", n)
			e.put(t, name, text)
			if err := os.Rename(filepath.Join(e.dir, name), filepath.Join(e.dir, "config.yaml")); err != nil {
				t.Error(err)
			}
			if _, err := e.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if changes, err := e.Reload(t.Context()); err != nil || !changes.None() {
		t.Errorf("the last file is not in force: %s, %v", changes, err)
	}
	get(t, "http://"+e.Addr()+"/readyz")
}

// held is a server before the sandbox that lets no answer to a request for a ticket out until it is released.
func held(t *testing.T, w *world) (asked <-chan struct{}, release func()) {
	t.Helper()
	waiting, free := make(chan struct{}, 1), make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/inbox/") {
			select {
			case waiting <- struct{}{}:
			default:
			}
			<-free
		}
		w.box.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	w.api = front.URL
	return waiting, sync.OnceFunc(func() { close(free) })
}

func TestAReloadUnderWayIsGivenUpWhenTheAppStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, release := held(t, w)
	e := edit(t, w, one)
	defer release()
	<-asked
	before := e.Addr()
	e.put(t, "config.yaml", strings.NewReplacer("{access_token_file: token}", "{access_token_file: token, concurrency: 2}", "127.0.0.1:0", "localhost:0").Replace(one))
	reloaded, stopped := make(chan error, 1), make(chan error, 1)
	go func() { _, err := e.Reload(t.Context()); reloaded <- err }()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for e.Addr() == before { // the listener is first; then it waits for the request
		<-ticker.C
	}
	go func() { stopped <- e.Stop(context.WithoutCancel(t.Context())) }()
	if err := <-reloaded; err != nil && err.Error() != "the daemon stops" {
		t.Error(err)
	}
	release()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := e.Reload(t.Context()); err == nil {
		t.Error("a stopped app was reloaded")
	}
	if strings.Contains(e.log.String(), "level=ERROR") {
		t.Error("the log has errors:", e.log.String())
	}
}

func TestAChangedChannelWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, release := held(t, w)
	e := edit(t, w, one)
	defer release()
	<-asked
	e.put(t, "config.yaml", strings.Replace(one, "{access_token_file: token}", "{access_token_file: token, concurrency: 2}", 1))
	reloaded := make(chan string, 1)
	go func() {
		changes, err := e.Reload(t.Context())
		reloaded <- fmt.Sprint(changes, err)
	}()
	e.write(t, `{"networkItemId":"item-1","message":"two"}`)
	release()
	if got := <-reloaded; got != "channels: changed support <nil>" {
		t.Errorf("changed: %s", got)
	}
	e.waitFor(t, "two")
	if n := len(w.box.Tickets(w.channel.ID)); n != 1 {
		t.Errorf("%d tickets", n)
	}
}

func TestAReloadThatTheDatabaseDoesNotTakeLeavesAllAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hooked = "channels: {support: {access_token_file: token, webhook: {secret_file: secret}}}, "
	old := usual + hooked + "sources: {" + items + "}}"
	e := edit(t, w, old)
	e.waitFor(t, "one")
	before, err := e.load()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(e.dir, "sync.db")+"?_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	e.put(t, "secret", strings.ToUpper(hookSecret))
	e.put(t, "config.yaml", strings.NewReplacer("{d", "{"+forReaders+"d", "127.0.0.1:0", "[::1]:0").Replace(old))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reloaded := make(chan error, 1)
	go func() { _, err := e.Reload(ctx); reloaded <- err }()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !strings.HasPrefix(e.Addr(), "[::1]:") { // the listener is first; then it waits for the database
		<-ticker.C
	}
	cancel()
	if err := <-reloaded; !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.Addr(), "127.0.0.1:") {
		t.Errorf("it listens on %s", e.Addr())
	}
	get(t, "http://"+e.Addr()+"/metrics")
	w.register(t, before, "http://"+e.Addr()+"/webhook/"+w.channel.ID) // which is tried with the old secret
}

func TestChangesAreToldByName(t *testing.T) {
	t.Parallel()
	c := app.Changes{
		Channels: app.Names{Added: []string{"a", "b"}, Changed: []string{"c"}, Removed: []string{"d"}},
		Sources:  app.Names{Changed: []string{"e"}}, Keys: []string{"listen", "tls"},
	}
	if diff := cmp.Diff("channels: added a, b, changed c, removed d; sources: changed e; keys: listen, tls", c.String()); diff != "" {
		t.Error(diff)
	}
	if got := (app.Changes{}).String(); got != "nothing" {
		t.Error(got)
	}
}
