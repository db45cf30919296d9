package imap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"go.uber.org/goleak"
)

// password is every user's, unless a test changes it.
const password = "s3cret-Passw0rd"

// startLimit bounds one start of the server.
const startLimit = 30 * time.Second

var (
	serverOnce sync.Once
	theServer  *dovecot
	errServer  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if theServer != nil {
		if err := theServer.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// dovecot is a private mail server. It listens on loopback ports, runs as a user without rights if we are root,
// and goes with us, however we end.
type dovecot struct {
	dir         string
	uid, gid    int
	plain, tls  string // addresses; the first one with STARTTLS
	guard       *exec.Cmd
	stdin       io.Closer
	certificate string // file

	mu       sync.Mutex
	lastUser int
}

// server returns the package's server.
func server(t testing.TB) *dovecot {
	t.Helper()
	serverOnce.Do(func() { theServer, errServer = startDovecot() })
	if errServer != nil {
		t.Fatal(errServer)
	}
	return theServer
}

func startDovecot() (*dovecot, error) {
	binary, err := exec.LookPath("dovecot")
	if err != nil {
		if binary = "/usr/sbin/dovecot"; !isFile(binary) {
			return nil, errors.New("no Dovecot found for the tests: run scripts/test, which installs it (package dovecot-imapd)")
		}
	}
	d := &dovecot{uid: os.Geteuid(), gid: os.Getegid()}
	account, err := user.Current()
	if d.uid == 0 {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	d.uid, _ = strconv.Atoi(account.Uid)
	d.gid, _ = strconv.Atoi(account.Gid)
	group, err := user.LookupGroupId(account.Gid)
	if err != nil {
		return nil, err
	}
	for range 5 { // a port may be taken between our choice and its use
		if err = d.start(binary, account.Username, group.Name); err == nil || !strings.Contains(err.Error(), "in use") {
			break
		}
	}
	return d, err
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// guardScript ends the server and removes its folder as soon as nobody holds its stdin any more.
const guardScript = `
"$2" -F -c "$1/dovecot.conf" &
read -r _
kill $!
wait $!
cd /
rm -rf "$1"`

func (d *dovecot) start(binary, userName, groupName string) (err error) {
	if d.dir, err = os.MkdirTemp(parentFolder(), "imap-test-"); err != nil {
		return err
	}
	if err := d.configure(userName, groupName); err != nil {
		return errors.Join(err, os.RemoveAll(d.dir))
	}
	log := &startLog{ready: make(chan struct{})}
	d.guard = exec.Command("/bin/sh", "-c", guardScript, "imap-test-guard", d.dir, binary)
	d.guard.Dir, d.guard.Stdout, d.guard.Stderr = d.dir, log, log
	d.guard.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	d.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		d.guard.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(d.uid), Gid: uint32(d.gid)}
	}
	if d.stdin, err = d.guard.StdinPipe(); err != nil {
		return err
	}
	if err := d.guard.Start(); err != nil {
		return err
	}
	select {
	case <-log.ready:
		return nil
	case <-time.After(startLimit):
		return errors.Join(fmt.Errorf("dovecot is not ready after %s: %s", startLimit, log), d.stop())
	case <-log.failed():
		return errors.Join(fmt.Errorf("dovecot does not start: %s", log), d.stop())
	}
}

func (d *dovecot) stop() error {
	_ = d.stdin.Close()
	if err := d.guard.Wait(); err != nil {
		return fmt.Errorf("stop dovecot: %w", err)
	}
	return nil
}

// parentFolder is in memory if there is much room, where thousands of files take a fraction of the time.
func parentFolder() string {
	const memory, room = "/dev/shm", 1 << 30
	var fs syscall.Statfs_t
	if syscall.Statfs(memory, &fs) == nil && uint64(fs.Bavail)*uint64(fs.Bsize) >= room {
		return memory
	}
	return "/tmp"
}

const configuration = `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
default_internal_user = %[2]s
default_internal_group = %[3]s
default_login_user = %[2]s
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Mail
mail_fsync = never
mail_max_userip_connections = 1000
auth_failure_delay = 0
disable_plaintext_auth = yes
login_trusted_networks =
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
passdb {
  driver = passwd-file
  args = %[1]s/users/%%u
}
userdb {
  driver = passwd-file
  args = %[1]s/users/%%u
}
namespace inbox {
  inbox = yes
  separator = /
}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  chroot =
  client_limit = 500
  process_limit = 50
  inet_listener imap {
    port = %[4]s
  }
  inet_listener imaps {
    port = %[5]s
    ssl = yes
  }
}
service imap {
  process_limit = 500
}
`

func (d *dovecot) configure(userName, groupName string) error {
	var err1, err2 error
	d.plain, err1 = freeAddress()
	d.tls, err2 = freeAddress()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	_, plain, _ := net.SplitHostPort(d.plain)
	_, secure, _ := net.SplitHostPort(d.tls)
	certificate, key, err := newCertificate()
	if err != nil {
		return err
	}
	d.certificate = filepath.Join(d.dir, "cert.pem")
	for name, text := range map[string]string{
		"dovecot.conf": fmt.Sprintf(configuration, d.dir, userName, groupName, plain, secure),
		"cert.pem":     certificate, "key.pem": key,
	} {
		file := filepath.Join(d.dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if err := os.Chown(file, d.uid, d.gid); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(d.dir, "users"), 0o755); err != nil {
		return err
	}
	return errors.Join(os.Chown(d.dir, d.uid, d.gid), os.Chown(filepath.Join(d.dir, "users"), d.uid, d.gid))
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// newCertificate makes a certificate for 127.0.0.1 and localhost that vouches for itself.
func newCertificate() (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "imap test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	keyDER, err2 := x509.MarshalPKCS8PrivateKey(private)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), errors.Join(err1, err2)
}

// startLog keeps what the server says until it is ready, and drops the rest.
type startLog struct {
	ready chan struct{}

	mu    sync.Mutex
	text  bytes.Buffer
	done  bool
	fatal chan struct{}
}

func (l *startLog) failed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == nil {
		l.fatal = make(chan struct{})
	}
	return l.fatal
}

func (l *startLog) Write(p []byte) (int, error) {
	_ = l.failed()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return len(p), nil
	}
	l.text.Write(p)
	switch text := l.text.String(); {
	case strings.Contains(text, "starting up"):
		l.done = true
		close(l.ready)
	case strings.Contains(text, "Fatal:"):
		l.done = true
		close(l.fatal)
	}
	return len(p), nil
}

func (l *startLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.text.String())
}

// account is a user of the server, with a mailbox of its own.
type account struct {
	server *dovecot
	name   string
	filled atomic.Int64 // mails by fill
}

func newAccount(t testing.TB) *account {
	t.Helper()
	d := server(t)
	d.mu.Lock()
	d.lastUser++
	a := &account{server: d, name: fmt.Sprintf("user%d@example.com", d.lastUser)}
	d.mu.Unlock()
	a.setPassword(t, password)
	return a
}

func (a *account) home() string { return filepath.Join(a.server.dir, "home", a.name) }

// setPassword gives the user another password.
func (a *account) setPassword(t testing.TB, password string) {
	t.Helper()
	d := a.server
	text := fmt.Sprintf("%s:{PLAIN}%s:%d:%d::%s::\n", a.name, password, d.uid, d.gid, a.home())
	file := filepath.Join(d.dir, "users", a.name)
	if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// client is a connection of the user's own mail program.
func (a *account) client(t testing.TB) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialTLS(a.server.tls, &imapclient.Options{TLSConfig: trusting(t, a.server)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Login(a.name, password).Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// put puts mails into a mailbox, which came at the time.
func (a *account) put(t testing.TB, mailbox string, came time.Time, mails ...string) {
	t.Helper()
	c := a.client(t)
	defer c.Close()
	for _, m := range mails {
		text := strings.ReplaceAll(strings.ReplaceAll(m, "\r\n", "\n"), "\n", "\r\n")
		cmd := c.Append(mailbox, int64(len(text)), &goimap.AppendOptions{Time: came})
		_, err1 := cmd.Write([]byte(text))
		err2 := cmd.Close()
		_, err3 := cmd.Wait()
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
	}
}

// fill delivers mails to the INBOX beside the server, as a mail transfer agent does; that is faster for many.
func (a *account) fill(t testing.TB, came func(n int) time.Time, mails ...string) {
	t.Helper()
	box := filepath.Join(a.home(), "Mail")
	if !isFile(filepath.Join(box, "dovecot-uidlist")) {
		for _, folder := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(box, folder), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		for _, folder := range []string{filepath.Dir(a.home()), a.home(), box, filepath.Join(box, "cur"), filepath.Join(box, "new"), filepath.Join(box, "tmp")} {
			if err := os.Chown(folder, a.server.uid, a.server.gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, m := range mails {
		name := fmt.Sprintf("%d.M%dP1.test", 1767225600+a.filled.Add(1), i)
		file := filepath.Join(box, "tmp", name)
		err1 := os.WriteFile(file, []byte(m), 0o644)
		err2 := os.Chtimes(file, came(i), came(i))
		err3 := os.Chown(file, a.server.uid, a.server.gid)
		err4 := os.Rename(file, filepath.Join(box, "new", name))
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			t.Fatal(err)
		}
	}
}
