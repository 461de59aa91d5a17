#!/usr/bin/env bash
# Builds the npm packages into bundles/npm: a launcher, and one package with the program for each released platform. Then it
# installs the launcher and this platform's package from the tarballs, without a network, and runs them. Needs Node.
#
#   scripts/npm.sh [VERSION]                    the version is CHANGELOG.md's unless it is given
#   NPM_PLATFORMS=linux-amd64 scripts/npm.sh    only this platform's package, for a quick try
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:-$(sed -nE 's/^## \[?([0-9]+\.[0-9]+\.[0-9]+).*/\1/p' CHANGELOG.md | head -n 1)}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf bundles/npm
mkdir -p bundles/npm
out=$PWD/bundles/npm

pack() { (cd "$1" && npm pack --silent --pack-destination "$out" >/dev/null); }

dir=$scratch/launcher
mkdir -p "$dir/bin"
go run ./internal/packaging npm -version "$version" >"$dir/package.json"
install -m 755 npm/exai-mcp.js "$dir/bin/exai-mcp.js"
cp LICENSE README.md "$dir"
pack "$dir"
all="darwin-amd64 darwin-arm64 linux-amd64 linux-arm64 windows-amd64 windows-arm64"
for platform in ${NPM_PLATFORMS:-$all}; do
	os=${platform%-*} arch=${platform#*-} program=exai-mcp
	[[ $os != windows ]] || program=exai-mcp.exe
	dir=$scratch/$platform
	mkdir -p "$dir/bin"
	go run ./internal/packaging npm -version "$version" -os "$os" -arch "$arch" >"$dir/package.json"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$dir/bin/$program" ./cmd/exai-mcp
	cp LICENSE "$dir"
	pack "$dir"
done
ls -l "$out"

# A fresh machine: an empty home, no network, no install scripts.
mkdir "$scratch/home" "$scratch/project"
cd "$scratch/project"
export HOME=$scratch/home npm_config_cache=$scratch/cache npm_config_offline=true
platform=$(node -p 'process.platform + "-" + process.arch')
npm init --yes --silent >/dev/null
npm install --offline --ignore-scripts --no-audit --no-fund --loglevel=error \
	"$out/exai-mcp-$platform-$version.tgz" "$out/exai-mcp-$version.tgz"
npx --no-install exai-mcp version | tee "$scratch/version"
grep -q "$version" "$scratch/version" || { echo "npm.sh: expected version $version" >&2; exit 1; }
npx --no-install exai-mcp demo >"$scratch/demo"
tail -n 1 "$scratch/demo"

# The exit code and a signal reach the other side.
code=0
npx --no-install exai-mcp no-such-command 2>/dev/null || code=$?
[[ $code == 2 ]] || { echo "npm.sh: expected exit code 2, got $code" >&2; exit 1; }
mkfifo "$scratch/stdin"
node node_modules/.bin/exai-mcp <"$scratch/stdin" >/dev/null 2>&1 &
launcher=$!
exec 3>"$scratch/stdin"
sleep 1
kill -TERM "$launcher"
for _ in $(seq 30); do kill -0 "$launcher" 2>/dev/null || break; sleep 0.1; done
if kill -0 "$launcher" 2>/dev/null; then
	kill -KILL "$launcher"
	echo "npm.sh: SIGTERM did not end the launcher" >&2
	exit 1
fi
exec 3>&-
echo "the npm packages work for $platform"
