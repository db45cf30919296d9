package imap

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

func trusting(t testing.TB, d *dovecot) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(d.certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: pool}
}

// settings are the account's, as they stand in a config; more are further lines, which win.
func (a *account) settings(more string) string {
	lines := fmt.Sprintf("server: %s\nca_file: %s\nusername: %s\npassword: %s\nprefix: mail\n", a.server.tls, a.server.certificate, a.name, password)
	return override(lines, more)
}

// override replaces the lines of the same keys.
func override(lines, more string) string {
	var kept strings.Builder
	for l := range strings.Lines(lines) {
		key, _, _ := strings.Cut(l, ":")
		if !strings.HasPrefix(more, key+":") && !strings.Contains(more, "\n"+key+":") {
			kept.WriteString(l)
		}
	}
	return kept.String() + more
}

// opened is a source and what it logs.
type opened struct {
	sources.Source
	log *bytes.Buffer
}

func parseSettings(t testing.TB, text string) sources.Settings {
	t.Helper()
	s := New().Settings()
	if err := yaml.UnmarshalWithOptions([]byte(text), s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, settings string) *opened {
	t.Helper()
	s := parseSettings(t, settings)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	o := &opened{log: new(bytes.Buffer)}
	var err error
	if o.Source, err = s.Open(t.Context(), sources.Env{Name: "test", Logger: slog.New(slog.NewTextHandler(o.log, nil))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(o.log.String(), password) {
			t.Error("the log has the password")
		}
	})
	return o
}

func pullAll(t testing.TB, s sources.Source, req sources.Request) (items []sources.Item, cursor string, err error) {
	t.Helper()
	cursor = req.Cursor
	for batch, e := range s.Pull(t.Context(), req) {
		if e != nil {
			if err = errors.Join(err, e); strings.Contains(e.Error(), password) {
				t.Error("an error has the password")
			}
			continue
		}
		if len(batch.Items) > sources.MaxBatch {
			t.Errorf("a batch of %d items", len(batch.Items))
		}
		items = append(items, batch.Items...)
		if batch.Cursor != "" {
			cursor = batch.Cursor
		}
	}
	return items, cursor, err
}

// mustPull is pullAll without an error.
func mustPull(t testing.TB, s sources.Source, req sources.Request) (ids []string, cursor string) {
	t.Helper()
	items, cursor, err := pullAll(t, s, req)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		ids = append(ids, item.Interaction.NetworkItemID)
	}
	return ids, cursor
}

// simple is a mail with this id, sent at noon of a day in January 2026.
func simple(id string, day int) string {
	at := time.Date(2026, 1, day, 12, 0, 0, 0, time.UTC)
	return fmt.Sprintf("Message-ID: <%s@example.org>\nFrom: Anna <anna@example.org>\nDate: %s\nSubject: Mail %s\n\nText of %s\n", id, at.Format(time.RFC1123Z), id, id)
}

func equal(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got): %s", what, diff)
	}
}

func TestOnlyNewMailsAreRead(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	s := open(t, a.settings(""))
	ids, cursor := mustPull(t, s, sources.Request{})
	equal(t, "ids of an empty mailbox", []string(nil), ids)
	a.put(t, "INBOX", time.Time{}, simple("1", 1), simple("2", 2))
	ids, cursor = mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "ids", []string{"mail-1@example.org", "mail-2@example.org"}, ids)
	ids, same := mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "ids when nothing is new", []string(nil), ids)
	equal(t, "cursor", cursor, same)
	a.put(t, "INBOX", time.Time{}, simple("3", 1))
	ids, _ = mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "new ids", []string{"mail-3@example.org"}, ids)
}

// unseen are the mails that are not marked as read.
func (a *account) unseen(t testing.TB) int {
	t.Helper()
	c := a.client(t)
	defer c.Close()
	data, err := c.Status("INBOX", &goimap.StatusOptions{NumUnseen: true}).Wait()
	if err != nil {
		t.Fatal(err)
	}
	return int(*data.NumUnseen)
}

func TestNothingIsMarkedAsRead(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.put(t, "INBOX", time.Time{}, simple("1", 1), simple("2", 2))
	s := open(t, a.settings(""))
	_, cursor := mustPull(t, s, sources.Request{})
	mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "unseen", 2, a.unseen(t))
}

func TestMailsAreMarkedAsReadOnceTheyAreStored(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.put(t, "INBOX", time.Time{}, simple("1", 1), simple("2", 2))
	_, before := mustPull(t, open(t, a.settings("")), sources.Request{})
	a.put(t, "INBOX", time.Time{}, simple("3", 3))
	s := open(t, a.settings("mark_seen: true\n"))
	_, cursor := mustPull(t, s, sources.Request{Cursor: before})
	equal(t, "unseen before the batch is stored for sure", 3, a.unseen(t))
	mustPull(t, s, sources.Request{Cursor: before})
	equal(t, "unseen when the batch was not stored", 3, a.unseen(t))
	_, cursor = mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "unseen when it was, without those read before mark_seen was set", 2, a.unseen(t))

	c := a.client(t)
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	unread := &goimap.StoreFlags{Op: goimap.StoreFlagsDel, Flags: []goimap.Flag{goimap.FlagSeen}}
	if err := c.Store(goimap.UIDSetNum(3), unread, nil).Close(); err != nil {
		t.Fatal(err)
	}
	mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "unseen after a person marked one as unread", 3, a.unseen(t))
}

func TestABackfillMarksNothing(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.put(t, "INBOX", time.Time{}, simple("1", 1))
	s := open(t, a.settings("mark_seen: true\n"))
	_, cursor := mustPull(t, s, sources.Request{Backfill: true})
	mustPull(t, s, sources.Request{Backfill: true, Cursor: cursor})
	equal(t, "unseen", 1, a.unseen(t))
}

