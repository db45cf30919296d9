package jsonl

import (
	"context"
	"fmt"
	"io"
	"os"

	"socialhub-sync/sources"
)

// standardInputName stands for the file in the place of a fault.
const standardInputName = "stdin"

// readStandardInput hands out what standard input holds, once in the life of the source. There is no cursor: a
// pull that was ended early begins anew.
func (p *pull) readStandardInput() error {
	if p.stdinDone {
		return nil
	}
	if p.spool == nil {
		spool, err := copyToFile(p.ctx, p.stdin)
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		p.spool = spool
	}
	info, err := p.spool.Stat()
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	r := &reading{pull: p, name: standardInputName, in: p.spool, size: info.Size(), settled: true}
	if _, err := r.run(); err != nil {
		return err
	}
	if err := r.flush(""); err != nil {
		return err
	}
	p.stdinDone = true
	return p.source.Close()
}

// copyToFile copies in to a temporary file, since the lines are read twice. When ctx is done it
// returns; the copying ends when in does, which for a terminal may be the end of the process.
func copyToFile(ctx context.Context, in io.Reader) (*os.File, error) {
	file, err := temporary()
	if err != nil {
		return nil, err
	}
	done := make(chan error)
	go func() {
		_, err := io.Copy(file, sources.ContextReader(ctx, in))
		select {
		case done <- err:
		case <-ctx.Done(): // nobody takes the file
			_ = file.Close()
		}
	}()
	select {
	case err := <-done:
		if err != nil {
			_ = file.Close()
			return nil, err
		}
		return file, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
