package jsonl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// repeats knows which lines of a file share an id. Only the last valid one counts: handing out an earlier one
// as well would take the ticket from the old content to the new one and back with every reading of the file. It is
// handed out in the place of the first one, so that a root which was edited later still comes before its replies.
//
// In memory it is two bits per line, up to the last line that repeats an id. Where the last line of an id
// stands is kept in a temporary file, 16 bytes per line, which is made when the first id repeats.
type repeats struct {
	replacing bitset // lines that stand for an earlier one
	replaced  bitset // the first lines of ids that have later ones
	places    *os.File
}

// bitset is a set of line numbers.
type bitset []uint64

func (s bitset) has(number int64) bool {
	word := number / 64
	return word < int64(len(s)) && s[word]&(1<<(number%64)) != 0
}

func (s *bitset) add(number int64) {
	word := int(number / 64)
	if word >= len(*s) {
		*s = append(*s, make([]uint64, word+1-len(*s))...)
	}
	(*s)[word] |= 1 << (number % 64)
}

func (r *repeats) close() {
	if r.places != nil {
		_ = r.places.Close()
	}
}

const placeSize = 16

// replace notes that a later line counts instead of the first one with its id.
func (r *repeats) replace(first int64, by line) error {
	if r.places == nil {
		file, err := temporary()
		if err != nil {
			return fmt.Errorf("keep the places of repeated ids: %w", err)
		}
		r.places = file
	}
	r.replacing.add(by.number)
	r.replaced.add(first)
	var place [placeSize]byte
	binary.LittleEndian.PutUint64(place[:8], uint64(by.offset))
	binary.LittleEndian.PutUint64(place[8:], uint64(len(by.text)))
	_, err := r.places.WriteAt(place[:], first*placeSize)
	return err
}

// last reads from in the line that counts instead of a replaced one.
func (r *repeats) last(first int64, in io.ReaderAt) (line, error) {
	var place [placeSize]byte
	if _, err := r.places.ReadAt(place[:], first*placeSize); err != nil {
		return line{}, err
	}
	text := make([]byte, binary.LittleEndian.Uint64(place[8:]))
	if _, err := in.ReadAt(text, int64(binary.LittleEndian.Uint64(place[:8]))); err != nil && !errors.Is(err, io.EOF) {
		return line{}, err
	}
	return line{text: text, ended: true}, nil
}

// temporary makes a file without a name, whose space is given back when it is closed. Where an open file can't be
// removed it stays.
func temporary() (*os.File, error) {
	file, err := os.CreateTemp("", "socialhub-sync-*")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(file.Name())
	return file, nil
}

// findRepeats reads the first size bytes of in. Close what it returns.
//
// The table of ids has a fixed size (4 MiB for 196,608 ids). If a file has more ids it is read
// several times: each time the table holds the ids from where it was full the last time.
func findRepeats(ctx context.Context, in io.ReaderAt, size int64) (*repeats, error) {
	return findRepeatsWith(ctx, in, size, newTable(size))
}

func findRepeatsWith(ctx context.Context, in io.ReaderAt, size int64, table *table) (*repeats, error) {
	found := new(repeats)
	for from := (line{number: 1}); from.number > 0; {
		table.clear()
		var err error
		if from, err = found.findIn(newLineReader(ctx, in, size, from), table); err != nil {
			found.close()
			return nil, err
		}
	}
	return found, nil
}

// findIn adds the repeats of the ids that fit in the table. It returns the first line whose id did not fit;
// number 0 if all did.
func (r *repeats) findIn(lines *lineReader, table *table) (rest line, err error) {
	var d decoder
	for {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			return rest, nil
		}
		if err != nil {
			return rest, err
		}
		if r.replacing.has(l.number) {
			continue
		}
		id := d.idOf(l)
		if id == nil {
			continue
		}
		slot, known := table.find(id)
		switch {
		case known:
			if _, fault := d.decode(l); fault != nil { // a broken line replaces nothing
				continue
			}
			if err := r.replace(table.slots[slot].first, l); err != nil {
				return rest, err
			}
		case !table.full():
			table.put(slot, l.number)
		case rest.number == 0:
			rest = l
		}
	}
}
