package jsonl

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

var update = flag.Bool("update", false, "write the expected files anew")

// goldenBatch and goldenItem are what a case expects, for people to read.
type goldenBatch struct {
	Rereads string       `json:"rereads,omitempty"`
	Cursor  bool         `json:"movesCursor"`
	Items   []goldenItem `json:"items,omitempty"`
}

type goldenItem struct {
	Interaction *socialhub.Interaction `json:"interaction,omitempty"`
	UpdatedTime time.Time              `json:"updatedTime,omitzero"`
	Own         bool                   `json:"own,omitempty"`
	Deleted     bool                   `json:"deleted,omitempty"`
	Ref         json.RawMessage        `json:"ref,omitempty"`
	Fault       *sources.Fault         `json:"fault,omitempty"`
}

func golden(b sources.Batch) goldenBatch {
	g := goldenBatch{Rereads: b.Rereads, Cursor: b.Cursor != ""}
	for _, item := range b.Items {
		i := goldenItem{
			Interaction: &item.Interaction, UpdatedTime: item.UpdatedTime, Own: item.Own, Deleted: item.Deleted,
			Ref: item.Ref, Fault: item.Fault,
		}
		if item.Fault != nil {
			i.Interaction = nil
		}
		g.Items = append(g.Items, i)
	}
	return g
}

// openSettings opens a source in dir from settings as they stand in a config.
func openSettings(t *testing.T, dir string, settings []byte) *source {
	t.Helper()
	s := New().Settings()
	if err := yaml.UnmarshalWithOptions(settings, s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	opened, err := s.Open(t.Context(), sources.Env{Name: "test", Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened.(*source)
}

func pullAll(t *testing.T, s *source, req sources.Request) (batches []sources.Batch, err error) {
	t.Helper()
	for batch, e := range s.Pull(t.Context(), req) {
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		if len(batch.Items) > sources.MaxBatch {
			t.Errorf("a batch of %d items", len(batch.Items))
		}
		batches = append(batches, batch)
	}
	return batches, err
}

// TestCases runs each folder of testdata: its settings.yaml and files give expected.json and error.txt.
func TestCases(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("testdata/*/settings.yaml")
	if err != nil || len(folders) == 0 {
		t.Fatal("no cases", err)
	}
	for _, settingsFile := range folders {
		folder := filepath.Dir(settingsFile)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			settings, err := os.ReadFile(settingsFile)
			if err != nil {
				t.Fatal(err)
			}
			batches, err := pullAll(t, openSettings(t, agedCopy(t, folder), settings), sources.Request{})
			got := []goldenBatch{}
			for _, b := range batches {
				got = append(got, golden(b))
			}
			compare(t, filepath.Join(folder, "expected.json"), encode(t, got))
			problem := ""
			if err != nil {
				problem = err.Error() + "\n"
			}
			compare(t, filepath.Join(folder, "error.txt"), problem)
		})
	}
}

// agedCopy copies a case, with files that nobody is writing to any more.
func agedCopy(t *testing.T, folder string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			err = os.Chtimes(path, old, old)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func encode(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// compare holds a text against a file; a file that is not there stands for the empty text.
func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		err := os.WriteFile(file, []byte(got), 0o644)
		if got == "" {
			err = os.Remove(file)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

func TestWrongSettingsAreToldByKey(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "in/[a.jsonl"} {
		err := (&Settings{Path: path}).Validate()
		if setting, ok := errors.AsType[*sources.SettingError](err); !ok || setting.Key != "path" {
			t.Errorf("%q: %v", path, err)
		}
	}
}
