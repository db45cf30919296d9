package jsonl

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sourcetest"
)

// world is a folder with three files. A change replaces the file by one of another time.
type world struct {
	sourcetest.Shelf
	t      testing.TB
	folder string

	mu      sync.Mutex
	changes int
}

func newWorld(t testing.TB) sourcetest.World { return &world{t: t, folder: t.TempDir()} }

func (w *world) Settings() string { return "path: " + filepath.Join(w.folder, "*.jsonl") + "\n" }

func (w *world) Put(items ...sourcetest.Item) {
	w.Shelf.Put(items...)
	w.write()
}

func (w *world) Remove(ids ...int) {
	w.Shelf.Remove(ids...)
	w.write()
}

func (w *world) write() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var files [3]strings.Builder
	for _, item := range w.Items() {
		line, err := json.Marshal(map[string]any{
			"networkItemId": fmt.Sprintf("review-%d", item.ID), "message": item.Text,
			"createdTime": item.Created, "updatedTime": item.Updated,
		})
		if err != nil {
			w.t.Error(err)
		}
		file := &files[item.ID%len(files)]
		file.Write(line)
		file.WriteString("\n")
	}
	w.changes++
	for n, file := range files {
		name := filepath.Join(w.folder, fmt.Sprintf("%d.jsonl", n))
		write(w.t, name+".new", file.String(), time.Hour-time.Duration(w.changes)*time.Second)
		if err := os.Rename(name+".new", name); err != nil {
			w.t.Error(err)
		}
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Adapter: New(), World: newWorld, Items: 3 * (sources.MaxBatch + 1), Incremental: true, Edits: sourcetest.Always, Late: sourcetest.Always,
		Wrong: []sourcetest.Wrong{{Line: "path: in/[a.jsonl"}},
	})
}
