package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialhub-sync/sources"
)

// Decode sets the struct that into points to. Values may be texts, bools, numbers, durations, secrets,
// whatever has UnmarshalText, slices of them, maps of them with texts as keys, structs, pointers to all these, and
// *Node, which takes the value as it is. Keys are named as goccy's own decoder does: by the yaml tag or the
// field's name in lower case, with `,inline` for an embedded struct's own keys. A [sources.Secret] under the
// key k is read from a file if k_file names one.
//
// What the file doesn't set stays as it was. Decode goes on after a fault, which goccy's decoder doesn't,
// and never quotes a value: it could be a secret in the wrong place.
func (f *File) Decode(n *Node, into any) { f.decode(n, reflect.ValueOf(into).Elem()) }

func (f *File) decode(n *Node, dst reflect.Value) {
	if n.Kind == Faulty {
		return
	}
	switch dst := dst.Addr().Interface().(type) {
	case **Node:
		*dst = n
		return
	case *sources.Secret:
		f.secret(n, dst)
		return
	case *time.Duration:
		f.duration(n, dst)
		return
	case encoding.TextUnmarshaler:
		if f.want(n, Scalar, "a text") {
			if err := dst.UnmarshalText([]byte(n.text)); err != nil {
				f.faultf(n.Place, "%s", f.Mask(err.Error()))
			}
		}
		return
	}
	switch dst.Kind() {
	case reflect.Pointer:
		f.pointer(n, dst)
	case reflect.Struct:
		f.fields(n, dst)
	case reflect.Slice:
		f.slice(n, dst)
	case reflect.Map:
		f.mapping(n, dst)
	default:
		f.basic(n, dst)
	}
}

// want tells whether the value is of that kind, and is a fault if not.
func (f *File) want(n *Node, k Kind, what string) bool {
	if n.Kind != k {
		f.faultf(n.Place, "must be %s, not %s", what, n.Kind)
	}
	return n.Kind == k
}

// basic decodes texts, bools and numbers.
func (f *File) basic(n *Node, dst reflect.Value) {
	var what string
	var err error
	v, bits := reflect.New(dst.Type()).Elem(), 8*int(dst.Type().Size())
	switch {
	case dst.Kind() == reflect.String:
		if n.Kind == Empty || f.want(n, Scalar, "a text") {
			dst.SetString(n.text)
		}
		return
	case dst.Kind() == reflect.Bool:
		what = "true or false"
		v.SetBool(n.text == "true")
		if n.text != "true" && n.text != "false" {
			err = strconv.ErrSyntax
		}
	case dst.CanInt():
		var i int64
		what = "a whole number"
		i, err = strconv.ParseInt(n.text, 10, bits)
		v.SetInt(i)
	case dst.CanUint():
		var u uint64
		what = "a whole number, 0 or more"
		u, err = strconv.ParseUint(n.text, 10, bits)
		v.SetUint(u)
	case dst.CanFloat():
		var f float64
		what = "a number"
		f, err = strconv.ParseFloat(n.text, bits)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			err = strconv.ErrSyntax
		}
		v.SetFloat(f)
	default:
		f.undecodable(n, dst)
		return
	}
	switch {
	case !f.want(n, Scalar, what):
	case !n.plain:
		f.faultf(n.Place, "must be %s, written without quotes", what)
	case err != nil:
		f.faultf(n.Place, "must be %s", what)
	default:
		dst.Set(v)
	}
}

// undecodable is the fault of an adapter whose settings have a type that the config can't fill.
func (f *File) undecodable(n *Node, dst reflect.Value) {
	f.faultf(n.Place, "can't be set: the adapter declares it as %s; use another adapter or mend this one", dst.Type())
}

func (f *File) duration(n *Node, dst *time.Duration) {
	if !f.want(n, Scalar, "a duration") {
		return
	}
	d, err := time.ParseDuration(n.text)
	if err != nil {
		f.faultf(n.Place, "must be a duration with its unit, such as 30s, 5m or 1h30m")
		return
	}
	*dst = d
}

