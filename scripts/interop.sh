#!/usr/bin/env bash
# Drives the built server over stdio with clients that others wrote, against the emulated vendors: the MCP Inspector, the
# official TypeScript SDK (version 1; modern: version 2 in revision 2026-07-28, with roots and tasks), and MCP's conformance
# suite (over HTTP, through mcp-proxy). endpoints has it ask OpenAI-compatible servers that others wrote. No key is needed.
#
#   scripts/interop.sh                  all of them
#   scripts/interop.sh sdk inspector    only these
#
# npm must be there, of any recent version; Node 22 and the clients come from the npm registry, into bin/interop, where
# they stay for the next run. What is installed is pinned in scripts/interop/package.json.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$PWD/bin/interop
command -v npm >/dev/null || { echo "interop.sh: npm is missing; install Node.js with npm" >&2; exit 1; }

if ! cmp -s scripts/interop/package.json "$dir/package.json" || [ ! -x "$dir/node_modules/node/bin/node" ]; then
	echo "installing Node 22 and the clients into $dir"
	rm -rf "$dir"
	mkdir -p "$dir"
	cp scripts/interop/package.json "$dir/package.json"
	# npm runs on the system's Node here, which may be too old for what it installs: that runs on Node 22.
	npm install --prefix "$dir" --no-audit --no-fund --loglevel=error || { rm "$dir/package.json"; exit 1; }
	# Newer versions of npm leave install scripts out; this one fetches the binary.
	[ -x "$dir/node_modules/node/bin/node" ] || (cd "$dir/node_modules/node" && node installArchSpecificPackage)
fi
# A server of PyPI for the endpoints' part, where Python can make an environment.
if [ ! -x "$dir/python/bin/fakellm" ] && command -v python3 >/dev/null; then
	python3 -m venv "$dir/python" && "$dir/python/bin/pip" install -q fakellm==0.3.5 || rm -rf "$dir/python"
fi
[ ! -x "$dir/python/bin/fakellm" ] || export FAKELLM=$dir/python/bin/fakellm
cp scripts/interop/*.mjs "$dir/"
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$dir/exai-mcp" ./cmd/exai-mcp

scratch=$(mktemp -d)
"$dir/exai-mcp" demo --emulator >"$scratch/emulated.env" 2>"$scratch/emulator.log" &
emulator=$!
trap 'kill "$emulator" 2>/dev/null || true; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do
	[ "$(wc -l <"$scratch/emulated.env")" -ge 4 ] && break
	kill -0 "$emulator" 2>/dev/null || { cat "$scratch/emulator.log" >&2; exit 1; }
	sleep 0.1
done

# In the file, since some clients give servers only a part of their own environment.
echo "EXAI_STATE_DIR=$scratch/state" >>"$scratch/emulated.env"
export EXAI_MCP=$dir/exai-mcp EXAI_ENV_FILE=$scratch/emulated.env TMPDIR=$scratch
unset GLM_API_KEY ZHIPUAI_API_KEY ZAI_API_KEY KIMI_API_KEY MOONSHOT_API_KEY EXAI_STATE_DIR ENV_FILE
node=$dir/node_modules/node/bin/node
echo "Node $("$node" --version), $("$dir/exai-mcp" version | head -n 1)"
failed=0
for part in "${@:-inspector sdk modern conformance endpoints}"; do
	for name in $part; do
		echo
		(cd "$dir" && "$node" "$name.mjs") || failed=1
	done
done
exit "$failed"
