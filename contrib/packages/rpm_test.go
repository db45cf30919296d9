package packages_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Tags and flags of RPM's header: https://rpm-software-management.github.io/rpm/manual/tags.html
const (
	tagPreIn, tagPostIn, tagPreUn, tagPostUn = 1023, 1024, 1025, 1026
	tagFileModes, tagFileFlags, tagFileGroup = 1030, 1037, 1040
	tagDirIndexes, tagBaseNames, tagDirNames = 1116, 1117, 1118

	configNoReplace = 1 | 1<<4
)

// rpmHeader is the main header of a package; the values are by tag, texts as strings and numbers as they are.
type rpmHeader struct {
	texts   map[uint32][]string
	numbers map[uint32][]uint32
}

// readRPM reads the main header: it follows a lead of 96 bytes and the header with the signatures, which is filled up to
// eight bytes. Format: https://rpm-software-management.github.io/rpm/manual/format_v4.html
func readRPM(t *testing.T, file string) rpmHeader {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, _, end := splitHeader(t, content[96:])
	index, data, _ := splitHeader(t, content[96+(end+7)/8*8:])
	h := rpmHeader{make(map[uint32][]string), make(map[uint32][]uint32)}
	for ; len(index) > 0; index = index[16:] {
		tag, kind := binary.BigEndian.Uint32(index), binary.BigEndian.Uint32(index[4:])
		value, count := data[binary.BigEndian.Uint32(index[8:]):], int(binary.BigEndian.Uint32(index[12:]))
		for range count {
			switch kind {
			case 3: // 16 bits
				h.numbers[tag], value = append(h.numbers[tag], uint32(binary.BigEndian.Uint16(value))), value[2:]
			case 4: // 32 bits
				h.numbers[tag], value = append(h.numbers[tag], binary.BigEndian.Uint32(value)), value[4:]
			case 6, 8, 9: // text, texts, texts by language
				text, rest, _ := bytes.Cut(value, []byte{0})
				h.texts[tag], value = append(h.texts[tag], string(text)), rest
			}
		}
	}
	return h
}

// splitHeader returns a header's index and data, and where it ends.
func splitHeader(t *testing.T, b []byte) (index, data []byte, end int) {
	t.Helper()
	if !bytes.HasPrefix(b, []byte{0x8e, 0xad, 0xe8, 1}) {
		t.Fatalf("there is no header but % x", b[:8])
	}
	entries, size := int(binary.BigEndian.Uint32(b[8:])), int(binary.BigEndian.Uint32(b[12:]))
	end = 16 + 16*entries + size
	return b[16 : 16+16*entries], b[16+16*entries : end], end
}

// entry is a file or a folder of a package.
type entry struct {
	mode, flags uint32
	group       string
}

func (h rpmHeader) entries() map[string]entry {
	files := make(map[string]entry)
	for i, base := range h.texts[tagBaseNames] {
		dir := h.texts[tagDirNames][h.numbers[tagDirIndexes][i]]
		files[dir+base] = entry{h.numbers[tagFileModes][i], h.numbers[tagFileFlags][i], h.texts[tagFileGroup][i]}
	}
	return files
}

func TestARedHatPackageHasTheFilesAndLeavesFoldersOfOthersAlone(t *testing.T) {
	t.Parallel()
	checkout, _, _ := built(t)
	files := readRPM(t, checkout.file(".rpm")).entries()
	wanted := map[string]entry{
		"/" + binaryFile:              {0o100755, 0, "root"},
		"/" + settings:                {0o100640, configNoReplace, "socialhub-sync"},
		"/etc/socialhub-sync/secrets": {0o040700, 0, "root"},
		"/usr/share/zsh/site-functions/_socialhub-sync": {0o100644, 0, "root"},
	}
	for _, name := range shipped {
		wanted["/"+name] = entry{0o100644, 0, "root"}
	}
	for name, want := range wanted {
		if got, ok := files[name]; !ok || got != want {
			t.Errorf("%s is %+v (%t), want %+v", name, got, ok, want)
		}
	}
	for name := range files {
		if !strings.Contains(name, "socialhub-sync") {
			t.Errorf("the package claims %s", name)
		}
	}
}

func TestTheScriptsOfARedHatPackageRestartOnlyWhatRuns(t *testing.T) {
	t.Parallel()
	checkout, _, _ := built(t)
	header := readRPM(t, checkout.file(".rpm"))
	for _, test := range []struct {
		when  string
		tag   uint32
		count string
		want  []string
	}{
		{"before the installation", tagPreIn, "1", []string{"getent group socialhub-sync", "getent passwd socialhub-sync"}},
		{"after the installation", tagPostIn, "1", []string{"systemctl daemon-reload"}},
		{"after the new version came", tagPostIn, "2", []string{"systemctl daemon-reload"}},
		{"before the old version goes", tagPreUn, "1", nil},
		{"after the old version went", tagPostUn, "1", []string{"systemctl daemon-reload", "systemctl try-restart " + allUnits}},
		{"before the removal", tagPreUn, "0", []string{"systemctl stop " + allUnits, "systemctl --quiet --no-reload disable socialhub-sync.service"}},
		{"after the removal", tagPostUn, "0", []string{"systemctl daemon-reload"}},
	} {
		got, err := runScript(t, strings.Join(header.texts[test.tag], ""), test.count)
		if err != nil {
			t.Errorf("%s: %v", test.when, err)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s it ran %q, want %q", test.when, got, test.want)
		}
	}
}

// runScript runs a script where the commands that would change the machine only note how they were called.
func runScript(t *testing.T, script, count string) ([]string, error) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"systemctl", "getent", "groupadd", "useradd"} {
		fake := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >>'%s/calls'\n", name, dir)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fake), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/bin/sh", "-e", "-c", script, "script", count)
	cmd.Env = []string{"PATH=" + dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s\n%s", err, out, script)
	}
	calls, _ := os.ReadFile(filepath.Join(dir, "calls"))
	return slices.Collect(func(yield func(string) bool) {
		for line := range strings.Lines(string(calls)) {
			if !yield(strings.TrimSpace(line)) {
				return
			}
		}
	}), nil
}
