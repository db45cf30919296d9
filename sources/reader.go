package sources

import (
	"context"
	"io"
)

// ContextReader returns a reader of in that ends with ctx's cause once ctx is done. It does not interrupt a Read that waits.
func ContextReader(ctx context.Context, in io.Reader) io.Reader { return &contextReader{ctx, in} }

type contextReader struct {
	ctx context.Context
	in  io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(p)
}
