package torture

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store/storetest"
)

// actingWorld is a world with a desk, to which the team's replies go.
type actingWorld struct {
	*world
	desk *desk
}

// newActingWorld makes a channel whose webhook leads to the process that listens now.
func newActingWorld(tb testing.TB, database string, c careful) *actingWorld {
	tb.Helper()
	d := newDesk(tb, c)
	o := options{tags: "crashpoints", network: "we-ourselves", more: d.source()}
	o.listen, o.about = webhook(tb)
	return &actingWorld{newWorld(tb, database, o), d}
}

// webhook returns an address to listen on, and what the config says of a channel whose webhook leads there by a proxy that
// is always there.
func webhook(tb testing.TB) (listen, about string) {
	tb.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	listen = free.Addr().String()
	if err := free.Close(); err != nil {
		tb.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: listen}) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	tb.Cleanup(front.Close)
	return listen, fmt.Sprintf("    webhook: {secret: %s, url: %s/webhook/%s, manage: true}\n    actions: [{type: reply}]\n",
		strings.Repeat("s3cret-", 6), front.URL, channelID)
}

// replied lets the team reply to the question, as soon as there is a ticket and a webhook.
func (w *actingWorld) replied(p *process) (sandbox.Action, bool) {
	w.Helper()
	until(w, "the question and the webhook are there", time.Minute, func() bool {
		return !p.running() || w.box.Webhook(w.channel.ID) != "" && w.ticketID("desk-question") != ""
	})
	if !p.running() {
		return sandbox.Action{}, false
	}
	a, err := w.box.Act(w.channel.ID, sandbox.Act{TicketID: w.ticketID("desk-question"), ActionID: "reply", Text: "Yes, we do."})
	if err != nil {
		w.Fatal(err)
	}
	return a, true
}

// settled tells whether the team was told and the store has nothing left to do.
func (w *actingWorld) settled() bool {
	open, err := w.tryNumber(`SELECT count(*) FROM actions WHERE due IS NOT NULL`)
	return err == nil && open == 0 && w.box.Actions(w.channel.ID)[0].State != sandbox.ActionPending
}

// judge compares what the team was told with what the desk has.
func (w *actingWorld) judge() {
	w.Helper()
	action, replies := w.box.Actions(w.channel.ID)[0], w.desk.posted()
	told := fmt.Sprintf("the team was told %q (%s), the desk has %d", action.State, action.Reason, len(replies))
	if len(replies) > 1 {
		w.Errorf("posted twice: %s", told)
	}
	uncertain := w.number(`SELECT count(*) FROM actions WHERE state = 'uncertain'`) == 1
	switch {
	case action.State == sandbox.ActionConfirmed && len(replies) == 1 && !uncertain:
	case action.State == sandbox.ActionFailed && uncertain && w.desk.careful == careless && strings.Contains(action.Reason, "may have been"):
		return // the reply, if it is there, is a ticket of its own
	default:
		w.Errorf("not the truth: %s, uncertain %t", told, uncertain)
	}
	if n := len(w.tickets()); n != 2 {
		w.Errorf("%d tickets, want the question and the reply", n)
	}
}

// goOn lets a second process finish what the first one began, and two more polls go by.
func (w *actingWorld) goOn() {
	w.Helper()
	p := w.start("run")
	until(w, "the action is settled", 90*time.Second, w.settled)
	polled := func() int { return w.number(`SELECT coalesce(max(last_poll), 0) FROM sources WHERE name = 'desk'`) }
	for range 2 {
		before := polled()
		until(w, "another poll", time.Minute, func() bool { return polled() > before })
	}
	p.stop()
	w.judge()
}

// actionPoints are the points that belong to an action: every write to it, to the reply's ticket, and each callback.
func actionPoints(t *testing.T, database string) (points []point) {
	t.Helper()
	w := newActingWorld(t, database, withKeys)
	list := filepath.Join(w.dir, "points")
	p := w.startWith([]string{"CRASH_LIST=" + list}, "run")
	if _, ok := w.replied(p); !ok {
		t.Fatal(p.output())
	}
	mark, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the action is settled", time.Minute, w.settled)
	p.stop()
	w.judge()
	data, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(data[len(mark):])) {
		name = strings.TrimSpace(name)
		about := strings.Contains(name, " actions") || strings.Contains(name, "tickets") || strings.Contains(name, "/manifest")
		known := slices.ContainsFunc(points, func(p point) bool { return p.name == name })
		if about && !known {
			points = append(points, point{0, name, strings.Count("\n"+string(mark), "\n"+name+"\n") + 1})
		}
	}
	if len(points) < 8 {
		t.Fatalf("only %d points: %v", len(points), points)
	}
	return points
}

func TestAKillAtEveryStepOfAnActionPostsOnceAndTellsTheTruth(t *testing.T) {
	t.Parallel()
	for engine, database := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			for n, at := range actionPoints(t, database(t)) {
				kinds := []careful{withKeys, withList, careless}
				if !long() { // the points are the same for all
					kinds = kinds[n%3 : n%3+1]
				}
				for _, c := range kinds {
					t.Run(fmt.Sprintf("%s, the desk has %s", at.name, c), func(t *testing.T) {
						t.Parallel()
						w := newActingWorld(t, database(t), c)
						p := w.startWith([]string{fmt.Sprintf("CRASH_AT=%s:%d", at.name, at.n)}, "run")
						if _, ok := w.replied(p); ok {
							until(t, "it is killed, or through", time.Minute, func() bool { return !p.running() || w.settled() })
						}
						p.kill()
						w.goOnOrAct()
					})
				}
			}
		})
	}
}

// goOnOrAct is goOn, also if the first process died before the team did anything.
func (w *actingWorld) goOnOrAct() {
	w.Helper()
	if len(w.box.Actions(w.channel.ID)) == 0 {
		p := w.start("run")
		if _, ok := w.replied(p); !ok {
			w.Fatal(p.output())
		}
		p.kill()
	}
	w.goOn()
}

// engines are where the databases of a torture of actions come from; the short form has SQLite alone: the points are the same.
func engines() map[string]func(testing.TB) string {
	all := map[string]func(testing.TB) string{"sqlite": sqlite}
	if long() {
		all["postgres"] = storetest.Postgres
	}
	return all
}

func TestAKillWhileTheReplyIsUnderWayPostsOnceAndTellsTheTruth(t *testing.T) {
	t.Parallel()
	for engine, database := range map[string]func(testing.TB) string{"sqlite": sqlite, "postgres": storetest.Postgres} {
		for _, when := range []moment{before, after} {
			for _, c := range []careful{withKeys, withList, careless} {
				t.Run(fmt.Sprintf("%s, %s the desk with %s has it", engine, when, c), func(t *testing.T) {
					t.Parallel()
					w := newActingWorld(t, database(t), c)
					var once sync.Once
					w.desk.mu.Lock()
					w.desk.kill = map[moment]func(){when: func() { once.Do(func() { w.all()[0].kill() }) }}
					w.desk.mu.Unlock()
					p := w.start("run")
					w.replied(p)
					until(t, "it is killed", time.Minute, func() bool { return !p.running() })
					w.goOn()
				})
			}
		}
	}
}
