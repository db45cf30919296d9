package demo_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"socialhub-sync/app/cli"
	"socialhub-sync/sources/builtin"
)

// screen is an output that may call somebody when a text is on it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	call func()
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.Write(p)
	if s.want != "" && strings.Contains(s.text.String(), s.want) {
		s.want = ""
		s.call()
	}
	return len(p), nil
}

// run runs a command line with a temporary folder of its own, which must be empty afterwards.
func run(ctx context.Context, t *testing.T, out *screen, args ...string) (code int, problems string) {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var errs bytes.Buffer
	code = cli.Run(ctx, args, builtin.Adapters(), cli.Streams{
		In: strings.NewReader(""), Out: out, Err: &errs, LookupEnv: func(string) (string, bool) { return "", false },
	})
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return code, errs.String()
}

func wantTexts(t *testing.T, out *screen, texts ...string) {
	t.Helper()
	rest := out.text.String()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("%q is not where it should be in:\n%s", text, &out.text)
		}
		rest = after
	}
}

func TestOnceShowsTheTicketsAndWhatCameOfThem(t *testing.T) {
	var out screen
	code, problems := run(t.Context(), t, &out, "demo", "--once")
	if code != 0 || problems != "" {
		t.Errorf("exit code %d, %q", code, problems)
	}
	wantTexts(t, &out,
		"CHANNEL        FOLDER  AUTHOR           TICKET\n",
		"Shop reviews   inbox   Jürgen Weiß      Schöne Mühle, mahlt gleichmäßig und überraschend …\n",
		"Shop reviews   done    Shop reviews     Dear Tom, we are sorry! A new bag is on its way …\n",
		"Shop reviews   inbox   Luca Bianchi     Does the M2 grinder take the burrs of the older …\n",
		"Shop reviews   inbox   Anna Sørensen    Love my new espresso machine, the first cup was …\n",
		"Shop reviews   done    Shop reviews     Yes, it does, Luca. Write us your address and the …\n",
		"Blog comments  inbox   Greta Olsen      On “Visiting the farm in Huila” · More of these …\n",
		"reviews.jsonl:6  shop-export  createdTime: want a time",
		"shop-export  13    12   0        0          1         2       ok\n",
		"blog-feed    6     6    0        0          0         0       ok\n",
		"shop-reviews   12       0",
		"Done in ",
		"The team answered Luca: posted at the source as answer-",
		"Without --once the demo shows the tickets on an inbox page",
	)
	if strings.Contains(out.text.String(), "says why") {
		t.Errorf("it names a database that is gone:\n%s", out.text.String())
	}
}

// A pipe whose reader has gone ends the program at the first write.
func TestOnceWritesOnlyWhenEverythingIsRemoved(t *testing.T) {
	writes := 0
	out := &screen{want: "CHANNEL", call: func() {
		writes++
		if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
			t.Errorf("there still: %v, %v", left, err)
		}
	}}
	if run(t.Context(), t, out, "demo", "--once"); writes == 0 {
		t.Error("nothing was written")
	}
}

func TestTheLogIsQuietUnlessAskedFor(t *testing.T) {
	var out screen
	if code, log := run(t.Context(), t, &out, "demo", "--once", "--log-level", "info"); code != 0 || !strings.Contains(log, `"msg":"poll"`) {
		t.Errorf("exit code %d, %q", code, log)
	}
}

func TestTheDemoRunsUntilItIsStoppedAndLeavesNothing(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &screen{want: "tickets are there", call: stop}
	code, problems := run(ctx, t, out, "demo", "--listen", "127.0.0.1:0")
	if code != 0 || problems != "" {
		t.Errorf("exit code %d, %q", code, problems)
	}
	wantTexts(t, out, "\n    http://127.0.0.1:", "/ui/\n", "Status page  http://127.0.0.1:", "Reviews      ", "Config       ", "Ctrl-C",
		"18 tickets are there", "Stopped, and removed everything")
}

func TestAStopDuringTheStartIsNoError(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var out screen
	if code, problems := run(ctx, t, &out, "demo", "--listen", "127.0.0.1:0"); code != 0 || problems != "" {
		t.Errorf("exit code %d, %q", code, problems)
	}
}

func TestAWrongListenIsWrongUsage(t *testing.T) {
	var out screen
	if code, problems := run(t.Context(), t, &out, "demo", "--listen", "8081"); code != 2 || !strings.Contains(problems, "--listen: address 8081: missing port") {
		t.Errorf("exit code %d, %q", code, problems)
	}
}
