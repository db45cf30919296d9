package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"socialhub-sync/app/config"
)

// watched is a config in two files whose times are the test's.
type watched struct {
	t *testing.T
	*watcher
	dir     string
	written time.Time
}

func watch(t *testing.T) *watched {
	t.Helper()
	dir := t.TempDir()
	w := &watched{t: t, dir: dir, watcher: newWatcher(filepath.Join(dir, "config.yaml")), written: time.Now().Add(-time.Hour)}
	w.put("config.yaml", "one")
	w.put("token", "one")
	w.reload(nil)
	return w
}

func (w *watched) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	w.written = w.written.Add(time.Second)
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, w.written, w.written)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) remove(name string) {
	w.t.Helper()
	if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
}

// reload reads a config that also lies in token; during happens while it is read.
func (w *watched) reload(during func()) {
	w.t.Helper()
	_, _ = w.read(func() (*config.Config, error) {
		if during != nil {
			during()
		}
		return &config.Config{Files: []string{w.path, filepath.Join(w.dir, "token")}}, nil
	})
}

// tells wants the answers of the next looks.
func (w *watched) tells(answers ...bool) {
	w.t.Helper()
	for n, want := range answers {
		if got := w.changed(); got != want {
			w.t.Errorf("look %d: changed is %t", n+1, got)
		}
	}
}

func TestAChangedFileIsReadOnceItIsStill(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"config.yaml", "token"} {
		w := watch(t)
		w.tells(false, false, false)
		w.put(name, "two")
		w.tells(false)
		w.put(name, "two, and more") // it is still being written
		w.tells(false, true)
		w.reload(nil)
		w.tells(false, false)
		w.put(name, "TWO, and more") // as long as before
		w.tells(false, true)
	}
}

func TestAChangeThatIsTakenBackIsNone(t *testing.T) {
	t.Parallel()
	w := watch(t)
	kept := filepath.Join(w.dir, "kept")
	if err := os.Rename(w.path, kept); err != nil {
		t.Fatal(err)
	}
	w.tells(false, false)
	if err := os.Rename(kept, w.path); err != nil {
		t.Fatal(err)
	}
	w.tells(false, false, false)
}

func TestAFileThatIsGoneForAMomentIsNoChangeYet(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.remove("token")
	w.tells(false, false, false)
	w.put("token", "two")
	w.tells(false, true)
	w.reload(nil)
	w.remove("token")
	w.tells(false, false, false, false, false, true) // now it is gone
	w.reload(nil)
	w.tells(false, false)
}

func TestAFileThatMayBeReadFromNowOnIsAChange(t *testing.T) {
	t.Parallel()
	w := watch(t)
	if err := os.Chmod(w.path, 0o640); err != nil {
		t.Fatal(err)
	}
	w.tells(false, true)
}

func TestALinkThatIsTurnedIsAChange(t *testing.T) {
	t.Parallel()
	w := watch(t)
	for _, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(filepath.Join(w.dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		w.put(filepath.Join(version, "config.yaml"), "one")
		at := w.written.Add(time.Hour)
		if err := os.Chtimes(filepath.Join(w.dir, version, "config.yaml"), at, at); err != nil {
			t.Fatal(err)
		}
		w.written = w.written.Add(-time.Second) // both have the same time
	}
	turn := func(to string) {
		t.Helper()
		link := filepath.Join(w.dir, "new")
		if err := errors.Join(os.Symlink(filepath.Join(to, "config.yaml"), link), os.Rename(link, w.path)); err != nil {
			t.Fatal(err)
		}
	}
	turn("v1")
	w.tells(false, true)
	w.reload(nil)
	w.tells(false)
	turn("v2")
	w.tells(false, true)
}

func TestAChangeDuringTheReadingIsNotMissed(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.put("config.yaml", "two")
	w.tells(false, true)
	w.reload(func() { w.put("config.yaml", "three"); w.put("token", "three") })
	w.tells(false, true)
}

func TestABadFileIsReadOnceAndAgainWhenWhatItLacksIsThere(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.put("config.yaml", "names another file")
	w.tells(false, true)
	missing := filepath.Join(w.dir, "missing")
	_, _ = w.read(func() (*config.Config, error) { return nil, &config.Error{Files: []string{missing}} })
	w.tells(false, false, false, false, false, false, false)
	w.put("missing", "here")
	w.tells(false, true)
	_, _ = w.read(func() (*config.Config, error) { return nil, errors.New("can't be read") })
	w.tells(false, false)
	w.put("config.yaml", "mended")
	w.tells(false, true)
}
