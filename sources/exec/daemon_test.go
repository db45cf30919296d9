package execsource

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"socialhub-sync/sources"
)

// daemonVariable makes the test binary play the daemon that runs script.sh of the folder it names.
const daemonVariable = "EXECSOURCE_TEST_DAEMON"

func playDaemon(dir string) {
	settings := New().Settings().(*Settings)
	settings.Command = []string{"sh", "script.sh"}
	source, err := settings.Open(context.Background(), sources.Env{Name: "test", Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		os.Exit(1)
	}
	for range source.Pull(context.Background(), sources.Request{}) {
	}
}

func TestTheProgramDiesWithTheDaemon(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // only Linux can do that
	}
	dir := t.TempDir()
	writeFile(t, dir, "script.sh", "mkfifo wait; echo $$ >number; mv number program; read x <wait")
	daemon := exec.Command(os.Args[0])
	daemon.Env = append(os.Environ(), daemonVariable+"="+dir)
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program", func() bool { return exists(dir, "program") })
	if err := daemon.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = daemon.Wait()
	gone(t, dir, "program")
}
