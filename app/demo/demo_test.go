package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
)

// open opens a demo that polls as often as it can and whose story makes no pauses.
func open(t *testing.T) *Demo {
	t.Helper()
	d, err := Open(Options{Every: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the folder is still there:", err)
		}
	})
	d.pause = func(context.Context, time.Duration) {}
	return d
}

func start(t *testing.T, d *Demo, listen string) (notes []string) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	notes, err := d.Start(t.Context(), listen, log)
	if err != nil {
		t.Fatal(err)
	}
	return notes
}

func ticket(t *testing.T, d *Demo, c sandbox.Channel, item string) sandbox.Ticket {
	t.Helper()
	found, ok := d.Box.Ticket(c.ID, item)
	if !ok {
		t.Fatalf("%s has no ticket", item)
	}
	return found
}

func TestTheStoryIsSeenInTheInbox(t *testing.T) {
	t.Parallel()
	d := open(t)
	start(t, d, "127.0.0.1:0")
	var lines []string
	err := d.Play(t.Context(), func(line string) {
		lines = append(lines, line)
		switch anna, there := d.Box.Ticket(d.shop.ID, annas); {
		case !there:
			t.Errorf("%q: Anna's ticket is not there", line)
		case len(lines) == 2 && anna.Folder != sandbox.FolderDone:
			t.Errorf("%q: Anna's ticket is in %s", line, anna.Folder)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"18 tickets are there. Lines that can't be read: 1, see the status page.",
		"The team reads Anna's happy review and presses Done.",
		"Anna changed her review: her ticket was done and is back in the inbox.",
		"Noor commented on the blog: a new ticket in Blog comments.",
		"Mehmet answered Anna: his ticket stands below hers.",
		"The team answered Luca: posted at the source as " + answered(t, d) + ", and confirmed.",
	}, lines); diff != "" {
		t.Error(diff)
	}
	anna := ticket(t, d, d.shop, annas)
	if anna.Folder != sandbox.FolderInbox || !anna.Reopened || anna.Interaction.Rating.Value != 2 ||
		!strings.HasPrefix(anna.Interaction.Message, "Loved my") {
		t.Errorf("Anna's ticket: folder %s, reopened %t, %+v", anna.Folder, anna.Reopened, anna.Interaction)
	}
	if mehmet := ticket(t, d, d.shop, answer); mehmet.RootID != anna.ID {
		t.Errorf("the answer stands below %q, want %q", mehmet.RootID, anna.ID)
	}
	if noor := ticket(t, d, d.blog, comment); noor.Interaction.Interactor.Name != "Noor Haddad" {
		t.Errorf("the comment is by %+v", noor.Interaction.Interactor)
	}
	noneMore(t, d, 21)
}

// answered is the id of the one answer of the team, which stands in the shop's file and has a ticket below its question.
func answered(t *testing.T, d *Demo) string {
	t.Helper()
	for _, line := range readLines[review](t, d.Reviews()) {
		if !line.Own || line.NetworkItemID == "review-2054-answer" {
			continue
		}
		own := ticket(t, d, d.shop, line.NetworkItemID)
		if line.Message != own.Interaction.Message || !own.Own || own.Unread || own.RootID != ticket(t, d, d.shop, line.Root.RootID).ID {
			t.Errorf("the shop has %+v, its ticket is %+v", line, own)
		}
		return line.NetworkItemID
	}
	t.Error("the shop has no answer")
	return ""
}

// noneMore lets the shop be polled twice more and checks that there are as many tickets as wanted, and the two by which
// the polls are known.
func noneMore(t *testing.T, d *Demo, want int) {
	t.Helper()
	for n := range 2 {
		item := fmt.Sprintf("review-9%03d", n)
		if err := d.appendReviews([]byte(`{"networkItemId":"` + item + `","message":"One more"}` + "\n")); err != nil {
			t.Fatal(err)
		}
		if !d.seen(t.Context(), d.shop, item, nil) {
			t.Fatal("the shop is not polled any more")
		}
	}
	if n := len(d.Box.Tickets(d.shop.ID)) + len(d.Box.Tickets(d.blog.ID)); n != want+2 {
		t.Errorf("%d tickets, want %d", n, want+2)
	}
	for _, one := range d.Box.Tickets(d.shop.ID) {
		if one.Own && len(one.Revisions) != 1 {
			t.Errorf("%s was sent %d times", one.Interaction.NetworkItemID, len(one.Revisions))
		}
	}
}

func TestTheContentShowsWhatTheProgramDoesWithOddItems(t *testing.T) {
	t.Parallel()
	d := open(t)
	start(t, d, "127.0.0.1:0")
	if _, err := d.arrival(t.Context()); err != nil {
		t.Fatal(err)
	}
	long := ticket(t, d, d.shop, "review-2057").Interaction.Message
	if socialhub.MessageLength(long) != socialhub.MaxMessage || !strings.HasSuffix(long, "…") {
		t.Errorf("the long review has %d characters and ends with %q", socialhub.MessageLength(long), long[len(long)-20:])
	}
	if who := ticket(t, d, d.shop, "review-2058").Interaction.Interactor; who.Picture != "" {
		t.Errorf("the avatar that is not https was sent: %s", who.Picture)
	}
	if own := ticket(t, d, d.shop, "review-2054-answer"); !own.Own || own.Unread {
		t.Errorf("the shop's own answer: own %t, unread %t", own.Own, own.Unread)
	}
	if hannah := ticket(t, d, d.blog, "comment-317").Interaction; len(hannah.Pictures) != 1 || !strings.Contains(hannah.Message, "- water too hot\n") {
		t.Errorf("the comment in HTML: %+v", hannah)
	}
	if _, there := d.Box.Ticket(d.shop.ID, "review-2055"); there {
		t.Error("the line with a spreadsheet's time became a ticket")
	}
	for _, c := range []sandbox.Channel{d.shop, d.blog} {
		for _, one := range d.Box.Tickets(c.ID) {
			if age := time.Since(one.Interaction.CreatedTime); age < 0 || age > 8*24*time.Hour {
				t.Errorf("%s is %s old", one.Interaction.NetworkItemID, age)
			}
		}
	}
}

func TestThePagesOpenOnFreePortsWhenTheirsAreTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := open(t)
	notes := start(t, d, taken.Addr().String())
	if len(notes) == 0 || !strings.Contains(notes[0], "inbox page is on a free port: listen tcp "+taken.Addr().String()) {
		t.Errorf("notes: %q", notes)
	}
	for _, url := range []string{d.Inbox, d.Status} {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", url, resp.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAnAddressThatCanNotBeIsToldAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, err := d.Start(t.Context(), "no port", slog.New(slog.DiscardHandler))
	if err == nil || !strings.HasPrefix(err.Error(), "open the inbox page: ") {
		t.Error(err)
	}
}

func TestAPageForEveryHostIsShownAsLocal(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"0.0.0.0:8081":   "http://localhost:8081/",
		"[::]:8081":      "http://localhost:8081/",
		"127.0.0.1:8081": "http://127.0.0.1:8081/",
		"[::1]:8081":     "http://[::1]:8081/",
	} {
		if got := pageURL(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestTheFeedIsSentAgainOnlyWhenItChanged(t *testing.T) {
	t.Parallel()
	var f feed
	f.set([]byte("one"))
	get := func(etag string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/comments.xml", nil)
		r.Header.Set("If-None-Match", etag)
		f.ServeHTTP(w, r)
		return w
	}
	first := get("")
	if first.Code != http.StatusOK || first.Body.String() != "one" {
		t.Errorf("first: %d %q", first.Code, first.Body)
	}
	if again := get(first.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("unchanged: %d", again.Code)
	}
	f.set([]byte("two"))
	if changed := get(first.Header().Get("ETag")); changed.Code != http.StatusOK || changed.Body.String() != "two" {
		t.Errorf("changed: %d %q", changed.Code, changed.Body)
	}
}

// A demo without a daemon: whatever happens at the sources is not seen.
func TestWhatDoesNotArriveIsToldAfterAWhileAndTheStoryGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		filled, err := newContent(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		d := &Demo{Box: sandbox.New(sandbox.Options{}), dir: t.TempDir(), content: filled}
		if err := os.WriteFile(d.Reviews(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for what, do := range map[string]func(context.Context) (string, error){
			"Anna's change": d.change, "Noor's comment": d.comment, "Mehmet's answer": d.answer,
			"Luca's question, or the webhook,": d.Answer,
		} {
			began := time.Now()
			see, err := do(t.Context())
			if want := what + " did not arrive within 20s; the status page tells more."; err != nil || see != want {
				t.Errorf("got %q, %v, want %q", see, err, want)
			}
			if waited := time.Since(began); waited != patience {
				t.Errorf("%s: waited %s", what, waited)
			}
		}
	})
}

func TestTheStoryEndsWhenTheProgramIsStoppedInAPause(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx, stop := context.WithCancel(t.Context())
	d.pause = func(context.Context, time.Duration) { stop() }
	if err := d.Play(ctx, func(line string) { t.Errorf("told %q", line) }); err != nil {
		t.Error(err)
	}
}

func TestAStoryThatCanNotGoOnSaysWhy(t *testing.T) {
	t.Parallel()
	d := open(t)
	start(t, d, "127.0.0.1:0")
	told := 0
	err := d.Play(t.Context(), func(string) {
		if told++; told == 2 {
			if err := os.Remove(d.Reviews()); err != nil {
				t.Error(err)
			}
		}
	})
	if told != 2 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("told %d lines, then %v", told, err)
	}
}

func TestTheDefaultPauseEndsWithTheTimeOrTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		pause(t.Context(), 4*time.Second)
		if waited := time.Since(began); waited != 4*time.Second {
			t.Errorf("waited %s", waited)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		pause(ctx, time.Hour)
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %s in all", waited)
		}
	})
}

func TestAConfigTakesAnyPathAsItIs(t *testing.T) {
	t.Parallel()
	d := open(t)
	plain := d.dir
	defer func() { d.dir = plain }()
	d.dir = filepath.Join(plain, `a "b": ${HOME} é\n & c`)
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.configure(""); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Config.DatabaseFile(); got != filepath.Join(d.dir, "demo.db") {
		t.Error(got)
	}
}
