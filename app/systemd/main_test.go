package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for a message that must come.
const patience = 30 * time.Second

// socket stands where systemd's is. A name with @ is abstract, any other is a path.
type socket struct {
	name string
	conn *net.UnixConn
}

func listen(t *testing.T, name string) *socket {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &socket{name, conn}
}

// path is a name for a socket in a folder of its own; t.TempDir may be longer than the name of a socket can be.
func path(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

var abstractNames atomic.Int64

func abstract() string {
	return fmt.Sprintf("@socialhub-sync-test-%d-%d", os.Getpid(), abstractNames.Add(1))
}

// next is the next message.
func (s *socket) next(t *testing.T) string {
	t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := s.conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

// collect reads until the socket is closed; the returned function closes it and tells what came. Messages are in the
// socket's queue by the time that they are sent.
func (s *socket) collect() (collected func() []string) {
	var messages []string
	done := make(chan error, 1)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := s.conn.Read(buffer)
			if err != nil {
				done <- err
				return
			}
			if message := string(buffer[:n]); message != lastMessage {
				messages = append(messages, message)
				continue
			}
			done <- nil
			return
		}
	}()
	return func() []string {
		if err := (&Notifier{socket: s.name}).send(lastMessage); err != nil {
			s.conn.Close()
			return []string{err.Error()}
		}
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
			return []string{err.Error()}
		}
		return messages
	}
}

const lastMessage = "X_TEST=over"

// env is an environment of lines like NAME=value.
func env(lines ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, line := range lines {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}
