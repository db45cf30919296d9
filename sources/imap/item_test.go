package imap

import (
	"fmt"
	"testing"
)

func TestSizesAreShownAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{1: "1 byte", 999: "999 bytes", 1000: "1 kB", 12_345: "12 kB", 999_499: "999 kB", 999_500: "1.0 MB", 25_000_000: "25.0 MB"} {
		equal(t, fmt.Sprint(n), want, shownSize(n))
	}
}
