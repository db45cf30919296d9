package jsonl

import (
	"encoding/json"
	"fmt"
	"os"
)

const cursorVersion = 1

// cursor says which files were read as a whole, and what they looked like then.
type cursor struct {
	Version int              `json:"v"`
	Files   map[string]stamp `json:"files"`
}

// stamp tells a file's versions apart.
type stamp struct {
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // nanoseconds since 1970
	Inode uint64 `json:"inode"`
}

func stampOf(info os.FileInfo) stamp {
	return stamp{Size: info.Size(), MTime: info.ModTime().UnixNano(), Inode: inode(info)}
}

// parseCursor reads a stored cursor. With an error comes an empty cursor: reading everything again does no harm.
func parseCursor(text string) (cursor, error) {
	empty := cursor{Version: cursorVersion, Files: map[string]stamp{}}
	if text == "" {
		return empty, nil
	}
	var c cursor
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return empty, fmt.Errorf("read the cursor: %w", err)
	}
	if c.Version != cursorVersion || c.Files == nil {
		return empty, fmt.Errorf("read the cursor: version %d is not known to this program", c.Version)
	}
	return c, nil
}

// text returns what is stored.
func (c *cursor) text() string {
	text, err := json.Marshal(c)
	if err != nil { // numbers and texts only: can't be
		return ""
	}
	return string(text)
}
