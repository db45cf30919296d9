package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// engines are the databases that the store serves; url names a new, empty one.
var engines = []struct {
	name string
	url  func(testing.TB) string
}{
	{"sqlite", func(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "test.db") }},
	{"postgres", storetest.Postgres},
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(tb testing.TB) *store.Store { return open(tb, e.url(tb)) })
		})
	}
}

func open(tb testing.TB, url string) *store.Store {
	tb.Helper()
	s, err := store.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

func onBothEngines(b *testing.B, bench func(*testing.B, func(testing.TB) *store.Store)) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			bench(b, func(tb testing.TB) *store.Store { return open(tb, e.url(tb)) })
		})
	}
}

func TestStatementsAreCounted(t *testing.T) {
	t.Parallel()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, e.url(t))
			migrate(t, s)
			count := func(what string, want uint64, do func() error) {
				t.Helper()
				before := s.Statements()
				if err := do(); err != nil {
					t.Error(err)
				}
				if n := s.Statements() - before; n != want {
					t.Errorf("%s: %d statements, want %d", what, n, want)
				}
			}
			transaction := uint64(3) // its begin, its end and what is in it
			if e.name == "postgres" {
				transaction++ // a setting for it
			}
			count("a look-up", 1, func() error { return errorOf(s.ChannelStates(t.Context())) })
			count("a ping", 1, func() error { return s.Ping(t.Context()) })
			count("a transaction", transaction, func() error { return s.Register(t.Context(), map[string]string{"c": "support"}, nil) })
		})
	}
}
