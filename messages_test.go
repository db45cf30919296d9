package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	// logged are the methods that log at level warn or error, or at a level that the code chooses, and where their message stands.
	logged = map[string]int{"Warn": 0, "warn": 0, "Error": 0, "Log": 2}
)

// plain is a message without the marks for code, which a table can't have within code.
func plain(message string) string { return strings.ReplaceAll(message, "`", "") }

// listed are the messages of the tables in docs/operations.md: those that the log has, and those of errors. A table's … stands for
// what differs.
func listed(t *testing.T) (ofLog, ofErrors []string) {
	t.Helper()
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Messages and what mends them\n")
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			if len(cells) > 1 {
				t.Errorf("docs/operations.md: want four columns: %s", line)
			}
			continue
		}
		for _, span := range codeSpan.FindAllStringSubmatch(cells[1], -1) {
			if strings.Contains(cells[2], "warn") || strings.Contains(cells[2], "error") && !strings.Contains(cells[2], "in errors") {
				ofLog = append(ofLog, span[1])
			} else {
				ofErrors = append(ofErrors, span[1])
			}
		}
	}
	return ofLog, ofErrors
}

// code are the texts in the code of the program, and those of them that it logs, with their places.
type code struct {
	texts    []string
	warnings map[string]string
}

var written = sync.OnceValues(func() (code, error) {
	c := code{warnings: make(map[string]string)}
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "tools" || strings.HasSuffix(d.Name(), "test")): // kits for tests
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if text, ok := message(n); ok {
					c.warnings[text] = files.Position(n.Pos()).String()
				}
			case ast.Expr:
				if text, ok := literal(n); ok {
					c.texts = append(c.texts, text)
					return false
				}
			}
			return true
		})
		return nil
	})
	return c, err
})

// message is what a call logs.
func message(call *ast.CallExpr) (string, bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	at, ok := logged[method.Sel.Name]
	if !ok || at >= len(call.Args) {
		return "", false
	}
	return literal(call.Args[at])
}

// literal is what a string says, also one that is put together of several.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return plain(text), err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, also := literal(e.Y)
		return left + right, ok && also && e.Op == token.ADD
	}
	return "", false
}

func TestOperationsTellsWhatMendsEveryWarningAndEveryErrorOfTheLog(t *testing.T) {
	t.Parallel()
	ofLog, _ := listed(t)
	c, err := written()
	if err != nil || len(c.warnings) < 50 {
		t.Fatalf("%d messages were found in the code: %v", len(c.warnings), err)
	}
	for message, place := range c.warnings {
		if !slices.ContainsFunc(ofLog, func(row string) bool {
			head, rest, cut := strings.Cut(row, "…")
			return row == message || cut && strings.HasPrefix(message, head) && strings.HasSuffix(message, rest)
		}) {
			t.Errorf("docs/operations.md has no row of level warn or error for %q (%s)", message, place)
		}
	}
}

func TestOperationsHasNoMessageThatTheProgramDoesNotHave(t *testing.T) {
	t.Parallel()
	ofLog, ofErrors := listed(t)
	c, err := written()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range slices.Concat(ofLog, ofErrors) {
		for part := range strings.SplitSeq(row, "…") {
			part = strings.Trim(strings.TrimPrefix(part, "FAILED: "), " :;,")
			if len(part) > 7 && !slices.ContainsFunc(c.texts, func(text string) bool { return strings.Contains(text, part) }) {
				t.Errorf("docs/operations.md has %q, and no text in the code has %q", row, part)
			}
		}
	}
}