func TestAMailboxThatWasReplacedIsReadAnew(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	c := a.client(t)
	create := func() {
		t.Helper()
		if err := c.Create("Support", nil).Wait(); err != nil {
			t.Fatal(err)
		}
	}
	create()
	a.put(t, "Support", time.Time{}, simple("1", 1), simple("2", 2))
	s := open(t, a.settings("mailbox: Support\n"))
	first, cursor := mustPull(t, s, sources.Request{})
	if err := c.Delete("Support").Wait(); err != nil {
		t.Fatal(err)
	}
	create()
	a.put(t, "Support", time.Time{}, simple("2", 2), simple("1", 1))
	second, _ := mustPull(t, s, sources.Request{Cursor: cursor})
	equal(t, "ids", []string{"mail-1@example.org", "mail-2@example.org"}, first)
	equal(t, "ids when they come again", []string{"mail-2@example.org", "mail-1@example.org"}, second)
}

func TestTheCursorOfAnotherMailboxCountsForNothing(t *testing.T) {
	t.Parallel()
	a, b := newAccount(t), newAccount(t)
	a.put(t, "INBOX", time.Time{}, simple("1", 1))
	b.put(t, "INBOX", time.Time{}, simple("1", 1))
	ofA := open(t, a.settings("")).Source.(*source)
	_, cursor := mustPull(t, ofA, sources.Request{})
	ofB := open(t, b.settings("")).Source.(*source)
	var stored position
	if err := json.Unmarshal([]byte(cursor), &stored); err != nil {
		t.Fatal(err)
	}
	equal(t, "UID in the mailbox itself", goimap.UID(1), ofA.position(cursor, &goimap.SelectData{UIDValidity: stored.UIDValidity}).UID)
	at := ofB.position(cursor, &goimap.SelectData{UIDValidity: stored.UIDValidity})
	equal(t, "UID in another mailbox with the same UIDVALIDITY", goimap.UID(0), at.UID)
	for _, bad := range []string{"{", `{"v":9}`, "\x00", `{"v":1,"uid":-1}`} {
		ids, _ := mustPull(t, ofA, sources.Request{Cursor: bad})
		equal(t, "ids from cursor "+bad, []string{"mail-1@example.org"}, ids)
	}
}

func TestABackfillReadsTheDaysThatItIsAskedFor(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	moved := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) // to this server, with its old mails
	for day := 1; day <= 9; day++ {
		a.put(t, "INBOX", moved, simple(fmt.Sprint(day), day))
	}
	a.put(t, "INBOX", time.Date(2026, 1, 4, 9, 0, 0, 0, time.UTC), "Message-ID: <undated@example.org>\n\nText\n")
	s := open(t, a.settings(""))
	noon := func(day int) time.Time { return time.Date(2026, 1, day, 12, 0, 0, 0, time.UTC) }
	ids, _ := mustPull(t, s, sources.Request{Backfill: true, Since: noon(3), Until: noon(5)})
	equal(t, "ids", []string{"mail-3@example.org", "mail-4@example.org", "mail-undated@example.org"}, ids)
	ids, _ = mustPull(t, s, sources.Request{Backfill: true, Since: noon(9).Add(time.Second), Until: moved})
	equal(t, "ids between two mails", []string(nil), ids)
	ids, _ = mustPull(t, s, sources.Request{Backfill: true, Since: moved})
	equal(t, "number that came later", 9, len(ids))
	ids, _ = mustPull(t, s, sources.Request{Backfill: true})
	equal(t, "number of all", 10, len(ids))
}

func TestTheConnectionIsAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.put(t, "INBOX", time.Time{}, simple("1", 1))
	for _, mode := range []string{"starttls", "off"} {
		ids, _ := mustPull(t, open(t, a.settings("tls: "+mode+"\nserver: "+a.server.plain+"\n")), sources.Request{})
		equal(t, "ids with "+mode, []string{"mail-1@example.org"}, ids)
	}
}

func TestErrorsSayWhatToMend(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	for _, test := range []struct {
		name, more, key string
		stops           bool
	}{
		{"a wrong password", "password: wrong-s3cret\n", "password", true},
		{"a user that is not there", "username: nobody@example.com\n", "password", true},
		{"a mailbox that is not there", "mailbox: Nowhere\n", "mailbox", true},
		{"a certificate that nobody trusts", "ca_file: \"\"\n", "server", false},
		{"a port that does not speak TLS", "server: " + a.server.plain + "\n", "tls", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			items, cursor, err := pullAll(t, open(t, a.settings(test.more)), sources.Request{})
			setting, _ := errors.AsType[*sources.SettingError](err)
			_, stops := errors.AsType[*sources.StopError](err)
			if setting == nil || setting.Key != test.key || stops != test.stops || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error %v, stops: %v", err, stops)
			}
			if len(items) > 0 || cursor != "" {
				t.Errorf("%d items, cursor %q", len(items), cursor)
			}
			t.Log(err)
		})
	}
}

func TestAServerThatIsAwayIsPlainTrouble(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	a := newAccount(t)
	_, _, err = pullAll(t, open(t, a.settings("server: "+address+"\n")), sources.Request{})
	if _, stops := errors.AsType[*sources.StopError](err); err == nil || stops {
		t.Error(err)
	}
	t.Log(err)
}

func TestAPullEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.put(t, "INBOX", time.Time{}, simple("1", 1))
	cause := errors.New("we stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, err := range open(t, a.settings("")).Pull(ctx, sources.Request{}) {
		if !errors.Is(err, cause) {
			t.Error(err)
		}
	}
}
