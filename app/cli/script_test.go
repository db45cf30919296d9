package cli_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"socialhub-sync/app/cli"
	"socialhub-sync/sources/builtin"
	"socialhub-sync/store/storetest"
)

// The scripts in testdata/script run the program as a process of its own, against a sandbox in this one:
// those in both/ on SQLite and on Postgres, the others on the one that their folder names. A script
// begins with $API_URL and $TOKEN of a sandbox with one channel, $DATABASE of an empty database, and a config.yaml
// that names these, unless the script brings another. Beside the commands of testscript it has:
//
//	exits CODE COMMAND...             run a command that must end with this exit code
//	items FILE FROM-TO:TEXT...        write a file of items: review-0001 is of 2026-01-01, the next of the day after
//	box SUBCOMMAND                    look at the sandbox or make trouble there, see boxCommands
//	feed STATUS [FILE]                what a server answers whose address is $FEED_URL ($FEED_ADDRESS)
//	daemon SUBCOMMAND                 a daemon in the background, see daemonCommands
//	outage begin|end                  make the Postgres database refuse connections, from the first one on
//	dump TABLE...                     print everything in tables of the database
//	rewrite STATEMENT                 change the database by hand
//	statuses                          check the keys of `status --json` and print it as lines like "sources.reviews.new 3"
//	get URL                           print status and body
//	hides FILE...                     files, "stdout" or "stderr" hold no secret
//	jsonlog FILE                      every line is a JSON object with time, level and message
//	await CONDITION...                wait for something that will soon be so

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"socialhub-sync": program, "act-on-source": actOnSource})
}

// tests are run inside of what the database for the tests needs.
type tests struct{ m *testing.M }

func (t tests) Run() int {
	// The scripts wait for processes more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return storetest.Main(t.m)
}

// program is what main is.
func program() {
	trustReplay()
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(context.Background())
	context.AfterFunc(signalled, func() { stop(); cancel() })
	os.Exit(cli.Run(ctx, os.Args[1:], builtin.Adapters(), cli.Process()))
}

func TestOnSQLite(t *testing.T) {
	t.Parallel()
	runScripts(t, sqlite, "both", "sqlite")
}

func TestOnPostgres(t *testing.T) {
	t.Parallel()
	runScripts(t, postgres, "both", "postgres")
}

func sqlite(env *testscript.Env) string { return "sqlite:" + filepath.Join(env.WorkDir, "sync.db") }

// databasePassword is in the URL of every Postgres database; the private server does not ask for it.
const databasePassword = "pa55word-of-the-database"

func postgres(env *testscript.Env) string {
	u, err := url.Parse(storetest.Postgres(env.T().(testing.TB)))
	if err != nil {
		env.T().Fatal("the test's database has no valid URL")
	}
	if _, has := u.User.Password(); !has {
		u.User = url.UserPassword(u.User.Username(), databasePassword)
	}
	return u.String()
}

const usualConfig = `database: ${DATABASE}
api_url: ${API_URL}
listen: 127.0.0.1:0
channels:
  support:
    access_token: ${TOKEN}
sources:
  reviews:
    adapter: jsonl
    channel: support
    schedule: "@every 1s"
    settings:
      path: reviews.jsonl
`

func runScripts(t *testing.T, database func(*testscript.Env) string, folders ...string) {
	var files []string
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join("testdata", "script", folder, "*.txtar"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no scripts in %s: %v", folder, err)
		}
		files = append(files, found...)
	}
	testscript.Run(t, testscript.Params{
		Files:              files,
		RequireUniqueNames: true,
		Condition: func(c string) (bool, error) {
			if c != "postgres" {
				return false, fmt.Errorf("unknown condition %q", c)
			}
			return slices.Contains(folders, c), nil
		},
		Setup: func(env *testscript.Env) error {
			r := newRig(env)
			env.Values[rigKey{}] = r
			env.Setenv("DATABASE", database(env))
			env.Setenv("API_URL", r.api.URL)
			env.Setenv("TOKEN", r.channel.Token)
			env.Setenv("TZ", "UTC")
			// The race detector would let every program sleep for a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			config := filepath.Join(env.WorkDir, "config.yaml")
			if _, err := os.Stat(config); err == nil {
				return nil
			}
			return os.WriteFile(config, []byte(usualConfig), 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "items": items, "box": box, "feed": feed, "daemon": daemon, "outage": outage,
			"dump": dump, "rewrite": rewrite, "statuses": statuses, "get": get, "hides": hides, "jsonlog": jsonlog, "await": await,
		},
	})
}

// patience bounds every wait for a condition.
const patience = 30 * time.Second

// eventually waits until f is nil.
func eventually(ts *testscript.TestScript, f func() error) {
	deadline := time.After(patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			ts.Fatalf("waited in vain: %v", err)
		}
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

// await is for what another process will have done soon:
//
//	await tickets N [TEXT]    the sandbox has N tickets (whose last message ends with TEXT)
//	await requests N ROUTE STATUS    the sandbox has answered so at least N times since it began
//	await held N              so many answers wait for `box release`
//	await status LINE         `statuses` prints the line
//	await hooked channel      the channel has a webhook
//	await acted N STATE       N actions of the team are in that state, as the team sees it
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await CONDITION ...")
	}
	r := rigOf(ts)
	check, ok := map[string]func() error{
		"tickets":  func() error { return r.hasTickets(args[1:]) },
		"held":     func() error { return r.holds(args[1:]) },
		"requests": func() error { return r.hasAnswered(args[1:]) },
		"acted":    func() error { return r.hasActed(args[1:]) },
		"hooked":   func() error { return r.isHooked(args[1:]) },
		"status":   func() error { return hasStatus(ts, args[1]) },
	}[args[0]]
	if !ok {
		ts.Fatalf("await: unknown condition %q", args[0])
	}
	eventually(ts, check)
}

func items(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: items FILE FROM-TO:TEXT...")
	}
	var text []byte
	for _, spec := range args[1:] {
		var from, to int
		var version string
		if _, err := fmt.Sscanf(spec, "%d-%d:%s", &from, &to, &version); err != nil {
			ts.Fatalf("items: %q: %v", spec, err)
		}
		for n := from; n <= to; n++ {
			day := time.Date(2026, 1, n, 12, 0, 0, 0, time.UTC)
			text = fmt.Appendf(text, `{"networkItemId":"review-%04d","message":"Review %d, %s","createdTime":%q,"interactor":{"interactorId":"u-%d","name":"User %d"}`,
				n, n, version, day.Format(time.RFC3339), n, n)
			if version != "first" {
				text = fmt.Appendf(text, `,"updatedTime":%q`, day.Add(time.Hour).Format(time.RFC3339))
			}
			text = append(text, "}\n"...)
		}
	}
	// In one step, as a daemon may be reading.
	file := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(file+".new", text, 0o644))
	ts.Check(os.Rename(file+".new", file))
}
