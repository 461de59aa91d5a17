#!/usr/bin/env bash
# Builds a bundle (.mcpb) for each system that we release for, with the manifest made from the program itself, checked and
# packed by the official tool, and server.json for the MCP registry with their digests. All goes into bundles. Needs Node.
#
#   scripts/mcpb.sh [VERSION]      the version is CHANGELOG.md's unless it is given
set -euo pipefail
cd "$(dirname "$0")/.."
tool=@anthropic-ai/mcpb@2.1.2
version=${1:-$(sed -nE 's/^## \[?([0-9]+\.[0-9]+\.[0-9]+).*/\1/p' CHANGELOG.md | head -n 1)}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf bundles
mkdir bundles

for os in darwin linux windows; do
	program=exai-mcp
	[[ $os != windows ]] || program=exai-mcp.exe
	for arch in amd64 arm64; do
		dir=$scratch/$os-$arch
		mkdir -p "$dir/server"
		go run ./internal/packaging manifest -os "$os" -version "$version" >"$dir/manifest.json"
		CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$dir/server/$program" ./cmd/exai-mcp
		cp LICENSE README.md "$dir"
		npx --yes "$tool" validate "$dir/manifest.json" >"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
		npx --yes "$tool" pack "$dir" "bundles/exai-mcp-$os-$arch.mcpb" >"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
		echo "packed bundles/exai-mcp-$os-$arch.mcpb"
	done
done
go run ./internal/packaging server -version "$version" bundles/*.mcpb >bundles/server.json

# What was packed for this system starts as its manifest says.
host=$(go env GOHOSTOS)-$(go env GOHOSTARCH)
npx --yes "$tool" unpack "bundles/exai-mcp-$host.mcpb" "$scratch/unpacked" >"$scratch/log" || { cat "$scratch/log" >&2; exit 1; }
command=$(node -p 'const m = require(process.argv[1]); m.server.mcp_config.command.replace("${__dirname}", process.argv[2])' \
	"$scratch/unpacked/manifest.json" "$scratch/unpacked")
hello='{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"mcpb","version":"1"}}}'
answer=$(HOME=$scratch "$command" <<<"$hello" 2>/dev/null)
[[ $answer == *"\"version\":\"$version\""* ]] || { echo "the unpacked bundle does not serve: $answer" >&2; exit 1; }
echo "the bundle for $host serves version $version"
