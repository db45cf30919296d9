package cli_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"socialhub-sync/socialhub/sandbox"
)

// rig is what one script works with.
type rig struct {
	box     *sandbox.Server
	channel sandbox.Channel
	api     *httptest.Server
	gate    gate
	feed    *feedServer
	process *process
	outage  *refusing
	// seen counts the requests that `box requests` has shown; tokens are all that were ever valid.
	seen   int
	tokens []string
	// status is where the daemon answers; mu guards it.
	mu     sync.Mutex
	status *url.URL
}

type rigKey struct{}

func rigOf(ts *testscript.TestScript) *rig { return ts.Value(rigKey{}).(*rig) }

func newRig(env *testscript.Env) *rig {
	r := &rig{box: sandbox.New(sandbox.Options{})}
	r.gate.released = sync.NewCond(&r.gate.mu)
	r.api = httptest.NewServer(http.HandlerFunc(r.serve))
	env.Defer(func() {
		r.gate.set(func(g *gate) { g.hold = false })
		r.box.Close()
		r.api.Close()
	})
	var err error
	if r.channel, err = r.box.AddChannel(sandbox.ChannelOptions{Name: "Support"}); err != nil {
		env.T().Fatal(err)
	}
	r.tokens = []string{r.channel.Token}
	return r
}

// gate stands before the sandbox. It refuses what holds a text, and holds requests back after they took effect.
type gate struct {
	mu       sync.Mutex
	released *sync.Cond
	refuse   string
	hold     bool
	held     int
}

func (g *gate) set(change func(*gate)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
	g.released.Broadcast()
}

