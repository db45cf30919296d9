package packages_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fenced finds the blocks of code of a page: their language and text.
var fenced = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// What the README says of a first source is done in a fresh checkout, word for word but for the sandbox's port and the feed's
// address. It is here because this package has such a checkout, and what the build needs is in the cache.
func TestTheFirstSourceOfTheReadmeWorksAsPrinted(t *testing.T) {
	t.Parallel()
	checkout, _, _ := built(t)
	readme, err := os.ReadFile(filepath.Join(checkout.tree, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Your first source")
	section, _, _ = strings.Cut(section, "\n## ")
	var kinds, blocks []string
	for _, block := range fenced.FindAllStringSubmatch(section, -1) {
		kinds, blocks = append(kinds, block[1]), append(blocks, block[2])
	}
	if got := strings.Join(kinds, " "); got != "sh yaml sh text" {
		t.Fatalf("the section has blocks of %q; this test knows: build and sandbox, config, commands, what status prints", got)
	}
	feed := httptest.NewServer(http.HandlerFunc(tenPosts))
	t.Cleanup(feed.Close)

	first := filepath.Join(checkout.tree, "first")
	address := startSandbox(t, checkout.tree, blocks[0], filepath.Join(first, "sandbox.txt"))
	config := replaced(t, replaced(t, blocks[1], "http://127.0.0.1:8081", address), "https://go.dev/blog/feed.atom", feed.URL)
	if err := os.WriteFile(filepath.Join(first, "config.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	printed, err := output(checkout.tree, nil, "sh", "-e", "-c", blocks[2])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"readable, 10 items in the first batch", "Dry run, nothing was sent or changed: 10 to create", timeless(blocks[3]),
	} {
		if !strings.Contains(timeless(printed), want) {
			t.Errorf("the commands do not print\n%s\nbut\n%s", want, printed)
		}
	}
}

// startSandbox runs what the README says for the first terminal and returns the sandbox's address. It ends with the test.
func startSandbox(t *testing.T, dir, script, told string) string {
	t.Helper()
	cmd := exec.Command("sh", "-e", "-c", replaced(t, script, "socialhub-sync sandbox", "socialhub-sync sandbox --listen 127.0.0.1:0"))
	cmd.Dir = dir
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the shell, the sandbox and tee end together
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		<-ended
	})
	deadline := time.After(5 * time.Minute) // a build is in it
	for {
		text, _ := os.ReadFile(told)
		if address := regexp.MustCompile(`(?m)^api_url: (\S+)\n(?s:.*)^access_token: \S+\n`).FindSubmatch(text); address != nil {
			return string(address[1])
		}
		select {
		case err := <-ended:
			t.Fatalf("the sandbox ended: %v", err)
		case <-deadline:
			t.Fatalf("the sandbox told no address and token but %q", text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// replaced wants the old text to be there once.
func replaced(t *testing.T, text, old, new string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("there should be one %q in\n%s", old, text)
	}
	return strings.Replace(text, old, new, 1)
}

// timeless takes the times and the widths of the columns out of what status prints.
func timeless(text string) string {
	text = regexp.MustCompile(`now|\d+s ago|in \d+[ms]`).ReplaceAllString(text, "soon")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

func tenPosts(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/atom+xml")
	fmt.Fprint(w, `<feed xmlns="http://www.w3.org/2005/Atom"><title>A blog</title><id>tag:blog.example,2026:blog</id><updated>2026-01-10T12:00:00Z</updated>`)
	for n := 1; n <= 10; n++ {
		fmt.Fprintf(w, `<entry><title>Post %d</title><id>tag:blog.example,2026:%[1]d</id><link href="https://blog.example/%[1]d"/>`+
			`<updated>2026-01-%02[1]dT12:00:00Z</updated><content type="html">&lt;p&gt;Text %[1]d&lt;/p&gt;</content></entry>`, n)
	}
	fmt.Fprint(w, `</feed>`)
}
