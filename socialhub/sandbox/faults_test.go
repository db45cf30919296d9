package sandbox_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"socialhub-sync/socialhub/sandbox"
)

// faulty sends one POST that meets the fault.
func faulty(r *rig, f sandbox.Fault) (answer, error) {
	r.SetFaults(sandbox.Script(sandbox.RoutePost, f))
	return r.try("POST", "/inbox/tickets", `{"interaction":{`+simple("item-1")+`}}`)
}

func TestAFaultAnswersAsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault      sandbox.Fault
		status     int
		body       string
		retryAfter string
		committed  bool
	}{
		{fault: sandbox.Fault{Kind: sandbox.InternalError}, status: 500, body: `{"code":"InternalServerError"`},
		{fault: sandbox.Fault{Kind: sandbox.BadGateway}, status: 502, body: `<html>`},
		{fault: sandbox.Fault{Kind: sandbox.Unauthorized}, status: 401, body: `{"code":"AccessTokenInvalidError"`},
		{fault: sandbox.Fault{Kind: sandbox.Forbidden}, status: 403, body: `{"code":"AccessDenied"`},
		{fault: sandbox.Fault{Kind: sandbox.TooMany}, status: 429, body: `{"code":"TooManyRequestsError"`, retryAfter: "1"},
		{fault: sandbox.Fault{Kind: sandbox.TooMany, Wait: 89500 * time.Millisecond}, status: 429, body: `{"code"`, retryAfter: "90"},
		{fault: sandbox.Fault{Kind: sandbox.TooManyAbsurd}, status: 429, body: `{"code"`, retryAfter: "-1"},
		{fault: sandbox.Fault{Kind: sandbox.TooManyAbsurd, RetryAfter: "soon"}, status: 429, body: `{"code"`, retryAfter: "soon"},
		{fault: sandbox.Fault{Kind: sandbox.Empty}, status: 200, body: ``, committed: true},
		{fault: sandbox.Fault{Kind: sandbox.Truncated}, status: 201, body: `{"_id":`, committed: true},
		{fault: sandbox.Fault{}, status: 201, body: `{"_id":`, committed: true},
	} {
		t.Run(fmt.Sprintf("%s %s", c.fault.Kind, c.retryAfter), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
			a, err := faulty(r, c.fault)
			if err != nil || a.status != c.status || a.header.Get("Retry-After") != c.retryAfter {
				t.Fatalf("answered %d %v, %v", a.status, a.header, err)
			}
			if !strings.HasPrefix(a.text, c.body) || (c.body == "") != (a.text == "") {
				t.Errorf("answered %q", a.text)
			}
			if c.fault.Kind == sandbox.Truncated && a.json != nil {
				t.Errorf("%q is whole", a.text)
			}
			if got := len(r.Tickets(r.channel.ID)) == 1; got != c.committed {
				t.Errorf("took effect: %t", got)
			}
			if log := r.Requests(); log[0].Fault != c.fault.Kind || log[0].Status != c.status {
				t.Errorf("the log is %+v", log)
			}
			if a := r.do("GET", "/", ""); a.status != http.StatusOK {
				t.Errorf("the next request answered %d", a.status)
			}
		})
	}
}

func TestALostAnswerLeavesTheTicket(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	if a, err := faulty(r, sandbox.Fault{Kind: sandbox.Lost}); !errors.Is(err, io.EOF) {
		t.Errorf("answered %d, %v", a.status, err)
	}
	if len(r.Tickets(r.channel.ID)) != 1 {
		t.Error("the request did not take effect")
	}
}

func TestAResetLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{}, sandbox.ChannelOptions{})
	if a, err := faulty(r, sandbox.Fault{Kind: sandbox.Reset}); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("answered %d, %v", a.status, err)
	}
	if len(r.Tickets(r.channel.ID)) != 0 {
		t.Error("the request took effect")
	}
}

func TestARetryDateIsInTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{})
		a, err := faulty(r, sandbox.Fault{Kind: sandbox.TooManyDate, Wait: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		at, err := http.ParseTime(a.header.Get("Retry-After"))
		if err != nil || time.Until(at) != time.Minute {
			t.Errorf("Retry-After is %q, %v", a.header.Get("Retry-After"), err)
		}
	})
}

func TestAHangLastsUntilTheClientGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{})
		r.client.Timeout = time.Hour
		start := time.Now()
		if a, err := faulty(r, sandbox.Fault{Kind: sandbox.Hang}); err == nil {
			t.Errorf("answered %d", a.status)
		}
		if took := time.Since(start); took != time.Hour {
			t.Errorf("hung for %s", took)
		}
		synctest.Wait()
		if log := r.Requests(); len(log) != 1 || len(r.Tickets(r.channel.ID)) != 0 {
			t.Errorf("the log is %+v", log)
		}
	})
}

func TestASlowBodyTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{})
		for wait, want := range map[time.Duration]time.Duration{0: 30 * time.Second, 8 * time.Second: 8 * time.Second} {
			start := time.Now()
			a, err := faulty(r, sandbox.Fault{Kind: sandbox.Slow, Wait: wait})
			if err != nil || a.json == nil {
				t.Errorf("answered %q, %v", a.text, err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("took %s, want %s", took, want)
			}
		}
	})
}

func TestASlowBodyEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{})
		r.client.Timeout = 10 * time.Second
		if _, err := faulty(r, sandbox.Fault{Kind: sandbox.Slow}); err == nil {
			t.Error("the answer is whole")
		}
	})
}

func TestAConnectionIsCutOnAPipeToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := bubble(t, sandbox.Options{})
		for _, kind := range []sandbox.Kind{sandbox.Lost, sandbox.Reset} {
			if a, err := faulty(r, sandbox.Fault{Kind: kind}); err == nil {
				t.Errorf("%s answered %d", kind, a.status)
			}
		}
		if a := r.do("GET", "/", ""); a.status != http.StatusOK || len(r.Tickets(r.channel.ID)) != 1 {
			t.Errorf("after it: %d, %d tickets", a.status, len(r.Tickets(r.channel.ID)))
		}
	})
}

func TestAScriptFollowsItsRouteInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Faults: sandbox.Script(sandbox.RoutePost,
		sandbox.Fault{Kind: sandbox.InternalError}, sandbox.Fault{}, sandbox.Fault{Kind: sandbox.Forbidden})}, sandbox.ChannelOptions{})
	var got []int
	for n := range 4 {
		got = append(got, r.do("GET", "/", "").status,
			r.do("POST", "/inbox/tickets", `{"interaction":{`+simple(fmt.Sprintf("item-%d", n))+`}}`).status)
	}
	if fmt.Sprint(got) != "[200 500 200 201 200 403 200 201]" {
		t.Errorf("answered %v", got)
	}
}

func TestASourceOfTroubleSeesTheRequest(t *testing.T) {
	t.Parallel()
	calls := make(chan sandbox.Call, 2)
	r := newRig(t, sandbox.Options{Faults: func(c sandbox.Call) sandbox.Fault {
		calls <- c
		return sandbox.Fault{}
	}}, sandbox.ChannelOptions{})
	r.do("GET", "/", "")
	r.do("PATCH", "/inbox/tickets/x", "{}")
	<-calls
	want := sandbox.Call{N: 2, Method: "PATCH", Path: "/inbox/tickets/x", Route: sandbox.RoutePatch, ChannelID: r.channel.ID}
	if got := <-calls; got != want {
		t.Errorf("saw %+v", got)
	}
}

func TestParsedFaultsComeAsOftenAsAsked(t *testing.T) {
	t.Parallel()
	faults, err := sandbox.ParseFaults("lost:0.05, reset:0.02,500:0.1,429-date:0.01", 7)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := sandbox.ParseFaults("500:0.1,429-date:0.01,lost:0.05,reset:0.02", 7)
	other, _ := sandbox.ParseFaults("lost:0.05,reset:0.02,500:0.1,429-date:0.01", 8)
	const n = 100_000
	count, differs := map[sandbox.Kind]int{}, false
	for i := range n {
		f := faults(sandbox.Call{N: i})
		count[f.Kind]++
		if f != again(sandbox.Call{N: i}) {
			t.Fatal("the same seed gives another fault")
		}
		differs = differs || f != other(sandbox.Call{N: i})
	}
	if !differs {
		t.Error("another seed gives the same faults")
	}
	for kind, want := range map[sandbox.Kind]float64{
		sandbox.Lost: 0.05, sandbox.Reset: 0.02, sandbox.InternalError: 0.1, sandbox.TooManyDate: 0.01, sandbox.NoFault: 0.82,
	} {
		if got := float64(count[kind]) / n; got < want*0.9 || got > want*1.1 {
			t.Errorf("%q came with %g, want %g", kind, got, want)
		}
	}
}

func TestFaultsThatCannotBeReadSayWhy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"lots:0.1":          "lost, reset, slow",
		"lost":              "needs a probability",
		"lost:":             "needs a probability",
		"lost:x":            "needs a probability",
		"lost:-0.1":         "needs a probability",
		"lost:NaN":          "needs a probability",
		"lost:0.1,lost:0.1": "named twice",
		"lost:0.6,500:0.6":  "more than 1",
	} {
		if _, err := sandbox.ParseFaults(text, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"", " , ", "lost:1", "lost:0.9,reset:0.1"} {
		if _, err := sandbox.ParseFaults(text, 1); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