func (f *File) secret(n *Node, dst *sources.Secret) {
	if n.Kind != Empty && !f.want(n, Scalar, "a text") {
		return
	}
	f.hide(n.text, "[redacted]")
	*dst = sources.NewSecret(n.text)
	if dst.IsZero() {
		f.faultf(n.Place, "is empty; give it a value, or leave the key out if it isn't needed")
	}
}

// maxSecret is the most bytes that a file with a secret may have.
const maxSecret = 64 << 10

// secretFile sets dst to the text of the file that the value names, without one line break at its end.
func (f *File) secretFile(n *Node, dst reflect.Value) {
	if !f.want(n, Scalar, "the path of a file") {
		return
	}
	path := n.text
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.dir, path)
	}
	if n.text != "" {
		f.files = append(f.files, path)
	}
	data, err := ReadFile(path, maxSecret)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case n.text == "":
		f.faultf(n.Place, "names no file; write its path")
	case err != nil:
		f.faultf(n.Place, "can't read %s: %v; name a file that holds the secret and may be read", showPath(path), err)
	case text == "":
		f.faultf(n.Place, "the file %s is empty; write the secret into it", showPath(path))
	}
	f.hide(text, "[redacted]")
	n.secret = &text
	dst.Set(reflect.ValueOf(sources.NewSecret(text)))
}

// ReadFile reads a whole file of at most limit bytes. Errors are [*fs.PathError].
func ReadFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("it has more than %d KiB", limit>>10)}
	}
	return data, nil
}

func (f *File) pointer(n *Node, dst reflect.Value) {
	if dst.IsNil() {
		dst.Set(reflect.New(dst.Type().Elem()))
	}
	f.decode(n, dst.Elem())
}

func (f *File) slice(n *Node, dst reflect.Value) {
	if n.Kind == Empty {
		dst.SetZero()
		return
	}
	if !f.want(n, List, "a list") {
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		f.decode(item, dst.Index(i))
	}
}

func (f *File) mapping(n *Node, dst reflect.Value) {
	if n.Kind == Empty {
		dst.SetZero()
		return
	}
	if !f.want(n, Mapping, "a mapping (key: value)") {
		return
	}
	if dst.Type().Key().Kind() != reflect.String {
		f.undecodable(n, dst)
		return
	}
	dst.Set(reflect.MakeMap(dst.Type()))
	for _, e := range n.Entries {
		value := reflect.New(dst.Type().Elem()).Elem()
		f.decode(e.Value, value)
		dst.SetMapIndex(reflect.ValueOf(e.Key).Convert(dst.Type().Key()), value)
	}
}

// field is a key that a struct takes.
type field struct {
	key   string
	value reflect.Value
	// file marks the key that names the file for a secret.
	file bool
}

// fields decodes a mapping into a struct.
func (f *File) fields(n *Node, dst reflect.Value) {
	if n.Kind == Empty || !f.want(n, Mapping, "a mapping (key: value)") {
		return
	}
	known := fieldsOf(dst)
	for _, e := range n.Entries {
		i := slices.IndexFunc(known, func(k field) bool { return k.key == e.Key })
		switch {
		case i < 0:
			at := e.Value.Place
			if len(e.Key) > maxShown {
				at.Path = n.Path
			}
			f.Fault(at, Unknown("key", e.Key, keysOf(known)))
		case !known[i].file:
			f.decode(e.Value, known[i].value)
		case n.Get(strings.TrimSuffix(e.Key, fileSuffix)) != nil:
			f.faultf(e.Value.Place, "%s is set too; keep one of the two", strings.TrimSuffix(e.Key, fileSuffix))
		case e.Value.Kind != Faulty:
			f.secretFile(e.Value, known[i].value)
		}
	}
}

const fileSuffix = "_file"

// fieldsOf returns the keys that a struct takes.
func fieldsOf(v reflect.Value) []field {
	var all []field
	for sf, value := range v.Fields() {
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if options == "inline" && value.Kind() == reflect.Struct {
			all = append(all, fieldsOf(value)...)
			continue
		}
		if !sf.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		all = append(all, field{key: name, value: value})
		if sf.Type == reflect.TypeFor[sources.Secret]() {
			all = append(all, field{key: name + fileSuffix, value: value, file: true})
		}
	}
	return all
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for n, f := range fields {
		keys[n] = f.key
	}
	return keys
}
