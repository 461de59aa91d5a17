#!/usr/bin/env bash
# A temporary PostgreSQL for tests, on a free loopback port, from Debian's package.
#
#   scripts/postgres.sh start [DIR]      start it (again) in DIR and print its URL
#   scripts/postgres.sh stop [DIR]       stop it and delete DIR
#   scripts/postgres.sh run COMMAND...   run a command with EXAI_TEST_POSTGRES_URL set, then stop and delete
#
# Run by root, the server runs as the user postgres (or nobody), since PostgreSQL refuses root; and a missing package is
# installed with apt-get. fsync is off, since the data is disposable.
set -euo pipefail

die() { echo "postgres.sh: $*" >&2; exit 1; }

# bin prints the folder of the newest server that is installed.
bin() {
  local dirs
  dirs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V) || true
  if [[ -n $dirs ]]; then
    tail -n 1 <<<"$dirs"
  elif command -v initdb >/dev/null && command -v pg_ctl >/dev/null; then
    dirname "$(readlink -f "$(command -v initdb)")"
  else
    return 1
  fi
}

install_package() {
  [[ $(id -u) == 0 ]] || die "PostgreSQL is missing; install it: apt-get install postgresql"
  # Without this the package would start a server of its own.
  mkdir -p /etc/postgresql-common
  [[ -e /etc/postgresql-common/createcluster.conf ]] ||
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; } >&2
}

# as runs a command as the server's user.
as() {
  if [[ $(id -u) != 0 ]]; then
    "$@"
  elif command -v runuser >/dev/null; then
    runuser -u "$owner" -- "$@"
  else
    su -s /bin/sh "$owner" -c "$(printf '%q ' "$@")"
  fi
}

start() {
  if [[ -s $dir/url ]] && as "$pg/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; then
    cat "$dir/url"
    return
  fi
  rm -rf "$dir"
  mkdir -m 700 "$dir"
  local password port
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && printf '%s\n' "$password" >"$dir/password")
  if [[ $(id -u) == 0 ]]; then chown -R "$owner" "$dir"; fi
  cd "$dir"
  as "$pg/initdb" -D "$dir/data" -U exai -A scram-sha-256 --pwfile="$dir/password" --encoding=UTF8 \
    --locale=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000)) # below the ports that outgoing connections take
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue # somebody is there
    if as "$pg/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 60 -o "-c listen_addresses=127.0.0.1 -c port=$port \
        -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
        -c max_connections=200" start >/dev/null 2>&1; then
      echo "postgres://exai:$password@127.0.0.1:$port/postgres?sslmode=disable" | tee "$dir/url"
      return
    fi
  done
  cat "$dir/server.log" >&2
  die "the server did not start"
}

stop() {
  [[ -d $dir ]] || return 0
  cd "$dir"
  as "$pg/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || true
  cd /
  rm -rf "$dir"
}

command=${1:-}
[[ $command =~ ^(start|stop|run)$ ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
shift
owner=postgres
getent passwd "$owner" >/dev/null || owner=nobody
pg=$(bin) || { install_package && pg=$(bin); } || die "PostgreSQL is missing and could not be installed"
getent passwd postgres >/dev/null && owner=postgres

case $command in
  start) dir=${1:-${TMPDIR:-/tmp}/exai-postgres-$(id -u)}; start ;;
  stop) dir=${1:-${TMPDIR:-/tmp}/exai-postgres-$(id -u)}; stop ;;
  run)
    [[ $# -gt 0 ]] || die "run what?"
    home=$PWD
    dir=$(mktemp -du "${TMPDIR:-/tmp}/exai-postgres.XXXXXX")
    trap stop EXIT
    start >/dev/null
    cd "$home"
    EXAI_TEST_POSTGRES_URL=$(cat "$dir/url") "$@"
    ;;
esac
