package strictyaml

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Kind is what a value is, in words for a fault.
type Kind string

const (
	// Empty is a key with nothing after it, or null.
	Empty   Kind = "nothing"
	Scalar  Kind = "a single value"
	List    Kind = "a list"
	Mapping Kind = "a mapping"
	// Faulty is a value whose fault is told already.
	Faulty Kind = "a fault"
)

// Place is where a value stands in the file.
type Place struct {
	Path         string
	Line, Column int
}

// Node is a value of the file: what a config uses of YAML, with the variables replaced.
type Node struct {
	Place
	Kind Kind
	// Entries are what a Mapping holds, in the order of the file.
	Entries []Entry

	// text is a Scalar's; plain means that it has no quotes, so it may be a number or a bool.
	text  string
	plain bool
	items []*Node
	// secret is what the file held that the value names; nil if it names none, or is not decoded yet.
	secret *string
}

// Entry is a key and its value.
type Entry struct {
	Key   string
	Value *Node
}

// Get returns the value under the key, or nil.
func (n *Node) Get(key string) *Node {
	for _, e := range n.Entries {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// Has tells whether the key, or the one that names a file for it, is set.
func (n *Node) Has(key string) bool { return n.Get(key) != nil || n.Get(key+fileSuffix) != nil }

// At is the place of the value under a path below n ("auth.headers[2].name"), or the place of what comes
// nearest to it if it isn't there.
func (n *Node) At(path string) Place {
	found, _ := n.find(path)
	return Place{join(n.Path, path), found.Line, found.Column}
}

// find returns the value under a path below n, or else what comes nearest to it.
func (n *Node) find(path string) (found *Node, exact bool) {
	for step := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '.' || c == '[' || c == ']' }) {
		next := n.Get(step)
		if next == nil {
			next = n.Get(step + fileSuffix)
		}
		if i, err := strconv.ParseUint(step, 10, 32); err == nil && i < uint64(len(n.items)) {
			next = n.items[i]
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// Parse turns the file into a tree. An empty file is an Empty value; what is no YAML is a fault and nil.
func (f *File) Parse(data []byte) *Node {
	top := Place{Line: 1, Column: 1}
	if !utf8.Valid(data) {
		f.faultf(top, "is not UTF-8 text; save it as UTF-8")
		return nil
	}
	file, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte("\ufeff")), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		f.syntax(top, err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body != nil && !directive {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return &Node{Place: top, Kind: Empty}
	case 1:
		return f.node(bodies[0], from(bodies[0]))
	}
	f.faultf(from(bodies[1]), "a second document begins here; write one document, without ---")
	return nil
}

// from is the place where a value begins, without a path.
func from(n ast.Node) Place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	return locate(n.GetToken())
}

func locate(t *token.Token) Place {
	if t == nil || t.Position == nil {
		return Place{Line: 1, Column: 1}
	}
	return Place{Line: max(1, t.Position.Line), Column: max(1, t.Position.Column)}
}

// quotedPart is where a message of the parser quotes the file, which could be a secret.
var quotedPart = regexp.MustCompile(`(?s)".*"`)

func (f *File) syntax(at Place, err error) {
	problem := "can't be read"
	if e, ok := err.(yaml.Error); ok {
		at = locate(e.GetToken())
		problem = strings.ReplaceAll(quotedPart.ReplaceAllString(e.GetMessage(), "…"), "\t", `\t`)
	}
	f.faultf(at, "no valid YAML: %s; check the indentation (spaces only), and put values in quotes "+
		`that begin with @ or * or hold ": ", and ${NAME} inside {} or []`, problem)
}

// node turns a value of the AST into one of ours. What the config has no use for is a fault.
func (f *File) node(src ast.Node, at Place) *Node {
	n := &Node{Place: at}
	switch src := src.(type) {
	case *ast.NullNode:
		n.Kind = Empty
	case *ast.MappingNode:
		n.Kind = Mapping
		for _, value := range src.Values {
			f.entry(n, value)
		}
	case *ast.SequenceNode:
		n.Kind = List
		for i, value := range src.Values {
			item := from(value)
			item.Path = at.Path + "[" + strconv.Itoa(i) + "]"
			n.items = append(n.items, f.node(value, item))
		}
	case *ast.LiteralNode:
		f.scalar(n, src.Value.Value, false)
	case *ast.StringNode:
		f.scalar(n, src.Value, src.Token.Type == token.StringType)
	case *ast.AnchorNode, *ast.AliasNode:
		f.faultf(at, "anchors (&name) and aliases (*name) are not supported; write the value out, in quotes if it begins with & or *")
		n.Kind = Faulty
	case *ast.TagNode:
		f.faultf(at, "YAML tags (!name) are not supported; leave the tag out, or put the value in quotes if it begins with !")
		n.Kind = Faulty
	case ast.ScalarNode: // goccy's anchors, aliases and tags are scalars as well
		// A number or bool as it is written: as a text, 007 must not become 7.
		f.scalar(n, src.GetToken().Value, true)
	default:
		f.faultf(at, "is not a value; write a text, a number, a list or a mapping")
		n.Kind = Faulty
	}
	return n
}

// entry adds one key and its value to a mapping.
func (f *File) entry(n *Node, src *ast.MappingValueNode) {
	at := locate(src.Key.GetToken())
	var key string
	switch k := src.Key.(type) {
	case *ast.MergeKeyNode:
		f.faultf(Place{n.Path, at.Line, at.Column}, "merge keys (<<) are not supported; write the keys out")
		return
	case *ast.StringNode:
		key = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		key = k.GetToken().Value
	default:
		f.faultf(Place{n.Path, at.Line, at.Column}, "a key must be a plain text, without ?, &, * or ! before it")
		return
	}
	at.Path = join(n.Path, pathKey(key))
	value := f.node(src.Value, at)
	if first := n.Get(key); first != nil {
		f.faultf(at, "is here twice, first in line %d; keep one", first.Line)
		return
	}
	n.Entries = append(n.Entries, Entry{key, value})
}

func (f *File) scalar(n *Node, text string, plain bool) {
	n.Kind, n.plain, n.text = Scalar, plain, text
	if !f.expand(n) {
		n.Kind = Faulty
	}
}

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]{0,63})\}`)

// expand replaces ${NAME} in a scalar by the variable's value, and $${ by ${. It happens after parsing, so
// that a value can't bring YAML of its own.
func (f *File) expand(n *Node) bool {
	var out strings.Builder
	good, rest := true, n.text
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		if i > 0 && rest[i-1] == '$' {
			out.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		out.WriteString(rest[:i])
		m := variable.FindStringSubmatch(rest[i:])
		if m == nil {
			f.faultf(n.Place, "holds ${ without a variable's name and } after it; write ${NAME}, or $${ for the characters ${")
			return false
		}
		value, set := f.lookupEnv(m[1])
		if !set {
			f.faultf(n.Place, "the environment variable %s is not set; set it, or write $${ for the characters ${", m[1])
			good = false
		}
		f.hide(value, m[0])
		out.WriteString(value)
		rest = rest[i+len(m[0]):]
	}
	n.text = out.String() + rest
	return good
}
