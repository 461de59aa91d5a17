#!/usr/bin/env bash
# Validates what other programs read with their own validators: action.yml, the hooks of the pre-commit framework, GitLab's
# template, a SARIF report of a review by the emulated vendors, and the release's configuration. No key is needed; the
# validators come from PyPI and, for goreleaser, the Go module proxy, into bin/validate. make interop runs the hooks.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD dir=$PWD/bin/validate
if [ ! -x "$dir/bin/pre-commit" ]; then
	python3 -m venv "$dir"
	"$dir/bin/pip" install -q check-jsonschema==0.39.0 pre-commit==4.7.0
fi
# The newest goreleaser all of whose modules the proxy serves. Compiling it takes some minutes, once.
goreleaser=$dir/goreleaser-v2.16.0
if [ ! -x "$goreleaser" ]; then
	echo "compiling ${goreleaser##*/}"
	GOBIN=$dir go install "github.com/goreleaser/goreleaser/v2@${goreleaser##*-}"
	mv "$dir/goreleaser" "$goreleaser"
fi
CGO_ENABLED=0 go build -trimpath -o "$dir/exai-mcp" ./cmd/exai-mcp
export PATH=$dir:$dir/bin:$PATH

check-jsonschema --builtin-schema vendor.github-actions action.yml
check-jsonschema --builtin-schema vendor.gitlab-ci ci/exai-review.gitlab-ci.yml
pre-commit validate-manifest .pre-commit-hooks.yaml

scratch=$(mktemp -d)
exai-mcp demo --emulator >"$scratch/env" 2>/dev/null &
emulator=$!
trap 'kill "$emulator" 2>/dev/null || true; rm -rf "$scratch"' EXIT
for _ in $(seq 100); do [ "$(wc -l <"$scratch/env")" -ge 4 ] && break || sleep 0.1; done
# It takes the repository's name from a remote, which this checkout may lack.
git clone -q --shared "$top" "$scratch/release"
git -C "$scratch/release" remote set-url origin https://github.com/exai-mcp/exai-mcp.git
(cd "$scratch/release" && "$goreleaser" check "$top/.goreleaser.yaml")

unset GLM_API_KEY ZHIPUAI_API_KEY ZAI_API_KEY KIMI_API_KEY MOONSHOT_API_KEY ENV_FILE
export HOME=$scratch/home ENV_FILE=$scratch/env EXAI_STATE_DIR=$scratch/state GIT_CONFIG_GLOBAL=$scratch/gitconfig
mkdir -p "$HOME"
git config --global user.email a@example.com
git config --global user.name a
git config --global init.defaultBranch main

git init -q "$scratch/repo"
cd "$scratch/repo"
printf 'package a\n' >a.go
git add -A
git commit -qm first
printf 'package a\n\nfunc F(a, b int) int { return a / b }\n' >a.go
exai-mcp review --format sarif --output "$scratch/report.sarif" # passes, with one low finding
grep -q 'Emulated finding' "$scratch/report.sarif" || { echo "validate.sh: expected a SARIF report with the emulated finding" >&2; exit 1; }
check-jsonschema --regex-variant nonunicode --schemafile "$top/internal/review/testdata/sarif-schema-2.1.0.json" "$scratch/report.sarif"
echo "ok"
