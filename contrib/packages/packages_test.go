// Package packages_test builds the packages as a release does and takes them through their lives: Debian's with dpkg below a
// root of their own, Red Hat's by its headers and scripts. dpkg, systemd-sysusers and git must be there.
package packages_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const (
	older, newer = "1.2.3", "1.2.4"
	epoch        = "1700000000"
)

// release is what scripts/package made.
type release struct{ tree, folder, version string }

// file is the path of what ends like this, such as ".deb".
func (r release) file(end string) string {
	return filepath.Join(r.folder, "socialhub-sync_"+r.version+"_linux_"+runtime.GOARCH+end)
}

// releases are built once: the older version in a checkout, the same in a plain copy of it, and a newer one, for Debian
// alone, that brings another config.
var releases = sync.OnceValues(func() (r struct{ checkout, copied, newer release }, err error) {
	top, err := os.MkdirTemp("", "socialhub-sync-packages-")
	if err != nil {
		return r, err
	}
	temporary = top
	r.checkout = release{filepath.Join(top, "checkout"), filepath.Join(top, "first"), older}
	r.copied = release{filepath.Join(top, "another", "place"), filepath.Join(top, "second"), older}
	r.newer = release{r.copied.tree, filepath.Join(top, "third"), newer}
	if err := errors.Join(copyTree("../..", r.checkout.tree), copyTree(r.checkout.tree, r.copied.tree)); err != nil {
		return r, err
	}
	git := []string{"-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, append(slices.Clone(git), "commit", "-qm", "all")} {
		if _, err := output(r.checkout.tree, []string{"GIT_COMMITTER_DATE=" + epoch + " +0000"}, "git", args...); err != nil {
			return r, err
		}
	}
	commit, err := output(r.checkout.tree, nil, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return r, err
	}
	if err := r.checkout.build(); err != nil {
		return r, err
	}
	told := []string{"COMMIT=" + strings.TrimSpace(commit), "SOURCE_DATE_EPOCH=" + epoch}
	if err := r.copied.build(append(told, "TZ=Asia/Tokyo", "GOFLAGS=-tags=other", "GOAMD64=v3")...); err != nil {
		return r, err
	}
	if err := appendTo(filepath.Join(r.newer.tree, "contrib/packages/config.yaml"), "\n# new\n"); err != nil {
		return r, err
	}
	return r, r.newer.build(append(told, "PACKAGERS=deb")...)
})

// temporary is the folder of the releases, if they were built.
var temporary string

func TestMain(m *testing.M) {
	code := m.Run()
	if temporary != "" {
		_ = os.RemoveAll(temporary)
	}
	os.Exit(code)
}

func (r release) build(env ...string) error {
	_, err := output(r.tree, append(env, "ARCHES="+runtime.GOARCH), "scripts/package", r.version, r.folder)
	return err
}

// copyTree copies the sources without what git and builds have left there.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a file of another test that was there for a moment
			}
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case name == ".git" || name == "dist":
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !d.Type().IsRegular() || name == "socialhub-sync":
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		info, e := d.Info()
		if err := errors.Join(err, e); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), content, info.Mode().Perm())
	})
}

func appendTo(path, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(content, text...), 0o644)
}

// output runs a command in a folder; what it said on its standard error is in the error.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out) + stderr.String(), nil
}

func built(t *testing.T) (checkout, copied, newer release) {
	t.Helper()
	r, err := releases()
	if err != nil {
		t.Fatal(err)
	}
	return r.checkout, r.copied, r.newer
}

func TestTwoBuildsInTwoFoldersAreTheSameBytes(t *testing.T) {
	t.Parallel()
	checkout, copied, _ := built(t)
	for _, end := range []string{"", ".cdx.json", ".deb", ".rpm"} {
		a, err := os.ReadFile(checkout.file(end))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(copied.file(end))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("the two files *%s differ", end)
		}
	}
	sums, err := output(checkout.folder, nil, "sha256sum", "--check", "SHA256SUMS")
	if err != nil || strings.Count(sums, ": OK\n") != 4 {
		t.Errorf("SHA256SUMS: %v\n%s", err, sums)
	}
}

