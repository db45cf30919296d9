package app_test

import (
	"net"
	"strings"
	"testing"
	"time"
)

const (
	readersToken = "0123456789abcdef"
	forReaders   = "readers: {bearer_token: " + readersToken + "}, "
	whoeverReads = "msg=\"whoever reaches `listen` can read the status page"
)

// The readers of either config are asked while the new address is listened on and the old work still under way.
func TestWhileAReloadIsUnderWayReadersAreAsked(t *testing.T) {
	t.Parallel()
	asking := strings.Replace(one, "{d", "{"+forReaders+"d", 1)
	for _, test := range []struct{ before, after string }{{one, asking}, {asking, one}} {
		w := newWorld(t)
		asked, release := held(t, w)
		e := edit(t, w, test.before)
		t.Cleanup(release)
		<-asked
		before := e.Addr()
		e.put(t, "config.yaml", strings.NewReplacer("{access_token_file: token}", "{access_token_file: token, concurrency: 2}",
			"127.0.0.1:0", "localhost:0").Replace(test.after))
		reloaded := make(chan error, 1)
		go func() { _, err := e.Reload(t.Context()); reloaded <- err }()
		ticker := time.NewTicker(time.Millisecond)
		for e.Addr() == before { // the listener is first; then it waits for the request
			<-ticker.C
		}
		ticker.Stop()
		wantClosed(t, e.Addr(), readersToken)
		release()
		if err := <-reloaded; err != nil {
			t.Error(err)
		}
		if test.after == one {
			get(t, "http://"+e.Addr()+"/metrics")
		} else {
			wantClosed(t, e.Addr(), readersToken)
		}
	}
}

func TestAReloadThatIsRefusedLeavesTheReaders(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	elsewhere := strings.Replace(one, "127.0.0.1:0", taken.Addr().String(), 1)
	e := edit(t, newWorld(t), one)
	e.refuse(t, strings.Replace(elsewhere, "{d", "{"+forReaders+"d", 1), "choose another address")
	get(t, "http://"+e.Addr()+"/metrics")
	e.change(t, strings.Replace(one, "{d", "{"+forReaders+"d", 1), "keys: readers")
	wantClosed(t, e.Addr(), readersToken)
	e.refuse(t, elsewhere, "choose another address")
	wantClosed(t, e.Addr(), readersToken)
}

func TestAReloadThatLetsStrangersReadIsTold(t *testing.T) {
	t.Parallel()
	open := strings.Replace(one, "127.0.0.1:0", ":0", 1)
	e := edit(t, newWorld(t), strings.Replace(open, "{d", "{"+forReaders+"d", 1))
	for _, step := range []struct {
		text, want string
		told       int
	}{
		{open, "keys: readers", 1}, {strings.Replace(open, "{d", "{retention: {polls: 48h}, d", 1), "keys: retention", 1},
		{strings.Replace(open, ":0", "", 1), "keys: listen, retention", 1}, {open, "keys: listen", 2},
	} {
		e.change(t, step.text, step.want)
		if got := strings.Count(e.log.String(), whoeverReads); got != step.told {
			t.Errorf("%s: told %d times, want %d", step.want, got, step.told)
		}
	}
}
