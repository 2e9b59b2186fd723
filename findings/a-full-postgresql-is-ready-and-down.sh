#!/bin/bash
# A PostgreSQL that has no connection left is "accepting connections" for pg_isready and DOWN for HAProxy's pgsql-check.
#
# Expected: the two ready-made checks for PostgreSQL agree. When max_connections is reached and every client is
#   refused, pg_isready says so with exit code 1 ("rejecting connections"); or both look at the process only.
# Seen: pg_isready prints "accepting connections" and exits 0 while psql is refused with "sorry, too many clients
#   already": any error of the server except "starting up" and its kin counts as ready. HAProxy's pgsql-check
#   takes the same refusal for a broken server and takes it out of the backend at once, with all its clients
#   served well.
# Versions seen: PostgreSQL 15.20-0+deb12u1, haproxy 2.6.12-1+deb12u4 (Debian 12), Linux 6.18.
# Why it matters: at the peak of the load the two do opposite harm. With pg_isready the node stays in and
#   refuses each new client. With pgsql-check the busiest node leaves, its clients reconnect to the next one,
#   which is then full and leaves too; when the clients have gone, the nodes come back empty and the cycle begins
#   again. Neither shows in a test with few clients. A checker that restarts on either answer makes it worse.
# Instead: decide what a full database means. To check the service, run a real query as a role that may use the
#   reserved connections (superuser_reserved_connections), and take "too many clients" for a warning, not for a
#   failure. To keep the balancer calm, limit connections in front (maxconn of the server line below
#   max_connections), so that clients queue there.
# Needs: apt-get. As root the database runs as user 65534; any other user runs it itself.
set -euo pipefail

tmp=$(mktemp -d)
chmod 711 "$tmp"
database='' proxy='' clients=()
end() {
  local pid
  for pid in "${clients[@]}" $proxy; do
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [ -n "$database" ]; then
    kill -QUIT "$database" 2>/dev/null || true # ends the server and its children at once
    wait "$database" 2>/dev/null || true
  fi
  rm -rf "$tmp"
}
trap end EXIT
mkdir -p "$tmp/debs/partial" "$tmp/root" "$tmp/data"
apt-get -qq -y --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
  -o Dir::Cache::archives="$tmp/debs" install postgresql-15 postgresql-client-15 haproxy >/dev/null
for deb in "$tmp"/debs/*.deb; do dpkg -x "$deb" "$tmp/root"; done
for name in postgresql-15 haproxy; do dpkg-deb --show "$tmp/debs/${name}"_*.deb; done
echo "Linux $(uname -r)"
LD_LIBRARY_PATH=$(printf '%s:' "$tmp"/root/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH
bin=$tmp/root/usr/lib/postgresql/15/bin

as_owner=()
if [ "$(id -u)" = 0 ]; then
  as_owner=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  chown 65534:65534 "$tmp/data"
fi
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
await() { # seconds, command: until it succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$end" ]; then return 1; fi
    sleep 0.1
  done
}
fail() {
  echo "$1"
  tail -n 3 "$tmp/log" "$tmp/words" 2>/dev/null || true
  exit 1
}
port=$(free_port)
query() { timeout 10 "$bin/psql" -w -h 127.0.0.1 -p "$port" -U postgres -Atc "$1" 2>&1 || true; }
ready() { "$bin/pg_isready" -h 127.0.0.1 -p "$port" >"$tmp/isready"; }
full() { [[ $(query 'select 1') == *"too many clients"* ]]; }
works() { [ "$(query 'select 1')" = 1 ]; }
said() { # how often HAProxy has said that the server is so
  grep -c "Server database/a is $1" "$tmp/words" || true
}
has_said() { [ "$(said "$1")" -ge "$2" ]; }

cd /
"${as_owner[@]}" "$bin/initdb" -D "$tmp/data" -A trust -U postgres --locale=C --no-sync \
  -L "$tmp/root/usr/share/postgresql/15" >"$tmp/log" 2>&1 || fail "initdb failed"
"${as_owner[@]}" "$bin/postgres" -D "$tmp/data" -p "$port" -c listen_addresses=127.0.0.1 \
  -c unix_socket_directories= -c max_connections=8 -c superuser_reserved_connections=3 \
  -c client_connection_check_interval=500ms >"$tmp/log" 2>&1 &
database=$!
await 60 works || fail "PostgreSQL does not start"
cat >"$tmp/haproxy.cfg" <<CFG
defaults
  timeout connect 2s
  timeout check 2s
  timeout client 5s
  timeout server 5s
listen database
  bind 127.0.0.1:$(free_port)
  option pgsql-check user postgres
  server a 127.0.0.1:$port check inter 300ms rise 1 fall 3
CFG
# Clients, until there is no connection left: one that meets a connection which is just being closed is refused.
filled() {
  if full; then return 0; fi
  "$bin/psql" -w -h 127.0.0.1 -p "$port" -U postgres -c 'select pg_sleep(300)' >/dev/null 2>&1 &
  clients+=($!)
  return 1
}
await 30 filled || fail "there are connections left"
: >"$tmp/words"
"$tmp/root/usr/sbin/haproxy" -db -f "$tmp/haproxy.cfg" >"$tmp/words" 2>&1 &
proxy=$!
await 30 has_said DOWN 1 || fail "the behaviour has changed: HAProxy keeps a full PostgreSQL up"
status=0
ready || status=$?
echo "full: psql: $(query 'select 1' | grep -o 'FATAL.*')"
echo "full: pg_isready: $(cut -d' ' -f3- "$tmp/isready"), exit $status"
echo "full: HAProxy's pgsql-check: $(grep -o -m1 'is DOWN, reason: .*, info: "[^"]*"' "$tmp/words")"
[ "$status" = 0 ] || fail "the behaviour has changed: pg_isready exits with $status"
full || fail "a client left while this script was looking"

for pid in "${clients[@]}"; do
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
done
clients=()
await 30 works || fail "PostgreSQL stays full"
await 30 has_said UP 1 || fail "HAProxy does not take it back"
echo "clients gone: HAProxy: $(grep -o -m1 'is UP, reason: [^,]*' "$tmp/words")"
echo "one would have guessed: the two checks agree"
