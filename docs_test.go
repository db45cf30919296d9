package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fences   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	// unsaid is what GitHub leaves out of a heading's anchor.
	unsaid = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	// linked is a link; its words alone are in the anchor.
	linked = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// anchors are the anchors of a page's headings as GitHub makes them: a second heading of the same words gets -1, a third -2.
func anchors(page string) map[string]bool {
	all, times := make(map[string]bool), make(map[string]int)
	for _, heading := range headings.FindAllStringSubmatch(page, -1) {
		title := linked.ReplaceAllString(heading[1], "$1")
		anchor := strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
		if times[anchor]++; times[anchor] > 1 {
			anchor = fmt.Sprintf("%s-%d", anchor, times[anchor]-1)
		}
		all[anchor] = true
	}
	return all
}

func TestEveryLinkOfTheDocsLeadsToSomethingThatIsThere(t *testing.T) {
	t.Parallel()
	pages, places := map[string]string{}, map[string]map[string]bool{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pages[file] = fences.ReplaceAllString(string(content), "")
			places[file] = anchors(pages[file])
		}
	}
	for file, page := range pages {
		for _, link := range links.FindAllStringSubmatch(page, -1) {
			target := link[1] + link[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			leads := file
			if path != "" {
				leads = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(leads); errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s is not there", file, target)
			} else if anchor != "" && !places[leads][anchor] {
				t.Errorf("%s: %s has no heading for #%s", file, leads, anchor)
			}
		}
	}
	if len(pages) < 10 {
		t.Errorf("only %d pages were found", len(pages))
	}
}
