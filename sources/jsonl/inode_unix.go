//go:build unix

package jsonl

import (
	"os"
	"syscall"
)

// inode tells a file from another one that took its name.
func inode(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Ino)
	}
	return 0
}
