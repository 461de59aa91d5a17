package main

import (
	"fmt"
	"slices"
)

// npmScope is the owner of the platform packages. npm's registry gives out names without one to whoever comes first.
const npmScope = "@exai-mcp/"

// npmPackage is a package.json.
type npmPackage struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Description string            `json:"description"`
	License     string            `json:"license"`
	Repository  map[string]string `json:"repository"`
	Homepage    string            `json:"homepage"`
	MCPName     string            `json:"mcpName,omitempty"` // by which the MCP registry knows that the package is the server's
	Bin         map[string]string `json:"bin,omitempty"`
	Files       []string          `json:"files"`
	Engines     map[string]string `json:"engines,omitempty"`
	OS          []string          `json:"os,omitempty"`
	CPU         []string          `json:"cpu,omitempty"`
	Optional    map[string]string `json:"optionalDependencies,omitempty"`
	// PreferUnplugged asks Yarn to unpack the package, since a program can't be started from within an archive.
	PreferUnplugged bool `json:"preferUnplugged,omitempty"`
}

// npmNames are npm's words for Go's systems and processors, as process.platform and process.arch have them.
var npmNames = map[string]string{"linux": "linux", "darwin": "darwin", "windows": "win32", "amd64": "x64", "arm64": "arm64"}

func npmBase(version string) npmPackage {
	return npmPackage{
		Version: version, Description: description, License: "MIT",
		Repository: map[string]string{"type": "git", "url": "git+" + repository + ".git"}, Homepage: repository + "#readme",
	}
}

// npmLauncher is the package that people install. It holds a script that starts the program of the platform's package.
func npmLauncher(version string) npmPackage {
	p := npmBase(version)
	p.Name, p.MCPName = name, registered
	p.Bin = map[string]string{name: "bin/" + name + ".js"}
	p.Files, p.Engines = []string{"bin"}, map[string]string{"node": ">=18"}
	p.Optional = map[string]string{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			p.Optional[npmScope+npmNames[system]+"-"+npmNames[arch]] = version
		}
	}
	return p
}

// npmPlatform is the package that holds the program for a system and a processor, by Go's names.
func npmPlatform(version, system, arch string) (npmPackage, error) {
	os, cpu := npmNames[system], npmNames[arch]
	if os == "" || cpu == "" || !slices.Contains(systems[:], system+"-"+arch) {
		return npmPackage{}, fmt.Errorf("no release is made for %s/%s", system, arch)
	}
	p := npmBase(version)
	p.Name = npmScope + os + "-" + cpu
	p.Description = "The exai-mcp program for " + os + " " + cpu + ". Install " + name + " instead."
	p.Files, p.OS, p.CPU, p.PreferUnplugged = []string{"bin"}, []string{os}, []string{cpu}, true
	return p, nil
}
