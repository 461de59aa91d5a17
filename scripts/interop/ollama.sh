#!/usr/bin/env bash
# Builds an ollama server from its Go module, once, into bin/ollama, and prints the path of the binary. It needs a C++ compiler
# and some minutes. Three headers that the module's archive lacks come from Debian's packages, unpacked here and not installed, and
# from another Go module.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=v0.17.4
dir=$PWD/bin/ollama
if [ -x "$dir/ollama-$version" ]; then
	echo "$dir/ollama-$version"
	exit
fi
for tool in g++ apt-get dpkg-deb; do
	command -v "$tool" >/dev/null || { echo "ollama.sh: $tool is missing" >&2; exit 1; }
done
mkdir -p "$dir"
work=$(mktemp -d "$dir/build.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
printf 'module build\n' >go.mod
# The folder of a module in the cache, which is downloaded if need be.
module() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'; }
source=$(module "github.com/ollama/ollama@$version")
audio=$(module github.com/gen2brain/malgo@v0.11.24)
for package in nlohmann-json3-dev libstb-dev; do
	apt-get download -q "$package" >/dev/null || { echo "ollama.sh: run apt-get update" >&2; exit 1; }
done
for archive in *.deb; do dpkg-deb -x "$archive" headers; done
mkdir -p headers/miniaudio
cp "$audio/miniaudio.h" headers/miniaudio/
cp -r "$source" source
chmod -R u+w source
echo "building ollama $version, which takes some minutes" >&2
flags="-O2 -I$work/headers -I$work/headers/usr/include"
(cd source && CGO_ENABLED=1 CGO_CFLAGS=$flags CGO_CXXFLAGS=$flags GOFLAGS=-buildvcs=false go build -trimpath -o "$dir/ollama-$version" .)
echo "$dir/ollama-$version"
