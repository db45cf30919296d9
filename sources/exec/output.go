package execsource

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// maxLine is the longest line that is read, in bytes; the rest of a longer one is skipped. It bounds memory.
	maxLine    = 16 << 20
	readBuffer = 64 << 10
)

// line is one line of the output, without its line end.
type line struct {
	text   []byte // valid until the next line is read
	number int
	ended  bool // by a line end
	long   bool // over [maxLine]; text is its beginning
}

// lineReader reads lines. It tolerates a byte order mark and CR LF.
type lineReader struct {
	in     *bufio.Reader
	long   []byte // holds a line that does not fit in the reader's buffer
	number int
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, readBuffer)}
}

// next returns the next line that is not blank, or io.EOF after the last one. Of a long line only the beginning is known,
// so it is none that may be skipped.
func (r *lineReader) next() (line, error) {
	for {
		l, err := r.read()
		if err != nil {
			return l, err
		}
		if l.number == 1 {
			l.text = bytes.TrimPrefix(l.text, []byte("\xEF\xBB\xBF"))
		}
		if l.text = bytes.TrimSpace(l.text); len(l.text) > 0 || l.long {
			return l, nil
		}
	}
}

// pauses tells whether the program has written nothing more yet.
func (r *lineReader) pauses() bool { return r.in.Buffered() == 0 }

func (r *lineReader) read() (line, error) {
	r.number++
	text, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		text, err = r.readLong(text)
	}
	l := line{text: text, number: r.number, ended: err == nil}
	if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0) {
		return l, err
	}
	if len(bytes.TrimRight(text, "\r\n")) > maxLine {
		l.text, l.long = text[:maxLine], true
	}
	return l, nil
}

// readLong reads a line that begins with text to its end, and keeps a little more than is allowed.
func (r *lineReader) readLong(text []byte) ([]byte, error) {
	err := bufio.ErrBufferFull
	r.long = append(r.long[:0], text...)
	for errors.Is(err, bufio.ErrBufferFull) {
		text, err = r.in.ReadSlice('\n')
		r.long = append(r.long, text[:max(0, min(len(text), maxLine+3-len(r.long)))]...)
	}
	return r.long, err
}
