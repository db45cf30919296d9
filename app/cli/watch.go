package cli

import (
	"errors"
	"maps"
	"os"

	"socialhub-sync/app/config"
)

// goneLooks is how many looks in a row must miss a file before it is taken for gone: whoever replaces one may take the old one
// away first.
const goneLooks = 5

// watcher tells when the files of a config have changed: by their times, sizes, modes and identities, behind symbolic links, for
// an editor puts a new file in the place of the old one, Kubernetes turns a link, and who could not be read may be now. It is not
// safe for concurrent use.
type watcher struct {
	// path is the config's.
	path string
	// known is how the files were when they were read, last how they were at the last look, and still how many looks
	// before that had found them so.
	known, last stamps
	still       int
}

func newWatcher(path string) *watcher { return &watcher{path: path, known: stamps{path: nil}} }

// read reads the config and notes its files. Of one with faults these are watched, too: they may be what is to be mended.
func (w *watcher) read(load func() (*config.Config, error)) (*config.Config, error) {
	// Before the reading, so that no change is missed; what the config names for the first time only the reading tells.
	before := w.known.anew()
	c, err := load()
	after := before
	if faults, ok := errors.AsType[*config.Error](err); ok {
		after = stampsOf(append(faults.Files, w.path))
	} else if err == nil {
		after = stampsOf(c.Files)
	}
	for path := range after {
		if info, ok := before[path]; ok {
			after[path] = info
		}
	}
	w.known, w.last = after, nil
	return c, err
}

// changed looks, and tells whether the files are others than those that were read and have not changed since the last look.
func (w *watcher) changed() bool {
	now := w.known.anew()
	switch {
	case now.same(w.known):
		w.last = nil
		return false
	case !now.same(w.last):
		w.last, w.still = now, 0
		return false
	}
	w.still++
	return !now.lack() || w.still >= goneLooks
}

// stamps are how files are, by their paths; nil for one that is not there or can't be reached.
type stamps map[string]os.FileInfo

func stampsOf(paths []string) stamps {
	s := make(stamps)
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			s[path] = info
		} else {
			s[path] = nil
		}
	}
	return s
}

// anew looks at the same files again.
func (s stamps) anew() stamps {
	paths := make([]string, 0, len(s))
	for path := range s {
		paths = append(paths, path)
	}
	return stampsOf(paths)
}

func (s stamps) same(other stamps) bool {
	return maps.EqualFunc(s, other, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
	})
}

// lack tells whether a file is missing.
func (s stamps) lack() bool {
	for _, info := range s {
		if info == nil {
			return true
		}
	}
	return false
}