func TestTheBinaryNamesItsVersionAndCommitAndNeedsNoLibrary(t *testing.T) {
	t.Parallel()
	checkout, _, _ := built(t)
	commit, err := output(checkout.tree, nil, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	got, err := output("", nil, checkout.file(""), "version")
	if want := "socialhub-sync " + older + " (" + strings.TrimSpace(commit) + ")\n"; err != nil || got != want {
		t.Errorf("version says %q (%v), want %q", got, err, want)
	}
	if content, err := os.ReadFile(checkout.file("")); err != nil || bytes.Contains(content, []byte("/ld-linux")) {
		t.Errorf("the binary wants a dynamic linker (%v)", err)
	}
}

func TestABuildWithoutAProperVersionIsRefused(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "1.2", "1.2.3 -X main.x=y", "v", "latest"} {
		_, err := output("../..", nil, "scripts/build", version, filepath.Join(t.TempDir(), "x"))
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.Contains(err.Error(), "VERSION must be like 1.2.3") {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

// machine is a root with a dpkg of its own, and a systemctl that notes how it was called.
type machine struct {
	t          *testing.T
	root, fake string
}

func newMachine(t *testing.T) *machine {
	m := &machine{t, t.TempDir(), t.TempDir()}
	for _, dir := range []string{"etc", "run/systemd/system", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"} {
		if err := os.MkdirAll(m.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write("var/lib/dpkg/status", "Package: systemd\nStatus: install ok installed\nArchitecture: "+runtime.GOARCH+
		"\nVersion: 252\nMaintainer: nobody <nobody@example.com>\nDescription: stands for the real one\n")
	fakes := []string{"systemctl"}
	if os.Geteuid() != 0 {
		fakes = append(fakes, "chgrp") // only root may give a file to another group
	}
	for _, name := range fakes {
		script := "#!/bin/sh\necho \"" + name + " $*\" >>'" + m.fake + "/calls'\n"
		if err := os.WriteFile(filepath.Join(m.fake, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(m.path(name)), 0o755), os.WriteFile(m.path(name), []byte(text), 0o640)); err != nil {
		m.t.Fatal(err)
	}
}

// dpkg runs dpkg and returns what it printed and how systemctl was called.
func (m *machine) dpkg(args ...string) (printed string, calls []string) {
	m.t.Helper()
	_ = os.Remove(filepath.Join(m.fake, "calls"))
	path := m.fake + ":/usr/local/sbin:/usr/sbin:/sbin:" + os.Getenv("PATH")
	args = append([]string{"--root=" + m.root, "--force-script-chrootless", "--force-not-root", "--force-confold", "--log=/dev/null"}, args...)
	printed, err := output("", []string{"PATH=" + path}, "dpkg", args...)
	if err != nil {
		m.t.Fatal(err)
	}
	noted, err := os.ReadFile(filepath.Join(m.fake, "calls"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(noted)) {
		if call, ok := strings.CutPrefix(strings.TrimSpace(line), "systemctl "); ok {
			calls = append(calls, strings.ReplaceAll(call, m.root, "ROOT"))
		}
	}
	return printed, calls
}

func (m *machine) wantCalls(step string, got []string, want ...string) {
	m.t.Helper()
	if !slices.Equal(got, want) {
		m.t.Errorf("%s called systemctl with %q, want %q", step, got, want)
	}
}

func (m *machine) wantText(name, want string) {
	m.t.Helper()
	if got, err := os.ReadFile(m.path(name)); err != nil || string(got) != want {
		m.t.Errorf("%s has %q (%v), want %q", name, got, err, want)
	}
}

func (m *machine) wantThere(there bool, names ...string) {
	m.t.Helper()
	for _, name := range names {
		if _, err := os.Lstat(m.path(name)); (err == nil) != there {
			m.t.Errorf("%s is there: %t, want %t", name, err == nil, there)
		}
	}
}

// wantPrivate wants the config readable by root and the service's group alone.
func (m *machine) wantPrivate(name string) {
	m.t.Helper()
	info, err := os.Stat(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 {
		m.t.Errorf("%s has the mode %v", name, info.Mode())
	}
	groups, err := os.ReadFile(m.path("etc/group"))
	if err != nil {
		m.t.Fatal(err)
	}
	if gid := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid)); os.Geteuid() == 0 && !strings.Contains(string(groups), "socialhub-sync:x:"+gid+":") {
		m.t.Errorf("%s has the group %s, want socialhub-sync of\n%s", name, gid, groups)
	}
}

// shipped is what both packages have beside the program and its config.
var shipped = []string{
	unit, manPage,
	"usr/lib/systemd/system/socialhub-sync-backfill@.service",
	"usr/lib/sysusers.d/socialhub-sync.conf",
	"usr/share/bash-completion/completions/socialhub-sync",
	"usr/share/fish/vendor_completions.d/socialhub-sync.fish",
	pages + "copyright",
	pages + "third-party-licences",
	pages + "sbom.cdx.json",
	pages + "README.md",
	pages + "CHANGELOG.md",
	pages + "SECURITY.md",
	pages + "config.example.yaml",
	pages + "docs/operations.md",
	pages + "docs/configuration.md",
	pages + "docs/adapters.md",
	pages + "docs/metrics.md",
	pages + "docs/recipes/zendesk.yaml",
	pages + "contrib/systemd/example-exec.conf",
	pages + "contrib/prometheus/alerts.yaml",
	pages + "contrib/grafana/socialhub-sync.json",
}

const (
	binaryFile = "usr/bin/socialhub-sync"
	pages      = "usr/share/doc/socialhub-sync/"
	manPage    = "usr/share/man/man1/socialhub-sync.1.gz"
	unit       = "usr/lib/systemd/system/socialhub-sync.service"
	settings   = "etc/socialhub-sync/config.yaml"
	secret     = "etc/socialhub-sync/secrets/support-token"
	database   = "var/lib/socialhub-sync/socialhub-sync.db"
	allUnits   = "socialhub-sync.service socialhub-sync-backfill@*.service"
	disabling  = "--root=ROOT --quiet disable socialhub-sync.service"
)

func TestADebianPackageLivesFromInstallationToPurge(t *testing.T) {
	t.Parallel()
	checkout, _, newer := built(t)
	m := newMachine(t)

	printed, calls := m.dpkg("--install", checkout.file(".deb"))
	m.wantCalls("the installation", calls, "daemon-reload") // nothing is enabled or started
	if !strings.Contains(printed, "systemctl enable --now socialhub-sync") {
		t.Errorf("the installation does not say what to do next:\n%s", printed)
	}
	m.wantThere(true, binaryFile, "usr/share/zsh/vendor-completions/_socialhub-sync")
	m.wantThere(true, shipped...)
	for _, name := range shipped {
		if info, err := os.Stat(m.path(name)); err == nil && (info.Size() == 0 || info.Mode().Perm() != 0o644) {
			t.Errorf("%s has %d bytes and the mode %v", name, info.Size(), info.Mode())
		}
	}
	readme, err := os.ReadFile(m.path(pages + "README.md"))
	if err != nil {
		t.Error(err)
	}
	for _, link := range regexp.MustCompile(`\]\(([^):#]+)[)#]`).FindAllStringSubmatch(string(readme), -1) {
		m.wantThere(true, pages+link[1])
	}
	if page, err := output("", nil, "gzip", "-dc", m.path(manPage)); err != nil || !strings.Contains(page, ".SH COMMANDS") {
		t.Errorf("the manual page (%v) is %.200q", err, page)
	}
	m.wantPrivate(settings)
	if passwd, err := os.ReadFile(m.path("etc/passwd")); err != nil || !strings.Contains(string(passwd), "socialhub-sync:x:") {
		t.Errorf("there is no user (%v):\n%s", err, passwd)
	}
	_, err = output("", nil, m.path(binaryFile), "check", "--config", m.path(settings))
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 || !strings.Contains(err.Error(), "a minimal one is") {
		t.Errorf("check of the first config: %v", err)
	}

	m.write(settings, "# ours\n")
	m.write(secret, "secret")
	m.write(database, "rows")
	_, calls = m.dpkg("--install", newer.file(".deb"))
	m.wantCalls("the upgrade", calls, "daemon-reload", "try-restart "+allUnits)
	m.wantText(settings, "# ours\n")
	m.wantPrivate(settings)
	m.wantThere(true, settings+".dpkg-dist", secret, database)
	if got, err := output("", nil, m.path(binaryFile), "version"); err != nil || !strings.HasPrefix(got, "socialhub-sync "+newer.version) {
		t.Errorf("after the upgrade version says %q (%v)", got, err)
	}

	_, calls = m.dpkg("--remove", "socialhub-sync")
	m.wantCalls("the removal", calls, "stop "+allUnits, disabling, "daemon-reload")
	m.wantThere(false, binaryFile, unit)
	m.wantText(settings, "# ours\n")
	m.wantThere(true, secret, database)

	_, calls = m.dpkg("--install", newer.file(".deb"))
	m.wantCalls("the second installation", calls, "daemon-reload", "try-restart "+allUnits)
	m.wantText(settings, "# ours\n")

	_, calls = m.dpkg("--purge", "socialhub-sync")
	m.wantCalls("the purge", calls, "stop "+allUnits, disabling, "daemon-reload", "daemon-reload")
	m.wantThere(false, binaryFile, "etc/socialhub-sync", "var/lib/socialhub-sync", "usr/share/doc/socialhub-sync")
	if status, err := os.ReadFile(m.path("var/lib/dpkg/status")); err != nil || bytes.Contains(status, []byte("socialhub-sync")) {
		t.Errorf("dpkg still knows the package (%v):\n%s", err, status)
	}
}
