package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	const (
		start   = `{"Action":"start","Package":"p"}` + "\n"
		talk    = `{"Action":"output","Package":"p","Test":"TestA","Output":"talk\n"}` + "\n"
		pass    = `{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0}` + "\n"
		fail    = `{"Action":"fail","Package":"p","Test":"TestA","Elapsed":0}` + "\n"
		skip    = `{"Action":"skip","Package":"p","Test":"TestA","Elapsed":0}` + "\n"
		ok      = `{"Action":"output","Package":"p","Output":"PASS\n"}` + "\n" + `{"Action":"output","Package":"p","Output":"ok  \tp\t1s\n"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n"
		broken  = `{"Action":"output","Package":"p","Output":"FAIL\tp\t1s\n"}` + "\n" + `{"Action":"fail","Package":"p"}` + "\n"
		nothing = `{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}` + "\n" + `{"Action":"skip","Package":"q"}` + "\n"
		build   = `{"ImportPath":"p","Action":"build-output","Output":"x.go:1:1: oops\n"}` + "\n" + `{"ImportPath":"p","Action":"build-fail"}` + "\n"
	)
	for _, test := range []struct {
		name, in, want string
		good           bool
	}{
		{"a passing test stays silent", start + talk + pass + ok, "ok  \tp\t1s\n1 tests passed, 0 skipped\n", true},
		{"a failing test is heard", talk + fail + broken, "talk\nFAIL\tp\t1s\n0 tests passed, 0 skipped\n", false},
		{"a skipped test fails the run", pass + talk + skip + ok, "talk\nok  \tp\t1s\n1 tests passed, 1 skipped\nskipped: p TestA\n", false},
		{"a package without tests does not", pass + nothing, "?   \tq\t[no test files]\n1 tests passed, 0 skipped\n", true},
		{"a test that the end of its process cut off is heard", talk + broken, "FAIL\tp\t1s\ntalk\n0 tests passed, 0 skipped\n", false},
		{"a compiler's error is shown", build + broken, "x.go:1:1: oops\nFAIL\tp\t1s\n0 tests passed, 0 skipped\n", false},
		{"what is no event is shown", "hello\n{}\n" + pass + "end", "hello\n{}\nend1 tests passed, 0 skipped\n", true},
		{"no test at all fails the run", nothing, "?   \tq\t[no test files]\n0 tests passed, 0 skipped\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			good, err := report(strings.NewReader(test.in), &out)
			if err != nil || good != test.good || out.String() != test.want {
				t.Errorf("got %v, %v and %q; want %v and %q", good, err, out.String(), test.good, test.want)
			}
		})
	}
}
