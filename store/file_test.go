package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

func TestAFileIsReservedForOneDaemonAndAServerForAnyNumber(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "here.db")
	migrate(t, open(t, "sqlite:"+file))
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	release, err := store.Reserve("sqlite:" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		if _, err := store.Reserve("sqlite:" + path); err == nil || !strings.Contains(err.Error(), path+" is in use by another daemon") {
			t.Errorf("%s reserved twice: %v", path, err)
		}
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Reserve("sqlite:" + link)
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
	url := storetest.Postgres(t)
	for range 2 {
		release, err := store.Reserve(url)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
}

func TestAReservationDoesNotHinderMigrations(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "here.db")
	release, err := store.Reserve(url)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if applied := migrate(t, open(t, url)); len(applied) == 0 {
		t.Error("nothing was applied")
	}
}

// What would be written to a file without a name is lost with the process.
func TestAStoreWhoseFileIsGoneWaitsForIt(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "here.db")
	s := open(t, "sqlite:"+file)
	migrate(t, s)
	away := file + ".away"
	if err := os.Rename(file, away); err != nil {
		t.Fatal(err)
	}
	gone := func(when string) {
		for name, err := range map[string]error{
			"ChannelStates": errorOf(s.ChannelStates(t.Context())), "Register": s.Register(t.Context(), map[string]string{"c": "support"}, nil),
			"Resume": errorOf(s.ResumeChannel(t.Context(), "c")), "Ping": s.Ping(t.Context()),
		} {
			if err == nil || !store.Unreachable(err) || !strings.Contains(err.Error(), file+": the file was removed or replaced") {
				t.Errorf("%s, %s: %v", when, name, err)
			}
		}
	}
	gone("removed")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a new file: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	gone("replaced")
	if err := os.Rename(away, file); err != nil {
		t.Fatal(err)
	}
	if err := s.Register(t.Context(), map[string]string{"c": "support"}, nil); err != nil {
		t.Error(err)
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestAReadOnlyStoreDoesNotMigrate(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		raw(t, url, "CREATE TABLE other (x integer)") // there is no file before
		s, err := store.OpenReadOnly(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if applied, err := s.Migrate(t.Context()); !errors.Is(err, store.ErrOlder) || applied != nil {
			t.Errorf("%v, %v", applied, err)
		}
	})
}
