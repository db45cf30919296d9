package cli

import (
	"io"
	"os"
	"strings"

	"socialhub-sync/app/config"
)

// namedChannel is the channel that an argument names.
func namedChannel(c *config.Config, name string) (*config.Channel, error) {
	var names []string
	for i := range c.Channels {
		if c.Channels[i].Name == name {
			return &c.Channels[i], nil
		}
		names = append(names, c.Channels[i].Name)
	}
	return nil, usage("no channel %q in %s; it has %s", name, c.File, strings.Join(names, ", "))
}

// channelsOf are the channel that a flag names, or all if it is empty.
func channelsOf(c *config.Config, name string) ([]config.Channel, error) {
	if name == "" {
		return c.Channels, nil
	}
	ch, err := namedChannel(c, name)
	if err != nil {
		return nil, err
	}
	return []config.Channel{*ch}, nil
}

// input opens the file that an argument names, or standard input for "-", with its name for people. Close it.
func (e *env) input(file string) (in io.ReadCloser, name string, err error) {
	if file == "-" {
		return io.NopCloser(e.In), "standard input", nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, "", usage("%v", err)
	}
	return f, file, nil
}
