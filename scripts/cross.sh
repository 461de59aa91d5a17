#!/usr/bin/env bash
# Compiles the program for every released platform. It runs nothing; docs/not-tested.md lists the untested platforms.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-$(mktemp -d)}
for system in linux darwin windows; do
	for arch in amd64 arm64; do
		ext=""
		[ "$system" = windows ] && ext=.exe
		CGO_ENABLED=0 GOOS=$system GOARCH=$arch go build -trimpath -ldflags '-s -w' \
			-o "$out/exai-mcp-$system-$arch$ext" ./cmd/exai-mcp
		echo "compiled $system/$arch"
	done
done
