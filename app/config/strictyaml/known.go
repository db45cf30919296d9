package strictyaml

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Unknown says that there is no such key, name or value, what comes near, and what there is.
func Unknown(what, got string, known []string) string {
	text := "unknown " + what + " " + Quote(got)
	if near := nearest(got, known); near != "" {
		text += " (did you mean " + near + "?)"
	}
	if len(known) == 0 {
		return text + "; there is none yet"
	}
	return text + "; known: " + strings.Join(known, ", ")
}

const (
	// maxShown is how much of an unknown name is shown, in bytes: it could be a secret in the wrong place.
	maxShown = 32
	// maxPathKey is how much of a key is shown in paths.
	maxPathKey = 64
)

// Quote quotes a name that somebody wrote, unless it looks like a value in the wrong place.
func Quote(name string) string {
	if len(name) > maxShown {
		return fmt.Sprintf("(%d characters, not shown)", utf8.RuneCountInString(name))
	}
	return strconv.Quote(name)
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// pathKey is how a key stands in a path: short and in one line.
func pathKey(key string) string {
	switch {
	case len(key) > maxPathKey:
		return "…"
	case !plainKey.MatchString(key):
		return Quote(key)
	}
	return key
}

// showPath is a path for people, without elements that are too long for a file's name: somebody put a secret there.
func showPath(path string) string {
	elements := strings.Split(path, "/")
	for n, element := range elements {
		if len(element) > maxPathKey {
			elements[n] = "…"
		}
	}
	return strings.Join(elements, "/")
}

// nearest returns the known name that got is most likely a slip of, or nothing.
func nearest(got string, known []string) string {
	if len(got) > maxShown {
		return ""
	}
	best, bestDistance := "", max(1, len(got)/3)+1
	for _, name := range known {
		if d := distance(strings.ToLower(got), name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete, replace or swap with the next one to turn a into b.
func distance(a, b string) int {
	var before []int // the row above the row above
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replaced := above[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, row[j]+1, above[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
