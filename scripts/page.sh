#!/usr/bin/env bash
# Drives the local page in Chromium: every view at two widths, in dark and light, by keyboard, with axe-core.
#
#   scripts/page.sh             check
#   scripts/page.sh pictures    check, and renew the pictures in docs
#   scripts/page.sh speed       print how long each view takes to load, with 100,000 requests and 50,000 issues
#
# Chromium and npm are installed from the system's packages if they are missing (apt, as root or with sudo); the driver comes
# from the npm registry, pinned in scripts/page/package.json, into bin/page.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$PWD/bin/page
what=${1:-check}
install() {
	echo "installing $*"
	local sudo=
	[ "$(id -u)" -eq 0 ] || sudo=sudo
	$sudo apt-get update -qq
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
command -v npm >/dev/null || install nodejs npm
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
	install chromium fonts-dejavu-core
	browser=$(command -v chromium)
fi
if ! cmp -s scripts/page/package.json "$dir/package.json" || [ ! -d "$dir/node_modules/axe-core" ]; then
	rm -rf "$dir"
	mkdir -p "$dir"
	cp scripts/page/package.json "$dir/package.json"
	npm install --prefix "$dir" --no-audit --no-fund --loglevel=error --ignore-scripts || { rm "$dir/package.json"; exit 1; }
fi
cp scripts/page/page.mjs "$dir/"
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$dir/exai-mcp" ./cmd/exai-mcp

CGO_ENABLED=0 go build -trimpath -o "$dir/fill" ./scripts/page

scratch=$(mktemp -d)
page=
other=
trap 'for p in $page $other; do kill "$p" 2>/dev/null || true; done; rm -rf "$scratch"' EXIT
# serve DIR: starts the page over a state folder, and sets $address.
serve() {
	[ -z "$page" ] || { kill "$page"; wait "$page" || true; }
	env -i PATH="$PATH" HOME="$scratch" EXAI_STATE_DIR="$1" MAX_COST_PER_DAY_USD=5 LOG_LEVEL=warn \
		"$dir/exai-mcp" ui --no-open >"$scratch/out" 2>"$scratch/err" &
	page=$!
	for _ in $(seq 200); do
		address=$(sed -n 's/^The page is at //p' "$scratch/out")
		[ -z "$address" ] || return 0
		kill -0 "$page" 2>/dev/null || break
		sleep 0.05
	done
	cat "$scratch/err" >&2
	return 1
}
# busy DIR: a call of this machine is running, and two of another one.
busy() {
	local now
	now=$(date -u +%Y-%m-%dT%H:%M:%S.000Z)
	mkdir -p "$1/logs"
	echo '{"ts":"'"$now"'","level":"INFO","kind":"tool_started","message":"TOOL_CALL: codereview","tool":"codereview","continuation_id":"5e55a000-0000-4000-8000-000000000000","model":"glm-5.3","call_id":"a","limit_secs":900}' >"$1/logs/activity.jsonl"
	[ -z "$other" ] || kill "$other" 2>/dev/null || true
	"$dir/fill" -dir "$1" -elsewhere &
	other=$!
}

if [ "$what" = speed ]; then
	"$dir/fill" -dir "$scratch/large" -requests 100000 -issues 50000
	serve "$scratch/large"
	CHROMIUM=$browser ADDRESS=$address SPEED=1 node "$dir/page.mjs"
	exit
fi
"$dir/fill" -dir "$scratch/small"
busy "$scratch/small"
serve "$scratch/small"
CHROMIUM=$browser ADDRESS=$address node "$dir/page.mjs"
if [ "$what" = pictures ]; then
	"$dir/fill" -dir "$scratch/pictures" -pictures
	busy "$scratch/pictures"
	serve "$scratch/pictures"
	CHROMIUM=$browser ADDRESS=$address PICTURES=$PWD/docs node "$dir/page.mjs"
fi
