#!/usr/bin/env bash
# Drives the built server over stdio with clients that others wrote, against the emulated vendors. No key is needed.
#
#   inspector    the MCP Inspector's command line
#   sdk          the official TypeScript SDK, version 1
#   modern       the same, version 2, in revision 2026-07-28: roots by input requests, and tasks
#   conformance  MCP's conformance suite (over HTTP, through mcp-proxy)
#   endpoints    the other side: asks OpenAI-compatible servers that others wrote
#   ollama       the same with a real ollama server, which is built first (some minutes, once)
#   install      exai-mcp install in a terminal, where it asks
#   hooks        the git hooks under the pre-commit framework
#   sessions     Claude Code, Codex, Gemini CLI, opencode and Copilot CLI on a fake model, each configured by install alone
#   terminal     Claude Code's terminal, in tmux, with a task
#   gate         the review gate in Claude Code and Codex
#   plugins      the plugins and the Gemini extension: their makers' validators, and the agents that load them
#   arm64        the whole-program tests for linux/arm64, under qemu
#
#   scripts/interop.sh                  all of them
#   scripts/interop.sh sdk inspector    only these
#
# npm must be there, of any recent version; Node 22 and the clients come from the npm registry, into bin/interop, where
# they stay for the next run. The agents (1.6 GB) are installed when a part needs them. What is installed is pinned in
# package.json of scripts/interop and of scripts/interop/agents.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$PWD/bin/interop
parts=${*:-inspector sdk modern conformance endpoints ollama install hooks sessions terminal gate plugins arm64}
command -v npm >/dev/null || { echo "interop.sh: npm is missing; install Node.js with npm" >&2; exit 1; }

needs() { grep -qwE "$1" <<<"$parts"; }

# fetch FROM TO: installs what FROM/package.json names into TO, unless it is there.
fetch() {
	cmp -s "$1/package.json" "$2/package.json" && return
	echo "installing from npm into $2"
	mkdir -p "$2"
	rm -rf "$2/node_modules" "$2/package-lock.json"
	cp "$1/package.json" "$2/package.json"
	# npm runs on the system's Node here, which may be too old for what it installs: that runs on Node 22.
	npm install --prefix "$2" --no-audit --no-fund --loglevel=error || { rm "$2/package.json"; exit 1; }
}
fetch scripts/interop "$dir"
# Newer versions of npm leave install scripts out; this one fetches the binary.
[ -x "$dir/node_modules/node/bin/node" ] || (cd "$dir/node_modules/node" && node installArchSpecificPackage)
if needs 'sessions|terminal|gate|plugins'; then fetch scripts/interop/agents "$dir/agents"; fi
if needs plugins; then NPM_PLATFORMS=$(go env GOOS)-$(go env GOARCH) scripts/npm.sh; fi
# From PyPI, where Python can make an environment: a server for endpoints, the framework of hooks, a validator of plugins.
if [ ! -x "$dir/python/bin/skillsaw" ] && command -v python3 >/dev/null; then
	python3 -m venv "$dir/python" && "$dir/python/bin/pip" install -q fakellm==0.3.5 pre-commit==4.7.0 skillsaw==0.22.0 || rm -rf "$dir/python"
fi
[ ! -x "$dir/python/bin/fakellm" ] || export FAKELLM=$dir/python/bin/fakellm
export PRE_COMMIT_PROGRAM=$dir/python/bin/pre-commit SKILLSAW=$dir/python/bin/skillsaw EXAI_SOURCE=$PWD EXAI_PACKAGES=$PWD/bundles/npm
mkdir -p "$dir/agents"
cp scripts/interop/*.mjs "$dir/"
cp scripts/interop/agents/*.mjs "$dir/agents/"
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

# part NAME: runs one part. It fails if a check of it does; 77 means that it was left out.
part() {
	case $1 in
	ollama)
		OLLAMA=$(scripts/interop/ollama.sh) || return 77
		export OLLAMA
		(cd "$dir" && "$node" ollama.mjs)
		;;
	arm64) scripts/interop/arm64.sh ;;
	sessions | terminal | gate | plugins) (cd "$dir/agents" && "$node" "$1.mjs") ;;
	*) (cd "$dir" && "$node" "$1.mjs") ;;
	esac
}
failed=0
for name in $parts; do
	echo
	SECONDS=0
	part "$name" && code=0 || code=$?
	case $code in
	0) outcome=ok ;;
	77) outcome=skip ;;
	*) outcome=FAIL failed=1 ;;
	esac
	printf '%-5s %-12s %4d s\n' "$outcome" "$name" "$SECONDS" >>"$scratch/summary"
done
echo
cat "$scratch/summary"
if [ "$failed" = 1 ]; then echo "interop: parts failed"; else echo "interop: no part failed"; fi
exit "$failed"
