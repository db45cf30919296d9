// Command sbom prints what a Go binary is made of, as CycloneDX 1.6 in JSON: Go itself and every module with its checksum, as
// the linker wrote them into the binary (`go version -m`). The same binary gives the same bytes.
//
//	sbom -name NAME -version VERSION -epoch SECONDS BINARY
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

func main() {
	name := flag.String("name", "", "what the program is called")
	version := flag.String("version", "", "its version")
	epoch := flag.Int64("epoch", 0, "when it was made, in seconds since 1970")
	flag.Parse()
	if flag.NArg() != 1 || *name == "" || *version == "" {
		fmt.Fprintln(os.Stderr, "usage: sbom -name NAME -version VERSION [-epoch SECONDS] BINARY")
		os.Exit(2)
	}
	if err := write(os.Stdout, flag.Arg(0), *name, *version, time.Unix(*epoch, 0)); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// The parts of CycloneDX 1.6 that are used: https://cyclonedx.org/docs/1.6/json/
type (
	bom struct {
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		SerialNumber string       `json:"serialNumber"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Ref        string     `json:"bom-ref"`
		Type       string     `json:"type"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		PURL       string     `json:"purl"`
		Hashes     []hash     `json:"hashes,omitempty"`
		Properties []property `json:"properties,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

func write(w io.Writer, binary, name, version string, made time.Time) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(describe(info, sha256.Sum256(content), name, version, made))
}

// describe is the bill of a binary with this checksum.
func describe(info *debug.BuildInfo, sum [sha256.Size]byte, name, version string, made time.Time) bom {
	program := golang("application", name, version)
	program.Hashes = []hash{{"SHA-256", hex.EncodeToString(sum[:])}}
	for _, s := range info.Settings {
		program.Properties = append(program.Properties, property{"go:build:" + s.Key, s.Value})
	}
	parts := []component{golang("library", "std", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		part := golang("library", dep.Path, dep.Version)
		// Go's checksum is over all files of the module, so it is no hash of one file.
		part.Properties = []property{{"go:sum", dep.Sum}}
		parts = append(parts, part)
	}
	refs := make([]string, 0, len(parts))
	for _, part := range parts {
		refs = append(refs, part.Ref)
	}
	return bom{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1, SerialNumber: serial(sum),
		Metadata:     metadata{made.UTC().Format(time.RFC3339), program},
		Components:   parts,
		Dependencies: []dependency{{program.Ref, refs}},
	}
}

// golang is a component of Go, with its package URL: https://github.com/package-url/purl-spec
func golang(kind, path, version string) component {
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return component{Ref: purl, Type: kind, Name: path, Version: version, PURL: purl}
}

// serial is a UUID of version 8, which is free for a hash of one's own: RFC 9562, 5.8.
func serial(sum [sha256.Size]byte) string {
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
