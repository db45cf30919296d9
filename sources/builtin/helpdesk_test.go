package builtin

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub/sandbox"
)

// namedBlock is a file in the docs: its name, and its text below.
var namedBlock = regexp.MustCompile("(?ms)^`([a-z./_]+)`:\n\n```[a-z]*\n(.*?)^```$")

// helpdesk are the files of the program in the docs.
func helpdesk(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, found := range namedBlock.FindAllStringSubmatch(readText(t, docsFile), -1) {
		files[found[1]] = found[2]
	}
	want := []string{"config.yaml", "forum/forum.go", "forum/forum_test.go", "forum/reply.go", "forum/reply_test.go", "go.mod", "main.go", "site/topics.json"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Fatalf("files in the docs: %s", diff)
	}
	return files
}

func TestTheProgramInTheDocsIsOursWithOneMoreAdapter(t *testing.T) {
	t.Parallel()
	got := strings.NewReplacer(
		"\t\"example.com/helpdesk/forum\"\n", "",
		"append(builtin.Adapters(), forum.New())", "builtin.Adapters()",
	).Replace(helpdesk(t)["main.go"])
	_, want, _ := strings.Cut(readText(t, "../../main.go"), "package main")
	if diff := cmp.Diff("package main"+want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheProgramInTheDocsWorks does what the docs say, in an empty folder.
func TestTheProgramInTheDocsWorks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range helpdesk(t) {
		if name == "go.mod" {
			text = tidied(t, dir, text)
		}
		put(t, filepath.Join(dir, name), text)
	}
	if output := run(t, dir, nil, "gofmt", "-l", "."); output != "" {
		t.Errorf("gofmt would change %s", output)
	}
	// Built like a release it shares what is in the build cache.
	offline := []string{"GOPROXY=off", "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=-mod=mod -trimpath"}
	run(t, dir, offline, "go", "vet", "./...")
	run(t, dir, offline, "go", "test", "./...")
	binary := "./helpdesk"
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	run(t, dir, offline, "go", "build")

	forum := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(dir, "site"))))
	t.Cleanup(forum.Close)
	box := sandbox.New(sandbox.Options{})
	channel, err := box.AddChannel(sandbox.ChannelOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(box)
	t.Cleanup(func() {
		box.Close()
		server.Close()
	})
	put(t, filepath.Join(dir, "config.yaml"), strings.NewReplacer(
		"http://127.0.0.1:8081", server.URL, "http://127.0.0.1:8000", forum.URL,
	).Replace(helpdesk(t)["config.yaml"]))
	token := []string{"SANDBOX_TOKEN=" + channel.Token}
	run(t, dir, token, binary, "check")
	for range 2 { // the second time there is nothing to do
		run(t, dir, token, binary, "run", "--once")
	}
	got := map[string]string{}
	for _, ticket := range box.Tickets(channel.ID) {
		got[ticket.Interaction.NetworkItemID] = ticket.Interaction.Message
	}
	want := map[string]string{"forum-1": "Where is my parcel?", "forum-2": "It came!"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tickets: %s", diff)
	}
}

// tidied does what go mod tidy would, with our own versions and checksums, so that nothing is fetched.
func tidied(t *testing.T, dir, text string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "go.sum"), readText(t, filepath.Join(root, "go.sum")))
	_, requires, _ := strings.Cut(readText(t, filepath.Join(root, "go.mod")), "\n")
	beside := "=> ../socialhub-sync\n"
	if !strings.HasSuffix(text, beside) {
		t.Fatalf("go.mod does not replace our module: %s", text)
	}
	return strings.TrimSuffix(text, beside) + fmt.Sprintf("=> %q\n", filepath.ToSlash(root)) + requires
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in dir and returns what it says; the test ends if it fails.
func run(t *testing.T, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = dir
	command.Env = append(os.Environ(), environ...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}
