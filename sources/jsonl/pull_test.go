package jsonl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

// write writes a file that nobody has touched for the given time.
func write(t testing.TB, file, text string, untouched time.Duration) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	age(t, file, untouched)
}

func age(t testing.TB, file string, untouched time.Duration) {
	t.Helper()
	at := time.Now().Add(-untouched)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}

func itemLine(id int, message string) string {
	return fmt.Sprintf(`{"networkItemId":"review-%d","message":%q}`+"\n", id, message)
}

func itemLines(n int) string {
	var b strings.Builder
	for id := range n {
		b.WriteString(itemLine(id, "text"))
	}
	return b.String()
}

// told lists what batches hold: "review-1=text" or "a.jsonl:1!".
func told(batches []sources.Batch) []string {
	var list []string
	for _, b := range batches {
		for _, item := range b.Items {
			if item.Fault != nil {
				list = append(list, item.Fault.Place+"!")
			} else {
				list = append(list, item.Interaction.NetworkItemID+"="+item.Interaction.Message)
			}
		}
	}
	return list
}

func lastCursor(batches []sources.Batch) string {
	cursor := ""
	for _, b := range batches {
		if b.Cursor != "" {
			cursor = b.Cursor
		}
	}
	return cursor
}

// read pulls with a cursor and expects items and no error. It returns the cursor after them.
func read(t *testing.T, s *source, cursor string, want ...string) string {
	t.Helper()
	batches, err := pullAll(t, s, sources.Request{Cursor: cursor})
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, told(batches)); diff != "" {
		t.Error(diff)
	}
	if next := lastCursor(batches); next != "" {
		return next
	}
	return cursor
}

func TestAFileIsReadAgainOnlyWhenItChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.jsonl")
	s := openSettings(t, dir, []byte("path: a.jsonl"))
	write(t, file, itemLine(1, "old"), time.Hour)
	cursor := read(t, s, "", "review-1=old")
	read(t, s, cursor)
	read(t, s, cursor)

	t.Run("in size", func(t *testing.T) {
		write(t, file, itemLine(1, "longer"), time.Hour)
		cursor = read(t, s, cursor, "review-1=longer")
		read(t, s, cursor)
	})
	t.Run("in time", func(t *testing.T) {
		write(t, file, itemLine(1, "LONGER"), 2*time.Hour)
		cursor = read(t, s, cursor, "review-1=LONGER")
		read(t, s, cursor)
	})
	t.Run("in inode", func(t *testing.T) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file+".new", itemLine(1, "shadow"), 0)
		if err := os.Chtimes(file+".new", info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		cursor = read(t, s, cursor, "review-1=shadow")
		read(t, s, cursor)
	})
}

func TestTheCursorMovesAtTheEndOfAFileOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.jsonl"), itemLines(2*sources.MaxBatch), time.Hour)
	write(t, filepath.Join(dir, "b.jsonl"), itemLines(sources.MaxBatch+1), time.Hour)
	s := openSettings(t, dir, []byte(`path: "*.jsonl"`))
	batches, err := pullAll(t, s, sources.Request{})
	if err != nil {
		t.Fatal(err)
	}
	type shape struct {
		Items   int
		Rereads string
		Cursor  bool
	}
	var got []shape
	for _, b := range batches {
		got = append(got, shape{len(b.Items), b.Rereads, b.Cursor != ""})
	}
	want := []shape{{500, "a.jsonl:", false}, {500, "", true}, {500, "b.jsonl:", false}, {1, "", true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if &batches[0].Items[0] == &batches[1].Items[0] {
		t.Error("batches share their items")
	}
}

func TestAPullThatWasEndedEarlyReadsTheFileAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.jsonl"), itemLines(3*sources.MaxBatch), time.Hour)
	s := openSettings(t, dir, []byte("path: a.jsonl"))
	for batch, err := range s.Pull(t.Context(), sources.Request{}) {
		if err != nil || batch.Cursor != "" {
			t.Fatalf("cursor %q, error %v", batch.Cursor, err)
		}
		break
	}
	batches, err := pullAll(t, s, sources.Request{})
	if err != nil || len(told(batches)) != 3*sources.MaxBatch {
		t.Errorf("%d items, error %v", len(told(batches)), err)
	}
}

func TestAFileThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.jsonl")
	write(t, file, itemLines(sources.MaxBatch+1), time.Hour)
	s := openSettings(t, dir, []byte("path: a.jsonl"))
	var batches []sources.Batch
	for batch, err := range s.Pull(t.Context(), sources.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		if batches = append(batches, batch); len(batches) == 1 {
			write(t, file, itemLines(sources.MaxBatch+1)+itemLine(9000, "new"), time.Hour)
		}
	}
	if cursor := lastCursor(batches); cursor != "" {
		t.Errorf("the file counts as read: %s", cursor)
	}
	if items := told(batches); len(items) != sources.MaxBatch+1 {
		t.Errorf("%d items", len(items))
	}
	batches, err := pullAll(t, s, sources.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if items := told(batches); items[len(items)-1] != "review-9000=new" || lastCursor(batches) == "" {
		t.Errorf("ends with %s", items[len(items)-1])
	}
}

func TestALineThatIsBeingWrittenIsLeftForLater(t *testing.T) {
	t.Parallel()
	const half = `{"networkItemId":"review-2","mess`
	dir := t.TempDir()
	file := filepath.Join(dir, "a.jsonl")
	s := openSettings(t, dir, []byte("path: a.jsonl"))

	write(t, file, itemLine(1, "a")+half, unfinished/2)
	if cursor := read(t, s, "", "review-1=a"); cursor != "" {
		t.Error("the file counts as read")
	}
	write(t, file, itemLine(1, "a")+half+`age":"b"}`, unfinished/2)
	cursor := read(t, s, "", "review-1=a", "review-2=b")
	read(t, s, cursor)

	write(t, file, itemLine(1, "a")+half, 2*unfinished)
	cursor = read(t, s, "", "review-1=a", "a.jsonl:2!")
	read(t, s, cursor)

	write(t, file, itemLine(1, "a")+half, -time.Hour) // by a clock that is ahead of ours
	read(t, s, "", "review-1=a", "a.jsonl:2!")

	write(t, file, half+"\n"+itemLine(1, "a"), 0)
	read(t, s, "", "a.jsonl:1!", "review-1=a")
}

func TestAFileThatVanishesIsForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.jsonl"), "broken\n", time.Hour)
	write(t, filepath.Join(dir, "b.jsonl"), itemLine(2, "b"), time.Hour)
	s := openSettings(t, dir, []byte(`path: "*.jsonl"`))
	cursor := read(t, s, "", "a.jsonl:1!", "review-2=b")
	if err := os.Remove(filepath.Join(dir, "a.jsonl")); err != nil {
		t.Fatal(err)
	}
	batches, err := pullAll(t, s, sources.Request{Cursor: cursor})
	if err != nil || len(batches) != 1 || batches[0].Rereads != "a.jsonl:" || len(batches[0].Items) != 0 {
		t.Fatalf("got %+v, %v", batches, err)
	}
	if strings.Contains(batches[0].Cursor, "a.jsonl") || !strings.Contains(batches[0].Cursor, "b.jsonl") {
		t.Errorf("cursor %s", batches[0].Cursor)
	}
	read(t, s, batches[0].Cursor)
	write(t, filepath.Join(dir, "a.jsonl"), itemLine(1, "back"), time.Hour)
	read(t, s, batches[0].Cursor, "review-1=back")
}

func TestAFileThatCantBeReadDoesNotKeepTheOthersBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.jsonl"), itemLine(1, "a"), time.Hour)
	write(t, filepath.Join(dir, "c.jsonl"), itemLine(3, "c"), time.Hour)
	if err := os.Symlink("b.jsonl", filepath.Join(dir, "b.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "gone.jsonl")); err != nil {
		t.Fatal(err)
	}
	s := openSettings(t, dir, []byte(`path: "*.jsonl"`))
	batches, err := pullAll(t, s, sources.Request{})
	if diff := cmp.Diff([]string{"review-1=a", "review-3=c"}, told(batches)); diff != "" {
		t.Error(diff)
	}
	setting, ok := errors.AsType[*sources.SettingError](err)
	if !ok || setting.Key != "path" || !strings.HasPrefix(setting.Problem, "b.jsonl: ") || strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err.Error(), "gone.jsonl") {
		t.Errorf("a file that vanished is an error: %v", err)
	}
}

func TestAFolderOfTheConfigMayLookLikeAPattern(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), `conf[1]*`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a.jsonl"), itemLine(1, "a"), time.Hour)
	write(t, filepath.Join(dir, "b[1].jsonl"), itemLine(2, "b"), time.Hour)
	read(t, openSettings(t, dir, []byte(`path: "a*.jsonl"`)), "", "review-1=a")
	read(t, openSettings(t, dir, []byte(`path: "b[1].jsonl"`)), "", "review-2=b")
	read(t, openSettings(t, "/nowhere", []byte(`path: "`+filepath.Join(dir, "b[1].jsonl")+`"`)), "", "review-2=b")
}

func TestACursorThatIsNotUnderstoodReadsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.jsonl"), itemLine(1, "a"), time.Hour)
	s := openSettings(t, dir, []byte("path: a.jsonl"))
	for _, cursor := range []string{`{"v":2,"files":{}}`, `{"v":1}`, "nonsense", "[]"} {
		if next := read(t, s, cursor, "review-1=a"); !strings.Contains(next, "a.jsonl") {
			t.Errorf("after %s the cursor is %s", cursor, next)
		}
	}
}

func TestABackfillTakesItsTimeOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.jsonl"), strings.Join([]string{
		`{"networkItemId":"before","createdTime":"2026-01-01T00:00:00Z"}`,
		`{"networkItemId":"within","createdTime":"2026-01-02T00:00:00Z"}`,
		`{"networkItemId":"at-end","createdTime":"2026-01-03T00:00:00Z"}`,
		`{"networkItemId":"changed","createdTime":"2026-01-01T00:00:00Z","updatedTime":"2026-01-02T12:00:00Z"}`,
		`{"networkItemId":"timeless"}`,
		`broken`, `{"networkItemId":"unfinished"`,
	}, "\n"), 0)
	s := openSettings(t, dir, []byte("path: a.jsonl"))
	batches, err := pullAll(t, s, sources.Request{
		Backfill: true,
		Since:    time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"within=", "changed=", "timeless=", "a.jsonl:6!", "a.jsonl:7!"}
	if diff := cmp.Diff(want, told(batches)); diff != "" {
		t.Error(diff)
	}
	if lastCursor(batches) == "" {
		t.Error("a backfill has no cursor to resume at")
	}
}

func TestALineThatIsTooLongIsOneFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := func(id, size int) string {
		frame := len(itemLine(id, "")) - 1
		return itemLine(id, strings.Repeat("x", size-frame))
	}
	write(t, filepath.Join(dir, "a.jsonl"),
		itemLine(1, "a")+long(2, maxLine)+long(3, maxLine+1)+long(4, maxLine+readBuffer)+long(5, readBuffer)+itemLine(6, "f"), time.Hour)
	batches, err := pullAll(t, openSettings(t, dir, []byte("path: a.jsonl")), sources.Request{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, text := range told(batches) {
		got = append(got, text[:min(len(text), 12)])
	}
	want := []string{"review-1=a", "review-2=xxx", "a.jsonl:3!", "a.jsonl:4!", "review-5=xxx", "review-6=f"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLongLinesMakeSmallBatches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var b strings.Builder
	for id := range 40 {
		b.WriteString(itemLine(id, strings.Repeat("x", sources.BatchBytes)))
	}
	for id := range 8 {
		b.WriteString(itemLine(100+id, strings.Repeat("y", sources.BatchBytes/4)))
	}
	b.WriteString(itemLine(200, "short") + itemLine(201, "short"))
	for id := range 2 { // these stand in the place of the short ones
		b.WriteString(itemLine(200+id, strings.Repeat("z", sources.BatchBytes)))
	}
	write(t, filepath.Join(dir, "a.jsonl"), b.String(), time.Hour)
	batches, err := pullAll(t, openSettings(t, dir, []byte("path: a.jsonl")), sources.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if len(batches) != 40+3+2 || len(told(batches)) != 50 {
		t.Errorf("%d items in %d batches", len(told(batches)), len(batches))
	}
	for n, batch := range batches {
		size := 0
		for _, item := range batch.Items {
			size += len(item.Interaction.Message)
		}
		if len(batch.Items) > 1 && size > sources.BatchBytes {
			t.Errorf("batch %d has %d items of %d bytes", n, len(batch.Items), size)
		}
	}
}

func TestAPullEndsWithItsContextAndSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.jsonl"), itemLines(20*sources.MaxBatch), time.Hour)
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := openSettings(t, dir, []byte("path: a.jsonl"))
	batches := 0
	var last error
	for _, err := range s.Pull(ctx, sources.Request{}) {
		if last = err; err == nil {
			batches++
		}
		cancel(reason)
	}
	if batches != 1 || !errors.Is(last, reason) {
		t.Errorf("%d batches, then %v", batches, last)
	}
}
