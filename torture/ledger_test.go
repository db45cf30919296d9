package torture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"socialhub-sync/socialhub"
)

// ledger is what the sources say. It belongs to one goroutine.
type ledger struct {
	dir string
	// files holds the items of each file in order.
	files [][]*entry
	dirty []bool
	byID  map[string]*entry
	ids   []string
}

// entry is one item.
type entry struct {
	id, root string
	file     int
	// edition counts the edits; text is the edition whose content is shown, an earlier one after a change of mind.
	edition, text int
}

func newLedger(dir string, files int) *ledger {
	l := &ledger{dir: dir, files: make([][]*entry, files), dirty: make([]bool, files), byID: make(map[string]*entry)}
	for i := range l.dirty {
		l.dirty[i] = true
	}
	return l
}

func fileName(i int) string { return fmt.Sprintf("items-%d.jsonl", i) }

// create adds an item to a file, a reply if root is an item's id; it must be in the same file.
func (l *ledger) create(file int, root string) (id string) {
	id = fmt.Sprintf("item-%d-%05d", file, len(l.files[file])+1)
	e := &entry{id: id, root: root, file: file}
	l.files[file], l.byID[id], l.ids = append(l.files[file], e), e, append(l.ids, id)
	l.dirty[file] = true
	return id
}

// edit gives an item new content.
func (l *ledger) edit(id string) {
	e := l.byID[id]
	e.edition++
	e.text = e.edition
	l.dirty[e.file] = true
}

// revert gives an item the content of its edition before.
func (l *ledger) revert(id string) {
	e := l.byID[id]
	e.edition++
	e.text = max(0, e.text-1)
	l.dirty[e.file] = true
}

// stir makes a few random creations and edits.
func (l *ledger) stir(lots *rand.Rand, creations, edits int) {
	for range creations {
		file, root := lots.IntN(len(l.files)), ""
		if there := l.files[file]; len(there) > 0 && lots.IntN(3) == 0 {
			root = there[lots.IntN(len(there))].id
		}
		l.create(file, root)
	}
	for range edits {
		if len(l.ids) == 0 {
			return
		}
		// The young ones more often: they are the ones in flight.
		back := min(lots.IntN(len(l.ids)), lots.IntN(len(l.ids)))
		id := l.ids[len(l.ids)-1-back]
		if lots.IntN(5) == 0 {
			l.revert(id)
		} else {
			l.edit(id)
		}
	}
}

// touch makes every file look changed.
func (l *ledger) touch() {
	for i := range l.dirty {
		l.dirty[i] = true
	}
}

// epoch is when everything began, in the sources.
var epoch = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// updated is when the edition was made; it grows with each, also when the content goes back.
func (e *entry) updated() time.Time { return epoch.Add(time.Duration(e.edition) * time.Second) }

// content is what SocialHub should show.
func (e *entry) content() socialhub.Interaction {
	i := socialhub.Interaction{
		NetworkItemID: e.id, Message: fmt.Sprintf("%s as it is in edition %d", e.id, e.text), CreatedTime: epoch,
		URL:        "https://shop.example.com/" + e.id,
		Rating:     &socialhub.Rating{Value: float64(e.text % 6), Scale: 5},
		Interactor: &socialhub.Interactor{InteractorID: "customer-" + e.id, Name: "Customer"},
	}
	if e.text%3 == 1 {
		i.Pictures = []socialhub.Picture{{Small: fmt.Sprintf("https://shop.example.com/%s/%d.jpg", e.id, e.text)}}
	}
	return i
}

// differs compares what a ticket shows; empty means that it is right.
func (e *entry) differs(shown socialhub.Interaction) string {
	type content struct {
		Message, URL string
		Pictures     []socialhub.Picture
		Rating       *socialhub.Rating
	}
	want := e.content()
	return cmp.Diff(content{want.Message, want.URL, want.Pictures, want.Rating}, content{shown.Message, shown.URL, shown.Pictures, shown.Rating}, cmpopts.EquateEmpty())
}

// line is the item in its file.
func (e *entry) line() ([]byte, error) {
	out := struct {
		socialhub.Interaction
		UpdatedTime time.Time `json:"updatedTime"`
	}{e.content(), e.updated()}
	if e.root != "" {
		out.Root = &socialhub.Root{RootID: e.root}
	}
	return json.Marshal(out)
}

// write puts changed files in the place of the old ones, each at once.
func (l *ledger) write() error {
	for i, entries := range l.files {
		if !l.dirty[i] {
			continue
		}
		var text bytes.Buffer
		for _, e := range entries {
			line, err := e.line()
			if err != nil {
				return err
			}
			text.Write(append(line, '\n'))
		}
		path := filepath.Join(l.dir, fileName(i))
		if err := errors.Join(os.WriteFile(path+".new", text.Bytes(), 0o600), os.Rename(path+".new", path)); err != nil {
			return err
		}
		l.dirty[i] = false
	}
	return nil
}

// flush writes the changed files.
func (w *world) flush() {
	w.Helper()
	if err := w.ledger.write(); err != nil {
		w.Fatal(err)
	}
}
