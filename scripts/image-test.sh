#!/usr/bin/env bash
# Builds the image and runs it: handshake, a chat, precommit on a mounted repository, the read-only root, the user, the
# state in its volume. The vendors are emulated.
#
# A Docker engine that answers is used as it is, with the Dockerfile's own base images. Where there is none, and this is
# Debian and we are root, one is installed and started for the time of the test, without a bridge, and the base images are
# made with debootstrap and this machine's Go: no registry is needed. BASE=debian does the latter also with an engine that
# is there. The modules come from GOPROXY over the host's network.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf -- '-- %s\n' "$*"; }

scratch=$(mktemp -d "${TMPDIR:-/tmp}/exai-image.XXXXXX")
engine=""
stop_engine() {
	[[ -n $engine ]] || return 0
	kill "$engine" 2>/dev/null || true
	for _ in $(seq 100); do kill -0 "$engine" 2>/dev/null || break; sleep 0.2; done
	umount "$scratch"/exec/netns/* 2>/dev/null || true
	engine=""
}
clean_up() {
	stop_engine
	chmod -R u+w "$scratch" 2>/dev/null || true
	rm -rf "$scratch" || say "left behind: $scratch"
}
# start_engine STORAGE starts an engine, and fails if it does not answer soon.
start_engine() {
	dockerd --data-root="$scratch/data" --exec-root="$scratch/exec" --host="$DOCKER_HOST" --pidfile="$scratch/pid" \
		--storage-driver="$1" --bridge=none --iptables=false --ip6tables=false --ip-masq=false >"$scratch/dockerd.log" 2>&1 &
	engine=$!
	for _ in $(seq 100); do
		"$docker" info >/dev/null 2>&1 && return
		kill -0 "$engine" 2>/dev/null || break
		sleep 0.2
	done
	stop_engine
	return 1
}
trap clean_up EXIT

docker=docker
if ! docker info >/dev/null 2>&1; then
	[[ $(id -u) == 0 ]] && command -v apt-get >/dev/null ||
		{ echo "image-test: no Docker engine answers, and only root on Debian can have one made" >&2; exit 1; }
	BASE=debian
	if [[ ! -x /usr/sbin/dockerd || ! -x /usr/bin/docker ]]; then
		say "installing docker.io"
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io; } >/dev/null
	fi
	say "starting an engine"
	docker=/usr/bin/docker # whose own BuildKit needs no plugin
	export DOCKER_HOST=unix://$scratch/docker.sock
	start_engine overlay2 || start_engine vfs || { tail -n 20 "$scratch/dockerd.log" >&2; exit 1; } # vfs is slow, but works anywhere
fi

args=(--network=host --build-arg "VERSION=$(git describe --tags --always 2>/dev/null || echo dev)")
[[ -z ${GOPROXY:-} ]] || args+=(--build-arg "GOPROXY=$GOPROXY")
if [[ ${BASE:-} == debian ]]; then
	command -v debootstrap >/dev/null ||
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap; } >/dev/null
	say "making base images: Debian with git, and this machine's Go"
	debootstrap --variant=minbase --include=git,ca-certificates stable "$scratch/root" >"$scratch/debootstrap.log" ||
		{ tail -n 20 "$scratch/debootstrap.log" >&2; exit 1; }
	tar -C "$scratch/root" -c . | "$docker" import - exai-base/run >/dev/null
	# The certificates that this machine trusts are what its way to the modules may need.
	cp /etc/ssl/certs/ca-certificates.crt "$scratch/root/etc/ssl/certs/"
	goroot=$(go env GOROOT)
	tar -C "$scratch/root" -c . -C / --transform "s,^${goroot#/},usr/local/go," "${goroot#/}" |
		"$docker" import -c 'ENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local' - exai-base/build >/dev/null
	args+=(--build-arg BUILD_IMAGE=exai-base/build --build-arg RUN_IMAGE=exai-base/run --build-arg INSTALL=true)
fi

image=exai-mcp-test
say "building the image"
mkdir "$scratch/context"
git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -T - -c 2>/dev/null | tar -C "$scratch/context" -x
echo "GLM_API_KEY=canary-key-that-must-not-be-in-the-image" >"$scratch/context/.env"
if "$docker" buildx version >/dev/null 2>&1; then
	build=("$docker" buildx build --load --progress=plain)
else
	build=(env DOCKER_BUILDKIT=1 "$docker" build --progress=plain)
fi
"${build[@]}" "${args[@]}" -t "$image" "$scratch/context" >"$scratch/build.log" 2>&1 || { tail -n 40 "$scratch/build.log" >&2; exit 1; }
"$docker" image ls "$image"

say "running it"
EXAI_TEST_DOCKER=$docker EXAI_TEST_IMAGE=$image go test -tags image -count=1 -v -run '^TestImage' ./cmd/exai-mcp
[[ -n $engine ]] || "$docker" image rm "$image" >/dev/null
say "the image works"
