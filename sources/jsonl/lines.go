package jsonl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"socialhub-sync/sources"
)

const (
	// maxLine is the longest line that is read, in bytes; the rest of a longer one is skipped. It bounds memory.
	maxLine    = 16 << 20
	readBuffer = 256 << 10
)

// line is one line of a file, without its line end.
type line struct {
	text   []byte // valid until the next line is read
	number int64
	offset int64 // of its first byte in the file
	ended  bool  // by a line end
	long   bool  // over [maxLine]; text is its beginning
}

// lineReader reads lines. It tolerates a byte order mark and CR LF.
type lineReader struct {
	in     *bufio.Reader
	long   []byte // holds a line that does not fit in the reader's buffer
	number int64
	offset int64
}

// newLineReader reads the first size bytes of in from a line on: from gives the number of that line and its offset.
func newLineReader(ctx context.Context, in io.ReaderAt, size int64, from line) *lineReader {
	section := io.NewSectionReader(in, from.offset, size-from.offset)
	return &lineReader{
		in:     bufio.NewReaderSize(sources.ContextReader(ctx, section), readBuffer),
		number: from.number - 1, offset: from.offset,
	}
}

// next returns the next line that is not blank, or io.EOF after the last one.
func (r *lineReader) next() (line, error) {
	for {
		l, err := r.read()
		if err != nil {
			return l, err
		}
		if l.number == 1 {
			l.text = bytes.TrimPrefix(l.text, []byte("\xEF\xBB\xBF"))
		}
		if len(bytes.TrimSpace(l.text)) > 0 {
			return l, nil
		}
	}
}

func (r *lineReader) read() (line, error) {
	r.number++
	l := line{number: r.number, offset: r.offset}
	text, err := r.in.ReadSlice('\n')
	r.offset += int64(len(text))
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], text...)
		for errors.Is(err, bufio.ErrBufferFull) {
			text, err = r.in.ReadSlice('\n')
			r.offset += int64(len(text))
			if keep := min(len(text), maxLine+2-len(r.long)); keep > 0 { // 2 for CR LF
				r.long = append(r.long, text[:keep]...)
			}
		}
		text = r.long
	}
	if err != nil && (!errors.Is(err, io.EOF) || r.offset == l.offset) {
		return l, err
	}
	l.ended = err == nil
	l.text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(l.text) > maxLine {
		l.text, l.long = l.text[:maxLine], true
	}
	return l, nil
}
