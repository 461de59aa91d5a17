#!/usr/bin/env bash
# Measures the figures of docs/benchmarks.md in one run, next to a no-op mcp-go server, then runs the Go benchmarks, in
# benchstat's format. Needs Linux and PostgreSQL (scripts/postgres.sh). BENCH_WRITE=1 writes the figures to docs.
#
#   scripts/bench.sh                          dist/bench.txt holds the Go benchmarks
#   benchstat old.txt dist/bench.txt          compare two of them
set -euo pipefail
cd "$(dirname "$0")/.."
[[ -n ${EXAI_TEST_POSTGRES_URL:-} ]] || exec scripts/postgres.sh run scripts/bench.sh
write=()
[[ -n ${BENCH_WRITE:-} ]] && write=(-write)
held=0
go run ./internal/bench "${write[@]}" || held=$?
[[ $held -le 1 ]] || exit "$held"

mkdir -p dist
go test -run '^$' -bench . -benchmem -count "${BENCH_COUNT:-6}" -benchtime "${BENCH_TIME:-0.3s}" \
	./internal/providers/calls/ ./internal/providers/openaicompat/ ./internal/store/ ./internal/tools/... ./internal/server/ |
	tee dist/bench.txt
exit "$held"