func (r *rig) serve(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	g := &r.gate
	g.mu.Lock()
	refused := g.refuse != "" && bytes.Contains(body, []byte(g.refuse))
	g.mu.Unlock()
	if refused {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"code":"BadRequestError","message":"Error: not today"}`)
		return
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	r.box.ServeHTTP(&holding{w, g}, q)
}

// holding is an answer that waits while the gate holds.
type holding struct {
	http.ResponseWriter
	gate *gate
}

func (h *holding) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *holding) WriteHeader(status int) {
	h.gate.mu.Lock()
	h.gate.held++
	for h.gate.hold {
		h.gate.released.Wait()
	}
	h.gate.held--
	h.gate.mu.Unlock()
	h.ResponseWriter.WriteHeader(status)
}

// boxCommands are the subcommands of box:
//
//	box done ITEM              the team has dealt with the ticket
//	box replace-token          $TOKEN becomes another one
//	box deactivate | activate  the channel
//	box refuse TEXT            400 for what holds the text; "" for nothing
//	box hold | release         let no answer out, though the requests take effect
//	box occupy ITEM...         make tickets behind the program's back
//	box channel                a second channel, whose token is $TOKEN2
//	box down | up              no answer but 502
//	box faults KIND...         what the next requests meet, one each; "ok" lets one pass
//	box requests               "COUNT METHOD route status reset" of the requests since the last time
//	box tickets                "ITEM folder revisions UPDATED MESSAGE" of each ticket
//	box body ITEM              the body of the ticket's last request
//	box act ITEM ACTION [TEXT] what a member of the team does with the ticket
//	box actions                "ITEM ACTION state REASON" of what the team has done
//	box front                  $HOOK_URL becomes an address that leads to the daemon
//	box token FILE             write $TOKEN into a file
//	box links FILE             write a CSV for adopt with every ticket
var boxCommands = map[string]func(*rig, *testscript.TestScript, []string){
	"done": func(r *rig, ts *testscript.TestScript, args []string) {
		if !r.box.Done(r.ticket(ts, args[0]).ID) {
			ts.Fatalf("box: %s can't be moved", args[0])
		}
	},
	"replace-token": func(r *rig, ts *testscript.TestScript, _ []string) {
		token, _ := r.box.ReplaceToken(r.channel.ID)
		r.tokens = append(r.tokens, token)
		ts.Setenv("TOKEN", token)
	},
	"deactivate": func(r *rig, _ *testscript.TestScript, _ []string) { r.box.Deactivate(r.channel.ID) },
	"refuse": func(r *rig, _ *testscript.TestScript, args []string) {
		r.gate.set(func(g *gate) { g.refuse = args[0] })
	},
	"hold":    func(r *rig, _ *testscript.TestScript, _ []string) { r.gate.set(func(g *gate) { g.hold = true }) },
	"release": func(r *rig, _ *testscript.TestScript, _ []string) { r.gate.set(func(g *gate) { g.hold = false }) },
	"occupy": func(r *rig, ts *testscript.TestScript, args []string) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		for _, item := range args {
			resp, err := client.Post(r.api.URL+"/inbox/tickets?accesstoken="+ts.Getenv("TOKEN"), "application/json",
				strings.NewReader(fmt.Sprintf(`{"interaction":{"networkItemId":%q,"message":"by somebody else"}}`, item)))
			ts.Check(err)
			body, err := io.ReadAll(resp.Body)
			ts.Check(errors.Join(err, resp.Body.Close()))
			if resp.StatusCode != http.StatusCreated {
				ts.Fatalf("box occupy: %s: %s", resp.Status, body)
			}
		}
		r.seen = len(r.box.Requests())
	},
	"act":      func(r *rig, ts *testscript.TestScript, args []string) { r.act(ts, args) },
	"actions":  func(r *rig, ts *testscript.TestScript, _ []string) { r.tellActions(ts) },
	"front":    func(r *rig, ts *testscript.TestScript, _ []string) { r.openFront(ts) },
	"activate": func(r *rig, _ *testscript.TestScript, _ []string) { r.box.Activate(r.channel.ID) },
	"channel": func(r *rig, ts *testscript.TestScript, _ []string) {
		second, err := r.box.AddChannel(sandbox.ChannelOptions{Name: "Sales"})
		ts.Check(err)
		r.tokens = append(r.tokens, second.Token)
		ts.Setenv("TOKEN2", second.Token)
	},
	"down": func(r *rig, _ *testscript.TestScript, _ []string) {
		r.box.SetFaults(func(sandbox.Call) sandbox.Fault { return sandbox.Fault{Kind: sandbox.BadGateway} })
	},
	"up": func(r *rig, _ *testscript.TestScript, _ []string) { r.box.SetFaults(nil) },
	"faults": func(r *rig, ts *testscript.TestScript, args []string) {
		var faults []sandbox.Fault
		for _, name := range args {
			kind := sandbox.Kind(name)
			switch {
			case name == "ok":
				kind = sandbox.NoFault
			case !slices.Contains(sandbox.Kinds, kind):
				ts.Fatalf("box: unknown fault %q", name)
			}
			// Slow is the only one that takes its time.
			faults = append(faults, sandbox.Fault{Kind: kind, Wait: 200 * time.Millisecond})
		}
		r.box.SetFaults(sandbox.Script("", faults...))
	},
	"requests": func(r *rig, ts *testscript.TestScript, _ []string) {
		all, counts := r.box.Requests(), make(map[string]int)
		for _, q := range all[r.seen:] {
			line := fmt.Sprintf("%s %d", q.Route, q.Status)
			if q.Reset {
				line += " reset=true"
			}
			counts[line]++
		}
		out := ts.Stdout()
		for _, line := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintln(out, counts[line], line)
		}
		r.seen = len(all)
	},
	"tickets": func(r *rig, ts *testscript.TestScript, _ []string) {
		out := ts.Stdout()
		for _, t := range r.tickets() {
			updated := "-"
			if !t.UpdatedTime.IsZero() {
				updated = t.UpdatedTime.Format("2006-01-02")
			}
			fmt.Fprintf(out, "%s %s %d %s %s\n", t.Interaction.NetworkItemID, t.Folder, len(t.Revisions), updated, t.Interaction.Message)
		}
	},
	"body": func(r *rig, ts *testscript.TestScript, args []string) {
		revisions := r.ticket(ts, args[0]).Revisions
		fmt.Fprintf(ts.Stdout(), "%s\n", revisions[len(revisions)-1].Body)
	},
	"token": func(_ *rig, ts *testscript.TestScript, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.Getenv("TOKEN")+"\n"), 0o600))
	},
	"links": func(r *rig, ts *testscript.TestScript, args []string) {
		text := []byte("networkItemId,_id\n")
		for _, t := range r.tickets() {
			text = fmt.Appendf(text, "%s,%s\n", t.Interaction.NetworkItemID, t.ID)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o644))
	},
}

func box(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || boxCommands[args[0]] == nil {
		ts.Fatalf("box: unknown subcommand %q", args)
	}
	boxCommands[args[0]](rigOf(ts), ts, args[1:])
}

// tickets are all tickets of all channels by item.
func (r *rig) tickets() []sandbox.Ticket {
	var all []sandbox.Ticket
	for _, c := range r.box.Channels() {
		all = append(all, r.box.Tickets(c.ID)...)
	}
	slices.SortFunc(all, func(a, b sandbox.Ticket) int {
		return cmp.Compare(a.Interaction.NetworkItemID, b.Interaction.NetworkItemID)
	})
	return all
}

func (r *rig) ticket(ts *testscript.TestScript, item string) sandbox.Ticket {
	all := r.tickets()
	i := slices.IndexFunc(all, func(t sandbox.Ticket) bool { return t.Interaction.NetworkItemID == item })
	if i < 0 {
		ts.Fatalf("box: there is no ticket of %s", item)
	}
	return all[i]
}

// hasTickets checks: N [TEXT].
func (r *rig) hasTickets(args []string) error {
	n := 0
	for _, t := range r.tickets() {
		if len(args) < 2 || strings.HasSuffix(t.Interaction.Message, args[1]) {
			n++
		}
	}
	if strconv.Itoa(n) != args[0] {
		return fmt.Errorf("the sandbox has %d tickets, not %s", n, strings.Join(args, " "))
	}
	return nil
}

// holds checks: N.
func (r *rig) holds(args []string) error {
	r.gate.mu.Lock()
	defer r.gate.mu.Unlock()
	if strconv.Itoa(r.gate.held) != args[0] {
		return fmt.Errorf("%d requests are held, not %s", r.gate.held, args[0])
	}
	return nil
}

// hasAnswered checks: N ROUTE STATUS.
func (r *rig) hasAnswered(args []string) error {
	least, err := strconv.Atoi(args[0])
	status, err2 := strconv.Atoi(args[2])
	if n := r.box.Counts()[sandbox.Count{Route: args[1], Status: status}]; n < least {
		return fmt.Errorf("%d answers %d to %s, fewer than %d", n, status, args[1], least)
	}
	return errors.Join(err, err2)
}

// feedServer serves a file, or a status.
type feedServer struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	body   []byte
}

func (s *feedServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(s.status)
	w.Write(s.body)
}

// feed sets what a server answers whose address is $FEED_URL: a status and, if there is one, a file.
//
//	feed STATUS [FILE]
func feed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: feed STATUS [FILE]")
	}
	status, err := strconv.Atoi(args[0])
	ts.Check(err)
	r := rigOf(ts)
	if r.feed == nil {
		r.feed = &feedServer{}
		r.feed.Server = httptest.NewServer(r.feed)
		ts.Defer(r.feed.Close)
		ts.Setenv("FEED_URL", r.feed.URL)
		ts.Setenv("FEED_ADDRESS", r.feed.Listener.Addr().String())
	}
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	r.feed.status, r.feed.body = status, nil
	if len(args) > 1 {
		r.feed.body = []byte(ts.ReadFile(args[1]))
	}
}
