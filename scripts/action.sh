#!/usr/bin/env bash
# The step of action.yml: reviews what a workflow checked out, annotates it, and writes the verdict, a summary and the exit
# code. Everything comes in variables. The text of the report goes to the summary alone, since a line of it in the log could
# be a command to the runner.
set -uo pipefail
temp=${RUNNER_TEMP:-${TMPDIR:-/tmp}}
program=${REVIEW_PROGRAM:-}
output() { echo "$1=$2" >>"${GITHUB_OUTPUT:-/dev/null}"; }

if [ -z "${GLM_API_KEY:-}" ] && [ -z "${KIMI_API_KEY:-}" ]; then
	echo "::notice title=exai review::Not reviewed: no key is set. Pull requests of forks have no secrets."
	output verdict not_reviewed
	output exit-code 3
	exit 0
fi
if [ -z "$program" ]; then
	program=$temp/exai-mcp
	go build -C "$GITHUB_ACTION_PATH" -trimpath -o "$program" ./cmd/exai-mcp || exit 3
fi

base=${REVIEW_BASE:-}
if [ -z "${base//0/}" ] && [ -n "${REVIEW_DEFAULT_BRANCH:-}" ]; then # a new branch was pushed, or the event names nothing
	base=origin/$REVIEW_DEFAULT_BRANCH
fi
format=github report=$temp/exai-review.$$
[ -z "${REVIEW_SARIF:-}" ] || { format=sarif report=$REVIEW_SARIF; }
args=(review --format "$format" --output "$report")
[ -z "${REVIEW_FAIL_ON:-}" ] || args+=(--fail-on "$REVIEW_FAIL_ON")
[ -z "${REVIEW_TIMEOUT:-}" ] || args+=(--timeout "$REVIEW_TIMEOUT")
[ -z "${REVIEW_MAX_COST:-}" ] || args+=(--max-cost "$REVIEW_MAX_COST")
[ -z "${REVIEW_MODEL:-}" ] || args+=(--model "$REVIEW_MODEL")
[ -z "${base//0/}" ] || args+=(--base "$base")
text=$("$program" "${args[@]}" 2>"$temp/exai-review.err.$$")
code=$?

case $code in
0) verdict=pass ;;
1) verdict=changes_required ;;
2) verdict=inconclusive ;;
*) verdict=not_reviewed ;;
esac
output verdict "$verdict"
output exit-code "$code"
if [ -n "$text" ]; then # indented, it is a block of code to Markdown, whatever it holds
	printf '## exai review\n\n%s\n' "$(sed 's/^/    /' <<<"$text")" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
fi
if [ "$format" = github ] && [ -s "$report" ]; then
	cat "$report"
	rm -f "$report"
fi
if [ -s "$temp/exai-review.err.$$" ]; then
	message=$(tr -d '\r' <"$temp/exai-review.err.$$" | sed 's/%/%25/g' | awk 'NR > 1 { printf "%%0A" } { printf "%s", $0 }')
	echo "::warning title=exai review::$message"
fi
rm -f "$temp/exai-review.err.$$"
echo "exai review: $verdict"
exit "$code"
