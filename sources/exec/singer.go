package execsource

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"socialhub-sync/sources"
	"socialhub-sync/sources/jq"
)

// singer is what the settings say about a tap.
type singer struct {
	mapping jq.Program
	prefix  string
	config  sources.Secret
	catalog string // empty if there is none
}

func (s *Settings) validateSinger() error {
	var faults []error
	fault := func(key, problem string) { faults = append(faults, &sources.SettingError{Key: key, Problem: problem}) }
	if s.Format != formatSinger {
		for key, set := range map[string]bool{
			"mapping": !s.Mapping.IsZero(), "prefix": s.Prefix != "", "config": !s.Config.IsZero(), "catalog": s.Catalog != "",
		} {
			if set {
				fault(key, "is for Singer taps only; leave it out, or write format: singer")
			}
		}
		return errors.Join(faults...)
	}
	if s.Mapping.IsZero() {
		fault("mapping", "missing; write a jq program such as {networkItemId: item_id($prefix; .id), message: .text}")
	}
	if object := map[string]any{}; !s.Config.IsZero() && stdjson.Unmarshal([]byte(s.Config.Reveal()), &object) != nil {
		fault("config", `not a JSON object; write one such as '{"start_date":"2026-01-01T00:00:00Z"}'`)
	}
	if hasNUL(s.Catalog) {
		fault("catalog", "holds a NUL character, which no path can; take it out")
	}
	return errors.Join(append(faults, sources.CheckPrefix(s.Prefix))...)
}

// singer returns nil if the format is another one.
func (s *Settings) singer(dir, name string) *singer {
	if s.Format != formatSinger {
		return nil
	}
	found := &singer{mapping: s.Mapping, prefix: s.Prefix, config: s.Config}
	if found.prefix == "" {
		found.prefix = name
	}
	if s.Catalog != "" {
		found.catalog = inside(dir, s.Catalog)
	}
	return found
}

// configTexts are all texts in the tap's config: any may be a secret.
func (s *Settings) configTexts() []string {
	var value any
	if stdjson.Unmarshal([]byte(s.Config.Reveal()), &value) != nil {
		return nil
	}
	return textsIn(value)
}

func textsIn(value any) (found []string) {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, v := range value {
			found = append(found, textsIn(v)...)
		}
	case map[string]any:
		for _, v := range value {
			found = append(found, textsIn(v)...)
		}
	}
	return found
}

// singerDialect reads a tap, see https://hub.meltano.com/singer/spec.
type singerDialect struct {
	*pull
	decoder sources.ItemDecoder
	message tapMessage
	keys    map[string][]string // the key properties of each stream
}

// tapMessage is a line that a tap writes. Taps add members of their own.
type tapMessage struct {
	Type          string         `json:"type"`
	Stream        string         `json:"stream"`
	Record        jsontext.Value `json:"record"`
	Value         jsontext.Value `json:"value"`
	KeyProperties []string       `json:"key_properties"`
}

func newSingerDialect(p *pull) *singerDialect {
	return &singerDialect{pull: p, keys: map[string][]string{}}
}

// prepare writes the files that a tap wants.
func (d *singerDialect) prepare() (args []string, stdin []byte, cleanUp func(), err error) {
	folder, err := os.MkdirTemp("", "socialhub-sync-tap-") // only for this user
	if err != nil {
		return nil, nil, func() {}, fmt.Errorf("make a folder for the tap's files: %w", err)
	}
	cleanUp = func() {
		if err := os.RemoveAll(folder); err != nil {
			d.env.Logger.Warn("files of the tap are left behind", slog.Any("error", err))
		}
	}
	write := func(option, text string) {
		file := filepath.Join(folder, option+".json")
		err = errors.Join(err, os.WriteFile(file, []byte(text), 0o600))
		args = append(args, "--"+option, file)
	}
	if !d.singer.config.IsZero() {
		write("config", d.singer.config.Reveal())
	}
	if state := d.state(); state != "" {
		write("state", state)
	}
	if d.singer.catalog != "" {
		args = append(args, "--catalog", d.singer.catalog)
	}
	return args, nil, cleanUp, err
}

// state is the stored cursor. A backfill has its own, so it begins without a state.
func (d *singerDialect) state() string {
	var object map[string]stdjson.RawMessage
	if d.req.Cursor == "" || stdjson.Unmarshal([]byte(d.req.Cursor), &object) == nil && object != nil {
		return d.req.Cursor
	}
	d.env.Logger.Warn("cursor is not a Singer state, the tap starts from the beginning")
	return ""
}

func (d *singerDialect) take(ctx context.Context, l line) error {
	m := &d.message
	*m = tapMessage{Record: m.Record[:0], Value: m.Value[:0]}
	lax := json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err := json.Unmarshal(l.text, m, lax); err != nil {
		return d.broken(l, tapProblem(err))
	}
	switch m.Type {
	case "RECORD":
		return d.takeRecord(ctx, l)
	case "STATE":
		return d.takeState(l)
	case "SCHEMA":
		d.keys[m.Stream] = m.KeyProperties
	case "ACTIVATE_VERSION": // older versions of a table are no deletions
	default:
		return d.broken(l, fmt.Errorf("a message of the type %q is not supported; want SCHEMA, RECORD or STATE (a tap of "+
			"Meltano's SDK writes BATCH only if its config has batch_config)", shorten(m.Type, 40)))
	}
	return nil
}

func tapProblem(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("not valid JSON at byte %d; is this a Singer tap?", syntax.ByteOffset+1)
	}
	return errors.New("not a Singer message; is this a Singer tap?")
}

// takeState takes a state as it is: it tells all that the tap wants to know next time.
func (d *singerDialect) takeState(l line) error {
	state := d.message.Value
	if state.Kind() != '{' {
		return d.broken(l, errors.New("the value of a STATE message must be an object"))
	}
	if err := state.Compact(); err != nil {
		return d.broken(l, errors.New("the value of a STATE message can't be read"))
	}
	if err := checkCursor(string(state)); err != nil {
		return d.broken(l, err)
	}
	return d.moveTo(string(state))
}

// takeRecord makes items of a record.
func (d *singerDialect) takeRecord(ctx context.Context, l line) error {
	record, err := jq.Decode(d.message.Record)
	if err != nil {
		return d.addFault(faultOf(l, l.text, err.Error()))
	}
	vars := jq.Vars{Prefix: d.singer.prefix, Stream: d.message.Stream, Since: d.req.Since, Until: d.req.Until}
	for out, err := range d.singer.mapping.Run(ctx, record, vars) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return d.addFault(d.recordFault(l, record, err))
		}
		text, err := jq.Encode(out)
		if err != nil {
			return d.addFault(d.recordFault(l, record, err))
		}
		if err := d.addDecoded(&d.decoder, l, text); err != nil {
			return err
		}
	}
	return nil
}

// recordFault is a record that the mapping can't take, known by its stream and key.
func (d *singerDialect) recordFault(l line, record any, err error) *sources.Fault {
	reason := "the mapping fails: " + err.Error()
	object, _ := record.(map[string]any)
	var key []string
	for _, name := range d.keys[d.message.Stream] {
		if text, err := jq.Text(object[name]); err == nil {
			key = append(key, text)
		}
	}
	if len(key) == 0 {
		return faultOf(l, d.message.Record, reason)
	}
	place := shorten(d.message.Stream+":"+strings.Join(key, ","), maxPlace)
	return &sources.Fault{Place: placePrefix + place, Reason: reason}
}
