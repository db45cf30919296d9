package config

import (
	"fmt"

	"socialhub-sync/app/config/strictyaml"
)

// Names returns the names of the channels and sources in the file at path, in its order. It needs no environment and takes
// files with faults: it is for completing what somebody types. Names that can't be used are left out.
func Names(path string) (channels, sources []string, err error) {
	data, err := strictyaml.ReadFile(path, maxFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read config: %w", err)
	}
	root := strictyaml.New(path, ".", func(string) (string, bool) { return "", true }).Parse(data)
	if root == nil {
		return nil, nil, fmt.Errorf("read config: %s is no YAML", path)
	}
	return keysOf(root.Get("channels")), keysOf(root.Get("sources")), nil
}

func keysOf(n *strictyaml.Node) []string {
	var keys []string
	if n != nil {
		for _, e := range n.Entries {
			if validName.MatchString(e.Key) {
				keys = append(keys, e.Key)
			}
		}
	}
	return keys
}
