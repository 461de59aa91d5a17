// Command packaging writes the metadata of the program's packages: the manifest of a bundle for Claude Desktop, the entry in
// the MCP registry, and package.json for npm; its test writes the plugins of plugin.go. It generates them from the catalogue
// and the configuration, so that they agree with the program.
//
//	go run ./internal/packaging manifest -os darwin -version 1.2.3      manifest.json of a bundle
//	go run ./internal/packaging server -version 1.2.3 bundles/*.mcpb    server.json, with the bundles' digests
//	go run ./internal/packaging npm -version 1.2.3                      package.json of the launcher
//	go run ./internal/packaging npm -version 1.2.3 -os linux -arch arm64    package.json of a platform's package
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What the packages say besides.
const (
	name        = "exai-mcp"
	registered  = "io.github.exai-mcp/exai-mcp" // the image's label says the same
	description = "Second opinions from GLM and Kimi models: chat, debug, review, consensus, search."
	repository  = "https://github.com/exai-mcp/exai-mcp"
	image       = "ghcr.io/exai-mcp/exai-mcp"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil { //nolint:forbidigo // a program of its own, which speaks no protocol
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(args []string, w io.Writer) error {
	if len(args) == 0 {
		return errors.New("expected manifest, server or npm")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	version := flags.String("version", "0.0.0", "the release's version")
	system := flags.String("os", "linux", "the system, by Go's name")
	arch := flags.String("arch", "", "npm: the processor, by Go's name; without it the launcher")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var made any
	switch args[0] {
	case "manifest":
		m, err := manifestFor(*system, *version)
		if err != nil {
			return err
		}
		made = m
	case "server":
		bundles, err := digests(flags.Args())
		if err != nil {
			return err
		}
		made = serverEntry(*version, bundles)
	case "npm":
		if *arch == "" {
			made = npmLauncher(*version)
			break
		}
		p, err := npmPlatform(*version, *system, *arch)
		if err != nil {
			return err
		}
		made = p
	default:
		return fmt.Errorf("unknown package %q; expected manifest, server or npm", args[0])
	}
	return write(w, made)
}

// write writes an object as people read it.
func write(w io.Writer, made any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(made)
}

// bundle is a file of a release.
type bundle struct {
	file   string // its name
	digest string // SHA-256 in hexadecimal, "" before it is built
}

// systems are those that bundles are made for: Claude Desktop runs on two of them, and Linux is for other clients.
var systems = [...]string{"darwin-amd64", "darwin-arm64", "linux-amd64", "linux-arm64", "windows-amd64", "windows-arm64"}

func bundleName(system string) string { return name + "-" + system + ".mcpb" }

// unbuilt are the bundles of a release that is not built yet.
func unbuilt() []bundle {
	var all []bundle
	for _, s := range systems {
		all = append(all, bundle{file: bundleName(s)})
	}
	return all
}

// digests reads bundles. Without any, those of a release yet to be built are meant.
func digests(files []string) ([]bundle, error) {
	if len(files) == 0 {
		return unbuilt(), nil
	}
	var all []bundle
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		all = append(all, bundle{filepath.Base(file), hex.EncodeToString(sum[:])})
	}
	slices.SortFunc(all, func(a, b bundle) int { return strings.Compare(a.file, b.file) })
	return all, nil
}

func release(version, file string) string {
	return repository + "/releases/download/" + path.Join("v"+version, file)
}
