package sqlsource

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// abandonVariable makes the test binary start a MariaDB and wait to be killed.
const abandonVariable = "SQLSOURCE_ABANDON"

func TestNoMariaDBIsLeftBehindWhenTheTestsAreKilled(t *testing.T) {
	if os.Getenv(abandonVariable) != "" {
		t.Setenv(mysqlVariable, "")
		mariadb.url(t, "mysql")
		_, _ = os.Stdout.WriteString("\n" + mariadb.dir + "\n")
		select {} // until killed
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), abandonVariable+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir := ""
	for lines := bufio.NewScanner(stdout); dir == "" && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "/") {
			dir = lines.Text()
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "s")); dir == "" || err != nil {
		t.Fatalf("no server was started in %q: %v", dir, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for late := time.After(time.Minute); ; {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("%s is left behind", dir)
		}
	}
}
