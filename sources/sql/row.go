package sqlsource

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"socialhub-sync/sources"
	"socialhub-sync/sources/sql/engine"
)

// fieldKind is how a field's value is written as JSON.
type fieldKind int

const (
	textField fieldKind = iota
	numberField
	timeField
	boolField
	jsonField
)

// field is what a column may be named after.
type field struct {
	name string
	kind fieldKind
}

// group and member part "rating.value"; a field of the item itself has no group.
func (f field) group() string {
	group, _, found := strings.Cut(f.name, ".")
	if !found {
		return ""
	}
	return group
}

func (f field) member() string { return f.name[strings.LastIndexByte(f.name, '.')+1:] }

// Columns with a meaning of their own.
const (
	idColumn     = "id"
	itemColumn   = "item"
	itemIDColumn = "networkItemId"
	rootColumn   = "root.rootId"
)

// fields are SocialHub's and those of [sources.Item]; members of one group stand together.
var fields = []field{
	{itemIDColumn, textField},
	{"message", textField},
	{"pictures", jsonField},
	{"attachments", jsonField},
	{"link", textField},
	{"rating.value", numberField},
	{"rating.scale", numberField},
	{"createdTime", timeField},
	{"updatedTime", timeField},
	{"url", textField},
	{rootColumn, textField},
	{"interactor.interactorId", textField},
	{"interactor.name", textField},
	{"interactor.url", textField},
	{"interactor.picture", textField},
	{"type", textField},
	{"own", boolField},
	{"deleted", boolField},
	{"ref", jsonField},
}

func fieldNames() string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// column is a column of the query.
type column struct {
	name     string // as the database has it
	typeName string // in the driver's words
}

// mapping says what the query's columns are.
type mapping struct {
	engine  *engine.Engine
	zone    *time.Location
	prefix  string
	columns []column
	// at is the cursor column, key the one that breaks its ties; own has the networkItemId, item JSON. -1: none.
	at, key, own, item int
	fields             []mapped
	decoder            sources.ItemDecoder
	out                []byte
}

// mapped is a field and the column that holds it.
type mapped struct {
	field
	column int
}

func queryError(problem string) error {
	return &sources.SettingError{Key: "query", Problem: problem}
}

// newMapping finds out what the columns are. Postgres makes names lower-case that are not in quotes, so case does not count.
func (s *source) newMapping(columns []column) (*mapping, error) {
	m := &mapping{engine: s.engine, zone: s.zone, prefix: s.prefix, columns: columns, at: -1, item: -1}
	seen := map[string]bool{}
	for _, c := range columns {
		name := strings.ToLower(c.name)
		if seen[name] {
			return nil, queryError(fmt.Sprintf("has two columns %q; name each once", c.name))
		}
		seen[name] = true
	}
	for _, f := range fields {
		if n := m.find(f.name); n >= 0 {
			m.fields = append(m.fields, mapped{field: f, column: n})
		}
	}
	m.item, m.own, m.key = m.find(itemColumn), m.find(itemIDColumn), m.find(idColumn)
	if m.key < 0 {
		m.key = m.own
	}
	if m.key < 0 {
		return nil, queryError("has no column id; name what never changes of a row so: SELECT review_no AS id, …")
	}
	if s.settings.Cursor != "" {
		if m.at = m.find(s.settings.Cursor); m.at < 0 {
			return nil, &sources.SettingError{Key: "cursor", Problem: fmt.Sprintf("the query has no column %q", s.settings.Cursor)}
		}
	}
	return m, m.check()
}

func (m *mapping) find(name string) int {
	return slices.IndexFunc(m.columns, func(c column) bool { return strings.EqualFold(c.name, name) })
}

// check wants each column to have a meaning, so that a typing error is no missing field.
func (m *mapping) check() error {
	for n, c := range m.columns {
		isField := slices.ContainsFunc(m.fields, func(f mapped) bool { return f.column == n })
		if !isField && n != m.at && n != m.key && n != m.item {
			return queryError(fmt.Sprintf("the column %q is no field; besides the cursor there are id, item, %s", c.name, fieldNames()))
		}
	}
	return nil
}

// position is a row's place in the order of the pages.
func (m *mapping) position(row []any) (position, error) {
	p := position{ID: row[m.key]}
	if m.at >= 0 {
		p.At = row[m.at]
	}
	for n, v := range []any{p.At, p.ID} {
		switch v := v.(type) {
		case nil, int64, uint64, float64:
		case string:
			if !strings.Contains(v, "\x00") && strings.ToValidUTF8(v, "") == v {
				continue
			}
			return p, queryError("the " + []string{"cursor column", "column of the id"}[n] + " holds bytes that are no text; write hex(…) or encode(…, 'hex')")
		default:
			return p, queryError(fmt.Sprintf("the %s is of a type that can't be compared", []string{"cursor column", "column of the id"}[n]))
		}
	}
	return p, nil
}

// moment is a position's time, if the cursor column holds times.
func (m *mapping) moment(p position) (moment, bool) {
	text, ok := p.At.(string)
	if !ok {
		return moment{}, false
	}
	return parseMoment(text, m.zoneOf(m.at))
}

