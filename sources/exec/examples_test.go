package execsource

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/app/config"
	"socialhub-sync/sources"
)

func TestTheExampleConfigIsFine(t *testing.T) {
	t.Parallel()
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"channelId":"000000000000000000000001","accountId":"000000000000000000000002"}`))
	variable := func(string) (string, bool) { return claims + "." + claims + "." + claims, true }
	_, err := config.Load(examples+"/exec.yaml", []sources.Adapter{New()}, variable)
	if err != nil {
		t.Error(err)
	}
}

// letters opens a source of the example in shell, with its folder of letters.
func letters(t *testing.T) (s *opened, folder string) {
	t.Helper()
	program, err := filepath.Abs(examples + "/letters.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	folder = filepath.Join(dir, "letters")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return openIn(t, dir, "command: ["+program+", letters]"), folder
}

func TestTheExampleInShellReadsLetters(t *testing.T) {
	t.Parallel()
	s, folder := letters(t)
	if got := s.pull(t, sources.Request{}).String(); got != "" {
		t.Error(got)
	}
	writeFile(t, folder, "20260131-120000-1.txt", "anna@example.com\nHi \"you\",\n\tC:\\temp \x01ä\n\nAnna\n")
	writeFile(t, folder, "20260131-120000-2.txt", "bob@example.com\nHi")
	writeFile(t, folder, "notes.md", "no letter\n")
	writeFile(t, folder, "a \"quoted\" name.txt", "anna@example.com\nHi\n")
	first := s.pull(t, sources.Request{})
	if got := first.String(); got != "letter-20260131-120000-1 letter-20260131-120000-2 cursor(20260131-120000-2.txt)" {
		t.Fatal(got)
	}
	letter := first.all[0].Items[0].Interaction
	if diff := cmp.Diff("Hi \"you\",\n\tC:\\temp ä\n\nAnna", letter.Message); diff != "" || letter.Interactor.Name != "anna@example.com" {
		t.Error(diff, letter.Interactor)
	}
	writeFile(t, folder, "20260201-000000-1.txt", "anna@example.com\nHi again\n")
	second := s.pull(t, sources.Request{Cursor: first.cursor})
	if got := second.String(); got != "letter-20260201-000000-1 cursor(20260201-000000-1.txt)" {
		t.Error(got)
	}
	if got := s.pull(t, sources.Request{Cursor: second.cursor}).String(); got != "" {
		t.Error(got)
	}
}

func TestTheExampleInShellStopsWithoutItsFolder(t *testing.T) {
	t.Parallel()
	s, folder := letters(t)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if got := s.pull(t, sources.Request{}).String(); got != "stop(command: the program ended with exit code 78; it last said: make the folder letters)" {
		t.Error(got)
	}
}

// The examples are started by their names too.
func TestTheExamplesMayBeExecuted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"reviews.py", "letters.sh"} {
		if _, err := exec.LookPath(filepath.Join(examples, name)); err != nil {
			t.Errorf("chmod 755 docs/examples/%s: %v", name, err)
		}
	}
}
