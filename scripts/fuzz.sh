#!/usr/bin/env bash
# fuzz.sh: run every fuzz target of the repository for FUZZTIME (default 10m) each, one worker, one after the other. The
# targets are found by listing; a failure stops the run and leaves its input in the package's testdata/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${FUZZTIME:-10m}
only=${FUZZ:-.}
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' cmd internal | xargs -n1 dirname | sort -u); do
	for target in $("$go" test -list '^Fuzz' "./$dir" | grep '^Fuzz' | grep -E -- "$only" || true); do
		echo "== $dir $target ($time)"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -parallel 1 "./$dir"
	done
done
