package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
	"socialhub-sync/sources/sourcetest"
)

// shopWorld is a shop's folder. Everything in it is appended, also what goes.
type shopWorld struct {
	sourcetest.Shelf
	t      testing.TB
	folder string

	mu      sync.Mutex
	removed map[string]bool
}

func newShopWorld(t testing.TB) sourcetest.World {
	w := &shopWorld{t: t, folder: t.TempDir(), removed: map[string]bool{}}
	w.add(nil)
	return w
}

func (w *shopWorld) reviews() string { return filepath.Join(w.folder, "reviews.jsonl") }

func (w *shopWorld) Settings() string {
	return "reviews: " + w.reviews() + "\nvouchers: " + filepath.Join(w.folder, "vouchers.jsonl") + "\n"
}

func (w *shopWorld) add(lines []map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var text []byte
	for _, line := range lines {
		one, err := json.Marshal(line)
		if err != nil {
			w.t.Error(err)
		}
		text = append(append(text, one...), '\n')
	}
	f, err := os.OpenFile(w.reviews(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Error(err)
		return
	}
	if _, err := f.Write(text); err != nil {
		w.t.Error(err)
	}
	if err := f.Close(); err != nil {
		w.t.Error(err)
	}
}

func (w *shopWorld) Put(items ...sourcetest.Item) {
	w.Shelf.Put(items...)
	var lines []map[string]any
	for _, i := range items {
		lines = append(lines, map[string]any{
			"networkItemId": "review-" + strconv.Itoa(i.ID), "message": i.Text, "createdTime": i.Created, "updatedTime": i.Updated,
		})
	}
	w.add(lines)
}

func (w *shopWorld) Remove(ids ...int) {
	w.Shelf.Remove(ids...)
	var lines []map[string]any
	for _, id := range ids {
		name := "review-" + strconv.Itoa(id)
		w.mu.Lock()
		w.removed[name] = true
		w.mu.Unlock()
		lines = append(lines, map[string]any{"networkItemId": name, "deleted": true})
	}
	w.add(lines)
}

// Done implements [sourcetest.Actor].
func (w *shopWorld) Done() (deeds []sourcetest.Deed) {
	item := func(name string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(name, "review-"))
		if err != nil {
			w.t.Errorf("%s is no review", name)
		}
		return n
	}
	for _, line := range readLines[review](w.t, w.reviews()) {
		w.mu.Lock()
		removed := w.removed[line.NetworkItemID]
		w.mu.Unlock()
		switch {
		case line.Own:
			deeds = append(deeds, sourcetest.Deed{Type: socialhub.ActionReply, Item: item(line.Root.RootID), Text: line.Message})
		case line.Deleted && !removed:
			deeds = append(deeds, sourcetest.Deed{Type: socialhub.ActionDelete, Item: item(line.NetworkItemID)})
		}
	}
	for _, line := range readLines[sent](w.t, filepath.Join(w.folder, "vouchers.jsonl")) {
		deeds = append(deeds, sourcetest.Deed{Type: socialhub.ActionButton, Item: item(line.Review), Button: voucher})
	}
	return deeds
}

// readLines reads the lines of a file that can be read; a file that is not there has none.
func readLines[T any](t testing.TB, path string) (lines []T) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	defer f.Close()
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		var line T
		if json.Unmarshal(scanner.Bytes(), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestTheShopKeepsTheContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Adapter: newShop(), World: newShopWorld, Incremental: true, Edits: sourcetest.Always, Late: sourcetest.Always, Deletes: true,
		Wrong: []sourcetest.Wrong{{Line: "reviews: in/*.jsonl"}, {Line: "reviews: \"-\""}, {Line: "vouchers: \"\""}},
		Actions: []sourcetest.Ability{
			{Type: socialhub.ActionReply}, {Type: socialhub.ActionButton, ID: voucher}, {Type: socialhub.ActionDelete},
		},
	})
}

