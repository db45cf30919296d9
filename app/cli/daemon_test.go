package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rogpeppe/go-internal/testscript"
)

// process is a daemon in the background; its output goes to the file daemon.log.
type process struct {
	cmd *exec.Cmd
	log string
}

// inherited are the variables of the script that programs get.
var inherited = []string{"PATH", "HOME", "TMPDIR", "TZ", "WORK", "API_URL", "TOKEN", "TOKEN2", "DATABASE", "FEED_URL", "FEED_ADDRESS", "HOOK_URL", "GOCOVERDIR", "GORACE"}

// command is the program in the folder of the script.
func command(ts *testscript.TestScript, args ...string) *exec.Cmd {
	cmd := exec.Command("socialhub-sync", args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range inherited {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// daemonCommands are the subcommands of daemon:
//
//	daemon start [FLAG...]     start it
//	daemon ready               wait until it runs; $STATUS_URL becomes the address of its page
//	daemon says TEXT           wait until the text is in its log
//	daemon signal TERM|INT     tell it to stop
//	daemon signal HUP          tell it to read its config anew
//	daemon ends                wait until it has ended, which must be with exit code 0
//	daemon fails               the same, with exit code 1
//	daemon stop                signal TERM, ends
//	daemon kill                as a power failure does
var daemonCommands = map[string]func(*rig, *testscript.TestScript, []string){
	"start": func(r *rig, ts *testscript.TestScript, args []string) {
		p := &process{command(ts, append([]string{"run"}, args...)...), ts.MkAbs("daemon.log")}
		out, err := os.Create(p.log)
		ts.Check(err)
		defer out.Close()
		p.cmd.Stdout, p.cmd.Stderr = out, out
		ts.Check(p.cmd.Start())
		r.process = p
		ts.Defer(func() {
			if p.cmd.ProcessState == nil { // the script has failed
				p.cmd.Process.Kill()
				p.cmd.Wait()
				ts.Logf("[daemon]\n%s", ts.ReadFile(p.log))
			}
		})
	},
	"ready": func(r *rig, ts *testscript.TestScript, _ []string) {
		eventually(ts, func() error {
			for line := range strings.Lines(ts.ReadFile(r.process.log)) {
				var running struct{ Msg, Listen string }
				if json.Unmarshal([]byte(line), &running) == nil && running.Msg == "running" {
					r.setStatus(ts, "http://"+running.Listen)
					return nil
				}
			}
			return fmt.Errorf("the daemon does not run yet")
		})
	},
	"says": func(r *rig, ts *testscript.TestScript, args []string) {
		eventually(ts, func() error {
			if !strings.Contains(ts.ReadFile(r.process.log), args[0]) {
				return fmt.Errorf("the daemon has not said %q", args[0])
			}
			return nil
		})
	},
	"signal": func(r *rig, ts *testscript.TestScript, args []string) {
		ts.Check(r.process.cmd.Process.Signal(map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt, "HUP": syscall.SIGHUP}[args[0]]))
	},
	"ends": func(r *rig, ts *testscript.TestScript, _ []string) {
		err := r.process.cmd.Wait()
		ts.Logf("[daemon]\n%s", ts.ReadFile(r.process.log))
		ts.Check(err)
	},
	"fails": func(r *rig, ts *testscript.TestScript, _ []string) {
		err := r.process.cmd.Wait()
		ts.Logf("[daemon]\n%s", ts.ReadFile(r.process.log))
		if code := r.process.cmd.ProcessState.ExitCode(); code != 1 {
			ts.Fatalf("exit code %d, not 1: %v", code, err)
		}
	},
	"kill": func(r *rig, ts *testscript.TestScript, _ []string) {
		ts.Check(r.process.cmd.Process.Kill())
		if r.process.cmd.Wait() == nil {
			ts.Fatalf("the daemon had ended by itself")
		}
	},
}

func daemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || args[0] != "stop" && daemonCommands[args[0]] == nil {
		ts.Fatalf("daemon: unknown subcommand %q", args)
	}
	if args[0] == "stop" {
		daemonCommands["signal"](rigOf(ts), ts, []string{"TERM"})
		args[0] = "ends"
	}
	daemonCommands[args[0]](rigOf(ts), ts, args[1:])
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: get URL")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s", resp.StatusCode, body)
}

// refusing is an address that refuses connections, as a server does that is not up yet, until it begins to
// pass them on.
type refusing struct {
	socket, port    int
	network, target string

	listener net.Listener
	conns    sync.WaitGroup
}

// outage puts an address that refuses connections into $DATABASE; at its end they reach the database.
func outage(ts *testscript.TestScript, neg bool, args []string) {
	r := rigOf(ts)
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: outage begin|end")
	case args[0] == "begin":
		config, err := pgx.ParseConfig(ts.Getenv("DATABASE"))
		ts.Check(err)
		r.outage = &refusing{}
		r.outage.network, r.outage.target = pgconn.NetworkAddress(config.Host, config.Port)
		ts.Check(r.outage.bind())
		u, err := url.Parse(ts.Getenv("DATABASE"))
		ts.Check(err)
		u.Host, u.RawQuery = fmt.Sprintf("127.0.0.1:%d", r.outage.port), "sslmode=disable"
		ts.Setenv("DATABASE", u.String())
		ts.Defer(r.outage.close)
	case args[0] == "end":
		ts.Check(r.outage.end())
	}
}

// bind takes a free port without listening on it.
func (o *refusing) bind() (err error) {
	if o.socket, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); err != nil {
		return err
	}
	if err := syscall.Bind(o.socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	address, err := syscall.Getsockname(o.socket)
	if err != nil {
		return err
	}
	o.port = address.(*syscall.SockaddrInet4).Port
	return nil
}

func (o *refusing) end() error {
	if err := syscall.Listen(o.socket, 16); err != nil {
		return err
	}
	file := os.NewFile(uintptr(o.socket), "listener")
	defer file.Close()
	var err error
	if o.listener, err = net.FileListener(file); err != nil {
		return err
	}
	o.conns.Go(func() {
		for {
			conn, err := o.listener.Accept()
			if err != nil {
				return
			}
			o.conns.Go(func() { o.pass(conn) })
		}
	})
	return nil
}

// pass carries one connection until either side ends it.
func (o *refusing) pass(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial(o.network, o.target)
	if err != nil {
		return
	}
	o.conns.Go(func() {
		defer server.Close()
		io.Copy(server, conn)
	})
	io.Copy(conn, server)
}

// close is for the end of the script, when the program's processes have ended.
func (o *refusing) close() {
	if o.listener == nil {
		syscall.Close(o.socket)
		return
	}
	o.listener.Close()
	o.conns.Wait()
}

// hides checks that files hold none of the script's secrets.
func hides(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: hides FILE...")
	}
	var secrets []string
	for _, token := range rigOf(ts).tokens {
		secrets = append(secrets, token, token[strings.LastIndexByte(token, '.')+1:])
	}
	if u, err := url.Parse(ts.Getenv("DATABASE")); err == nil {
		if password, has := u.User.Password(); has {
			secrets = append(secrets, password)
		}
	}
	for _, name := range args {
		text := ts.ReadFile(name)
		if text == "" {
			ts.Fatalf("%s is empty, which says nothing", name)
		}
		for i, secret := range secrets {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s shows secret %d of %d", filepath.Base(name), i+1, len(secrets))
			}
		}
	}
}
