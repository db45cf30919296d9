package jq

import (
	"fmt"
	"net/url"

	"github.com/itchyny/gojq"

	"socialhub-sync/sources"
)

// maxImages bounds what `images` gives.
const maxImages = 10

// functions are what programs have beside jq's own.
func functions() []gojq.CompilerOption {
	return []gojq.CompilerOption{
		gojq.WithFunction("html_text", 0, 0, htmlText),
		gojq.WithFunction("images", 0, 1, images),
		gojq.WithFunction("absolute_url", 1, 1, absoluteURL),
		gojq.WithFunction("time", 0, 0, timeOf),
		gojq.WithFunction("item_id", 2, 2, itemID),
	}
}

// misuse is a wrong argument of one of our functions.
type misuse struct {
	function, want string
	got            any
}

func (m *misuse) Error() string {
	return fmt.Sprintf("%s wants %s, not %s", m.function, m.want, TypeOf(m.got))
}

func htmlText(v any, _ []any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return sources.Text(v)
	}
	return &misuse{"html_text", "a text", v}
}

func images(v any, args []any) any {
	found := []any{}
	var base *url.URL
	if len(args) > 0 {
		base = baseOf(args[0])
	}
	switch v := v.(type) {
	case nil:
		return found
	case string:
		for _, address := range sources.Images(v, base, maxImages) {
			found = append(found, address)
		}
		return found
	}
	return &misuse{"images", "a text", v}
}

func absoluteURL(v any, args []any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return text(sources.ResolveURL(baseOf(args[0]), v))
	}
	return &misuse{"absolute_url", "a text", v}
}

// baseOf is the address to resolve against, nil if there is none.
func baseOf(v any) *url.URL {
	s, _ := v.(string)
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		return u
	}
	return nil
}

func itemID(_ any, args []any) any {
	prefix, ok := args[0].(string)
	if !ok || prefix == "" {
		return &misuse{"item_id", "a text as prefix", args[0]}
	}
	native := ""
	switch TypeOf(args[1]) {
	case "string", "number":
		native, _ = Text(args[1])
	}
	if native == "" {
		return &misuse{"item_id", "a text that is not empty or a number as native id", args[1]}
	}
	return sources.ItemID(prefix, native)
}
