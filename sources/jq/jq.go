// Package jq runs the jq programs that stand in a source's settings, so that every adapter that maps foreign JSON to
// items does it in the same way.
//
// A [Program] and a [Template] are fields of a settings struct: they have UnmarshalText and are compiled when the
// config is read, which tells a mistake with its line. At run time:
//
//	value, err := jq.Decode(body)                        // JSON to jq's values; numbers keep all their digits
//	for out, err := range s.Map.Run(ctx, value, vars) {  // each output, or one error at the end
//		text, err := jq.Encode(out)                      // back to JSON, for [sources.ItemDecoder]
//	}
//
// Beside what jq has (github.com/itchyny/gojq says where it differs), programs have the variables of [Vars] and:
//
//	html_text          readable plain text of HTML                          "<b>Hi</b>" | html_text
//	images             addresses of the pictures in HTML, at most 10        .body | images
//	images(base)       the same, relative addresses resolved                .body | images("https://example.com")
//	absolute_url(base) an address resolved against another, else null       .link | absolute_url("https://example.com")
//	time               RFC 3339 in UTC of a time in RFC 3339, RFC 2822 or   .created | time
//	                   as seconds, ms or µs since 1970
//	item_id(prefix; n) a networkItemId, or an interactorId, see             item_id($prefix; .id)
//	                   [sources.ItemID]
//
// Of null, html_text, images, absolute_url and time make null (images: an empty list), so that a missing field is no
// error. Programs can't read the environment, files or further inputs.
package jq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// Limits of one run.
const (
	// MaxTime is how long a run may take.
	MaxTime = 10 * time.Second
	// MaxOutputs is how many outputs a run may have.
	MaxOutputs = 100_000
	// MaxOutput is how large one output may be as JSON, in bytes.
	MaxOutput = 16 << 20
)

// Program is a compiled jq program. The zero value is no program: IsZero tells, and it must not be run.
// It may be run by several goroutines at once.
type Program struct {
	source string
	code   *gojq.Code
}

// Parse compiles a program.
func Parse(source string) (Program, error) {
	query, err := gojq.Parse(source)
	if err != nil {
		return Program{}, explainParse(source, err)
	}
	code, err := compile(query)
	if err != nil {
		return Program{}, explainCompile(err)
	}
	return Program{source: source, code: code}, nil
}

// MustParse is [Parse] for programs in the code, such as defaults.
func MustParse(source string) Program {
	p, err := Parse(source)
	if err != nil {
		panic(err)
	}
	return p
}

// UnmarshalText implements [encoding.TextUnmarshaler]. A blank text is no program.
func (p *Program) UnmarshalText(text []byte) error {
	if strings.TrimSpace(string(text)) == "" {
		*p = Program{}
		return nil
	}
	parsed, err := Parse(string(text))
	if err == nil {
		*p = parsed
	}
	return err
}

// IsZero tells whether there is no program.
func (p Program) IsZero() bool { return p.code == nil }

// String returns the program's text.
func (p Program) String() string { return p.source }

// Run yields the outputs for an input, which must be of [Decode]'s types. An error is yielded last; it wraps ctx's cause
// if ctx is done, and else shows no values but their types.
func (p Program) Run(ctx context.Context, input any, vars Vars) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		limited, cancel := context.WithTimeout(ctx, MaxTime)
		defer cancel()
		outputs := p.code.RunWithContext(limited, input, vars.values()...)
		for n := 0; ; n++ {
			out, ok := outputs.Next()
			if !ok {
				return
			}
			err, failed := out.(error)
			switch {
			case ctx.Err() != nil:
				err = context.Cause(ctx)
			case limited.Err() != nil:
				err = fmt.Errorf("the jq program takes longer than %s", MaxTime)
			case failed && halted(err):
				return
			case failed:
				err = explainRun(err)
			case n == MaxOutputs:
				err = fmt.Errorf("the jq program gives more than %d outputs", MaxOutputs)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// One returns the only output: nil if there is none or if it is null. A second one is an error.
func (p Program) One(ctx context.Context, input any, vars Vars) (any, error) {
	var first any
	n := 0
	for out, err := range p.Run(ctx, input, vars) {
		if err != nil {
			return nil, err
		}
		if n++; n > 1 {
			return nil, errors.New("the jq program gives several outputs where one is wanted")
		}
		first = out
	}
	return first, nil
}

// Is tells whether the only output is something else than null and false, as jq's own `if` does.
func (p Program) Is(ctx context.Context, input any, vars Vars) (bool, error) {
	out, err := p.One(ctx, input, vars)
	return out != nil && out != false, err
}

// compile makes code of a program. The environment is empty, and there are no modules and no inputs.
func compile(query *gojq.Query) (*gojq.Code, error) {
	options := []gojq.CompilerOption{gojq.WithVariables(variableNames())}
	return gojq.Compile(query, append(options, functions()...)...)
}
