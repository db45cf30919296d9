package execsource

import (
	"context"

	"socialhub-sync/sources"
)

// linesDialect is our own protocol: a [request] on standard input, a [message] per line on standard output.
type linesDialect struct {
	*pull
	decoder sources.ItemDecoder
	message message
}

func (d *linesDialect) prepare() ([]string, []byte, func(), error) {
	text, err := requestText(d.env.Name, d.req)
	return nil, text, func() {}, err
}

func (d *linesDialect) take(_ context.Context, l line) error {
	m := &d.message
	if err := m.decode(l.text); err != nil {
		return d.broken(l, err)
	}
	switch {
	case m.Cursor != nil:
		if err := checkCursor(*m.Cursor); err != nil {
			return d.broken(l, err)
		}
		return d.moveTo(*m.Cursor)
	case m.Log != nil:
		level, _ := levelOf(m.Level)
		d.journal.say(level, "log", d.secrets.clean(*m.Log))
	case m.Error != nil:
		return m.failure(d.secrets)
	default:
		return d.addDecoded(&d.decoder, l, m.Interaction)
	}
	return nil
}