// zoneOf is the zone of a column's times that come without one.
func (m *mapping) zoneOf(column int) *time.Location {
	if m.engine.IsUTC(m.columns[column].typeName) {
		return time.UTC
	}
	return m.zone
}

// read makes an item of a row. The error is for people and shows nothing of the row's content.
func (m *mapping) read(row []any) (sources.Item, error) {
	rest, err := m.rest(row)
	if err != nil {
		return sources.Item{}, err
	}
	id := m.itemID(row, rest)
	m.out = append(m.out[:0], '{')
	m.out = appendMember(m.out, itemIDColumn, appendText(nil, id))
	group := ""
	for _, f := range m.fields {
		raw, err := m.raw(f, row[f.column])
		if err != nil {
			return sources.Item{}, err
		}
		if f.name == rootColumn {
			raw = m.root(row[f.column], raw, id)
		}
		if raw == nil || f.name == itemIDColumn {
			continue
		}
		if f.group() != group {
			m.out = beginGroup(m.out, group, f.group())
			group = f.group()
		}
		m.out = appendMember(m.out, f.member(), raw)
		delete(rest, f.group())
		delete(rest, f.name)
	}
	m.out = beginGroup(m.out, group, "")
	for name, raw := range rest {
		m.out = appendMember(m.out, name, raw)
	}
	m.out = append(m.out, '}')
	return m.decoder.Decode(m.out)
}

// rest is what the item column holds.
func (m *mapping) rest(row []any) (map[string]jsontext.Value, error) {
	if m.item < 0 || row[m.item] == nil {
		return nil, nil
	}
	var rest map[string]jsontext.Value
	if json.Unmarshal([]byte(asText(row[m.item])), &rest) != nil || rest == nil {
		return nil, errors.New(`item: want a JSON object, such as {"message":"…"}`)
	}
	return rest, nil
}

// itemID is the networkItemId: that of the column, that of the item column, or one made of the id.
func (m *mapping) itemID(row []any, rest map[string]jsontext.Value) string {
	raw := rest[itemIDColumn]
	delete(rest, itemIDColumn)
	if m.own >= 0 {
		return asText(row[m.own])
	}
	var id string
	if json.Unmarshal(raw, &id) == nil && id != "" {
		return id
	}
	return sources.ItemID(m.prefix, asText(row[m.key]))
}

// root is the root's networkItemId: made like the row's own. A row that is its own root has none.
func (m *mapping) root(v any, raw []byte, own string) []byte {
	if raw == nil {
		return nil
	}
	id := asText(v)
	if m.own < 0 {
		id = sources.ItemID(m.prefix, id)
	}
	if id == own {
		return nil
	}
	return appendText(nil, id)
}

// raw writes a value as its field wants it; nil: it is left out. What is not of the kind is written as a text, which
// the decoder refuses by name.
func (m *mapping) raw(f mapped, v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	text := asText(v)
	switch f.kind {
	case numberField:
		if n := jsontext.Value(text); n.Kind() == '0' && n.IsValid() {
			return n, nil
		}
	case timeField:
		return m.rawTime(f, v, text), nil
	case boolField:
		switch strings.ToLower(text) {
		case "1", "\x01", "t", "true", "y", "yes":
			return []byte("true"), nil
		case "0", "\x00", "f", "false", "n", "no", "":
			return []byte("false"), nil
		}
	case jsonField:
		if strings.TrimSpace(text) == "" {
			return nil, nil
		}
		if !jsontext.Value(text).IsValid() {
			return nil, fmt.Errorf("%s: want JSON", f.name)
		}
		return []byte(text), nil
	}
	return appendText(nil, text), nil
}

func (m *mapping) rawTime(f mapped, v any, text string) []byte {
	n, isNumber := v.(int64)
	if !isNumber && strings.HasPrefix(m.columns[f.column].typeName, "INT") { // Postgres gives numbers as texts
		var err error
		n, err = strconv.ParseInt(text, 10, 64)
		isNumber = err == nil
	}
	if isNumber {
		return appendText(nil, fromEpoch(n).UTC().Format(time.RFC3339Nano))
	}
	if text == "" || isNoDate(text) {
		return nil
	}
	if at, ok := parseMoment(text, m.zoneOf(f.column)); ok {
		text = at.UTC().Format(time.RFC3339Nano)
	}
	return appendText(nil, text)
}

// asText writes a value that a driver gave.
func asText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return ""
}

// beginGroup ends an object inside of the item and begins another; an empty name is the item itself.
func beginGroup(out []byte, old, group string) []byte {
	if old != "" {
		out = append(out, '}')
	}
	if group != "" {
		out = appendMember(out, group, []byte("{"))
	}
	return out
}

func appendMember(out []byte, name string, raw []byte) []byte {
	if !bytes.HasSuffix(out, []byte("{")) {
		out = append(out, ',')
	}
	return append(append(appendText(out, name), ':'), raw...)
}

// appendText writes a text as JSON. Bytes that are no text become U+FFFD.
func appendText(out []byte, text string) []byte {
	out, err := jsontext.AppendQuote(out, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil { // only for bytes that are no text
		return append(out, `""`...)
	}
	return out
}
