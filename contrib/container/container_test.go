// Package container_test reads the Containerfile, lays the image's files out in a folder and runs the binary in there, as the user
// and with the surroundings that the file names, without a program for containers.
package container_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const repository = "../.."

// instruction is a line of a Containerfile, such as USER and 65532:65532.
type instruction struct{ name, args string }

// stages are the instructions of each stage, beginning with FROM.
func stages(t *testing.T) [][]instruction {
	t.Helper()
	content, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	var all [][]instruction
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			all = append(all, nil)
		}
		if len(all) == 0 || strings.HasSuffix(args, `\`) {
			t.Fatalf("this test does not understand the line %q", line)
		}
		all[len(all)-1] = append(all[len(all)-1], instruction{name, args})
	}
	return all
}

// of returns the arguments of the only instruction with this name.
func of(t *testing.T, stage []instruction, name string) string {
	t.Helper()
	var found []string
	for _, in := range stage {
		if in.name == name {
			found = append(found, in.args)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s is there %d times, want once", name, len(found))
	}
	return found[0]
}

// list reads the form of ENTRYPOINT and CMD that needs no shell.
func list(t *testing.T, text string) []string {
	t.Helper()
	var words []string
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return words
}

func TestTheImageIsBuiltOfFilesThatAreThere(t *testing.T) {
	t.Parallel()
	all := stages(t)
	build, image := all[0], all[len(all)-1]
	if len(all) != 2 || image[0].args != "scratch" {
		t.Fatalf("the last of %d stages is from %s, want scratch as the second", len(all), image[0].args)
	}
	goMod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSuffix(strings.TrimPrefix(build[0].args, "docker.io/library/golang:"), " AS build")
	if !strings.Contains(string(goMod), "\ngo "+version) {
		t.Errorf("the image is built with Go %s, which is not go.mod's", version)
	}
	for _, in := range build {
		words := strings.Fields(in.args)
		if in.name == "RUN" && strings.HasPrefix(in.args, "scripts/") || in.name == "COPY" {
			for _, word := range words[:max(1, len(words)-1)] {
				if in.name == "RUN" && word != words[0] {
					break
				}
				if _, err := os.Stat(filepath.Join(repository, word)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	for _, in := range image {
		if in.name == "RUN" || in.name == "ADD" || in.name == "COPY" && !strings.HasPrefix(in.args, "--from=build ") {
			t.Errorf("%s %s: scratch has nothing to run, and all comes from the build", in.name, in.args)
		}
	}
}

// layOut makes the files of the image in a folder, with this binary.
func layOut(t *testing.T, image []instruction, binary string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, in := range image {
		if in.name != "COPY" {
			continue
		}
		words := slices.DeleteFunc(strings.Fields(in.args), func(word string) bool { return strings.HasPrefix(word, "--") })
		source, target := words[0], filepath.Join(root, words[1])
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		switch source {
		case "/out/state", "/out/tmp":
			if err := os.Mkdir(target, 0o700); err != nil {
				t.Fatal(err)
			}
			if os.Geteuid() == 0 && strings.Contains(in.args, "--chown=65532:65532") {
				if err := os.Chown(target, 65532, 65532); err != nil {
					t.Fatal(err)
				}
			}
		case "/out/socialhub-sync":
			if err := os.Rename(binary, target); err != nil {
				t.Fatal(err)
			}
		default: // of the image for building, which this machine stands for
			content, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(target, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func TestTheDaemonWorksInTheImage(t *testing.T) {
	t.Parallel()
	all := stages(t)
	image := all[len(all)-1]
	binary := filepath.Join(t.TempDir(), "socialhub-sync")
	if out, err := exec.Command(repository+"/scripts/build", "1.2.3", binary).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	root := layOut(t, image, binary)
	env := append(strings.Fields(of(t, image, "ENV")), "TZ=Europe/Berlin")
	config := `{listen: "127.0.0.1:1", channels: {c: {access_token: "${TOKEN}"}},
  sources: {s: {adapter: jsonl, channel: c, schedule: "CRON_TZ=Asia/Tokyo 0 8 * * *", settings: {path: s.jsonl}}}}`
	for _, value := range env {
		if file, ok := strings.CutPrefix(value, "SOCIALHUB_SYNC_CONFIG="); ok {
			file = filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Of a channel that nobody has, without a signature that anybody would believe.
	env = append(env, "TOKEN=eyJhbGciOiJIUzI1NiJ9.eyJhY2NvdW50SWQiOiIwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDEiLCJjaGFubmVsSWQiOiIwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDIifQ.eA")
	in := func(command ...string) string {
		cmd := &exec.Cmd{Path: command[0], Args: command, Dir: of(t, image, "WORKDIR"), Env: env, SysProcAttr: inside(t, root, of(t, image, "USER"))}
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	entry := list(t, of(t, image, "ENTRYPOINT"))
	_, check, ok := strings.Cut(of(t, image, "HEALTHCHECK"), " CMD ")
	if !ok {
		t.Fatal("HEALTHCHECK has no CMD")
	}
	for _, test := range []struct {
		command []string
		want    string
	}{
		{append(slices.Clone(entry), "version"), "socialhub-sync 1.2.3"},
		{append(slices.Clone(entry), "migrate"), "applied "}, // writes into the state folder
		{list(t, check), "the daemon does not answer: "},
		{append(slices.Clone(entry), append(list(t, of(t, image, "CMD")), "--help")...), "Usage: socialhub-sync run"},
	} {
		if got := in(test.command...); !strings.Contains(got, test.want) {
			t.Errorf("%q says %q, want %q", test.command, got, test.want)
		}
	}
	if content, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")); err != nil || !strings.Contains(string(content), "BEGIN CERTIFICATE") {
		t.Errorf("there are no certificates of authorities (%v)", err)
	}
}

// inside is a process that sees the folder as its root, as this user: by a user namespace unless the test is root's.
func inside(t *testing.T, root, user string) *syscall.SysProcAttr {
	t.Helper()
	if user != "65532:65532" {
		t.Fatalf("the image's user is %s, want 65532:65532", user)
	}
	const id = 65532
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: id, Gid: id}}
	}
	return &syscall.SysProcAttr{
		Chroot: root, Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getegid(), Size: 1}},
	}
}
