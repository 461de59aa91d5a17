#!/usr/bin/env bash
# Stores of version 0.1.0: its binary, built from its commit, fills a store; this version opens it without loss and adds to it;
# the old binary then goes on with the migrated store. No key is needed: the emulated vendors answer.
set -euo pipefail
cd "$(dirname "$0")/.."
first=a8f5652
dir=$PWD/bin/compat
git cat-file -e "$first^{commit}" 2>/dev/null || { echo "compat.sh: commit $first is missing; fetch with depth 0" >&2; exit 1; }
mkdir -p "$dir"
scratch=$(mktemp -d)
emulator=
trap '[ -z "$emulator" ] || kill "$emulator" 2>/dev/null || true; rm -rf "$scratch"' EXIT
if [ ! -x "$dir/exai-mcp-$first" ]; then
	mkdir "$scratch/source"
	git archive "$first" | tar -x -C "$scratch/source"
	(cd "$scratch/source" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$dir/exai-mcp-$first" ./cmd/exai-mcp)
fi
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$dir/exai-mcp" ./cmd/exai-mcp
"$dir/exai-mcp" demo --emulator >"$scratch/env" 2>"$scratch/emulator.log" &
emulator=$!
for _ in $(seq 200); do
	[ "$(wc -l <"$scratch/env")" -ge 4 ] && break
	kill -0 "$emulator" 2>/dev/null || { cat "$scratch/emulator.log" >&2; exit 1; }
	sleep 0.1
done
echo "EXAI_STATE_DIR=$scratch/state" >>"$scratch/env"
run() { # run BINARY ARGS...
	local binary=$1; shift
	env -i PATH="$PATH" HOME="$scratch" LOG_LEVEL=error "$dir/$binary" --env-file "$scratch/env" "$@"
}
old() { run "exai-mcp-$first" "$@"; }
new() { run exai-mcp "$@"; }
expect() { # expect WHAT NUMBER COMMAND...: how often the text is in the output
	local what=$1 number=$2 out found; shift 2
	out=$("$@")
	found=$(grep -c -- "$what" <<<"$out" || true)
	[ "$found" -eq "$number" ] || { printf 'compat.sh: %s: expected "%s" in %s lines, found %s:\n%s\n' "$*" "$what" "$number" "$found" "$out" >&2; exit 1; }
}
id() { sed -n 's/.*"continuation_id": "\([^"]*\)".*/\1/p' | head -1; }

one=$(old call chat '{"prompt":"asked by the first version"}' 2>/dev/null | id)
old issues create "Found by the first version" --severity high >/dev/null
old call debug '{"step":"It hangs.","step_number":1,"total_steps":2,"next_step_required":true,"findings":"none yet"}' >/dev/null 2>&1
old conversations show "$one" --json >"$scratch/before.json"

expect "asked by the first version" 1 new conversations list
new conversations show "$one" --json >"$scratch/after.json"
cmp "$scratch/before.json" "$scratch/after.json" || { echo "compat.sh: a conversation changed when the store was migrated" >&2; exit 1; }
expect "Found by the first version" 1 new issues list
expect "No requests" 1 new usage
two=$(new call chat '{"prompt":"asked by this version"}' 2>/dev/null | id)
new call chat "{\"prompt\":\"and again\",\"continuation_id\":\"$one\"}" >/dev/null 2>&1
new issues create "Found by this version" >/dev/null
expect '"requests": 2,' 1 new usage --json --by model

expect "asked by" 2 old conversations list
expect "and again" 1 old conversations show "$one" --turn 3
old call chat "{\"prompt\":\"the first version goes on\",\"continuation_id\":\"$two\"}" >/dev/null 2>&1
old issues update 2 --status in_progress >/dev/null
old issues create "Found after the migration" >/dev/null
expect "Found" 3 old issues list
expect "the first version goes on" 1 new conversations show "$two" --turn 3
expect "Found" 3 new issues list
expect "in_progress" 1 new issues list
expect '"requests": 2,' 1 new usage --json --by model
echo "a store of $first opens without loss, and its binary goes on with the migrated store"
