package sourcetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
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

var update = flag.Bool("update", false, "write the expected files of cases anew")

// Files of a case.
const (
	settingsFile = "settings.yaml"
	requestFile  = "request.yaml"
	httpFile     = "http.yaml"
	itemsFile    = "items.json"
	errorFile    = "error.txt"
)

// Cases runs each folder of dir as a subtest. A folder holds
//
//   - settings.yaml: the source's `settings:`. $SERVER stands for the address of the replay server.
//   - input: any files; the source's folder is a copy of the case, in which every file is old.
//   - http.yaml, if the source reads over HTTP: the recorded exchanges, see [Exchange].
//   - request.yaml, if wanted: what is asked for, with the keys cursor, backfill, since and until.
//   - items.json: what the pull must give, in its order: each item; {"rereads": place} where a batch says so; and
//     {"cursor": "moves"} where the cursor does.
//   - error.txt: the error that ends the pull. No file: none.
//
// Expected files say http://server.example for the replay server. With -update they are written anew.
func Cases(t *testing.T, adapter sources.Adapter, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", settingsFile))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases: %s has no folder with a %s", dir, settingsFile)
	}
	for _, file := range found {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			runCase(t, adapter, folder, *update)
		})
	}
}

// runCase runs one case, or with update writes what it gives.
func runCase(t testing.TB, adapter sources.Adapter, folder string, update bool) {
	t.Helper()
	server := serveCase(t, folder)
	settings := strings.ReplaceAll(readCase(t, folder, settingsFile), serverMark, server)
	s := openSession(t, adapter, oldCopy(t, folder), settings, nil)
	defer s.close()
	batches, pullErr := s.pull(t.Context(), caseRequest(t, folder), nil)
	problem := ""
	if pullErr != nil {
		problem = pullErr.Error() + "\n"
	}
	for file, got := range map[string]string{itemsFile: encodeEvents(t, batches), errorFile: problem} {
		if server != "" {
			got = strings.ReplaceAll(got, server, "http://server.example")
		}
		compare(t, filepath.Join(folder, file), got, update)
	}
}

// event is a line of items.json: an item, or something else that a batch said.
type event struct {
	Rereads     string                 `json:"rereads,omitempty"`
	Interaction *socialhub.Interaction `json:"interaction,omitempty"`
	UpdatedTime time.Time              `json:"updatedTime,omitzero"`
	Own         bool                   `json:"own,omitempty"`
	Deleted     bool                   `json:"deleted,omitempty"`
	Ref         json.RawMessage        `json:"ref,omitempty"`
	Fault       *fault                 `json:"fault,omitempty"`
	Cursor      string                 `json:"cursor,omitempty"`
}

type fault struct {
	Place  string `json:"place"`
	Reason string `json:"reason"`
}

// encodeEvents writes what a pull gave, for people to read.
func encodeEvents(t testing.TB, batches []sources.Batch) string {
	t.Helper()
	events := []event{}
	for _, b := range batches {
		if b.Rereads != "" {
			events = append(events, event{Rereads: b.Rereads})
		}
		for _, item := range b.Items {
			e := event{UpdatedTime: item.UpdatedTime, Own: item.Own, Deleted: item.Deleted, Ref: item.Ref}
			if item.Fault != nil {
				e.Fault = &fault{item.Fault.Place, item.Fault.Reason}
			} else {
				e.Interaction = &item.Interaction
			}
			events = append(events, e)
		}
		if b.Cursor != "" {
			events = append(events, event{Cursor: "moves"})
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(events); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// caseRequest is what request.yaml asks for.
func caseRequest(t testing.TB, folder string) sources.Request {
	t.Helper()
	var r struct {
		Cursor   string    `yaml:"cursor"`
		Backfill bool      `yaml:"backfill"`
		Since    time.Time `yaml:"since"`
		Until    time.Time `yaml:"until"`
	}
	if err := yaml.UnmarshalWithOptions([]byte(readCase(t, folder, requestFile)), &r, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", requestFile, err)
	}
	return sources.Request{Cursor: r.Cursor, Backfill: r.Backfill, Since: r.Since.UTC(), Until: r.Until.UTC()}
}

// readCase returns a file's text; a file that is not there stands for the empty text.
func readCase(t testing.TB, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// oldCopy copies a case, with files that nobody is writing to any more.
func oldCopy(t testing.TB, folder string) string {
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

// compare holds a text against an expected file, or writes that.
func compare(t testing.TB, file, got string, update bool) {
	t.Helper()
	if !update {
		if diff := cmp.Diff(readCase(t, filepath.Dir(file), filepath.Base(file)), got); diff != "" {
			t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
		}
		return
	}
	err := os.WriteFile(file, []byte(got), 0o644)
	if got == "" {
		err = os.Remove(file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
