package execsource

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"socialhub-sync/sources"
)

func TestWhatTheProgramSaysIsLogged(t *testing.T) {
	t.Parallel()
	s := shell(t, says(`{"log":"page 1"}`, `{"log":"slow\nshop","level":"warn"}`, `{"log":"detail","level":"debug"}`, `{"log":"bad","level":"error"}`)+
		`printf 'one\n\ntwo\r\n\033[31mthree' >&2`)
	if r := s.pull(t, sources.Request{}); r.err != nil {
		t.Fatal(r.err)
	}
	for _, want := range []string{
		`level=INFO msg=program from=log line="page 1"`,
		`level=WARN msg=program from=log line="slow shop"`,
		`level=DEBUG msg=program from=log line=detail`,
		`level=ERROR msg=program from=log line=bad`,
		`level=INFO msg=program from="standard error" line=one`,
		`level=INFO msg=program from="standard error" line=two`,
		`level=INFO msg=program from="standard error" line=[31mthree`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("not logged: %s", want)
		}
	}
	if lines := strings.Count(s.log.String(), "\n"); lines != 7 {
		t.Errorf("%d lines:\n%s", lines, s.log)
	}
}

func TestContentIsNotLogged(t *testing.T) {
	t.Parallel()
	s := shell(t, says(`{"interaction":{"networkItemId":"item-1","message":"private"}}`,
		`{"interaction":{"networkItemId":"item-2","message":"private","x":"private"}}`, `private {"message":"private"}`))
	r := s.pull(t, sources.Request{})
	if strings.Contains(s.log.String()+fmt.Sprint(r.err, r.faults), "private") {
		t.Errorf("%s, log:\n%s", r, s.log)
	}
}

func TestAFloodOfLogLinesIsBounded(t *testing.T) {
	t.Parallel()
	s := shell(t, `yes | head -n 20000 >&2; yes '{"log":"x"}' | head -n 20000; yes | head -c 5000000 | tr -d '\n' >&2`)
	if r := s.pull(t, sources.Request{}); r.err != nil {
		t.Fatal(r.err)
	}
	// 10 a second come on top of the first 100, and no machine needs a minute.
	if lines := strings.Count(s.log.String(), "\n"); lines < logBurst || lines > logBurst+600 {
		t.Errorf("%d lines", lines)
	}
	if len(s.log.String()) > 500_000 || !strings.Contains(s.log.String(), "lines were left out") {
		t.Errorf("%d bytes", len(s.log.String()))
	}
}

func TestAnEndlessLineOfStandardErrorIsNotKept(t *testing.T) {
	t.Parallel()
	log := &logText{}
	j := newJournal(slog.New(slog.NewTextHandler(log, nil)), slog.LevelInfo, newRedactor(nil))
	for range 1000 {
		if _, err := j.Write(bytes.Repeat([]byte("x"), 10<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if n := cap(j.held); n > 2*maxHeld {
		t.Errorf("%d bytes are held", n)
	}
	if j.end(); strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged: %.200s", log.String())
	}
}

func TestSecretsAreTakenOutOfWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const secret = "p&ss\"wörd /1"
	writeFile(t, dir, "script.sh", `
printf '%s\n' "token $TOKEN" "url https://x.example/?k=p%26ss%22w%C3%B6rd+%2F1" "path p&ss%22w%C3%B6rd%20%2F1" 'json p&ss\"wörd /1' >&2
printf '%s\n' "$KEY" >&2
printf '{"log":"p&ss\\"w\\u00f6rd /1"}\n'
printf '%s\n' "why $TOKEN" >&2
[ -z "$FAIL" ] || printf '{"error":"p&ss\\"w\\u00f6rd /1"}\n'
exit 1
`)
	const settings = "command: [sh, script.sh]\nenv:\n  TOKEN: 'p&ss\"wörd /1'\n  KEY: |\n    first line of a key\n    second line of a key\n"
	for _, more := range []string{"", "  FAIL: 'yes'\n"} {
		s := openIn(t, dir, settings+more)
		r := s.pull(t, sources.Request{})
		if r.err == nil || !strings.Contains(r.err.Error(), redacted) {
			t.Error(r.err)
		}
		said := s.log.String() + r.err.Error()
		for _, hidden := range []string{"ss%22", "wörd", "line of a key", secret} {
			if strings.Contains(said, hidden) {
				t.Errorf("%q is shown:\n%s", hidden, said)
			}
		}
		if n := strings.Count(said, redacted); n < 8 {
			t.Errorf("%d times redacted:\n%s", n, said)
		}
	}
}

// Keys and ids of the output are shown where a line or an item is wrong.
func TestSecretsAreTakenOutOfWhatIsWrongWithTheOutput(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"a line":  `{"$TOKEN":1}`,
		"a field": `{"interaction":{"networkItemId":"item-1","$TOKEN":1}}`,
		"an id":   `{"interaction":{"networkItemId":"$TOKEN ","message":"x"}}`,
	} {
		dir := t.TempDir()
		writeFile(t, dir, "script.sh", "cat <<EOT\n"+line+"\nEOT\n")
		r := openIn(t, dir, "command: [sh, script.sh]\nenv: {TOKEN: s3cret-token}").pull(t, sources.Request{})
		if got := r.String(); strings.Contains(got, "s3cret") || !strings.Contains(got, redacted) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestLongLinesAreCut(t *testing.T) {
	t.Parallel()
	r := newRedactor([]string{"s3cret"})
	for text, want := range map[string]string{
		strings.Repeat("ä", 600):                strings.Repeat("ä", 500) + "…",
		" a  b\x00\xff\n":                       "a b\uFFFD",
		strings.Repeat("x", 998) + "s3cret end": strings.Repeat("x", 998) + "[r…",
	} {
		if got := r.clean(text); got != want {
			t.Errorf("%.20q: %q", text, got)
		}
	}
	long := shell(t, "echo '"+strings.Repeat("why ", 1000)+"' >&2; exit 1").pull(t, sources.Request{})
	if n := len(long.err.Error()); n > 600 {
		t.Errorf("an error of %d bytes", n)
	}
}
