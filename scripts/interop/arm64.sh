#!/usr/bin/env bash
# Compiles the whole-program tests for linux/arm64 and runs them under Debian's qemu-user-static, in which the programs that
# they start run too. That takes the kernel's binfmt_misc: the package registers qemu there; without it root is needed, for
# as long as the tests run. A quarter of an hour on two cores that do nothing else.
#
#   scripts/interop/arm64.sh [REGEXP]    only the tests whose names match
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$PWD/bin/interop/arm64
mkdir -p "$dir"
registry=/proc/sys/fs/binfmt_misc

if ! grep -qs enabled $registry/qemu-aarch64; then
	qemu=$(command -v qemu-aarch64-static || true)
	if [ -z "$qemu" ]; then
		qemu=$dir/qemu/usr/bin/qemu-aarch64-static
		[ -x "$qemu" ] || (cd "$dir" && apt-get -qq download qemu-user-static 2>/dev/null && dpkg -x qemu-user-static_*.deb qemu && rm qemu-user-static_*.deb)
	fi
	[ -e $registry/register ] || mount -t binfmt_misc none $registry
	magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
	mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
	name=exai-arm64-$$
	printf '%s' ":$name:M::$magic:$mask:$qemu:F" >$registry/register || {
		echo "arm64.sh: expected to register qemu with binfmt_misc; install qemu-user-static, or run this as root" >&2
		exit 1
	}
	trap 'echo -1 >"$registry/$name"' EXIT
fi

GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go test -c -o "$dir/cmd.test" ./cmd/exai-mcp
GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go build -trimpath -o "$dir/exai-mcp" ./cmd/exai-mcp
"$dir/exai-mcp" version
cd cmd/exai-mcp

# Emulated, the program is several times slower: the tests give it as many times their usual limits.
export EXAI_TEST_SLOWDOWN=${EXAI_TEST_SLOWDOWN:-8}

log=$dir/log
"$dir/cmd.test" -test.timeout 60m -test.v -test.run "${1:-.}" >"$log" 2>&1 || true
if ! grep -q '^PASS$' "$log"; then
	grep -B 30 -- '--- FAIL' "$log" | tail -n 200 >&2 || true
	echo "FAIL  linux/arm64: see $log" >&2
	exit 1
fi
echo "ok    linux/arm64: $(grep -c '^--- PASS' "$log") tests passed, $(grep -c '^--- SKIP' "$log" || true) skipped"