// openShop opens a shop with the one review review-1, whose file ends as given.
func openShop(t *testing.T, end string) (*shop, string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "reviews.jsonl"), []byte(`{"networkItemId":"review-1","message":"Nice"}`+end), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := (&shopSettings{Reviews: "reviews.jsonl", Vouchers: "vouchers.jsonl"}).Open(t.Context(), sources.Env{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.(*shop), filepath.Join(folder, "reviews.jsonl")
}

func replyTo(item, key string) *sources.Reply {
	return &sources.Reply{Action: sources.Action{Key: key, Type: socialhub.ActionReply, NetworkItemID: item}, Text: "Thank you"}
}

func TestALineThatWasTornSpoilsNoOther(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"a torn line": "\n" + `{"networkItemId":"answer-1","mess`, "no line end": ""} {
		s, file := openShop(t, end)
		first, err := s.Reply(t.Context(), replyTo("review-1", "a"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Reply(t.Context(), replyTo("review-1", "a"))
		if err != nil || again.NetworkItemID != first.NetworkItemID || !again.CreatedTime.Equal(first.CreatedTime) {
			t.Errorf("%s: again %+v, %v, first %+v", name, again, err, first)
		}
		lines := readLines[review](t, file)
		if len(lines) != 2 || lines[1].Message != "Thank you" || lines[1].Root.RootID != "review-1" || !lines[1].Own {
			t.Errorf("%s: %+v", name, lines)
		}
	}
}

func TestWhatIsNotInTheShopTakesNoAnswer(t *testing.T) {
	t.Parallel()
	s, file := openShop(t, "\n")
	action := &sources.Action{Key: "d", NetworkItemID: "review-1"}
	for range 2 {
		if err := s.Delete(t.Context(), action); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"review-1", "review-2"} {
		if _, err := s.Reply(t.Context(), replyTo(id, "a")); !isRefused(err) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if lines := readLines[review](t, file); len(lines) != 2 {
		t.Errorf("%+v", lines)
	}
}

func isRefused(err error) bool {
	_, refused := errors.AsType[*sources.RefusedError](err)
	return refused
}

func TestTheShopRefusesWhatItCanNotDo(t *testing.T) {
	t.Parallel()
	s, file := openShop(t, "\n")
	file0, _ := os.ReadFile(file)
	withFile := replyTo("review-1", "a")
	withFile.Attachments = []sources.Attachment{{Name: "a.png"}}
	empty := replyTo("review-1", "b")
	empty.Text = " "
	for name, r := range map[string]*sources.Reply{"a file": withFile, "no text": empty} {
		if _, err := s.Reply(t.Context(), r); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.PressButton(t.Context(), &sources.Action{Key: "c", ID: "dance", NetworkItemID: "review-1"}); !isRefused(err) {
		t.Error(err)
	}
	if s.Can(socialhub.ActionButton, "dance") || !s.Can(socialhub.ActionButton, voucher) || !s.Can(socialhub.ActionReply, "reply") {
		t.Error("the shop can do something else than it says")
	}
	if now, _ := os.ReadFile(file); string(now) != string(file0) {
		t.Errorf("%s", now)
	}
}

func TestAFileThatCanNotBeOpenedMeansThatNothingWasDone(t *testing.T) {
	t.Parallel()
	s, file := openShop(t, "\n")
	s.reviews = filepath.Dir(file)
	_, err := s.Reply(t.Context(), replyTo("review-1", "a"))
	if !sources.NotDone(err) || isRefused(err) || strings.Contains(err.Error(), s.reviews) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Reply(ctx, replyTo("review-1", "a")); !sources.NotDone(err) {
		t.Error(err)
	}
}

func TestRepliesAtOnceAreAllThere(t *testing.T) {
	t.Parallel()
	s, file := openShop(t, "\n")
	var group sync.WaitGroup
	for n := range 20 {
		group.Go(func() {
			if _, err := s.Reply(t.Context(), replyTo("review-1", strconv.Itoa(n/2))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if lines := readLines[review](t, file); len(lines) != 11 || time.Since(lines[1].CreatedTime) > time.Hour {
		t.Errorf("%d lines", len(lines))
	}
}
