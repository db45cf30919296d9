package systemd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The units that are shipped, and the programs in them.
const (
	units   = "../../contrib/systemd"
	program = "/usr/bin/socialhub-sync"
)

// mostExposed is in tenths of systemd-analyze's points: 0 is a service that can do nothing, 100 one that can do all.
const mostExposed = "12"

// analyze runs systemd-analyze, which must be there; scripts/test installs it.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatalf("%v; install systemd, or run scripts/test, which does", err)
	}
	var out bytes.Buffer
	cmd := exec.Command("systemd-analyze", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_EMOJI=0")
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// install copies a unit, with drop-ins, to a folder of its own. The program in it is one that is there.
func install(t *testing.T, unit string, dropIns ...string) (file string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file = filepath.Join(dir, unit)
	write(t, file, strings.ReplaceAll(read(t, unit), program, self))
	for _, name := range dropIns {
		if err := os.MkdirAll(file+".d", 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(file+".d", name), read(t, name))
	}
	return file
}

func read(t *testing.T, unit string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(units, unit))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// uncommented makes the settings that an example only mentions count.
func uncommented(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			lines[i] = rest
		}
	}
	write(t, file, strings.Join(lines, "\n"))
}

var variants = []struct {
	name, unit string
	dropIns    []string
}{
	{"the daemon", "socialhub-sync.service", nil},
	{"a backfill", "socialhub-sync-backfill@.service", nil},
	{"the daemon with programs", "socialhub-sync.service", []string{"example-exec.conf"}},
	{"a backfill with programs", "socialhub-sync-backfill@.service", []string{"example-exec.conf"}},
	{"the daemon on port 443", "socialhub-sync.service", []string{"example-acme.conf"}},
	{"the daemon with all examples", "socialhub-sync.service", []string{"example-acme.conf", "example-exec.conf"}},
}

// unknownType is what systemd before 253 says of the daemon's second Type=, see there. It goes by the first, then.
var unknownType = regexp.MustCompile(`(?m)^.*/socialhub-sync\.service:\d+: Failed to parse service type, ignoring: notify-reload\n`)

// faults are what systemd finds wrong with a unit. It may warn and yet succeed.
func faults(t *testing.T, file string) string {
	t.Helper()
	out, err := analyze(t, "verify", "--man=no", file)
	if known := unknownType.FindString(out); known != "" {
		out = strings.Replace(out, known, "", 1)
	}
	if out = strings.TrimSpace(out); out == "" && err != nil {
		return err.Error()
	}
	return out
}

func TestSystemdFindsNoFaultInTheUnits(t *testing.T) {
	t.Parallel()
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			file := install(t, v.unit, v.dropIns...)
			for _, what := range []string{"as it is", "with what it mentions"} {
				if found := faults(t, file); found != "" {
					t.Errorf("%s: %s", what, found)
				}
				for _, name := range append(slices.Clone(v.dropIns), "") {
					if name == "" {
						uncommented(t, file)
					} else {
						uncommented(t, filepath.Join(file+".d", name))
					}
				}
			}
		})
	}
}

func TestAFaultInAUnitIsFound(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"an unknown setting":  {"ProtectClock=", "ProtectClocks="},
		"a value that is not": {"WatchdogSec=5min", "WatchdogSec=soon"},
		"a missing program":   {"ExecStart=", "ExecStart=/nonexistent"},
		"another type":        {"Type=notify-reload", "Type=notify-reloads"},
		"no way to reload":    {"\nExecReload=", "\nExecReload=no"},
	} {
		file := install(t, "socialhub-sync.service")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, strings.Replace(string(text), change[0], change[1], 1))
		if faults(t, file) == "" {
			t.Errorf("%s is no fault", name)
		}
	}
}

func TestTheUnitsLetInNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"socialhub-sync.service", "socialhub-sync-backfill@.service"} {
		out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+mostExposed, install(t, unit))
		if err != nil || !strings.Contains(out, "Overall exposure level") {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}

func TestAnExposedUnitIsFound(t *testing.T) {
	t.Parallel()
	file := install(t, "socialhub-sync.service")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "\nSystemCallFilter=", "\n#SystemCallFilter=", 2))
	if out, err := analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+mostExposed, file); err == nil {
		t.Errorf("without a filter for system calls it is still fine:\n%s", out)
	}
}

// settings are the lines of a unit's file that count, without sections.
func settings(t *testing.T, unit string) []string {
	t.Helper()
	return slices.DeleteFunc(strings.Split(read(t, unit), "\n"), func(line string) bool {
		return line == "" || line[0] == '#' || line[0] == '['
	})
}

func TestABackfillIsCagedLikeTheDaemon(t *testing.T) {
	t.Parallel()
	const first = "CapabilityBoundingSet="
	var cages [2][]string
	for i, unit := range []string{"socialhub-sync.service", "socialhub-sync-backfill@.service"} {
		lines := settings(t, unit)
		for _, same := range []string{"User=socialhub-sync", "Group=socialhub-sync", "StateDirectory=socialhub-sync", "StateDirectoryMode=0700", "UMask=0077",
			"TimeoutStopSec=45s", "LimitCORE=0"} {
			if !slices.Contains(lines, same) {
				t.Errorf("%s has no %s", unit, same)
			}
		}
		from := slices.Index(lines, first)
		if from < 0 {
			t.Fatalf("%s has no %s", unit, first)
		}
		cages[i] = slices.DeleteFunc(lines[from:], func(line string) bool { return strings.HasPrefix(line, "WantedBy=") })
	}
	if !slices.Equal(cages[0], cages[1]) {
		t.Errorf("the daemon: %q\na backfill: %q", cages[0], cages[1])
	}
}
