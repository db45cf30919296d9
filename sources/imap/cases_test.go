package imap

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/imap/mail"
	_ "socialhub-sync/sources/sourcetest" // has the flag -update
)

// goldenItem is what a case expects of a mail, for people to read.
type goldenItem struct {
	Interaction socialhub.Interaction `json:"interaction"`
	Own         bool                  `json:"own,omitempty"`
}

// came is when the mails of cases came.
var came = time.Date(2026, 1, 6, 8, 0, 0, 0, time.UTC)

// TestCases delivers the mails of each folder of testdata to the server, in the order of their names, and wants
// items.json of them: from what the server says of their structure, and when they are read whole.
func TestCases(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("testdata/*/01.eml")
	if err != nil || len(folders) == 0 {
		t.Fatal("no cases", err)
	}
	for _, first := range folders {
		folder := filepath.Dir(first)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			mails := readMails(t, folder)
			more := readFile(t, filepath.Join(folder, "settings.yaml"))
			a := newAccount(t)
			a.put(t, "INBOX", came, mails...)
			s := open(t, a.settings(more))
			items, _, err := pullAll(t, s, sources.Request{})
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join(folder, "items.json")
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(golden, []byte(encode(t, items)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, "items", readFile(t, golden), encode(t, items))

			items = nil
			for n, m := range mails {
				raw := []byte(strings.ReplaceAll(m, "\n", "\r\n"))
				of := s.Source.(*source)
				whole := letter{Mail: mail.Parse(raw, of.settings.reading()), uid: goimap.UID(n + 1), arrived: came}
				items = append(items, whole.item("mail", of.own))
			}
			equal(t, "items of mails that are read whole", readFile(t, golden), encode(t, items))
		})
	}
}

func readMails(t testing.TB, folder string) (mails []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		mails = append(mails, readFile(t, file))
	}
	return mails
}

// readFile returns a file's text; a file that is not there stands for the empty text.
func readFile(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

func encode(t *testing.T, items []sources.Item) string {
	t.Helper()
	golden := []goldenItem{}
	for _, item := range items {
		golden = append(golden, goldenItem{item.Interaction, item.Own})
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(golden); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
