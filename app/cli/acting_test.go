package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/rogpeppe/go-internal/testscript"

	"socialhub-sync/socialhub/sandbox"
)

// openFront puts an address into $HOOK_URL that leads to the daemon which runs.
func (r *rig) openFront(ts *testscript.TestScript) {
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(q *httputil.ProxyRequest) {
			r.mu.Lock()
			defer r.mu.Unlock()
			q.SetURL(r.status)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	ts.Defer(front.Close)
	ts.Setenv("HOOK_URL", front.URL)
}

// setStatus notes where the daemon is.
func (r *rig) setStatus(ts *testscript.TestScript, address string) {
	u, err := url.Parse(address)
	ts.Check(err)
	r.mu.Lock()
	r.status = u
	r.mu.Unlock()
	ts.Setenv("STATUS_URL", address)
}

// act is what a member of the team does: ITEM ACTION [TEXT].
func (r *rig) act(ts *testscript.TestScript, args []string) {
	do := sandbox.Act{TicketID: r.ticket(ts, args[0]).ID, ActionID: args[1]}
	if len(args) > 2 {
		do.Text = args[2]
	}
	_, err := r.box.Act(r.channel.ID, do)
	ts.Check(err)
}

// tellActions prints "ITEM ACTION state REASON" of what the team has done.
func (r *rig) tellActions(ts *testscript.TestScript) {
	for _, a := range r.box.Actions(r.channel.ID) {
		fmt.Fprintln(ts.Stdout(), a.ReplyTo, a.ActionID, a.State, a.Reason)
	}
}

// hasActed checks: N STATE, as the team sees it.
func (r *rig) hasActed(args []string) error {
	n := 0
	for _, a := range r.box.Actions(r.channel.ID) {
		if string(a.State) == args[1] {
			n++
		}
	}
	if fmt.Sprint(n) != args[0] {
		return fmt.Errorf("%d actions are %s, not %s", n, args[1], args[0])
	}
	return nil
}

// isHooked checks: the channel has a webhook.
func (r *rig) isHooked([]string) error {
	if r.box.Webhook(r.channel.ID) == "" {
		return fmt.Errorf("the channel has no webhook")
	}
	return nil
}
